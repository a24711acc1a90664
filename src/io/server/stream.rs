//! A client's connection: over TCP or a Unix socket, in the clear or in TLS; and what it is doing.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::server::TlsStream;

use super::listen::Listener;
use crate::web::throttle::Source;

use super::WRITE_TIMEOUT;

/// A [`Listener`] in the event loop.
#[derive(Debug)]
pub(super) enum AsyncListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl TryFrom<Listener> for AsyncListener {
    type Error = io::Error;

    fn try_from(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }
}

impl AsyncListener {
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Source)>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, peer)| {
                let socket = SockRef::from(&stream);
                // A response is written in one go, and its end must not wait for an acknowledgement of its beginning.
                // Neither option is worth refusing a client for.
                let _ = socket.set_tcp_user_timeout(Some(WRITE_TIMEOUT));
                let _ = socket.set_tcp_nodelay(true);
                (Stream::Tcp(stream), Source::Address(peer.ip()))
            }),
            Self::Unix(listener) => {
                listener.poll_accept(context).map_ok(|(stream, _)| (Stream::Unix(stream), Source::Local))
            }
        }
    }
}

/// Bytes to and from a client.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    TcpTls(Box<TlsStream<TcpStream>>),
    UnixTls(Box<TlsStream<UnixStream>>),
}

/// Calls a method of whatever kind of stream it is.
macro_rules! each {
    ($stream:expr, $stream_name:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($stream_name) => $call,
            Stream::Unix($stream_name) => $call,
            Stream::TcpTls($stream_name) => $call,
            Stream::UnixTls($stream_name) => $call,
        }
    };
}

/// A [`Stream`] that tells when a response has gone.
#[derive(Debug)]
pub(super) struct Told<F> {
    stream: Stream,
    /// Whether a response is on its way.
    answered: Arc<AtomicBool>,
    gone: F,
}

impl<F: Fn() + Unpin> Told<F> {
    /// `gone` is called when all of a response was handed to the system, after `answered` was set.
    pub(super) fn new(stream: Stream, answered: Arc<AtomicBool>, gone: F) -> Self {
        Self { stream, answered, gone }
    }
}

impl<F: Fn() + Unpin> AsyncRead for Told<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(&mut self.stream, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl<F: Fn() + Unpin> AsyncWrite for Told<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.stream, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = each!(&mut self.stream, stream => Pin::new(stream).poll_flush(context));
        if matches!(flushed, Poll::Ready(Ok(()))) && self.answered.swap(false, Ordering::Relaxed) {
            (self.gone)();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.stream, stream => Pin::new(stream).poll_shutdown(context))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.stream, stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.stream, stream => stream.is_write_vectored())
    }
}
