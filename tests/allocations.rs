//! The hot path allocates nothing: connections whose every kind of packet has been seen once are decoded without another
//! allocation, however the network cut their bytes.
#![cfg(feature = "capture")]

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/segments.rs"]
mod segments;
#[path = "support/wire.rs"]
mod wire;

use allocator::Since;
use dbwire_exporter::{
    config::{Counting, PortSet},
    packet::filter::Plan,
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
};
use segments::{Sent, capture};
use wire::{Connection, MSS, OK, Wire, packet, query, zlib_block};

/// The segments of a capture, none longer than `most`.
fn pieces(name: &str, most: usize) -> Vec<Sent> {
    let ends = |length: usize| (1..).map(|piece| piece * most).take_while(|end| *end < length).collect();
    capture(name).iter().flat_map(|sent| sent.split(ends(sent.payload.len()))).collect()
}

fn play(pipeline: &mut Pipeline, sent: &[Sent]) {
    sent.iter().for_each(|sent| sent.play(pipeline));
}

fn from_other_ports(mut sent: Vec<Sent>) -> Vec<Sent> {
    for sent in &mut sent {
        for end in [&mut sent.source, &mut sent.destination].into_iter().filter(|end| end.port != 3306) {
            end.port = end.port.wrapping_add(10_000);
        }
    }
    sent
}

fn statements(pipeline: &mut Pipeline) -> u64 {
    pipeline.stats().observed.statements().map(|(_, stats)| stats.count).sum()
}

#[test]
fn sysbench_is_decoded_without_allocating() {
    for name in ["sysbench_ps_small", "sysbench_text_small"] {
        for most in [1 << 20, MSS, 100, 7] {
            let sent = pieces(name, most);
            let mut pipeline = Pipeline::new(Options {
                plan: Plan::whole(PortSet::new(&[3306]).expect("a port")),
                max_flows: 1024,
                multiplier: Multiplier::Auto,
                census: false,
                seed: 1,
                counting: Counting::default(),
            });
            // Connections open in the first part and end in the last.
            let (warm, rest) = sent.split_at(sent.len() / 2);
            let (middle, _) = rest.split_at(rest.len() / 2);
            // Every statement's shape is met once before, on other connections.
            play(&mut pipeline, &from_other_ports(pieces(name, most)));
            play(&mut pipeline, warm);
            let before = statements(&mut pipeline);
            let since = Since::now();
            play(&mut pipeline, middle);
            let (calls, bytes) = (since.calls(), since.bytes());
            let decoded = statements(&mut pipeline) - before;
            println!(
                "{name}, segments of {most}: {} packets, {decoded} statements, {calls} allocations",
                middle.len()
            );
            assert!(decoded > 50, "{decoded} statements");
            assert_eq!((calls, bytes), (0, 0), "{name}, segments of {most}");
        }
    }
}

#[test]
fn what_else_clients_do_is_decoded_without_allocating() {
    let mut wire = Wire::new(1024);
    let mut plain = Connection::logged_in(1, &mut wire);
    let mut compressed = Connection::compressed(2, &mut wire, false);
    let pipelined = packet(0, b"\x0e").repeat(50);
    let pongs = OK.repeat(50);
    let block = zlib_block(0, &query("select 1"));
    let answer = zlib_block(1, OK);
    let prepare = packet(0, b"\x16do ?");
    let prepared = b"\x0c\0\0\x01\0\x05\0\0\0\0\0\0\0\0\0\0";
    let close = packet(0, b"\x19\x05\0\0\0");
    let mut round = || {
        plain.request(&mut wire, &pipelined);
        plain.reply(&mut wire, &pongs);
        plain.request(&mut wire, &prepare);
        plain.reply(&mut wire, prepared);
        plain.request(&mut wire, &close);
        compressed.request(&mut wire, &block);
        compressed.reply(&mut wire, &answer);
        wire.wait(1_000_000);
    };
    (0..10).for_each(|_| round());
    let since = Since::now();
    (0..100).for_each(|_| round());
    assert_eq!((since.calls(), since.bytes()), (0, 0));
    let pings = wire.pipeline.stats().observed.commands().find(|(command, _)| command.label() == "ping");
    assert_eq!(pings.expect("a command").1, 110 * 50);
}

#[test]
fn rows_are_counted_without_allocating_wherever_they_are_cut() {
    let mut wire = Wire::new(1024);
    let mut connection = Connection::logged_in(1, &mut wire);
    let column = b"\x03def\0\0\0\x01c\0\x0c\x21\0\0\0\x01\0\xfd\0\0\0\0\0";
    let head = [packet(1, b"\x01"), packet(2, column), packet(3, b"\xfe\0\0\x02\0")].concat();
    let end = packet(200, b"\xfe\0\0\x02\0");
    let rows = |length: usize| (4..200).flat_map(move |sequence| packet(sequence, &vec![b'x'; length]));
    // One byte more in each: segments are cut in every byte of a row's header, and in the first ones behind it.
    let replies: Vec<Vec<u8>> =
        (700..728).map(|length| [head.clone(), rows(length).collect(), end.clone()].concat()).collect();
    let select = query("select c from t");
    let mut round = |wire: &mut Wire| {
        for reply in &replies {
            connection.request(wire, &select);
            connection.reply(wire, reply);
        }
    };
    round(&mut wire);
    let since = Since::now();
    round(&mut wire);
    assert_eq!((since.calls(), since.bytes()), (0, 0));
    let observed = &wire.pipeline.stats().observed;
    let rows: u64 = observed.statements().map(|(_, stats)| stats.rows_returned).sum();
    assert_eq!(rows, 2 * 28 * 196);
}
