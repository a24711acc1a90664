//! What each page is made of.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    accept::{Coding, Negotiated},
    page::SECURITY_POLICY,
    select::SelectError,
};
use crate::metrics::format::Format;

/// A response whose body is known as a whole.
pub type Page = Response<Full<Bytes>>;

const PLAIN: &str = "text/plain; charset=utf-8";

/// The metrics; `body` is what was agreed on.
pub fn metrics(body: Bytes, agreed: &Negotiated) -> Page {
    let mut page = page(StatusCode::OK, PLAIN, body);
    let content_type = agreed.format.content_type(agreed.escaping);
    if let Ok(content_type) = HeaderValue::try_from(content_type) {
        page.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    varies(coded(page, agreed.coding))
}

/// Tells how the body is compressed, if it is.
fn coded(page: Page, coding: Coding) -> Page {
    match coding {
        Coding::Identity => page,
        Coding::Gzip | Coding::Zstd => with(page, CONTENT_ENCODING, coding.label()),
    }
}

/// The client accepts nothing of what there is.
pub fn not_acceptable() -> Page {
    let mut body = "406 not acceptable: the metrics can be had as\n".to_owned();
    for format in Format::ALL {
        body.push_str(&format.content_type(None));
        body.push('\n');
    }
    varies(page(StatusCode::NOT_ACCEPTABLE, PLAIN, body))
}

/// The query makes no sense.
pub fn bad_query(error: &SelectError) -> Page {
    page(StatusCode::BAD_REQUEST, PLAIN, format!("400 {error}\n"))
}

/// The page for people; `html` is compressed already.
pub fn landing(html: Bytes, coding: Coding) -> Page {
    let mut page = fresh("text/html; charset=utf-8", html, coding);
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, SECURITY_POLICY.clone());
    with(page, REFERRER_POLICY, "no-referrer")
}

/// What the page for people shows, for programs; `json` is compressed already.
pub fn status(json: Bytes, coding: Coding) -> Page {
    fresh("application/json", json, coding)
}

/// What is old as soon as it was sent.
fn fresh(content_type: &'static str, body: Bytes, coding: Coding) -> Page {
    let page = coded(page(StatusCode::OK, content_type, body), coding);
    with(with(page, VARY, "Accept-Encoding"), CACHE_CONTROL, "no-store")
}

/// A document, in Markdown, which browsers show as it is.
pub fn doc(text: &'static str) -> Page {
    page(StatusCode::OK, PLAIN, text)
}

/// The process serves.
pub fn healthy() -> Page {
    page(StatusCode::OK, PLAIN, "dbwire_exporter is healthy.\n")
}

/// Whether every collector has answered by now, or failed for good.
pub fn ready(ready: bool) -> Page {
    if ready {
        return page(StatusCode::OK, PLAIN, "dbwire_exporter is ready.\n");
    }
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        PLAIN,
        "dbwire_exporter is not ready: a collector has not answered yet.\n",
    )
}

/// No such page.
pub fn not_found() -> Page {
    page(StatusCode::NOT_FOUND, PLAIN, "404 page not found\n")
}

/// RFC 9110 section 15.5.6 wants the methods that are allowed.
pub fn method_not_allowed() -> Page {
    let page = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "405 method not allowed: use GET or HEAD\n");
    with(page, ALLOW, "GET, HEAD")
}

/// Too many scrapes at a time; `limit` is how many are answered.
pub fn busy(limit: usize) -> Page {
    let body = format!("Limit of concurrent requests reached ({limit}), try again later.\n");
    page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, body)
}

/// Who asks has not said who it is, or not rightly (RFC 7617).
pub fn unauthorized() -> Page {
    let page = page(StatusCode::UNAUTHORIZED, PLAIN, "401 unauthorized\n");
    with(page, WWW_AUTHENTICATE, "Basic realm=\"dbwire_exporter\", charset=\"UTF-8\"")
}

/// Asked, or tried to say who it is, too often (RFC 6585 section 4).
pub fn too_many_requests() -> Page {
    let page = page(StatusCode::TOO_MANY_REQUESTS, PLAIN, "429 too many requests, try again later\n");
    with(page, RETRY_AFTER, "1")
}

/// The page could not be made; the reason is in the log.
pub fn failed() -> Page {
    page(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "500 the page could not be written, see the log\n")
}

/// Says that another client may get another page (RFC 9110 section 12.5.5).
fn varies(page: Page) -> Page {
    with(page, VARY, "Accept, Accept-Encoding")
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    let page = with(page, CONTENT_TYPE, content_type);
    with(page, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn with(mut page: Page, name: HeaderName, value: &'static str) -> Page {
    page.headers_mut().insert(name, HeaderValue::from_static(value));
    page
}

#[cfg(test)]
mod tests {
    use hyper::body::Body;

    use super::*;

    const AGREED: Negotiated =
        Negotiated { format: Format::ALL[0], escaping: None, coding: Coding::Identity };

    #[test]
    fn a_page_says_what_was_agreed_on() {
        let agreed = Negotiated { format: Format::Protobuf, coding: Coding::Zstd, ..AGREED };
        let page = metrics(Bytes::new(), &agreed);
        assert_eq!(page.headers()[CONTENT_ENCODING], "zstd");
        assert_eq!(page.headers()[VARY], "Accept, Accept-Encoding");
        assert_eq!(page.headers()[CONTENT_TYPE], Format::Protobuf.content_type(None));
        assert!(!metrics(Bytes::new(), &AGREED).headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn every_page_has_a_status_a_type_and_a_body() {
        let cases = [
            (metrics(Bytes::from_static(b"x 1\n"), &AGREED), 200, "text/plain; version=0.0.4; charset=utf-8"),
            (not_acceptable(), 406, PLAIN),
            (bad_query(&SelectError::Both), 400, PLAIN),
            (ready(true), 200, PLAIN),
            (ready(false), 503, PLAIN),
            (landing(Bytes::from_static(b"<!doctype html>"), Coding::Gzip), 200, "text/html; charset=utf-8"),
            (status(Bytes::from_static(b"{}"), Coding::Identity), 200, "application/json"),
            (doc("# API"), 200, PLAIN),
            (healthy(), 200, PLAIN),
            (not_found(), 404, PLAIN),
            (method_not_allowed(), 405, PLAIN),
            (busy(40), 503, PLAIN),
            (failed(), 500, PLAIN),
            (unauthorized(), 401, PLAIN),
            (too_many_requests(), 429, PLAIN),
        ];
        for (page, status, content_type) in cases {
            assert_eq!(page.status(), status);
            assert_eq!(page.headers()[CONTENT_TYPE], content_type);
            assert_eq!(page.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(page.body().size_hint().exact().unwrap() > 0);
        }
    }

    #[test]
    fn a_refused_method_is_told_which_are_allowed() {
        assert_eq!(method_not_allowed().headers()[ALLOW], "GET, HEAD");
    }

    #[test]
    fn the_page_for_people_may_run_its_own_style_and_script_and_load_nothing() {
        let page = landing(Bytes::new(), Coding::Identity);
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
