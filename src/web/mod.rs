//! `(method, path, headers)` → response, pure: which page a request means, and what each page is made of.
//!
//! [`Routes::find`] first; then the constructor in [`response`] that fits. Asking the collectors, limits on how
//! many may ask at a time and the connection itself are [`crate::io::server`]'s business.

#![forbid(unsafe_code)]

pub mod accept;
pub mod auth;
pub mod connections;
pub mod deadline;
pub mod docs;
pub mod page;
pub mod response;
pub mod select;
pub mod settings;
pub mod throttle;

use docs::Doc;
use hyper::Method;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The metrics.
    Metrics,
    /// The page for people.
    Landing,
    /// What the page for people shows, as JSON.
    Status,
    /// Documentation.
    Doc(&'static Doc),
    /// Whether the process serves at all.
    Healthy,
    /// Whether every collector has answered.
    Ready,
    /// A page that exists, by a method it does not have.
    MethodNotAllowed,
    /// No such page.
    NotFound,
}

/// The paths that exist.
#[derive(Debug, Clone)]
pub struct Routes {
    telemetry_path: String,
}

impl Routes {
    /// Path of the page for people.
    pub const LANDING: &str = "/";
    /// Path of what the page for people shows, as JSON.
    pub const STATUS: &str = "/api/v1/status";
    /// Path of the health check.
    pub const HEALTHY: &str = "/-/healthy";
    /// Path of the readiness check.
    pub const READY: &str = "/-/ready";

    /// `telemetry_path` is where the metrics are; with `/` they take the place of the page for people.
    pub fn new(telemetry_path: &str) -> Self {
        Self { telemetry_path: telemetry_path.to_owned() }
    }

    /// What `method` on `path` (without the query) means. HEAD is answered as GET without the body, which is the
    /// connection's part (RFC 9110 section 9.3.2).
    pub fn find(&self, method: &Method, path: &str) -> Route {
        let page = match path {
            _ if path == self.telemetry_path => Route::Metrics,
            Self::LANDING => Route::Landing,
            Self::STATUS => Route::Status,
            Self::HEALTHY => Route::Healthy,
            Self::READY => Route::Ready,
            _ => match Doc::at(path) {
                Some(doc) => Route::Doc(doc),
                None => return Route::NotFound,
            },
        };
        if matches!(*method, Method::GET | Method::HEAD) { page } else { Route::MethodNotAllowed }
    }

    /// Path of the metrics.
    pub fn telemetry_path(&self) -> &str {
        &self.telemetry_path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_page_at_its_exact_path() {
        let routes = Routes::new("/metrics");
        let cases = [
            (Method::GET, "/metrics", Route::Metrics),
            (Method::HEAD, "/metrics", Route::Metrics),
            (Method::GET, "/", Route::Landing),
            (Method::HEAD, "/", Route::Landing),
            (Method::GET, "/api/v1/status", Route::Status),
            (Method::POST, "/api/v1/status", Route::MethodNotAllowed),
            (Method::GET, "/docs/api.md", Route::Doc(Doc::at("/docs/api.md").unwrap())),
            (Method::POST, "/docs/api.md", Route::MethodNotAllowed),
            (Method::GET, "/-/healthy", Route::Healthy),
            (Method::HEAD, "/-/healthy", Route::Healthy),
            (Method::GET, "/-/ready", Route::Ready),
            (Method::POST, "/metrics", Route::MethodNotAllowed),
            (Method::OPTIONS, "/", Route::MethodNotAllowed),
            (Method::DELETE, "/-/healthy", Route::MethodNotAllowed),
            (Method::GET, "/metrics/", Route::NotFound),
            (Method::GET, "/METRICS", Route::NotFound),
            (Method::GET, "", Route::NotFound),
            (Method::GET, "/-/", Route::NotFound),
            (Method::POST, "/elsewhere", Route::NotFound),
        ];
        for (method, path, expected) in cases {
            assert_eq!(routes.find(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_metrics_can_have_another_path_even_the_root() {
        assert_eq!(Routes::new("/m").find(&Method::GET, "/m"), Route::Metrics);
        assert_eq!(Routes::new("/m").find(&Method::GET, "/metrics"), Route::NotFound);
        assert_eq!(Routes::new("/").find(&Method::GET, "/"), Route::Metrics);
    }
}
