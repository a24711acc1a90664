//! `inet_diag`: requests for a dump of TCP sockets, and a walk over the replies.
//!
//! Layouts and constants: the kernel's `include/uapi/linux/inet_diag.h`, `netlink.h` and `sock_diag.h`;
//! behaviour: `net/ipv4/inet_diag.c`, `net/core/sock_diag.c`, `net/netlink/af_netlink.c`.
//!
//! [`walk`] takes a receive buffer as it is. It does not allocate and does not panic, and anything but a whole,
//! orderly dump is a [`DumpError`]: a count is made of every row or of none.

use std::io::Cursor;

use neli::{
    Size, ToBytes,
    consts::nl::{NlmF, Nlmsg},
    err::SerError,
    nl::{NlPayload, NlmsghdrBuilder},
};
use thiserror::Error;

use super::{
    port_filter::PortFilter,
    row::{Endpoint, Family, Row, Timer},
    state::{State, StateSet},
};

/// What a receive buffer must hold at least: the kernel fills up to 32 KiB a receive (`netlink_recvmsg` caps
/// `max_recvmsg_len` there) and cuts what does not fit.
pub const BUFFER_BYTES: usize = 32 * 1024;

/// `IPPROTO_TCP`.
const PROTOCOL_TCP: u8 = 6;
/// `AF_UNSPEC`.
const FAMILY_UNSPECIFIED: u8 = 0;
/// `AF_INET`.
const FAMILY_IPV4: u8 = 2;
/// `AF_INET6`.
const FAMILY_IPV6: u8 = 10;

/// How sockets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Both families in one walk of the kernel's tables: `TCPDIAG_GETSOCK` (`struct inet_diag_req`), the request
    /// from before Linux 3.3, which alone takes `AF_UNSPEC`.
    BothFamilies,
    /// One family: `SOCK_DIAG_BY_FAMILY` (`struct inet_diag_req_v2`).
    One(Family),
}

impl Pass {
    /// `nlmsg_type` of the request and of each row in its reply.
    const fn message_type(self) -> u16 {
        match self {
            Self::BothFamilies => 18,
            Self::One(_) => 20,
        }
    }
}

/// `struct inet_diag_sockid`. Zeros match every socket.
#[derive(Debug, Default, Size, ToBytes)]
struct SocketId {
    ports: [u8; 4],
    source: [u8; 16],
    destination: [u8; 16],
    interface: u32,
    cookie: [u8; 8],
}

/// `struct inet_diag_req` and its attribute.
#[derive(Debug, Default, Size, ToBytes)]
struct LegacyRequest {
    family: u8,
    source_length: u8,
    destination_length: u8,
    extensions: u8,
    id: SocketId,
    states: u32,
    tables: u32,
    filter: Vec<u8>,
}

/// `struct inet_diag_req_v2` and its attribute.
#[derive(Debug, Default, Size, ToBytes)]
struct FamilyRequest {
    family: u8,
    protocol: u8,
    extensions: u8,
    pad: u8,
    states: u32,
    id: SocketId,
    filter: Vec<u8>,
}

/// What is asked of each socket beyond its row: a bit for each `INET_DIAG_…` number less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(u8);

impl Extensions {
    /// Rows only.
    pub const NONE: Self = Self(0);

    /// `INET_DIAG_INFO` (2): `struct tcp_info`, which makes a dump a quarter dearer.
    pub const INFO: Self = Self(1 << 1);
}

/// Which sockets to dump, and what of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// Sockets in other states are walked by the kernel but not returned.
    pub states: StateSet,
    /// Nor are sockets it refuses.
    pub filter: Option<&'a PortFilter>,
    /// What to add to each row.
    pub extensions: Extensions,
}

impl Query<'_> {
    /// Every socket in `states`, as a row only.
    pub const fn of(states: StateSet) -> Self {
        Self { states, filter: None, extensions: Extensions::NONE }
    }

    /// The netlink message that asks for it, header included. The reply's messages carry `sequence`.
    pub fn encode(&self, pass: Pass, sequence: u32) -> Result<Vec<u8>, SerError> {
        let (states, extensions) = (self.states.bits(), self.extensions.0);
        let filter = self.filter.map(PortFilter::attribute).unwrap_or_default();
        match pass {
            Pass::BothFamilies => {
                let family = FAMILY_UNSPECIFIED;
                let request = LegacyRequest { family, extensions, states, filter, ..Default::default() };
                message(pass, sequence, request)
            }
            Pass::One(family) => {
                let family = match family {
                    Family::Ipv4 => FAMILY_IPV4,
                    Family::Ipv6 => FAMILY_IPV6,
                };
                let protocol = PROTOCOL_TCP;
                let request =
                    FamilyRequest { family, protocol, extensions, states, filter, ..Default::default() };
                message(pass, sequence, request)
            }
        }
    }
}

fn message<P: Size + ToBytes>(pass: Pass, sequence: u32, payload: P) -> Result<Vec<u8>, SerError> {
    let message = NlmsghdrBuilder::default()
        .nl_type(pass.message_type())
        .nl_flags(NlmF::REQUEST | NlmF::DUMP)
        .nl_seq(sequence)
        .nl_payload(NlPayload::Payload(payload))
        .build()
        .map_err(|error| SerError::new(error.to_string()))?;
    let mut bytes = Cursor::new(Vec::with_capacity(message.padded_size()));
    message.to_bytes(&mut bytes)?;
    Ok(bytes.into_inner())
}

/// Why a dump gave no counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DumpError {
    /// The kernel refused, with an NLMSG_ERROR or an NLMSG_DONE that carries an error (a missing diag handler
    /// answers the second way, with `-ENOENT`).
    #[error("the kernel refused the inet_diag dump: {}", std::io::Error::from_raw_os_error(*errno))]
    Refused {
        /// Positive, as in `errno.h`.
        errno: i32,
    },
    /// A datagram was longer than the buffer: rows are lost.
    #[error("a netlink reply of {length} bytes was cut to {buffer}")]
    Truncated {
        /// Bytes the kernel had.
        length: usize,
        /// Bytes there was room for.
        buffer: usize,
    },
    /// `NLM_F_DUMP_INTR`: the tables changed under the dump and it may be inconsistent.
    #[error("the kernel marked the inet_diag dump as interrupted")]
    Interrupted,
    /// `NLMSG_OVERRUN`: the kernel lost messages.
    #[error("the kernel reported lost netlink messages")]
    Overrun,
    /// A message that does not answer this request.
    #[error("a netlink message with sequence number {found} came instead of {expected}")]
    Sequence {
        /// Of the request.
        expected: u32,
        /// Of the message.
        found: u32,
    },
    /// Bytes that are no inet_diag reply.
    #[error("malformed inet_diag reply: {what}")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// A socket in a state this program has no name for.
    #[error("a socket in unknown state {number}")]
    UnknownState {
        /// As the kernel gave it.
        number: u8,
    },
}

const fn malformed(what: &'static str) -> DumpError {
    DumpError::Malformed { what }
}

/// Whether a dump goes on after a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More buffers follow.
    More,
    /// NLMSG_DONE was seen.
    Done,
}

/// Hands each row of one receive buffer to `each`, with the attributes that follow it.
///
/// `sequence` is the request's. Rows before an error have been handed over: on an error the whole dump must be
/// thrown away.
#[inline]
pub fn walk(
    pass: Pass,
    sequence: u32,
    buffer: &[u8],
    mut each: impl FnMut(&Row, &[u8]),
) -> Result<Progress, DumpError> {
    if buffer.is_empty() {
        return Err(malformed("an empty datagram"));
    }
    let mut rest = buffer;
    while !rest.is_empty() {
        let header = Header::read(rest)?;
        let payload = header.payload(rest)?;
        header.check(sequence)?;
        if header.kind == pass.message_type() {
            each(&read_row(payload)?, payload.get(ROW_BYTES..).unwrap_or_default());
        } else if header.kind == u16::from(Nlmsg::Done) {
            return finished(payload);
        } else if header.kind != u16::from(Nlmsg::Noop) {
            return Err(failure(header.kind, payload));
        }
        rest = rest.get(header.aligned_length()..).unwrap_or_default();
    }
    Ok(Progress::More)
}

/// `struct nlmsghdr`, but for the port id.
struct Header {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
}

impl Header {
    const BYTES: usize = 16;

    #[inline]
    fn read(bytes: &[u8]) -> Result<Self, DumpError> {
        let (words, _) = bytes.as_chunks::<4>();
        let &[length, [kind0, kind1, flags0, flags1], sequence, _port_id, ..] = words else {
            return Err(malformed("a netlink header"));
        };
        Ok(Self {
            length: u32::from_ne_bytes(length),
            kind: u16::from_ne_bytes([kind0, kind1]),
            flags: u16::from_ne_bytes([flags0, flags1]),
            sequence: u32::from_ne_bytes(sequence),
        })
    }

    /// What follows the header, as far as its length says.
    #[inline]
    fn payload<'a>(&self, message: &'a [u8]) -> Result<&'a [u8], DumpError> {
        message.get(Self::BYTES..self.length as usize).ok_or(malformed("the length of a netlink message"))
    }

    /// Refuses answers to other requests and inconsistent dumps.
    #[inline]
    fn check(&self, expected: u32) -> Result<(), DumpError> {
        if self.sequence != expected {
            return Err(DumpError::Sequence { expected, found: self.sequence });
        }
        if self.flags & NlmF::DUMP_INTR.bits() != 0 {
            return Err(DumpError::Interrupted);
        }
        Ok(())
    }

    /// `NLMSG_ALIGN` of the length: where the next message starts.
    #[inline]
    const fn aligned_length(&self) -> usize {
        (self.length as usize).next_multiple_of(4)
    }
}

/// Size of `struct inet_diag_msg`.
const ROW_BYTES: usize = 72;

/// `struct inet_diag_msg`.
#[inline]
fn read_row(payload: &[u8]) -> Result<Row, DumpError> {
    let (words, _) = payload.as_chunks::<4>();
    let &[
        [family, state, timer, _retransmits],
        [local0, local1, remote0, remote1],
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
        _interface,
        cookie0,
        cookie1,
        _expires,
        receive_queue,
        send_queue,
        _uid,
        inode,
        ..,
    ] = words
    else {
        return Err(malformed("a row shorter than struct inet_diag_msg"));
    };
    let number = state;
    let state = State::from_kernel(number).ok_or(DumpError::UnknownState { number })?;
    let timer = Timer::from_kernel(timer);
    let local_port = u16::from_be_bytes([local0, local1]);
    let remote_port = u16::from_be_bytes([remote0, remote1]);
    let (family, local, remote) = match family {
        FAMILY_IPV4 => (Family::Ipv4, Endpoint::v4(s0, local_port), Endpoint::v4(d0, remote_port)),
        FAMILY_IPV6 => (
            Family::Ipv6,
            Endpoint::v6(address([s0, s1, s2, s3]), local_port),
            Endpoint::v6(address([d0, d1, d2, d3]), remote_port),
        ),
        _ => return Err(malformed("an address family that is not IP")),
    };
    Ok(Row {
        family,
        state,
        timer,
        local,
        remote,
        receive_queue: u32::from_ne_bytes(receive_queue),
        send_queue: u32::from_ne_bytes(send_queue),
        inode: u64::from(u32::from_ne_bytes(inode)),
        cookie: u64::from(u32::from_ne_bytes(cookie1)) << 32 | u64::from(u32::from_ne_bytes(cookie0)),
    })
}

/// Four words in network byte order as one address.
#[inline]
const fn address(words: [[u8; 4]; 4]) -> [u8; 16] {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]] = words;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// NLMSG_DONE: its payload is 0, or the error the dump ended with.
fn finished(payload: &[u8]) -> Result<Progress, DumpError> {
    match read_errno(payload)? {
        0 => Ok(Progress::Done),
        errno => Err(DumpError::Refused { errno }),
    }
}

/// A message that is neither a row nor an end.
fn failure(kind: u16, payload: &[u8]) -> DumpError {
    if kind == u16::from(Nlmsg::Overrun) {
        return DumpError::Overrun;
    }
    if kind != u16::from(Nlmsg::Error) {
        return malformed("an unknown message type");
    }
    match read_errno(payload) {
        // An acknowledgment: not asked for, and no end of a dump.
        Ok(0) => malformed("an acknowledgment instead of rows"),
        Ok(errno) => DumpError::Refused { errno },
        Err(error) => error,
    }
}

/// The `int` at the start of NLMSG_ERROR and NLMSG_DONE, as a positive errno; 0 for success.
fn read_errno(payload: &[u8]) -> Result<i32, DumpError> {
    let code = payload.first_chunk().ok_or(malformed("an NLMSG_DONE or NLMSG_ERROR without a code"))?;
    Ok(i32::from_ne_bytes(*code).saturating_abs())
}

#[cfg(test)]
mod tests;
