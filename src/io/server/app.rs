//! Answers requests: asks the collectors for what the pure side in [`crate::web`] makes pages of.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{HeaderMap, Request, Uri};
use prometheus::proto::MetricFamily;
use tokio::sync::{Semaphore, SemaphorePermit};

use tokio_rustls::TlsAcceptor;

use super::{Guard, body::Writer};
use crate::{
    io::collect::Collector,
    metrics::format::Created,
    status::Status,
    web::{
        Route, Routes,
        accept::{self, Coding, Negotiated},
        deadline, page, response,
        response::Page,
        select::Selection,
        throttle::Source,
    },
};

/// Most that a request waits for its turn when [`App`] is at its limit: what a burst of scrapes takes, and well below
/// any scraper's timeout.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers requests.
#[derive(Debug)]
pub struct App {
    routes: Routes,
    collector: Collector,
    guard: Option<Guard>,
    scrapes: Semaphore,
    max_scrapes: usize,
    created: Created,
    writer: Mutex<Writer>,
}

impl App {
    /// Serves what `collector` has counted since `created`, to at most `max_scrapes` requests at a time, to whom `guard`
    /// lets pass.
    pub fn new(
        routes: Routes,
        collector: Collector,
        max_scrapes: usize,
        guard: Option<Guard>,
        created: Created,
    ) -> Self {
        let scrapes = Semaphore::new(max_scrapes);
        Self { routes, collector, guard, scrapes, max_scrapes, created, writer: Mutex::default() }
    }

    /// How to take a new connection's TLS; `None` where there is none.
    pub(super) fn tls(&self) -> Option<TlsAcceptor> {
        self.guard.as_ref()?.tls()
    }

    /// The answer to one request of `source`.
    pub async fn answer<B>(&self, request: &Request<B>, source: Source) -> Page {
        let Some(guard) = &self.guard else { return self.page(request).await };
        let mut page = match guard.admit(request.headers(), source).await {
            Ok(()) => self.page(request).await,
            Err(refusal) => refusal,
        };
        guard.dress(&mut page);
        page
    }

    async fn page<B>(&self, request: &Request<B>) -> Page {
        match self.routes.find(request.method(), request.uri().path()) {
            Route::Metrics => self.metrics(request.uri(), request.headers()).await,
            Route::Landing => {
                let html = |status: &Status| page::html(&self.routes, status).into_bytes();
                self.status(request.headers(), html, response::landing).await
            }
            Route::Status => self.status(request.headers(), Status::json, response::status).await,
            Route::Doc(doc) => response::doc(doc.text),
            Route::Healthy => response::healthy(),
            Route::Ready => response::ready(self.collector.ready(deadline::within(request.headers())).await),
            Route::MethodNotAllowed => response::method_not_allowed(),
            Route::NotFound => response::not_found(),
        }
    }

    async fn metrics(&self, uri: &Uri, headers: &HeaderMap) -> Page {
        let Some(agreed) = accept::negotiate(headers) else { return response::not_acceptable() };
        let selection = match Selection::parse(uri.query().unwrap_or_default(), &self.collector.enabled()) {
            Ok(selection) => selection,
            Err(error) => return response::bad_query(&error),
        };
        let within = deadline::within(headers);
        let Some(_turn) = self.turn(within).await else { return response::busy(self.max_scrapes) };
        let mut families = self.collector.families(&selection, within).await;
        families.extend(self.guard.iter().flat_map(Guard::families));
        self.write(families, &agreed)
    }

    fn write(&self, families: Vec<MetricFamily>, agreed: &Negotiated) -> Page {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.write(families, agreed, Some(self.created)) {
            Ok(body) => response::metrics(body, agreed),
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &io::Error) -> Page {
        tracing::error!(%error, "a page could not be written");
        response::failed()
    }

    async fn status(
        &self,
        headers: &HeaderMap,
        text: impl FnOnce(&Status) -> Vec<u8>,
        page: impl FnOnce(Bytes, Coding) -> Page,
    ) -> Page {
        // RFC 9110 section 12.5.3: who accepts no coding gets none.
        let coding = accept::coding(headers).unwrap_or(Coding::Identity);
        let within = deadline::within(headers);
        let Some(_turn) = self.turn(within).await else { return response::busy(self.max_scrapes) };
        let text = text(&self.collector.status(within).await);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_text(&text, coding).map_or_else(|error| Self::failed(&error), |body| page(body, coding))
    }

    /// A place among those that are answered; `None` if none gets free in time, of which a client has `within`.
    async fn turn(&self, within: Duration) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(PATIENCE.min(within / 2), self.scrapes.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::io::process::Process;

    fn app() -> App {
        let collector = Collector::new(
            Process::for_self(),
            None,
            #[cfg(feature = "capture")]
            None,
        );
        let created = Created { at: Duration::ZERO, samples: false };
        App::new(Routes::new("/metrics"), collector, 1, None, created)
    }

    async fn status(app: &App, uri: &str) -> u16 {
        app.answer(&Request::get(uri).body(()).unwrap(), Source::Local).await.status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn scrapes_above_the_limit_are_refused_after_a_while_and_the_health_check_is_not() {
        let app = app();
        assert_eq!(status(&app, "/metrics").await, 200);
        let running = app.scrapes.try_acquire().unwrap();
        assert_eq!(status(&app, "/metrics").await, 503);
        assert_eq!(status(&app, "/").await, 503);
        assert_eq!(status(&app, "/-/healthy").await, 200);
        drop(running);
        assert_eq!(status(&app, "/metrics").await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_above_the_limit_has_its_turn_when_one_ends() {
        let app = app();
        let running = app.scrapes.try_acquire().unwrap();
        let release = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(running);
        };
        assert_eq!(tokio::join!(status(&app, "/metrics"), release).0, 200);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_before_anything_is_asked() {
        let app = app();
        assert_eq!(status(&app, "/metrics?collect[]=a").await, 400);
        assert_eq!(status(&app, "/metrics?other=a").await, 200);
        let picture = Request::get("/metrics").header("accept", "image/png").body(()).unwrap();
        assert_eq!(app.answer(&picture, Source::Local).await.status(), 406);
    }

    #[tokio::test]
    async fn the_page_for_people_and_its_json_are_compressed_as_the_client_likes() {
        let app = app();
        for path in ["/", "/api/v1/status"] {
            for (accepted, coding) in [("gzip", Some("gzip")), ("gzip, zstd", Some("zstd")), ("br", None)] {
                let request = Request::get(path).header("accept-encoding", accepted).body(()).unwrap();
                let headers = app.answer(&request, Source::Local).await.into_parts().0.headers;
                let told = headers.get("content-encoding").map(|coding| coding.to_str().unwrap());
                assert_eq!((told, &headers["vary"]), (coding, &HeaderValue::from_static("Accept-Encoding")));
            }
        }
    }

    #[tokio::test]
    async fn without_collectors_to_wait_for_it_is_ready() {
        assert_eq!(status(&app(), "/-/ready").await, 200);
    }
}
