use proptest::prelude::*;

use super::*;
use crate::packet::Timestamp;

/// 192.0.2.1 to 192.0.2.2, TCP, 20 bytes of header; total length (bytes 2 and 3) to be set.
const IPV4: [u8; 20] = [0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];

/// Port 40000 to 3306, sequence 0x01020304, acknowledgment 0x05060708, PSH and ACK, no options.
const TCP: [u8; 20] = [0x9c, 0x40, 0x0c, 0xea, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0];

/// The same with NOP, NOP and a timestamp (RFC 7323).
const TCP_WITH_OPTIONS: [u8; 32] = [
    0x9c, 0x40, 0x0c, 0xea, 1, 2, 3, 4, 5, 6, 7, 8, 0x80, 0x18, 0x10, 0, 0, 0, 0, 0, //
    1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
];

const QUERY: &[u8] = b"\x09\x00\x00\x00\x03select 1";

fn v4_address(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last]
}

fn v6_address(last: u8) -> [u8; 16] {
    [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn ipv4(total_length: usize, behind: &[&[u8]]) -> Vec<u8> {
    let mut packet = [&IPV4[..], &behind.concat()].concat();
    packet[2..4].copy_from_slice(&u16::try_from(total_length).unwrap().to_be_bytes());
    packet
}

/// 2001:db8::1 to 2001:db8::2.
fn ipv6(payload_length: usize, next_header: u8, behind: &[&[u8]]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload_length).unwrap().to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, next_header, 64];
    [&header[..], &v6_address(1), &v6_address(2), &behind.concat()].concat()
}

fn ipv6_exact(next_header: u8, behind: &[&[u8]]) -> Vec<u8> {
    ipv6(behind.iter().map(|part| part.len()).sum(), next_header, behind)
}

fn decode_raw(packet: &[u8]) -> Result<Segment<'_>, Undecoded> {
    decode_cut(packet, packet.len())
}

/// Decodes what a snapshot length left of a packet of `wire_length` bytes.
fn decode_cut(packet: &[u8], wire_length: usize) -> Result<Segment<'_>, Undecoded> {
    let wire_length = u32::try_from(wire_length).unwrap();
    decode(LinkType::RawIp, &Frame { timestamp: Timestamp(0), wire_length, bytes: packet })
}

fn segment(addresses: fn(u8) -> [u8; 16], payload: &[u8], cut: u32) -> Segment<'_> {
    Segment {
        source: Endpoint { address: u128::from_be_bytes(addresses(1)), port: 40_000 },
        destination: Endpoint { address: u128::from_be_bytes(addresses(2)), port: 3306 },
        sequence: 0x0102_0304,
        acknowledgment: 0x0506_0708,
        flags: TcpFlags(0x18),
        payload,
        cut,
    }
}

#[test]
fn an_ethernet_frame_decodes_to_its_segment() {
    let packet = ipv4(40 + QUERY.len(), &[&TCP, QUERY]);
    let bytes = [&[0x52; 12][..], &[0x08, 0x00], &packet].concat();
    let frame = Frame { timestamp: Timestamp(0), wire_length: bytes.len() as u32, bytes: &bytes };
    assert_eq!(decode(LinkType::Ethernet, &frame), Ok(segment(v4_address, QUERY, 0)));
}

#[test]
fn headers_with_options_are_skipped_whole() {
    let mut packet = ipv4(24 + 32 + QUERY.len(), &[&[1, 1, 1, 0], &TCP_WITH_OPTIONS, QUERY]);
    packet[0] = 0x46;
    assert_eq!(decode_raw(&packet), Ok(segment(v4_address, QUERY, 0)));
}

#[test]
fn ethernet_padding_is_not_payload() {
    let pure_ack = ipv4(40, &[&TCP, &[0; 6]]);
    assert_eq!(decode_raw(&pure_ack), Ok(segment(v4_address, b"", 0)));
    let v6 = ipv6(20 + QUERY.len(), 6, &[&TCP, QUERY, &[0; 9]]);
    assert_eq!(decode_raw(&v6), Ok(segment(v6_address, QUERY, 0)));
}

#[test]
fn what_the_snapshot_length_left_out_is_counted_as_cut() {
    let whole = ipv4(40 + 1000, &[&TCP, &[7; 1000]]);
    assert_eq!(decode_cut(&whole[..140], whole.len()), Ok(segment(v4_address, &[7; 100], 900)));
    assert_eq!(decode_cut(&whole[..40], whole.len()), Ok(segment(v4_address, b"", 1000)));
    assert_eq!(decode_cut(&whole[..39], whole.len()), Err(Undecoded::Transport), "TCP header cut");
}

#[test]
fn a_length_of_zero_means_the_end_of_the_frame() {
    let payload = vec![7; 65_495];
    let v4 = ipv4(0, &[&TCP, &payload]);
    assert_eq!(decode_raw(&v4), Ok(segment(v4_address, &payload, 0)));
    assert_eq!(decode_cut(&v4[..140], v4.len()), Ok(segment(v4_address, &[7; 100], 65_395)));

    let payload = vec![7; 180_000];
    let v6 = ipv6(0, 6, &[&TCP, &payload]);
    assert_eq!(decode_raw(&v6), Ok(segment(v6_address, &payload, 0)));
    assert_eq!(decode_cut(&v6[..160], v6.len()), Ok(segment(v6_address, &[7; 100], 179_900)));
}

#[test]
fn big_tcp_takes_its_length_from_the_jumbo_payload_option() {
    let payload = vec![7; 100_000];
    let length: u32 = 8 + 20 + 100_000;
    let [a, b, c, d] = length.to_be_bytes();
    let table: [(&str, Vec<u8>); 2] = [
        ("as Linux writes it", vec![6, 0, 0xc2, 4, a, b, c, d]),
        ("behind padding", vec![6, 1, 0, 1, 1, 0, 0xc2, 4, a, b, c, d, 1, 2, 0, 0]),
    ];
    for (name, hop_by_hop) in table {
        let longer = u32::try_from(hop_by_hop.len()).unwrap() - 8;
        let packet = ipv6(0, 0, &[&hop_by_hop, &TCP, &payload, &[0; 50]]);
        let expected = &payload[..payload.len() - longer as usize];
        assert_eq!(decode_raw(&packet), Ok(segment(v6_address, expected, 0)), "{name}");
        assert_eq!(
            decode_cut(&packet[..40 + hop_by_hop.len() + 120], packet.len()),
            Ok(segment(v6_address, &[7; 100], 99_900 - longer)),
            "{name}, cut"
        );
    }
}

#[test]
fn ipv6_extension_headers_are_followed() {
    let hop_by_hop = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    let long_options = |next| [&[next, 1, 1, 12][..], &[0; 12]].concat();
    let routing_done = |next| [next, 0, 4, 0, 0, 0, 0, 0];
    let atomic = |next| [next, 0, 0, 0b110, 0, 0, 0, 9];
    let table: Vec<(&str, u8, Vec<u8>)> = vec![
        ("none", 6, vec![]),
        ("hop-by-hop", 0, hop_by_hop(6).to_vec()),
        ("destination options of 16 bytes", 60, long_options(6)),
        ("routing, no segments left", 43, routing_done(6).to_vec()),
        ("atomic fragment, reserved bits set", 44, atomic(6).to_vec()),
        ("all of them", 0, [&hop_by_hop(43)[..], &routing_done(44), &atomic(60), &long_options(6)].concat()),
    ];
    for (name, next, extensions) in table {
        let packet = ipv6_exact(next, &[&extensions, &TCP, QUERY]);
        assert_eq!(decode_raw(&packet), Ok(segment(v6_address, QUERY, 0)), "{name}");
    }
}

#[test]
fn what_is_not_understood_ends_at_its_layer() {
    let patched = |offset: usize, value: u8| {
        let mut packet = ipv4(40, &[&TCP]);
        packet[offset] = value;
        packet
    };
    let options = [60, 0, 1, 4, 0, 0, 0, 0].repeat(9);
    let table: Vec<(&str, Vec<u8>, Undecoded)> = vec![
        ("IPv4 header cut", IPV4[..19].to_vec(), Undecoded::Network),
        ("IPv4 header length below 5 words", patched(0, 0x44), Undecoded::Network),
        ("IPv4 header longer than the frame", [&[0x4f][..], &IPV4[1..]].concat(), Undecoded::Network),
        ("IPv4 total length within the header", ipv4(19, &[&TCP]), Undecoded::Network),
        ("IPv4 total length within the TCP header", ipv4(39, &[&TCP]), Undecoded::Transport),
        ("first IPv4 fragment", patched(6, 0x20), Undecoded::Fragment),
        ("later IPv4 fragment", patched(7, 0x01), Undecoded::Fragment),
        ("UDP", patched(9, 17), Undecoded::Transport),
        ("data offset below 5 words", patched(20 + 12, 0x40), Undecoded::Transport),
        ("data offset behind the packet", patched(20 + 12, 0xf0), Undecoded::Transport),
        ("IPv6 header cut", ipv6(20, 6, &[])[..39].to_vec(), Undecoded::Network),
        ("ICMPv6", ipv6_exact(58, &[&TCP]), Undecoded::Transport),
        ("ESP", ipv6_exact(50, &[&TCP]), Undecoded::Transport),
        ("authentication header", ipv6_exact(51, &[&TCP]), Undecoded::Network),
        (
            "routing with a segment left",
            ipv6_exact(43, &[&[6, 0, 4, 1, 0, 0, 0, 0], &TCP]),
            Undecoded::Network,
        ),
        ("first IPv6 fragment", ipv6_exact(44, &[&[6, 0, 0, 1, 0, 0, 0, 9], &TCP]), Undecoded::Fragment),
        ("later IPv6 fragment", ipv6_exact(44, &[&[6, 0, 1, 0, 0, 0, 0, 9], &TCP]), Undecoded::Fragment),
        ("extension header longer than the frame", ipv6_exact(0, &[&[6, 9, 0, 0], &TCP]), Undecoded::Network),
        (
            "extension header behind the payload length",
            ipv6(4, 0, &[&[6, 0, 1, 4, 0, 0, 0, 0], &TCP]),
            Undecoded::Network,
        ),
        (
            "too many extension headers",
            ipv6_exact(60, &[&options, &[6, 0, 1, 4, 0, 0, 0, 0], &TCP]),
            Undecoded::Network,
        ),
    ];
    for (name, packet, layer) in table {
        assert_eq!(decode_raw(&packet), Err(layer), "{name}");
    }
}

#[test]
fn a_frame_cut_anywhere_never_gives_more_than_was_captured() {
    let whole = ipv6_exact(0, &[&[6, 0, 1, 4, 0, 0, 0, 0], &TCP_WITH_OPTIONS, QUERY]);
    let headers = 40 + 8 + 32;
    for length in 0..=whole.len() {
        match decode_cut(&whole[..length], whole.len()) {
            Ok(segment) => {
                assert_eq!(segment.payload, &whole[headers..length], "cut at {length}");
                assert_eq!(segment.cut as usize, whole.len() - length, "cut at {length}");
            }
            Err(_) => assert!(length < headers, "cut at {length}"),
        }
    }
}

/// A cooked header that says IPv4, and a VLAN tag in front of it all the same.
#[test]
fn a_tag_that_a_cooked_header_does_not_mention_is_stepped_over() {
    let packet = ipv4(40 + QUERY.len(), &[&TCP, QUERY]);
    // Priority 2 looks like version 4; the plain tag does not.
    for tag in [[0x40, 9, 0x08, 0x00], [0x00, 9, 0x08, 0x00]] {
        let header = [&[0x08, 0x00, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &[2; 8]].concat();
        let bytes = [&header[..], &tag, &packet].concat();
        let frame = Frame { timestamp: Timestamp(0), wire_length: bytes.len() as u32, bytes: &bytes };
        let segment = decode(LinkType::LinuxSll2, &frame).unwrap();
        assert_eq!((segment.payload, segment.cut), (QUERY, 0));
    }
}

const LINKS: [LinkType; 5] =
    [LinkType::Loopback, LinkType::Ethernet, LinkType::RawIp, LinkType::LinuxSll, LinkType::LinuxSll2];

fn is_within(inner: &[u8], outer: &[u8]) -> bool {
    let (inner, outer) = (inner.as_ptr_range(), outer.as_ptr_range());
    outer.start <= inner.start && inner.end <= outer.end
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_payload_lies_within_the_frame(
        link in prop::sample::select(&LINKS),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        wire_length in any::<u32>(),
    ) {
        if let Ok(segment) = decode(link, &Frame { timestamp: Timestamp(0), wire_length, bytes: &bytes }) {
            prop_assert!(segment.payload.is_empty() || is_within(segment.payload, &bytes));
        }
    }

    /// Bytes that are nearly a packet reach deeper than random ones do.
    #[test]
    fn damaged_packets_never_panic_and_payload_lies_within_the_frame(
        which in 0..3_usize,
        damage in prop::collection::vec((0..120_usize, any::<u8>()), 0..6),
        length in 0..120_usize,
    ) {
        let mut bytes = match which {
            0 => ipv4(40 + QUERY.len(), &[&TCP, QUERY]),
            1 => ipv6_exact(0, &[&[60, 0, 0xc2, 4, 0, 0, 0, 80], &[6, 0, 1, 4, 0, 0, 0, 0], &TCP, QUERY]),
            _ => ipv6_exact(44, &[&[43, 0, 0, 0, 0, 0, 0, 9], &[6, 0, 4, 0, 0, 0, 0, 0], &TCP, QUERY]),
        };
        for (offset, value) in damage {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte = value;
            }
        }
        bytes.truncate(length);
        if let Ok(segment) = decode_cut(&bytes, 120) {
            prop_assert!(segment.payload.is_empty() || is_within(segment.payload, &bytes));
        }
    }
}
