//! Link headers.

/// Link-layer header types this program reads, by libpcap's DLT numbers (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// `DLT_NULL` (0) and `DLT_LOOP` (108): a 4-byte address family.
    Loopback,
    /// `DLT_EN10MB` (1).
    Ethernet,
    /// `DLT_RAW` (12 and 101), `DLT_IPV4` (228), `DLT_IPV6` (229): no header.
    RawIp,
    /// `DLT_LINUX_SLL` (113): cooked, 16 bytes.
    LinuxSll,
    /// `DLT_LINUX_SLL2` (276): cooked, 20 bytes.
    LinuxSll2,
}
