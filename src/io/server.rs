//! HTTP/1.1 over TCP: accepts, hands requests to [`crate::web`], and drains when told to stop.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use hyper::{HeaderMap, Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    metrics::text,
    web::{Route, Routes, deadline, landing, response, response::Page},
};

use super::collect::Collector;

/// Connections served at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may take to send a request, and how long it may idle between two: a little longer than
/// the usual scrape interval of a minute, so that the scraper need not connect anew each time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// After this long without an acknowledgement of what was sent, or without room for more, the kernel resets the
/// connection (tcp(7), `TCP_USER_TIMEOUT`): a client that stops reading does not keep its place for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes a connection may buffer (hyper's default is about 400 kB); also the longest request head.
const BUFFER: usize = 16 * 1024;
/// How long responses under way may take once the program is asked to stop; it promises to have ended within 2 s.
const DRAIN: Duration = Duration::from_millis(1500);
/// Pause after `accept` failed for want of something (descriptors, memory) that other connections must free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests.
#[derive(Debug)]
pub struct App {
    routes: Routes,
    collector: Collector,
    scrapes: Semaphore,
    max_scrapes: usize,
    /// Pages are written here and split off; a page's memory comes back when it has been sent.
    buffer: Mutex<BytesMut>,
}

impl App {
    /// Serves what `collector` has, to at most `max_scrapes` requests at a time.
    pub fn new(routes: Routes, collector: Collector, max_scrapes: usize) -> Self {
        let scrapes = Semaphore::new(max_scrapes);
        Self { routes, collector, scrapes, max_scrapes, buffer: Mutex::default() }
    }

    /// The answer to one request.
    pub async fn answer<B>(&self, request: &Request<B>) -> Page {
        match self.routes.find(request.method(), request.uri().path()) {
            Route::Metrics => self.metrics(request.headers()).await,
            Route::Landing => self.landing(request.headers()).await,
            Route::Healthy => response::healthy(),
            Route::MethodNotAllowed => response::method_not_allowed(),
            Route::NotFound => response::not_found(),
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Page {
        let Ok(_scrape) = self.scrapes.try_acquire() else { return response::busy(self.max_scrapes) };
        let families = self.collector.families(deadline::within(headers)).await;
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        match text::encode(families, &mut (&mut *buffer).writer()) {
            Ok(()) => response::metrics(Bytes::from(buffer.split())),
            Err(error) => {
                tracing::error!(%error, "the metrics could not be written");
                response::failed()
            }
        }
    }

    async fn landing(&self, headers: &HeaderMap) -> Page {
        let Ok(_scrape) = self.scrapes.try_acquire() else { return response::busy(self.max_scrapes) };
        let sources = self.collector.sources(deadline::within(headers)).await;
        response::landing(landing::html(&self.routes, &sources))
    }
}

/// Serves until `stop` is ready, then drains: no new connections, responses under way may finish, and after 1.5
/// seconds the rest is dropped.
pub async fn serve(listeners: Vec<TcpListener>, app: Arc<App>, stop: impl Future) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer, place) = tokio::select! {
            _ = &mut stop => break,
            accepted = accept(&listeners, &connections) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let app = Arc::clone(&app);
        let service = service_fn(move |request: Request<Incoming>| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(app.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listeners);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some clients did not take their responses in time; their connections are dropped");
    }
}

/// The next connection on any of `listeners`, once there is a place for it.
async fn accept(
    listeners: &[TcpListener],
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let any = poll_fn(|context| {
        let accepted = listeners.iter().map(|listener| listener.poll_accept(context)).find(Poll::is_ready);
        accepted.unwrap_or(Poll::Pending)
    });
    let (stream, peer) = any.await?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_user_timeout(Some(WRITE_TIMEOUT))?;
    // A response is written in one go, and its end must not wait for an acknowledgement of its beginning.
    socket.set_tcp_nodelay(true)?;
    Ok((stream, peer, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::process::Process;

    #[tokio::test]
    async fn scrapes_above_the_limit_are_refused_and_the_health_check_is_not() {
        let collector = Collector {
            process: Process::for_self(),
            sockets: None,
            #[cfg(feature = "capture")]
            mysql: None,
        };
        let app = App::new(Routes::new("/metrics"), collector, 1);
        let status = async |path: &str| app.answer(&Request::get(path).body(()).unwrap()).await.status();
        assert_eq!(status("/metrics").await, 200);
        let running = app.scrapes.try_acquire().unwrap();
        assert_eq!(status("/metrics").await, 503);
        assert_eq!(status("/").await, 503);
        assert_eq!(status("/-/healthy").await, 200);
        drop(running);
        assert_eq!(status("/metrics").await, 200);
    }
}
