//! HTTP/1.1 over TCP: accepts, hands requests to [`crate::web`], and drains when told to stop.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

mod app;
mod body;

pub use app::App;

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
