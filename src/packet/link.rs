//! Link headers: what comes before the IP header, for each link type.

use etherparse::EtherType;

use super::Undecoded;

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

impl LinkType {
    /// The link type with libpcap's number `dlt`; `None` for one this program does not read.
    pub const fn from_dlt(dlt: i32) -> Option<Self> {
        Some(match dlt {
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            12 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
}

/// Most VLAN tags taken off a frame: 802.1ad has two (QinQ).
const MAX_VLAN_TAGS: usize = 2;

/// Which IP header follows the link header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Ipv4,
    Ipv6,
}

/// Takes the link header and any VLAN tags off `frame`.
#[inline]
pub(super) fn strip(link: LinkType, frame: &[u8]) -> Result<(Network, &[u8]), Undecoded> {
    match link {
        LinkType::Ethernet => {
            let (header, rest) = frame.split_first_chunk::<14>().ok_or(Undecoded::Link)?;
            by_ether_type([header[12], header[13]], rest)
        }
        // pcap-linktype(7), LINKTYPE_LINUX_SLL: packet type, ARPHRD_ type, address length, address, protocol.
        LinkType::LinuxSll => {
            let (header, rest) = frame.split_first_chunk::<16>().ok_or(Undecoded::Link)?;
            by_ether_type([header[14], header[15]], rest)
        }
        // LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD_ type, packet type, address length, address.
        LinkType::LinuxSll2 => {
            let (header, rest) = frame.split_first_chunk::<20>().ok_or(Undecoded::Link)?;
            by_ether_type([header[0], header[1]], rest)
        }
        LinkType::Loopback => {
            let (family, rest) = frame.split_first_chunk::<4>().ok_or(Undecoded::Link)?;
            Ok((by_address_family(*family)?, rest))
        }
        LinkType::RawIp => match frame.first().map(|byte| byte >> 4) {
            Some(4) => Ok((Network::Ipv4, frame)),
            Some(6) => Ok((Network::Ipv6, frame)),
            _ => Err(Undecoded::Link),
        },
    }
}

/// Follows `ether_type` through at most [`MAX_VLAN_TAGS`] tags to an IP header.
#[inline]
fn by_ether_type(mut ether_type: [u8; 2], mut rest: &[u8]) -> Result<(Network, &[u8]), Undecoded> {
    for _ in 0..=MAX_VLAN_TAGS {
        match EtherType(u16::from_be_bytes(ether_type)) {
            EtherType::IPV4 => return Ok((Network::Ipv4, rest)),
            EtherType::IPV6 => return Ok((Network::Ipv6, rest)),
            EtherType::VLAN_TAGGED_FRAME
            | EtherType::PROVIDER_BRIDGING
            | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
                let (tag, behind) = rest.split_first_chunk::<4>().ok_or(Undecoded::Link)?;
                ether_type = [tag[2], tag[3]];
                rest = behind;
            }
            _ => return Err(Undecoded::Link),
        }
    }
    Err(Undecoded::Link)
}

/// What is behind a VLAN tag that a cooked header does not mention. Of an arriving frame with two tags the kernel takes
/// off the first; what it hands over begins with the second, but since Linux 6.10 with the EtherType behind it in the
/// header (net/packet/af_packet.c, `vlan_get_protocol_dgram`). To be asked where the packet is none of what it is said to be.
#[cold]
pub(super) fn behind_hidden_tag(link: LinkType, packet: &[u8]) -> Option<(Network, &[u8])> {
    let cooked = matches!(link, LinkType::LinuxSll | LinkType::LinuxSll2);
    let (tag, behind) = packet.split_first_chunk::<4>().filter(|_| cooked)?;
    match EtherType(u16::from_be_bytes([tag[2], tag[3]])) {
        EtherType::IPV4 => Some((Network::Ipv4, behind)),
        EtherType::IPV6 => Some((Network::Ipv6, behind)),
        _ => None,
    }
}

/// `DLT_NULL` has the family in the byte order of the host that captured, `DLT_LOOP` in network order. Each
/// system has its own number for IPv6: Linux 10, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
#[inline]
fn by_address_family(family: [u8; 4]) -> Result<Network, Undecoded> {
    match family {
        [2, 0, 0, 0] | [0, 0, 0, 2] => Ok(Network::Ipv4),
        [10 | 24 | 28 | 30, 0, 0, 0] | [0, 0, 0, 10 | 24 | 28 | 30] => Ok(Network::Ipv6),
        _ => Err(Undecoded::Link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &[u8] = &[0xaa, 0xbb];

    fn frame(header: &[u8]) -> Vec<u8> {
        [header, REST].concat()
    }

    #[test]
    fn every_supported_header_leads_to_its_ip_version() {
        use LinkType::*;
        let mac = [0x52_u8; 12];
        let ethernet = |tail: &[u8]| [&mac[..], tail].concat();
        let sll = |protocol: &[u8]| [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], protocol].concat();
        let sll2 = |protocol: [u8; 2], tail: &[u8]| {
            [&protocol[..], &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], tail].concat()
        };
        let table: Vec<(&str, LinkType, Vec<u8>, Network)> = vec![
            ("Ethernet, IPv4", Ethernet, ethernet(&[0x08, 0x00]), Network::Ipv4),
            ("Ethernet, IPv6", Ethernet, ethernet(&[0x86, 0xdd]), Network::Ipv6),
            ("802.1Q", Ethernet, ethernet(&[0x81, 0, 0, 100, 0x08, 0x00]), Network::Ipv4),
            (
                "802.1ad over 802.1Q",
                Ethernet,
                ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 0x86, 0xdd]),
                Network::Ipv6,
            ),
            (
                "QinQ by 0x9100",
                Ethernet,
                ethernet(&[0x91, 0, 0, 7, 0x81, 0, 0, 9, 0x08, 0x00]),
                Network::Ipv4,
            ),
            ("SLL", LinuxSll, sll(&[0x08, 0x00]), Network::Ipv4),
            (
                "SLL with the tag libpcap puts back",
                LinuxSll,
                sll(&[0x81, 0, 0, 5, 0x86, 0xdd]),
                Network::Ipv6,
            ),
            ("SLL2", LinuxSll2, sll2([0x86, 0xdd], &[]), Network::Ipv6),
            ("SLL2 with a tag", LinuxSll2, sll2([0x81, 0x00], &[0, 5, 0x08, 0x00]), Network::Ipv4),
            ("DLT_NULL, little-endian", Loopback, vec![2, 0, 0, 0], Network::Ipv4),
            ("DLT_LOOP", Loopback, vec![0, 0, 0, 2], Network::Ipv4),
            ("DLT_NULL, IPv6 of macOS", Loopback, vec![30, 0, 0, 0], Network::Ipv6),
            ("DLT_LOOP, IPv6 of OpenBSD", Loopback, vec![0, 0, 0, 24], Network::Ipv6),
        ];
        for (name, link, header, network) in table {
            assert_eq!(strip(link, &frame(&header)), Ok((network, REST)), "{name}");
            for cut in 0..header.len() {
                assert_eq!(strip(link, &header[..cut]), Err(Undecoded::Link), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn raw_ip_is_told_by_its_version() {
        assert_eq!(strip(LinkType::RawIp, &[0x45]), Ok((Network::Ipv4, &[0x45][..])));
        assert_eq!(strip(LinkType::RawIp, &[0x60]), Ok((Network::Ipv6, &[0x60][..])));
        assert_eq!(strip(LinkType::RawIp, &[0x50]), Err(Undecoded::Link));
        assert_eq!(strip(LinkType::RawIp, &[]), Err(Undecoded::Link));
    }

    #[test]
    fn protocols_other_than_ip_end_at_the_link_layer() {
        let table: [(&str, &[u8]); 4] = [
            ("ARP", &[0x08, 0x06]),
            ("802.3 with a length", &[0x00, 0x2e]),
            ("MPLS", &[0x88, 0x47]),
            ("three VLAN tags", &[0x81, 0, 0, 1, 0x81, 0, 0, 1, 0x81, 0, 0, 1, 0x08, 0x00]),
        ];
        for (name, tail) in table {
            let bytes = frame(&[&[0; 12], tail].concat());
            assert_eq!(strip(LinkType::Ethernet, &bytes), Err(Undecoded::Link), "{name}");
        }
        assert_eq!(strip(LinkType::Loopback, &[7, 0, 0, 0]), Err(Undecoded::Link), "OSI");
    }

    #[test]
    fn link_types_are_known_by_libpcaps_numbers() {
        let known = [
            (0, LinkType::Loopback),
            (1, LinkType::Ethernet),
            (12, LinkType::RawIp),
            (101, LinkType::RawIp),
            (108, LinkType::Loopback),
            (113, LinkType::LinuxSll),
            (228, LinkType::RawIp),
            (229, LinkType::RawIp),
            (276, LinkType::LinuxSll2),
        ];
        for (dlt, link) in known {
            assert_eq!(LinkType::from_dlt(dlt), Some(link), "{dlt}");
        }
        for dlt in [-1, 105, 127, 220] {
            assert_eq!(LinkType::from_dlt(dlt), None, "{dlt}");
        }
    }
}
