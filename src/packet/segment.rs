//! IP and TCP headers.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::{
    Endpoint, Frame, Segment, TcpFlags, Undecoded,
    link::{self, LinkType, Network},
};

/// Most IPv6 extension headers followed. RFC 8200 section 4.1 has each at most once, destination options twice.
const MAX_EXTENSION_HEADERS: usize = 8;

/// Jumbo payload option (RFC 2675 section 2): type 0xC2, 4 bytes of data.
const JUMBO_PAYLOAD: [u8; 2] = [0xc2, 4];
/// One byte of padding (RFC 8200 section 4.2): the only option without a length.
const PAD1: u8 = 0;

/// A TCP header and what follows it, and how long both were on the wire.
struct Transport<'a> {
    source: u128,
    destination: u128,
    bytes: &'a [u8],
    /// TCP header and payload on the wire, by the IP header.
    wire_length: usize,
}

/// Decodes one frame down to its TCP segment.
///
/// The IP header's length says where the payload ends: Ethernet padding behind it is left out, and what is
/// missing of it is [`Segment::cut`]. A length of 0 means the end of the frame: super-frames from segmentation
/// offload leave it so (IPv4 `total_length`, and IPv6 BIG TCP on kernels that add no jumbo payload option).
///
/// # Errors
/// The layer at which it ended, for `dbwire_capture_undecoded_packets_total`.
// Inlined, so that a segment's parts stay in registers: addresses that were written in halves and are read whole stall
// a processor for as long as the rest of this takes.
#[inline(always)]
pub fn decode<'a>(link: LinkType, frame: &Frame<'a>) -> Result<Segment<'a>, Undecoded> {
    let (mut network, mut packet) = link::strip(link, frame.bytes)?;
    let mut may_be_hidden = Some(link);
    loop {
        let layer = match behind_link(frame, network, packet) {
            Ok(segment) => return Ok(segment),
            Err(layer) => layer,
        };
        let link = may_be_hidden.take().ok_or(layer)?;
        (network, packet) = link::behind_hidden_tag(link, packet).ok_or(layer)?;
    }
}

/// Decodes the rest of a frame.
#[inline(always)]
fn behind_link<'a>(frame: &Frame<'a>, network: Network, packet: &'a [u8]) -> Result<Segment<'a>, Undecoded> {
    let link_length = frame.bytes.len() - packet.len();
    let to_frame_end = (frame.wire_length as usize).saturating_sub(link_length).max(packet.len());
    let transport = match network {
        Network::Ipv4 => ipv4(packet, to_frame_end)?,
        Network::Ipv6 => ipv6(packet, to_frame_end)?,
    };
    tcp(&transport)
}

/// `to_frame_end` is the length on the wire from the IP header on.
#[inline(always)]
fn ipv4(packet: &[u8], to_frame_end: usize) -> Result<Transport<'_>, Undecoded> {
    let header = Ipv4HeaderSlice::from_slice(packet).map_err(|_| Undecoded::Network)?;
    if header.is_fragmenting_payload() {
        return Err(Undecoded::Fragment);
    }
    if header.protocol() != IpNumber::TCP {
        return Err(Undecoded::Transport);
    }
    let header_length = header.slice().len();
    let length = match usize::from(header.total_len()) {
        0 => to_frame_end,
        length => length,
    };
    let wire_length = length.checked_sub(header_length).ok_or(Undecoded::Network)?;
    Ok(Transport {
        source: v4_mapped(header.source()),
        destination: v4_mapped(header.destination()),
        bytes: packet.get(header_length..).unwrap_or_default(),
        wire_length,
    })
}

#[inline]
fn ipv6(packet: &[u8], to_frame_end: usize) -> Result<Transport<'_>, Undecoded> {
    let header = Ipv6HeaderSlice::from_slice(packet).map_err(|_| Undecoded::Network)?;
    let header_length = header.slice().len();
    let behind = packet.get(header_length..).unwrap_or_default();
    let length = match usize::from(header.payload_length()) {
        0 if header.next_header() == IpNumber::IPV6_HEADER_HOP_BY_HOP => jumbo_payload_length(behind),
        0 => None,
        length => Some(length),
    }
    .unwrap_or(to_frame_end.saturating_sub(header_length));
    let bytes = skip_extension_headers(header.next_header(), behind)?;
    let wire_length = length.checked_sub(behind.len() - bytes.len()).ok_or(Undecoded::Network)?;
    let [source, destination] = [header.source(), header.destination()].map(u128::from_be_bytes);
    Ok(Transport { source, destination, bytes, wire_length })
}

/// Follows the extension headers that leave ports and payload where they can be found, to the TCP header.
#[inline]
fn skip_extension_headers(mut next: IpNumber, mut bytes: &[u8]) -> Result<&[u8], Undecoded> {
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let length = match next {
            IpNumber::TCP => return Ok(bytes),
            IpNumber::IPV6_HEADER_HOP_BY_HOP | IpNumber::IPV6_DESTINATION_OPTIONS => options_length(bytes)?,
            // With segments left, the destination address is a waypoint's and would not pair with the replies.
            IpNumber::IPV6_ROUTE_HEADER if bytes.get(3) == Some(&0) => options_length(bytes)?,
            IpNumber::IPV6_FRAGMENTATION_HEADER => atomic_fragment_length(bytes)?,
            IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::AUTHENTICATION_HEADER
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6 => return Err(Undecoded::Network),
            _ => return Err(Undecoded::Transport),
        };
        let (header, behind) = bytes.split_at_checked(length).ok_or(Undecoded::Network)?;
        next = IpNumber(*header.first().ok_or(Undecoded::Network)?);
        bytes = behind;
    }
    Err(Undecoded::Network)
}

/// Length of an extension header that counts itself in units of 8 bytes, the first not included
/// (RFC 8200 sections 4.3, 4.4 and 4.6).
#[inline]
fn options_length(header: &[u8]) -> Result<usize, Undecoded> {
    let units = *header.get(1).ok_or(Undecoded::Network)?;
    Ok(8 * (usize::from(units) + 1))
}

/// Length of a fragment header in front of a whole packet (offset 0, no more: RFC 6946).
#[inline]
fn atomic_fragment_length(header: &[u8]) -> Result<usize, Undecoded> {
    let &[_, _, high, low, ..] = header else { return Err(Undecoded::Network) };
    // 13 bits of offset, 2 reserved, 1 "more fragments" (RFC 8200 section 4.5).
    let fragmented = u16::from_be_bytes([high, low]) & 0xfff9 != 0;
    if fragmented { Err(Undecoded::Fragment) } else { Ok(8) }
}

/// The jumbo payload option's length, counted from behind the IPv6 header, of a hop-by-hop header.
fn jumbo_payload_length(header: &[u8]) -> Option<usize> {
    let mut options = header.get(2..options_length(header).ok()?)?;
    loop {
        options = match options {
            [PAD1, rest @ ..] => rest,
            &[kind, length, a, b, c, d, ..] if [kind, length] == JUMBO_PAYLOAD => {
                return usize::try_from(u32::from_be_bytes([a, b, c, d])).ok();
            }
            [_, length, rest @ ..] => rest.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
}

#[inline(always)]
fn tcp<'a>(transport: &Transport<'a>) -> Result<Segment<'a>, Undecoded> {
    let Transport { source, destination, bytes, wire_length } = *transport;
    let captured = bytes.get(..wire_length).unwrap_or(bytes);
    let header = TcpHeaderSlice::from_slice(captured).map_err(|_| Undecoded::Transport)?;
    let header_length = header.slice().len();
    let payload = captured.get(header_length..).unwrap_or_default();
    Ok(Segment {
        source: Endpoint { address: source, port: header.source_port() },
        destination: Endpoint { address: destination, port: header.destination_port() },
        sequence: header.sequence_number(),
        acknowledgment: header.acknowledgment_number(),
        flags: TcpFlags(header.slice().get(13).copied().unwrap_or_default()),
        payload,
        cut: u32::try_from(wire_length - captured.len()).unwrap_or(u32::MAX),
    })
}

#[inline]
fn v4_mapped(address: [u8; 4]) -> u128 {
    0xffff_0000_0000 | u128::from(u32::from_be_bytes(address))
}

#[cfg(test)]
mod tests;
