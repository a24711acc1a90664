//! One TCP socket, as both sources show it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::state::State;

/// The address family a socket was created with. A v4-mapped socket is [`Family::Ipv6`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl Family {
    /// Both, in the order of their labels.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// Value of the `family` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// One end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// IPv4 is held v4-mapped (RFC 4291 section 2.5.5.2), so that a v4-mapped socket and an IPv4 one with the
    /// same peer look the same: they share one port space.
    pub address: Ipv6Addr,
    /// Host byte order; 0 where there is none.
    pub port: u16,
}

impl Endpoint {
    /// The address as people write it: IPv4 where it is v4-mapped.
    pub fn ip(&self) -> IpAddr {
        self.address.to_canonical()
    }

    /// From an IPv4 address in network byte order.
    pub(super) fn v4(address: [u8; 4], port: u16) -> Self {
        Self { address: Ipv4Addr::from(address).to_ipv6_mapped(), port }
    }

    /// From an IPv6 address in network byte order.
    pub(super) fn v6(address: [u8; 16], port: u16) -> Self {
        Self { address: Ipv6Addr::from(address), port }
    }
}

/// What a socket waits for (`idiag_timer` of inet_diag, `tr` of `/proc/net/tcp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Nothing.
    Off,
    /// An acknowledgment: retransmission, tail loss probe, or a SYN|ACK to be sent again.
    Retransmit,
    /// A sign of life: keepalive, or FIN_WAIT2's limit.
    Keepalive,
    /// The end of TIME_WAIT. Such a row is a small stand-in for a socket already freed.
    TimeWait,
    /// A window to open: zero-window probes.
    ZeroWindow,
    /// Something a newer kernel has a number for.
    Other,
}

impl Timer {
    /// The timer of a kernel's number.
    #[inline]
    pub(super) const fn from_kernel(number: u8) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::Retransmit,
            2 => Self::Keepalive,
            3 => Self::TimeWait,
            4 => Self::ZeroWindow,
            _ => Self::Other,
        }
    }
}

/// One TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Family of the socket.
    pub family: Family,
    /// Its state.
    pub state: State,
    /// What it waits for.
    pub timer: Timer,
    /// This host's end.
    pub local: Endpoint,
    /// The peer's end; all zeros for a listener.
    pub remote: Endpoint,
    /// Bytes received and not yet read; of a listener, connections not yet accepted.
    pub receive_queue: u32,
    /// Bytes sent and not yet acknowledged; of a listener, its backlog limit (netlink) or 0 (procfs).
    pub send_queue: u32,
    /// 0 for a socket no file refers to: not yet accepted, or already closed by its program.
    pub inode: u64,
}
