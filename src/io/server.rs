//! HTTP/1.1 over TCP, TLS and Unix sockets: accepts, hands requests to [`crate::web`], and drains when told to stop.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::sync::{Notify, oneshot};

mod app;
mod body;
mod guard;
pub mod listen;
mod stream;
mod tls;
mod watched;

pub use app::App;
pub use guard::Guard;
use listen::Listener;
pub use watched::{WebConfigError, WebConfigFile};

use crate::web::{
    connections::{ConnectionId, Connections, Patience, Room},
    throttle::Source,
};
use stream::{AsyncListener, Stream, Told};

/// Connections open at a time.
const MAX_CONNECTIONS: usize = 256;
/// Idle ones are kept a little longer than the usual scrape interval of a minute, so that the scraper need not connect
/// anew each time. Ten seconds are more than a request's head takes on any line, and forty are those that a page may be
/// waited for and thirty to carry it. Between a handshake and the request there is a round trip, and on a busy host the
/// time until the client runs again; those that come meanwhile wait in the system's queue.
const PATIENCE: Patience = Patience {
    first: Duration::from_secs(10),
    idle: Duration::from_secs(75),
    answer: Duration::from_secs(40),
    grace: Duration::from_millis(250),
};
/// Longest between two looks at a connection's deadline, which changes with what it does.
const LOOK: Duration = Duration::from_secs(10);
/// After this long without an acknowledgement of what was sent, or without room for more, the kernel resets the
/// connection (tcp(7), `TCP_USER_TIMEOUT`): a client that stops reading does not keep its place for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes a connection may buffer (hyper's default is about 400 kB); also the longest request head.
const BUFFER: usize = 16 * 1024;
/// How long responses under way may take once the program is asked to stop; it promises to have ended within 2 s.
const DRAIN: Duration = Duration::from_millis(1500);
/// Pause after `accept` failed for want of something (descriptors, memory) that other connections must free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
struct Server {
    app: App,
    /// With what tells a connection to end.
    connections: Mutex<Connections<oneshot::Sender<()>>>,
    /// Told when a connection ends or becomes idle.
    room: Notify,
}

/// Serves until `stop` is ready, then drains: no new connections, responses under way may finish, and after 1.5
/// seconds the rest is dropped.
///
/// # Errors
/// If a listener cannot be waited on.
pub async fn serve(listeners: Vec<Listener>, app: App, stop: impl Future) -> io::Result<()> {
    let listeners = listeners.into_iter().map(AsyncListener::try_from).collect::<io::Result<Vec<_>>>()?;
    let connections = Mutex::new(Connections::new(MAX_CONNECTIONS, PATIENCE));
    let server = Arc::new(Server { app, connections, room: Notify::new() });
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, source) = tokio::select! {
            _ = &mut stop => break,
            accepted = server.accept(&listeners) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let watcher = graceful.watcher();
        let (id, closed) = server.admit();
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            tokio::select! {
                () = server.converse(id, stream, source, watcher) => {}
                () = server.overdue(id) => tracing::debug!(?source, "a connection took too long"),
                // An end of the channel that is dropped has no other meaning.
                _ = closed => tracing::debug!(?source, "a connection gave way to another"),
            }
            server.connections().remove(id);
            server.room.notify_one();
        });
    }
    drop(listeners);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some clients did not take their responses in time; their connections are dropped");
    }
    Ok(())
}

impl Server {
    fn connections(&self) -> MutexGuard<'_, Connections<oneshot::Sender<()>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next connection on any of `listeners`, once there is room for it.
    async fn accept(&self, listeners: &[AsyncListener]) -> io::Result<(Stream, Source)> {
        let any = poll_fn(|context| {
            let accepted =
                listeners.iter().map(|listener| listener.poll_accept(context)).find(Poll::is_ready);
            accepted.unwrap_or(Poll::Pending)
        });
        let accepted = any.await?;
        self.wait_for_room().await;
        Ok(accepted)
    }

    /// Before somebody gives way, requests that have come are read: who sent one waits for an answer, not for nothing. To
    /// yield lets all run whose sockets have something.
    async fn wait_for_room(&self) {
        let room = || self.connections().room(Instant::now());
        loop {
            if room() == Room::GivenWay {
                tokio::task::yield_now().await;
            }
            let ended_or_answered = self.room.notified();
            match room() {
                Room::Free | Room::GivenWay => return,
                Room::None { until: None } => ended_or_answered.await,
                // Late or not, it is looked again.
                Room::None { until: Some(until) } => {
                    let _ = tokio::time::timeout_at(until.into(), ended_or_answered).await;
                }
            }
        }
    }

    /// A place for a connection, and what tells that it has to give it up.
    fn admit(&self) -> (ConnectionId, oneshot::Receiver<()>) {
        let (close, closed) = oneshot::channel();
        let (id, gives_way) = self.connections().admit(close, Instant::now());
        // Who has ended meanwhile need not be told.
        let _ = gives_way.map(|close| close.send(()));
        (id, closed)
    }

    /// Returns when a connection has taken longer than it may for what it does.
    async fn overdue(&self, id: ConnectionId) {
        loop {
            let now = Instant::now();
            let deadline = self.connections().deadline(id);
            let Some(deadline) = deadline.filter(|deadline| *deadline > now) else { return };
            tokio::time::sleep_until(deadline.min(now + LOOK).into()).await;
        }
    }

    /// Answers a connection's requests until it ends.
    async fn converse(
        self: &Arc<Self>,
        id: ConnectionId,
        stream: Stream,
        source: Source,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let stream = match self.secured(stream).await {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, ?source, "no TLS came about"),
        };
        let answered = Arc::new(AtomicBool::new(false));
        let server = Arc::clone(self);
        let gone = move || {
            server.connections().idle(id, Instant::now());
            server.room.notify_one();
        };
        let stream = Told::new(stream, Arc::clone(&answered), gone);
        let service = service_fn(|request: Request<Incoming>| {
            self.connections().answering(id, Instant::now());
            let answered = Arc::clone(&answered);
            async move {
                let page = self.app.answer(&request, source).await;
                answered.store(true, Ordering::Relaxed);
                Ok::<_, Infallible>(page)
            }
        });
        let connection = http1::Builder::new()
            // Time is kept by `overdue`, TLS included.
            .header_read_timeout(None)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, ?source, "a connection ended early");
        }
    }

    /// The stream itself, or what is inside its TLS.
    async fn secured(&self, stream: Stream) -> io::Result<Stream> {
        let Some(acceptor) = self.app.tls() else { return Ok(stream) };
        Ok(match stream {
            Stream::Tcp(stream) => Stream::TcpTls(Box::new(acceptor.accept(stream).await?)),
            Stream::Unix(stream) => Stream::UnixTls(Box::new(acceptor.accept(stream).await?)),
            secured => secured,
        })
    }
}
