//! The capture filter over crafted packets, with no root and no interface: the kernel's program in an interpreter, and the
//! text that stands in for it, compiled and run by libpcap. `tests/filter_kernel.rs` has the kernel run the program.

#![cfg(feature = "capture")]

#[path = "support/bpf.rs"]
mod bpf;
#[path = "support/crafted.rs"]
mod crafted;

use bpf::{Packet, run};
use crafted::{ACK, Crafted, FIN, Network, RST, SYN};
use dbwire_exporter::{
    config::PortSet,
    packet::filter::{LOOPBACK, Plan, Program, SNAPLEN, Scope, program::program, text::to_pcap_filter},
    sample::class::SampleClass,
};
use pcap::{BpfProgram, Capture, Linktype};

const ONE_PORT: &[u16] = &[3306];
const THREE_PORTS: &[u16] = &[3306, 3307, 33060];
/// In neither list above.
const UNRELATED: u16 = 5432;
const NETWORKS: [Network; 4] = [Network::V4, Network::V4WithOptions, Network::V6, Network::V6HopByHop];
/// What libpcap's text can match.
const PLAIN_NETWORKS: [Network; 3] = [Network::V4, Network::V4WithOptions, Network::V6];

/// What the user asked for, in plain arithmetic.
#[derive(Debug, Clone, Copy)]
struct Asked {
    ports: &'static [u16],
    bits: u8,
    first_bit: u8,
    class: u16,
}

const ALL: Asked = Asked { ports: ONE_PORT, bits: 0, first_bit: 1, class: 0 };

impl Asked {
    fn plan(self) -> Plan {
        Plan {
            ports: PortSet::new(self.ports).unwrap(),
            class: SampleClass::new(self.bits, self.first_bit, self.class).unwrap(),
            reply_bytes: None,
        }
    }

    fn program(self) -> Program {
        program(&self.plan(), Scope::Any).unwrap()
    }

    fn text(self) -> BpfProgram {
        let text = to_pcap_filter(&self.plan(), Scope::Any);
        let cooked = Capture::dead(Linktype(276)).unwrap();
        cooked.compile(&text, true).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// A connection is wanted if either end can be a server's and the other's port is in the class.
    fn wants(self, one: u16, other: u16) -> bool {
        [(one, other), (other, one)].into_iter().any(|(server, client)| {
            let class = (u32::from(client) / (1 << self.first_bit)) % (1 << self.bits);
            self.ports.contains(&server) && class == u32::from(self.class)
        })
    }
}

fn segment(network: Network, source: u16, destination: u16, flags: u8, payload: usize) -> Crafted {
    Crafted { network, source, destination, flags, payload: vec![7; payload], ..Crafted::default() }
}

fn arriving(crafted: &Crafted) -> Packet {
    Packet { bytes: crafted.packet(), protocol: crafted.ether_type(), interface: 2, ..Packet::default() }
}

fn arrives(program: &Program, crafted: &Crafted) -> u32 {
    run(program.instructions(), &arriving(crafted))
}

/// A frame of `DLT_LINUX_SLL2` (pcap-linktype(7)).
fn cooked(packet: &Packet) -> Vec<u8> {
    let mut frame = Vec::from(packet.protocol.to_be_bytes());
    frame.extend([
        0,
        0,
        0,
        0,
        0,
        packet.interface as u8,
        0,
        1,
        packet.packet_type as u8,
        6,
        2,
        2,
        2,
        2,
        2,
        2,
        0,
        0,
    ]);
    frame.extend(&packet.bytes);
    frame
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

/// For every client port, both ways: the program, the text and [`Plan::contains`] agree with arithmetic. What is not in
/// the class passes only to open or close a connection.
#[test]
fn the_right_segments_pass_for_all_client_ports() {
    for (number, (bits, first_bit, class)) in classes().enumerate() {
        let ports = [ONE_PORT, THREE_PORTS][number % 2];
        let asked = Asked { ports, bits, first_bit, class };
        let (plan, program, text) = (asked.plan(), asked.program(), asked.text());
        let network = PLAIN_NETWORKS[number % PLAIN_NETWORKS.len()];
        let mut data = arriving(&segment(network, 0, 0, ACK, 20));
        let mut opening = arriving(&segment(network, 0, 0, SYN, 0));
        let at = network.header_length();
        let (mut data_frame, mut opening_frame) = (cooked(&data), cooked(&opening));
        for &server in ports {
            for client in 0..=u16::MAX {
                let wanted = asked.wants(server, client);
                for (source, destination) in [(client, server), (server, client)] {
                    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
                    for packet in [&mut data.bytes, &mut opening.bytes] {
                        packet[at..at + 4].copy_from_slice(&ports);
                    }
                    for frame in [&mut data_frame, &mut opening_frame] {
                        frame[20 + at..24 + at].copy_from_slice(&ports);
                    }
                    let name = || format!("{network:?} {asked:?}: {source} to {destination}");
                    assert_eq!(run(program.instructions(), &data) > 0, wanted, "program, {}", name());
                    assert_eq!(text.filter(&data_frame), wanted, "text, {}", name());
                    assert_eq!(plan.contains(source, destination), wanted, "user space, {}", name());
                    assert!(run(program.instructions(), &opening) > 0, "program, SYN, {}", name());
                    assert!(text.filter(&opening_frame), "text, SYN, {}", name());
                }
            }
        }
    }
}

#[test]
fn segments_of_other_ports_do_not_pass_whatever_they_do() {
    for (bits, first_bit, class) in classes() {
        let asked = Asked { bits, first_bit, class, ..ALL };
        let (program, text) = (asked.program(), asked.text());
        for port in [1, 80, 3305, 3307, 33_060, 40_000, 65_535] {
            for (network, flags) in
                PLAIN_NETWORKS.into_iter().flat_map(|network| [(network, ACK), (network, SYN)])
            {
                let packet = arriving(&segment(network, port, UNRELATED, flags, 20));
                assert_eq!(run(program.instructions(), &packet), 0, "{asked:?} {network:?} {port}");
                assert!(!text.filter(&cooked(&packet)), "text, {asked:?} {network:?} {port}");
            }
        }
    }
}

#[test]
fn between_two_server_ports_both_directions_pass_or_neither() {
    // 3306 is in class 1 by bit 1, 3307 too, 33060 in class 0.
    let both_ways = |class, one, other| {
        let asked = Asked { ports: THREE_PORTS, bits: 1, first_bit: 1, class };
        let (program, text) = (asked.program(), asked.text());
        [(one, other), (other, one)].map(|(from, to)| {
            let packet = arriving(&segment(Network::V4, from, to, ACK, 20));
            let passes = run(program.instructions(), &packet) > 0;
            assert_eq!(text.filter(&cooked(&packet)), passes);
            passes
        })
    };
    assert_eq!(both_ways(1, 3306, 3307), [true, true]);
    assert_eq!(both_ways(0, 3306, 3307), [false, false]);
    assert_eq!(both_ways(0, 3306, 33060), [true, true]);
    assert_eq!(both_ways(1, 3306, 33060), [true, true]);
}

#[test]
fn segments_that_only_acknowledge_are_left_out() {
    let program = ALL.program();
    for network in NETWORKS {
        for options in [0, 12, 40] {
            for (source, destination) in [(40_000, 3306), (3306, 40_000)] {
                let passes = |flags, payload| {
                    let options = vec![1; options];
                    let plain = segment(network, source, destination, flags, payload);
                    arrives(&program, &Crafted { tcp_options: options, ..plain }) > 0
                };
                assert!(!passes(ACK, 0), "{network:?}, {options} bytes of options");
                assert!(passes(ACK, 1), "{network:?}, {options} bytes of options");
                for flags in [SYN, SYN | ACK, FIN | ACK, RST, RST | ACK] {
                    assert!(passes(flags, 0), "{network:?}, {options} bytes of options, {flags:#x}");
                }
            }
        }
    }
}

/// Ethernet fills short frames up; the IP header tells that it is no payload.
#[test]
fn padding_is_no_payload() {
    let mut padded = arriving(&segment(Network::V4, 40_000, 3306, ACK, 0));
    padded.bytes.resize(46, 0);
    assert_eq!(run(ALL.program().instructions(), &padded), 0);
}

#[test]
fn replies_are_cut_behind_their_headers_and_requests_are_not() {
    for network in NETWORKS {
        for options in [0_usize, 12, 40] {
            let cut = |class: Option<u16>, source, destination, flags| {
                let class = class.map_or(SampleClass::ALL, |class| SampleClass::new(2, 1, class).unwrap());
                let plan = Plan { class, reply_bytes: Some(256), ..ALL.plan() };
                let program = program(&plan, Scope::Any).unwrap();
                let plain = segment(network, source, destination, flags, 5000);
                arrives(&program, &Crafted { tcp_options: vec![1; options], ..plain })
            };
            let tcp = network.header_length() as u32;
            let payload = tcp + 20 + options as u32;
            // 40,000 is in class 0.
            for class in [None, Some(0)] {
                assert_eq!(cut(class, 40_000, 3306, ACK), SNAPLEN, "{network:?}");
                assert_eq!(cut(class, 3306, 40_000, ACK), payload + 256, "{network:?}");
                assert_eq!(cut(class, 40_000, 3306, FIN | ACK), SNAPLEN, "{network:?}");
                assert_eq!(cut(class, 3306, 40_000, FIN | ACK), tcp + 60 + 256, "{network:?}");
            }
            assert_eq!(cut(Some(1), 3306, 40_000, ACK), 0, "{network:?}");
            assert_eq!(cut(Some(1), 3306, 40_000, FIN | ACK), tcp + 60, "{network:?}: the headers alone");
            assert_eq!(cut(Some(1), 40_000, 3306, RST), tcp + 60, "{network:?}: the headers alone");
        }
    }
}

#[test]
fn what_has_no_ports_where_the_filter_looks_does_not_pass() {
    let (program, text) = (ALL.program(), ALL.text());
    let passes = |network, offset: usize, value: u8| {
        let mut packet = arriving(&segment(network, 40_000, 3306, ACK, 20));
        packet.bytes[offset] = value;
        let passes = run(program.instructions(), &packet) > 0;
        assert_eq!(text.filter(&cooked(&packet)), passes, "{network:?}, {offset}, {value}");
        passes
    };
    assert!(passes(Network::V4, 6, 0x20), "the first fragment has ports: decoding counts it");
    assert!(!passes(Network::V4, 7, 0x01), "later IPv4 fragment");
    assert!(!passes(Network::V4, 9, 17), "UDP over IPv4");
    assert!(!passes(Network::V6, 6, 17), "UDP over IPv6");
    assert!(!passes(Network::V6, 6, 0), "hop-by-hop options with something other than TCP behind them");
    assert!(!passes(Network::V6, 6, 44), "IPv6 fragment");
    for (name, packet) in [
        ("nothing", Packet::default()),
        ("ARP", Packet { protocol: 0x0806, ..arriving(&segment(Network::V4, 40_000, 3306, ACK, 20)) }),
        (
            "an IPv4 header without a packet",
            Packet { protocol: 0x0800, bytes: vec![0x45; 8], ..Packet::default() },
        ),
    ] {
        assert_eq!(run(program.instructions(), &packet), 0, "{name}");
    }
}

/// A length that its field cannot hold is 0 there (BIG TCP).
#[test]
fn super_frames_that_say_no_length_pass() {
    for network in NETWORKS {
        let mut packet = arriving(&segment(network, 3306, 40_000, ACK, 100));
        let field = if network.is_v4() { 2..4 } else { 4..6 };
        packet.bytes[field].fill(0);
        packet.length = Some(100_000);
        assert_eq!(run(ALL.program().instructions(), &packet), SNAPLEN, "{network:?}");
    }
}

/// The kernel has taken the first of two tags off. What arrives then has the second one where the network header should
/// be; in front of what this host sends it is put behind the kernel's back.
#[test]
fn frames_with_two_vlan_tags_pass() {
    for network in NETWORKS {
        for (tag, options) in [(0x8100, 0), (0x88a8, 12), (0x9100, 0)] {
            let passes = |flags, payload, class| {
                let plan = Plan { class, reply_bytes: Some(128), ..ALL.plan() };
                let program = program(&plan, Scope::Any).unwrap();
                let plain = segment(network, 3306, 40_000, flags, payload);
                let crafted = Crafted { tcp_options: vec![1; options], ..plain };
                let [sent, mut received] = [(); 2].map(|()| Packet { protocol: tag, ..arriving(&crafted) });
                // Priority 2 and 3, so that the tag looks like the version of IP.
                let inner = [[0x40, 9], [0x60, 9]][options / 12];
                let ether_type = crafted.ether_type().to_be_bytes();
                received.bytes = [&inner[..], &ether_type, &received.bytes].concat();
                let sent = Packet { packet_type: 4, ..sent };
                [sent, received].map(|packet| run(program.instructions(), &packet))
            };
            let payload = (network.header_length() + 20 + options) as u32;
            assert_eq!(passes(ACK, 1000, SampleClass::ALL), [payload + 128, payload + 132], "{network:?}");
            assert_eq!(passes(ACK, 0, SampleClass::ALL), [0, 0], "{network:?}");
            assert_eq!(passes(ACK, 1000, SampleClass::new(1, 1, 1).unwrap()), [0, 0], "{network:?}");
        }
    }
}

#[test]
fn only_the_interface_asked_for_is_captured_and_loopback_once() {
    let crafted = segment(Network::V4, 40_000, 3306, ACK, 20);
    for (scope, expected) in [
        // (loopback, another) × (arriving, sent)
        (Scope::Any, [true, false, true, true]),
        (Scope::Interface(LOOPBACK), [true, false, false, false]),
        (Scope::Interface(2), [false, false, true, true]),
        (Scope::Interface(3), [false; 4]),
        (Scope::Nothing, [false; 4]),
    ] {
        let program = program(&ALL.plan(), scope).unwrap();
        let text =
            Capture::dead(Linktype(276)).unwrap().compile(&to_pcap_filter(&ALL.plan(), scope), true).unwrap();
        let packets = [(1, 0), (1, 4), (2, 0), (2, 4)].map(|(interface, packet_type)| Packet {
            interface,
            packet_type,
            ..arriving(&crafted)
        });
        assert_eq!(
            packets.each_ref().map(|packet| run(program.instructions(), packet) > 0),
            expected,
            "{scope:?}"
        );
        assert_eq!(packets.map(|packet| text.filter(&cooked(&packet))), expected, "text, {scope:?}");
    }
}
