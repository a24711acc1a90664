//! Link, IP and TCP headers, and the capture filter.

use std::cell::RefCell;

use dbwire_exporter::{
    config::PortSet,
    packet::{
        Frame, Timestamp,
        filter::{Plan, Scope, program::program, text::to_pcap_filter},
        link::LinkType,
        segment as decoder,
    },
    sample::class::SampleClass,
};
use pcap::{Capture, Linktype};

use super::{
    bpf::{self, Packet},
    input::Input,
};

/// Ethernet, raw IP, the two cooked ones, loopback (pcap-linktype(7)).
const LINKS: [i32; 5] = [1, 12, 113, 276, 0];

/// A link type, how much of the frame was cut, and the frame. The payload lies inside the frame, and what was cut of it
/// inside what was cut of the frame.
pub fn segment(data: &[u8]) {
    let mut input = Input(data);
    let link = LinkType::from_dlt(LINKS[usize::from(input.u8()) % LINKS.len()]).expect("one that is decoded");
    let cut = u32::from(input.u16());
    let bytes = input.0;
    let frame = Frame { timestamp: Timestamp(0), wire_length: bytes.len() as u32 + cut, bytes };
    if let Ok(segment) = decoder::decode(link, &frame) {
        assert!(bytes.as_ptr_range().contains(&segment.payload.as_ptr()) || segment.payload.is_empty());
        assert!(segment.payload.len() + 20 + 20 <= bytes.len());
    }
}

/// Where the packets come from.
const INTERFACE: u32 = 2;

/// Ports, a class, and pairs of ports: the kernel's program, and the filter in libpcap's language, select what
/// [`Plan::contains`] does.
pub fn filter(data: &[u8]) {
    thread_local! {
        static COOKED: RefCell<Capture<pcap::Dead>> =
            RefCell::new(Capture::dead(Linktype(276)).expect("a handle"));
    }
    let mut input = Input(data);
    let kind = input.u8();
    let ports: Vec<_> = (0..=kind % 3).map(|_| input.u16()).collect();
    let scope = if kind & 0x40 == 0 { Scope::Any } else { Scope::Interface(INTERFACE) };
    let (bits, first_bit, class) = (input.u8() % 10, input.u8() % 20, input.u16());
    let Some(ports) = PortSet::new(&ports) else { return };
    let Ok(class) = SampleClass::new(bits, first_bit, class) else { return };
    let selection = Plan { ports, class, reply_bytes: (kind & 0x80 != 0).then_some(256) };
    let text = COOKED.with_borrow(|capture| capture.compile(&to_pcap_filter(&selection, Scope::Any), true));
    let text = text.expect("a filter that compiles");
    let own = program(&selection, scope).expect("a program that loads");
    for _ in 0..16 {
        let ports = [pick(&mut input, &selection), pick(&mut input, &selection)];
        let expected = selection.contains(ports[0], ports[1]);
        assert_eq!(selection.contains(ports[1], ports[0]), expected, "{ports:?}, the other way");
        for (protocol, frame) in [(0x0800, frame_v4(ports)), (0x86dd, frame_v6(ports))] {
            assert_eq!(text.filter(&frame), expected, "{ports:?} over {protocol:#x}");
            let bytes = frame[2 + COOKED_REST.len()..].to_vec();
            let packet = Packet { bytes, protocol, interface: INTERFACE, ..Packet::default() };
            assert_eq!(bpf::run(own.instructions(), &packet) > 0, expected, "{ports:?} over {protocol:#x}");
        }
        if input.is_empty() {
            break;
        }
    }
}

/// Any port, but often a server's.
fn pick(input: &mut Input<'_>, selection: &Plan) -> u16 {
    let servers = selection.ports.as_slice();
    match input.u8() {
        even if even % 2 == 0 => servers[usize::from(even / 2) % servers.len()],
        _ => input.u16(),
    }
}

/// What follows the EtherType in a header of `DLT_LINUX_SLL2`.
const COOKED_REST: [u8; 18] = [0; 18];

fn frame_v4(ports: [u16; 2]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 41, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ip.extend(tcp(ports));
    [&[8, 0][..], &COOKED_REST, &ip].concat()
}

fn frame_v6(ports: [u16; 2]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 21, 6, 64];
    ip.extend([0; 32]);
    ip.extend(tcp(ports));
    [&[0x86, 0xdd][..], &COOKED_REST, &ip].concat()
}

/// A header, and a byte of payload.
fn tcp([source, destination]: [u16; 2]) -> [u8; 21] {
    let mut header = [0; 21];
    header[..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[12] = 0x50;
    header[13] = 0x10;
    header
}
