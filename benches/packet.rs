//! What decoding one frame's headers costs, by link type and IP version.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbwire_exporter::packet::{Frame, Timestamp, link::LinkType, segment};

const IPV4: &[u8] = &[0x45, 0, 0, 154, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
/// Payload length 134.
const IPV6: &[u8] = &[
    0x60, 0, 0, 0, 0, 134, 6, 64, //
    0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
    0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
];
/// With a timestamp option, as nearly all segments have.
const TCP: &[u8] = &[
    0x9c, 0x40, 0x0c, 0xea, 1, 2, 3, 4, 5, 6, 7, 8, 0x80, 0x18, 0x10, 0, 0, 0, 0, 0, //
    1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
];
const PAYLOAD: &[u8] = &[7; 102];

fn decode(c: &mut Criterion) {
    let mac = [0x52; 12];
    let sll = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0];
    let sll2 = [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0];
    let frames = [
        ("ethernet_ipv4", LinkType::Ethernet, [&mac[..], &[8, 0], IPV4, TCP, PAYLOAD].concat()),
        (
            "vlan_ipv6",
            LinkType::Ethernet,
            [&mac[..], &[0x81, 0, 0, 5, 0x86, 0xdd], IPV6, TCP, PAYLOAD].concat(),
        ),
        ("sll_ipv4", LinkType::LinuxSll, [&sll[..], IPV4, TCP, PAYLOAD].concat()),
        ("sll2_ipv6", LinkType::LinuxSll2, [&sll2[..], IPV6, TCP, PAYLOAD].concat()),
    ];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, link, bytes) in &frames {
        let wire_length = bytes.len() as u32;
        let frame = Frame { timestamp: Timestamp(0), wire_length, bytes };
        assert_eq!(segment::decode(*link, &frame).map(|segment| segment.payload), Ok(PAYLOAD), "{name}");
        group.bench_function(*name, |b| b.iter(|| segment::decode(black_box(*link), black_box(&frame))));
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
