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
    /// The kernel's own number of the socket, never used twice; 0 from procfs.
    pub cookie: u64,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv4 row between two ports of the loopback address, with a file and no timer.
    pub(in crate::sockets) fn row(state: State, local: u16, remote: u16) -> Row {
        Row {
            family: Family::Ipv4,
            state,
            timer: Timer::Off,
            local: Endpoint::v4([127, 0, 0, 1], local),
            remote: Endpoint::v4([127, 0, 0, 1], remote),
            receive_queue: 0,
            send_queue: 0,
            inode: 1,
            cookie: 0,
        }
    }

    #[test]
    fn an_ipv4_address_is_shown_as_such_however_it_is_held() {
        assert_eq!(Endpoint::v4([10, 1, 2, 3], 1).ip().to_string(), "10.1.2.3");
        let mapped = Endpoint::v6(Ipv4Addr::new(10, 1, 2, 3).to_ipv6_mapped().octets(), 1);
        assert_eq!(mapped, Endpoint::v4([10, 1, 2, 3], 1));
        assert_eq!(Endpoint::v6([0; 16], 1).ip().to_string(), "::");
    }
}
