//! TCP segments made byte by byte, over each form of IP header that may stand before them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// What is before the TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    #[default]
    V4,
    V4WithOptions,
    V6,
    /// As BIG TCP has it, with a jumbo payload option; here with padding in its place.
    V6HopByHop,
}

impl Network {
    pub fn is_v4(self) -> bool {
        matches!(self, Self::V4 | Self::V4WithOptions)
    }

    /// From the IP header to the TCP header.
    pub fn header_length(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V4WithOptions => 24,
            Self::V6 => 40,
            Self::V6HopByHop => 48,
        }
    }
}

/// A segment.
#[derive(Debug, Clone, Default)]
pub struct Crafted {
    pub network: Network,
    pub source: u16,
    pub destination: u16,
    pub flags: u8,
    /// A multiple of 4 bytes.
    pub tcp_options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Crafted {
    pub fn ether_type(&self) -> u16 {
        if self.network.is_v4() { 0x0800 } else { 0x86dd }
    }

    /// From the IP header on. Lengths and the IPv4 header's checksum are right, TCP's checksum is not set.
    pub fn packet(&self) -> Vec<u8> {
        let tcp = self.tcp();
        let mut packet = match self.network {
            Network::V4 | Network::V4WithOptions => self.ipv4(tcp.len()),
            Network::V6 | Network::V6HopByHop => self.ipv6(tcp.len()),
        };
        packet.extend(tcp);
        packet
    }

    fn ipv4(&self, length: usize) -> Vec<u8> {
        let header_length = self.network.header_length();
        let [high, low] = ((header_length + length) as u16).to_be_bytes();
        let words = header_length as u8 / 4;
        let mut header = vec![0x40 | words, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0];
        header.extend([192, 0, 2, 2, 192, 0, 2, 1]);
        if self.network == Network::V4WithOptions {
            // Router alert (RFC 2113).
            header.extend([0x94, 4, 0, 0]);
        }
        let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6(&self, length: usize) -> Vec<u8> {
        let hop_by_hop = self.network == Network::V6HopByHop;
        let [high, low] = ((length + if hop_by_hop { 8 } else { 0 }) as u16).to_be_bytes();
        let mut header = vec![0x60, 0, 0, 0, high, low, if hop_by_hop { 0 } else { 6 }, 64];
        for host in [2, 1] {
            header.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        if hop_by_hop {
            // PadN (RFC 8200 section 4.2).
            header.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        }
        header
    }

    fn tcp(&self) -> Vec<u8> {
        let words = (20 + self.tcp_options.len()) as u8 / 4;
        let mut tcp = [self.source.to_be_bytes(), self.destination.to_be_bytes()].concat();
        tcp.extend([0, 0, 0, 1, 0, 0, 0, 1, words << 4, self.flags, 1, 0, 0, 0, 0, 0]);
        tcp.extend(&self.tcp_options);
        tcp.extend(&self.payload);
        tcp
    }
}
