//! The capture filter, compiled by libpcap and run over crafted packets: no root, no interface.

#![cfg(feature = "capture")]

use dbwire_exporter::{
    config::PortSet,
    packet::filter::{self, Selection},
    sample::class::SampleClass,
};
use pcap::{BpfProgram, Capture, Linktype};

const LINUX_SLL2: Linktype = Linktype(276);
const ONE_PORT: &[u16] = &[3306];
const THREE_PORTS: &[u16] = &[3306, 3307, 33060];
/// In neither list above.
const UNRELATED: u16 = 5432;

#[derive(Debug, Clone, Copy)]
enum Family {
    V4,
    V4WithOptions,
    V6,
}

/// A packet of headers alone, its ports to be set.
struct Template {
    bytes: Vec<u8>,
    ports: usize,
}

impl Template {
    fn new(link: Linktype, family: Family) -> Self {
        let v6 = matches!(family, Family::V6);
        let [high, low] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let mut bytes = match link {
            Linktype::ETHERNET => [&[0x52; 12][..], &[high, low]].concat(),
            Linktype::LINUX_SLL => vec![0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, high, low],
            LINUX_SLL2 => vec![high, low, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0],
            other => panic!("no template for {other:?}"),
        };
        match family {
            Family::V4 => {
                bytes.extend([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2])
            }
            Family::V4WithOptions => bytes.extend([
                0x46, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x94, 4, 0, 0,
            ]),
            Family::V6 => bytes.extend([&[0x60, 0, 0, 0, 0, 20, 6, 64][..], &[0x20; 32]].concat()),
        }
        let ports = bytes.len();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        Self { bytes, ports }
    }

    fn with_ports(&mut self, source: u16, destination: u16) -> &[u8] {
        self.bytes[self.ports..self.ports + 2].copy_from_slice(&source.to_be_bytes());
        self.bytes[self.ports + 2..self.ports + 4].copy_from_slice(&destination.to_be_bytes());
        &self.bytes
    }
}

/// What the user asked for, in plain arithmetic.
#[derive(Debug, Clone, Copy)]
struct Asked {
    ports: &'static [u16],
    bits: u8,
    first_bit: u8,
    class: u16,
}

impl Asked {
    fn selection(self) -> Selection {
        Selection {
            ports: PortSet::new(self.ports).unwrap(),
            class: SampleClass::new(self.bits, self.first_bit, self.class).unwrap(),
        }
    }

    fn compile(self, link: Linktype) -> BpfProgram {
        compile(link, &self.selection().to_pcap_filter())
    }

    /// A connection is wanted if either end can be a server's and the other's port is in the class.
    fn wants(self, one: u16, other: u16) -> bool {
        [(one, other), (other, one)].into_iter().any(|(server, client)| {
            let class = (u32::from(client) / (1 << self.first_bit)) % (1 << self.bits);
            self.ports.contains(&server) && class == u32::from(self.class)
        })
    }
}

fn compile(link: Linktype, filter: &str) -> BpfProgram {
    Capture::dead(link).unwrap().compile(filter, true).unwrap_or_else(|error| panic!("{filter}: {error}"))
}

/// The filter and [`Selection::contains`] agree with arithmetic for every client port, both ways.
fn check_all_client_ports(link: Linktype, family: Family, asked: Asked) {
    let (program, selection) = (asked.compile(link), asked.selection());
    let mut packet = Template::new(link, family);
    for &server in asked.ports {
        for client in 0..=u16::MAX {
            let wanted = asked.wants(server, client);
            for (source, destination) in [(client, server), (server, client)] {
                let name = || format!("{link:?} {family:?} {asked:?}: {source} to {destination}");
                assert_eq!(
                    program.filter(packet.with_ports(source, destination)),
                    wanted,
                    "filter, {}",
                    name()
                );
                assert_eq!(selection.contains(source, destination), wanted, "user space, {}", name());
            }
        }
    }
}

/// First, middle and last class for each N from 0 to 8, by the default first bit and by the highest.
fn classes() -> impl Iterator<Item = (u8, u8, u16)> {
    (0..=8_u8).flat_map(|bits| {
        let last = (1_u16 << bits) - 1;
        let mut classes = vec![(bits, 1, 0), (bits, 1, last / 2), (bits, 1, last), (bits, 16 - bits, last)];
        classes.dedup();
        classes
    })
}

#[test]
fn the_right_packets_pass_for_all_client_ports_on_ethernet() {
    for (bits, first_bit, class) in classes() {
        for ports in [ONE_PORT, THREE_PORTS] {
            for family in [Family::V4, Family::V6] {
                check_all_client_ports(Linktype::ETHERNET, family, Asked { ports, bits, first_bit, class });
            }
        }
    }
}

#[test]
fn the_right_packets_pass_for_all_client_ports_on_cooked_links() {
    for link in [Linktype::LINUX_SLL, LINUX_SLL2] {
        for (bits, first_bit, class) in classes() {
            for family in [Family::V4WithOptions, Family::V6] {
                check_all_client_ports(link, family, Asked { ports: ONE_PORT, bits, first_bit, class });
            }
        }
    }
}

#[test]
fn packets_of_other_ports_do_not_pass() {
    for (bits, first_bit, class) in classes() {
        let asked = Asked { ports: ONE_PORT, bits, first_bit, class };
        let program = asked.compile(Linktype::ETHERNET);
        for family in [Family::V4, Family::V6] {
            let mut packet = Template::new(Linktype::ETHERNET, family);
            for port in (0..=u16::MAX).filter(|&port| port != 3306) {
                assert!(!program.filter(packet.with_ports(port, UNRELATED)), "{asked:?} {family:?} {port}");
            }
        }
    }
}

#[test]
fn between_two_server_ports_both_directions_pass_or_neither() {
    // 3306 is in class 1 by bit 1, 3307 too, 33060 in class 0.
    let both_ways = |class, one, other| {
        let asked = Asked { ports: THREE_PORTS, bits: 1, first_bit: 1, class };
        let program = asked.compile(Linktype::ETHERNET);
        let mut packet = Template::new(Linktype::ETHERNET, Family::V4);
        [(one, other), (other, one)].map(|(from, to)| program.filter(packet.with_ports(from, to)))
    };
    assert_eq!(both_ways(1, 3306, 3307), [true, true]);
    assert_eq!(both_ways(0, 3306, 3307), [false, false]);
    assert_eq!(both_ways(0, 3306, 33060), [true, true]);
    assert_eq!(both_ways(1, 3306, 33060), [true, true]);
}

#[test]
fn what_has_no_ports_where_the_filter_looks_does_not_pass() {
    let asked = Asked { ports: ONE_PORT, bits: 0, first_bit: 1, class: 0 };
    let program = asked.compile(Linktype::ETHERNET);
    let patched = |family, offset: usize, value: u8| {
        let mut packet = Template::new(Linktype::ETHERNET, family);
        packet.with_ports(40_000, 3306);
        packet.bytes[14 + offset] = value;
        program.filter(&packet.bytes)
    };
    assert!(patched(Family::V4, 6, 0x20), "the first fragment has ports: decoding counts it");
    assert!(!patched(Family::V4, 7, 0x01), "later IPv4 fragment");
    assert!(!patched(Family::V4, 9, 17), "UDP over IPv4");
    assert!(!patched(Family::V6, 6, 17), "UDP over IPv6");
    assert!(!patched(Family::V6, 6, 0), "hop-by-hop options where the ports would be");
    assert!(!patched(Family::V6, 6, 44), "IPv6 fragment");
    assert!(!program.filter(&[]), "nothing");
}

#[test]
fn on_any_only_loopbacks_outgoing_copy_is_left_out() {
    let asked = Asked { ports: ONE_PORT, bits: 0, first_bit: 1, class: 0 };
    let program = compile(LINUX_SLL2, &filter::without_outgoing(&asked.selection().to_pcap_filter(), 1));
    let mut packet = Template::new(LINUX_SLL2, Family::V4);
    packet.with_ports(40_000, 3306);
    for (interface, packet_type, passes) in [(1, 0, true), (1, 4, false), (2, 0, true), (2, 4, true)] {
        packet.bytes[7] = interface;
        packet.bytes[10] = packet_type;
        assert_eq!(program.filter(&packet.bytes), passes, "interface {interface}, type {packet_type}");
    }
}

/// The kernel runs the program for every packet of the host.
#[test]
fn the_program_stays_short() {
    let length = |ports, bits| {
        let asked = Asked { ports, bits, first_bit: 1, class: 0 };
        asked.compile(Linktype::ETHERNET).get_instructions().len()
    };
    assert!(length(ONE_PORT, 0) <= 20);
    assert!(length(ONE_PORT, 3) <= 28);
    assert!(length(THREE_PORTS, 3) <= 36);
}
