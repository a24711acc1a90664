//! The capture filter: which packets the kernel lets through, and the same rule for user space.
//!
//! All packets of some connections pass, rather than some packets of all: whether a connection is in the
//! sample is told by bits of its client's port ([`SampleClass`]), which both directions carry.

use std::fmt::Write as _;

use crate::{config::PortSet, sample::class::SampleClass};

/// The connections to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Ports the servers listen on.
    pub ports: PortSet,
    /// Which of their connections, by the client's port.
    pub class: SampleClass,
}

impl Selection {
    /// Whether a segment between these ports is one of a selected connection.
    ///
    /// Where both ends are server ports, either may be the client's: one in the class is enough. The rule is
    /// the same for both directions, so a connection is never seen by half.
    #[inline]
    pub fn contains(&self, source_port: u16, destination_port: u16) -> bool {
        let to_server = self.ports.contains(destination_port) && self.class.contains(source_port);
        to_server || (self.ports.contains(source_port) && self.class.contains(destination_port))
    }

    /// [`Self::contains`] as a filter in pcap-filter(7)'s language, for live captures of any link type.
    ///
    /// It has no `vlan` clause: live, the kernel has taken the tag off before the filter runs. Files hold tags in
    /// place, and are not filtered: there [`Self::contains`] alone decides, after decoding.
    /// Not matched: IPv6 with extension headers, and fragments but the first. `tcp[0:2]` never matches IPv6, and
    /// `ip6[40:2]` is a port only where the next header is TCP.
    pub fn to_pcap_filter(&self) -> String {
        let ipv4 = self.direction_clauses("tcp[0:2]", "tcp[2:2]");
        let ipv6 = self.direction_clauses("ip6[40:2]", "ip6[42:2]");
        format!("(tcp and ({ipv4})) or (ip6 and ip6[6] = 6 and ({ipv6}))")
    }

    /// Client to server, and server to client, given where the two ports are found.
    fn direction_clauses(&self, source: &str, destination: &str) -> String {
        let to_server = self.direction_clause(destination, source);
        let to_client = self.direction_clause(source, destination);
        format!("{to_server} or {to_client}")
    }

    fn direction_clause(&self, server: &str, client: &str) -> String {
        let mut clause = String::from("((");
        for (index, port) in self.ports.as_slice().iter().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            // Writing to a String does not fail.
            let _ = write!(clause, "{or}{server} = {port}");
        }
        clause.push(')');
        let (mask, value) = (self.class.mask(), self.class.value());
        if mask != 0 {
            let _ = write!(clause, " and {client} & {mask} = {value}");
        }
        clause.push(')');
        clause
    }
}

/// Leaves out what the interface with this index sends: on `any`, loopback's second copy of each packet.
///
/// Cooked captures only. It needs libpcap 1.10 for `ifindex`, and `DLT_LINUX_SLL2` to run in the kernel.
pub fn without_outgoing(filter: &str, interface_index: u32) -> String {
    format!("not (ifindex {interface_index} and outbound) and ({filter})")
}
