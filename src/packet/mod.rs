//! Link, IP and TCP headers: `(LinkType, bytes)` → [`Segment`].
//!
//! Bytes come from the network: nothing here panics, allocates or follows a length further than the bytes
//! at hand. What cannot be decoded is an [`Undecoded`] layer, for a counter; never a guess.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod filter;
pub mod link;
pub mod segment;

/// A frame stamped so much before another that was captured earlier tells that the clock was set back: those of several
/// CPUs come out of order by milliseconds.
pub const CLOCK_STEP_NANOS: u64 = 10_000_000_000;

/// Nanoseconds since the Unix epoch, as the capture stamped the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; 0 where the clock stepped back.
    #[inline]
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How far time has come with a frame stamped `next`: no less far, unless the clock was set back.
    #[inline]
    pub fn onward(self, next: Self) -> Self {
        if self.nanos_since(next) > CLOCK_STEP_NANOS { next } else { self.max(next) }
    }

    /// Nanoseconds between two times, whichever is earlier: what waits for time to pass must not wait until a clock that
    /// was set back has caught up.
    #[inline]
    pub fn abs_diff(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

/// One captured frame, as libpcap hands it over.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When the kernel saw it.
    pub timestamp: Timestamp,
    /// Its length on the wire; more than `bytes.len()` where the snapshot length cut it.
    pub wire_length: u32,
    /// What was captured of it, from the link header on.
    pub bytes: &'a [u8],
}

/// An address and port. IPv4 addresses are held v4-mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// As a number: what it takes to find a connection is comparing these.
    pub address: u128,
    /// Host byte order.
    pub port: u16,
}

/// The TCP flags the decoder looks at (RFC 9293 section 3.1), as they stand in the header's byte 13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgment number is valid.
    pub const ACK: u8 = 0x10;

    /// Whether any of `bits` is set.
    #[inline]
    pub fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

/// A TCP segment of either IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sender.
    pub source: Endpoint,
    /// Receiver.
    pub destination: Endpoint,
    /// Sequence number of the first payload byte, or of the SYN.
    pub sequence: u32,
    /// Valid if [`TcpFlags::ACK`] is set.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// What was captured of the payload. Never holds Ethernet padding.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after `payload` but were not captured.
    pub cut: u32,
}

/// The layer at which decoding a frame ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undecoded {
    /// Link header cut short, or a protocol other than IP.
    Link,
    /// IP header malformed, cut short, or with extension headers that are not understood.
    Network,
    /// An IP fragment: its ports, or its place in the payload, cannot be known without reassembly.
    Fragment,
    /// Not TCP, or its header is malformed or cut short.
    Transport,
}

impl Undecoded {
    /// Every layer, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 4] = [Self::Link, Self::Network, Self::Fragment, Self::Transport];

    /// Value of the `layer` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Network => "network",
            Self::Fragment => "fragment",
            Self::Transport => "transport",
        }
    }
}
