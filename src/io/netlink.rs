//! `inet_diag` dumps over a netlink socket.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use neli::{
    consts::socket::{Msg, NlFamily},
    socket::NlSocket,
    utils::Groups,
};
use once_cell::unsync::OnceCell;
use thiserror::Error;

use crate::sockets::{
    inet_diag::{BUFFER_BYTES, DumpError, Pass, Progress, Query, walk},
    row::{Family, Row},
    source::FallbackReason,
    state::{State, StateSet},
};

/// How long a reply may take to come. The kernel makes each part of a dump inside `recv`, so only a reply that
/// will never come takes this long.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a dump is made again because the tables changed under it.
const TRIES: usize = 3;

/// Sends requests and receives replies: the kernel's netlink, or a test's idea of it.
pub trait Transport: Send {
    /// Sends one request.
    fn send(&mut self, request: &[u8]) -> io::Result<()>;

    /// Receives one datagram and returns its length, which is more than `buffer.len()` where it was cut.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Opens a [`Transport`].
pub type Open = Box<dyn FnMut() -> io::Result<Box<dyn Transport>> + Send>;

/// Why a dump over netlink gave no rows.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// The socket could not be opened.
    #[error("cannot open a NETLINK_SOCK_DIAG socket: {0}")]
    Open(#[source] io::Error),
    /// The request could not be sent.
    #[error("cannot send an inet_diag request: {0}")]
    Send(#[source] io::Error),
    /// No reply could be received.
    #[error("cannot receive an inet_diag reply: {0}")]
    Receive(#[source] io::Error),
    /// The reply was not a whole dump.
    #[error(transparent)]
    Dump(#[from] DumpError),
}

impl NetlinkError {
    /// What to count this as.
    pub fn reason(&self) -> FallbackReason {
        let (error, otherwise) = match self {
            Self::Dump(error) => return (*error).into(),
            Self::Open(error) => (error, FallbackReason::Socket),
            Self::Send(error) | Self::Receive(error) => (error, FallbackReason::Io),
        };
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => FallbackReason::Descriptors,
            Some(libc::ENOBUFS) => FallbackReason::Overrun,
            Some(libc::EAGAIN) => FallbackReason::Timeout,
            _ => otherwise,
        }
    }
}

/// Reads the TCP sockets of the network namespace its transport was opened in.
///
/// The transport and the buffer are kept between dumps; after an error the transport is closed, so that what is
/// left in it cannot be taken for an answer to the next request.
pub struct Dumper {
    open: Open,
    transport: Option<Box<dyn Transport>>,
    buffer: Box<[u8]>,
    sequence: u32,
    /// Learnt once: whether the kernel takes the request for both families.
    passes: OnceCell<&'static [Pass]>,
}

impl std::fmt::Debug for Dumper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dumper").field("passes", &self.passes).finish_non_exhaustive()
    }
}

impl Dumper {
    /// A dumper that opens its transport when first used.
    pub fn new(open: Open) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { open, transport: None, buffer, sequence: 0, passes: OnceCell::new() }
    }

    /// A dumper on the kernel's netlink.
    pub fn of_kernel() -> Self {
        Self::new(Box::new(|| Ok(Box::new(KernelSocket::open()?))))
    }

    /// Closes the transport: what is left in it belongs to a dump that was not read to its end.
    pub(super) fn close(&mut self) {
        self.transport = None;
    }

    /// Makes one dump: starts from `start`, and hands it each row and its attributes. Where the dump has to be made
    /// again, it starts again.
    pub fn dump<T: Clone>(
        &mut self,
        query: Query<'_>,
        start: &T,
        mut each: impl FnMut(&mut T, &Row, &[u8]),
    ) -> Result<T, NetlinkError> {
        let passes = self.passes()?;
        let mut tries = 1;
        loop {
            let mut total = start.clone();
            let outcome = passes.iter().try_for_each(|&pass| {
                self.pass(query, pass, |row, attributes| each(&mut total, row, attributes))
            });
            match outcome {
                Ok(()) => return Ok(total),
                Err(NetlinkError::Dump(DumpError::Interrupted)) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for the listeners, which costs microseconds, to see which request the kernel takes.
    fn passes(&mut self) -> Result<&'static [Pass], NetlinkError> {
        const ONE: &[Pass] = &[Pass::BothFamilies];
        const TWO: &[Pass] = &[Pass::One(Family::Ipv4), Pass::One(Family::Ipv6)];
        // Taken out while the question, which needs the rest of `self`, is asked; an error leaves it unanswered.
        let passes = std::mem::take(&mut self.passes);
        let known = passes.get_or_try_init(|| {
            let listeners = Query::of(StateSet::NONE.with(State::Listen));
            match self.pass(listeners, Pass::BothFamilies, |_, _| ()) {
                Ok(()) => Ok(ONE),
                Err(NetlinkError::Dump(DumpError::Refused { errno: libc::EOPNOTSUPP | libc::EINVAL })) => {
                    Ok(TWO)
                }
                Err(error) => Err(error),
            }
        });
        let known = known.copied()?;
        self.passes = passes;
        Ok(known)
    }

    fn pass(
        &mut self,
        query: Query<'_>,
        pass: Pass,
        each: impl FnMut(&Row, &[u8]),
    ) -> Result<(), NetlinkError> {
        let outcome = self.ask(query, pass, each);
        if outcome.is_err() {
            self.transport = None;
        }
        outcome
    }

    fn ask(
        &mut self,
        query: Query<'_>,
        pass: Pass,
        mut each: impl FnMut(&Row, &[u8]),
    ) -> Result<(), NetlinkError> {
        let transport = match &mut self.transport {
            Some(transport) => transport,
            none => none.insert((self.open)().map_err(NetlinkError::Open)?),
        };
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = query.encode(pass, self.sequence);
        let bytes = bytes.map_err(|error| NetlinkError::Send(io::Error::other(error)))?;
        transport.send(&bytes).map_err(NetlinkError::Send)?;
        loop {
            let length = transport.receive(&mut self.buffer).map_err(NetlinkError::Receive)?;
            let received = self.buffer.get(..length);
            let received = received.ok_or(DumpError::Truncated { length, buffer: self.buffer.len() })?;
            if walk(pass, self.sequence, received, &mut each)? == Progress::Done {
                return Ok(());
            }
        }
    }
}

/// neli's socket, blocking, with a timeout.
struct KernelSocket(NlSocket);

impl KernelSocket {
    fn open() -> io::Result<Self> {
        let socket = NlSocket::connect(NlFamily::SockOrInetDiag, None, Groups::empty())?;
        // SAFETY: the descriptor is open for as long as `socket` lives, which outlives the borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
        socket2::SockRef::from(&fd).set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self(socket))
    }
}

impl Transport for KernelSocket {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let sent = self.0.send(request, Msg::empty())?;
        if sent == request.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // With MSG_TRUNC the length is that of the datagram, not of what fitted.
            match self.0.recv(&mut *buffer, Msg::TRUNC) {
                Ok((length, _groups)) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
