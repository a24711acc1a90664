//! Packets that nobody should send.

use std::collections::BTreeMap;

use crate::{
    Fault, fault,
    lab::{Lab, conversation},
    support::dialogue::{Conversation, OK, error},
    wire,
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("a flood of 60,000 SYNs", "half-open connections give way; others are exact", syn_flood),
    fault("100,000 connections at once", "the table is full, and says so; those in it are exact", many_flows),
    fault("half-open connections that never say a word", "forgotten first; others are exact", half_open),
    fault("segments that overlap", "each byte counts once", overlapping),
    fault("segments out of order", "put in order", out_of_order),
    fault("sequence numbers that wrap", "exact", wrap),
    fault("IP fragments", "not guessed at", fragments),
    fault("a bridge that shows every packet twice", "counted once", duplicates),
    fault("every tenth packet is lost", "counts lower, never higher; gaps are counted", loss),
    fault("random bytes on the port", "no statement is made up", random_bytes),
    fault("lengths of 16 MB that are lies", "nothing is allocated for them", hostile_lengths),
    fault("100,000 digests", "100 series, the rest in one, the sum exact", many_digests),
    fault("100,000 prepared statements that are never closed", "the oldest are forgotten", prepared_leak),
    fault("labels with quotes, newlines and worse", "the page can be read", label_escapes),
    fault("decompression bombs", "nothing is kept of them", bombs),
    fault("2,000 requests without a reply", "the queue is dropped and counted", unanswered),
    fault("1,000 different errors", "24 series and other", many_errors),
    fault("frames that are cut off, or no TCP at all", "counted as undecoded", broken_frames),
    fault("a connection whose ports are used again and again", "each is exact", reused_ports),
    fault("every table filled at once", "within 64 MB", everything_at_once),
    fault(
        "a server that restarts in mid-query",
        "what was under way is not counted as answered",
        server_restart,
    ),
];

/// Where the parts of a frame are: Ethernet, IPv4 and TCP without options.
const IP: usize = 14;
const TCP: usize = 34;
const PAYLOAD: usize = 54;

/// The frame with another payload.
fn with_payload(frame: &[u8], skip: u32, payload: &[u8]) -> Vec<u8> {
    let mut made = frame[..PAYLOAD].to_vec();
    made.extend(payload);
    let length = u16::try_from(made.len() - IP).unwrap();
    made[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
    let sequence = sequence(frame).wrapping_add(skip);
    made[TCP + 4..TCP + 8].copy_from_slice(&sequence.to_be_bytes());
    made
}

fn sequence(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[TCP + 4..TCP + 8].try_into().unwrap())
}

/// Whether the client sent it, with a payload.
fn is_request(frame: &[u8]) -> bool {
    frame[TCP + 2..TCP + 4] == 3306_u16.to_be_bytes() && frame.len() > PAYLOAD
}

/// A SYN from client `number`.
fn syn(number: u32) -> Vec<u8> {
    let mut frame = conversation(1024 + (number % 60_000) as u16, 0).swap_remove(0);
    // The client's address.
    frame[IP + 13..IP + 15].copy_from_slice(&((number / 60_000) as u16 + 1).to_be_bytes());
    frame
}

fn syn_flood() -> String {
    let lab = Lab::new();
    let flood: Vec<_> = (0..60_000).map(syn).collect();
    lab.pour(flood.iter().map(Vec::as_slice));
    lab.ask(1, 50);
    lab.assert_selects(50);
    let hits = lab.limit_hits("half_open_flows");
    assert!(hits > 0.0);
    format!("{hits} forgotten, 50 of 50 counted, {}", lab.assert_memory())
}

fn many_flows() -> String {
    let lab = Lab::with(&["--mysql.max-flows", "4096"]);
    lab.ask(1, 50);
    let mut frame = conversation(2, 1).into_iter().find(|frame| is_request(frame)).unwrap();
    let frames = (0..100_000_u32).map(|number| {
        frame[IP + 13..IP + 15].copy_from_slice(&((number / 60_000) as u16 + 1).to_be_bytes());
        frame[TCP..TCP + 2].copy_from_slice(&(1024 + (number % 60_000) as u16).to_be_bytes());
        frame.clone()
    });
    let frames: Vec<_> = frames.collect();
    lab.pour(frames.iter().map(Vec::as_slice));
    let hits = lab.limit_hits("flows");
    let flows: f64 = lab.page().by("dbwire_mysql_flows", "visibility").values().sum();
    assert!(hits > 0.0 && flows <= 4096.0, "{hits} {flows}");
    assert!(lab.selects() >= 50.0);
    format!("{flows} of 100,000 tracked, {hits} hits, {}", lab.assert_memory())
}

fn half_open() -> String {
    let lab = Lab::with(&["--mysql.max-flows", "1024"]);
    let flood: Vec<_> = (0..10_000).map(syn).collect();
    lab.pour(flood.iter().map(Vec::as_slice));
    for port in 0..10 {
        lab.ask(100 + port, 10);
    }
    lab.assert_selects(100);
    format!("{} forgotten, 100 of 100 counted", lab.limit_hits("half_open_flows"))
}

fn overlapping() -> String {
    let lab = Lab::new();
    for frame in conversation(40_000, 20) {
        lab.send(&frame);
        if is_request(&frame) {
            // The second half again, then all of it.
            let payload = frame[PAYLOAD..].to_vec();
            let half = payload.len() / 2;
            lab.send(&with_payload(&frame, half as u32, &payload[half..]));
            lab.send(&frame);
        }
    }
    lab.assert_selects(20);
    "20 of 20 counted".to_owned()
}

fn out_of_order() -> String {
    let lab = Lab::new();
    for frame in conversation(40_000, 20) {
        if is_request(&frame) {
            // Byte by byte, backwards.
            let payload = frame[PAYLOAD..].to_vec();
            for (index, byte) in payload.iter().enumerate().rev() {
                lab.send(&with_payload(&frame, index as u32, &[*byte]));
            }
        } else {
            lab.send(&frame);
        }
    }
    lab.assert_selects(20);
    "20 of 20 counted, each byte a segment, the last first".to_owned()
}

fn wrap() -> String {
    let lab = Lab::new();
    let shift = u32::MAX - 2_000;
    for mut frame in conversation(40_000, 100) {
        for at in [TCP + 4, TCP + 8] {
            let number = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()).wrapping_add(shift);
            frame[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        lab.send(&frame);
    }
    lab.assert_selects(100);
    assert_eq!(lab.value("dbwire_mysql_gaps_total", &[]), 0.0);
    "100 of 100 counted, no gap".to_owned()
}

fn fragments() -> String {
    let lab = Lab::new();
    lab.ask(40_000, 10);
    for mut frame in conversation(40_002, 10) {
        // More fragments follow; then a later one.
        for flags in [[0x20, 0x00], [0x20, 0x10], [0x00, 0x20]] {
            frame[IP + 6..IP + 8].copy_from_slice(&flags);
            lab.send(&frame);
        }
    }
    lab.ask(40_004, 10);
    lab.assert_selects(20);
    "20 of 20 whole ones counted".to_owned()
}

fn duplicates() -> String {
    let lab = Lab::new();
    for frame in conversation(40_000, 50) {
        lab.send(&frame);
        lab.send(&frame);
    }
    lab.assert_selects(50);
    assert_eq!(lab.value("dbwire_mysql_connections_opened_total", &[]), 2.0, "and the marker's");
    "50 of 50 counted".to_owned()
}

fn loss() -> String {
    let lab = Lab::new();
    let frames = conversation(40_000, 500);
    let kept = frames.iter().enumerate().filter(|(index, _)| *index < 10 || index % 10 != 0);
    lab.pour(kept.map(|(_, frame)| frame.as_slice()));
    lab.ask(40_002, 10);
    lab.settle();
    let (selects, gaps) = (lab.selects(), lab.value("dbwire_mysql_gaps_total", &[]));
    assert!(selects > 50.0 && selects <= 510.0 && gaps > 0.0, "{selects} {gaps}");
    format!("{selects} of 510 counted, {gaps} gaps")
}

/// The same numbers each time (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(byte).take(length).collect()
}

fn random_bytes() -> String {
    let lab = Lab::new();
    let template = conversation(40_000, 1).into_iter().find(|frame| is_request(frame)).unwrap();
    let bytes = noise(400_000);
    let frames = bytes.chunks(1000).enumerate();
    let frames: Vec<_> =
        frames.map(|(index, chunk)| with_payload(&template, 1000 * index as u32, chunk)).collect();
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.ask(40_002, 10);
    lab.assert_selects(10);
    let packets = lab.value("dbwire_capture_packets_total", &[]);
    format!("400 KB of noise among {packets} packets, 10 of 10 SELECTs counted")
}

fn hostile_lengths() -> String {
    let lab = Lab::new();
    for port in 0..2_000_u16 {
        let mut frames = conversation(2_000 + port, 1);
        // Says 16 MB, holds a few bytes, and stays open.
        let at = frames.iter().rposition(|frame| is_request(frame) && frame[PAYLOAD + 4] == 3).unwrap();
        frames.truncate(at + 1);
        frames[at][PAYLOAD..PAYLOAD + 3].copy_from_slice(&[0xff, 0xff, 0xff]);
        lab.pour(frames.iter().map(Vec::as_slice));
    }
    lab.ask(1, 10);
    lab.assert_selects(10);
    lab.assert_memory()
}

fn many_digests() -> String {
    let lab = Lab::new();
    let mut frames = Vec::new();
    for connection in 0..10_u16 {
        let mut conversation =
            Conversation::open(40_000 + connection, "shop", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
        for number in 0..10_000_u32 {
            let name: String =
                format!("{connection}{number:05}").bytes().map(|b| char::from(b - b'0' + b'g')).collect();
            conversation.query(format!("SELECT {name} FROM t").as_bytes(), OK);
        }
        conversation.close();
    }
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.assert_selects(100_000);
    let page = lab.page();
    let by_digest = page.by("dbwire_mysql_digest_queries_total", "digest");
    let sum: f64 = by_digest.values().sum();
    assert!(by_digest.len() <= 111, "{} digests", by_digest.len());
    assert_eq!(sum, 100_000.0);
    format!("{} series, sum {sum}, {}", by_digest.len(), lab.assert_memory())
}

fn prepared_leak() -> String {
    let lab = Lab::new();
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
    for id in 0..100_000_u32 {
        let mut prepared = vec![0];
        prepared.extend(id.to_le_bytes());
        prepared.extend([0; 7]);
        conversation.exchange(b"\x16SELECT 1", &prepared);
    }
    conversation.close();
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.ask(40_002, 10);
    lab.assert_selects(10);
    let hits = lab.limit_hits("prepared_statements");
    assert!(hits > 0.0);
    format!("{hits} forgotten, {}", lab.assert_memory())
}

fn label_escapes() -> String {
    let lab = Lab::new();
    let mut frames = Vec::new();
    for (port, schema) in ["a\"b\\c", "x} 1 y{z=\"", "line\nfeed\u{1}", "#"].into_iter().enumerate() {
        let mut conversation = Conversation::open(40_000 + port as u16, schema, 0, |_, frame: &[u8]| {
            frames.push(frame.to_vec())
        });
        conversation.query(b"SELECT `q\"\\\n} 1` FROM `\xff\xfe\x00`", OK);
        conversation.query(b"SELECT 1", &error(1064, "4\"\n}0", "no"));
        conversation.close();
    }
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.assert_selects(8);
    // Reading the page checks each line.
    let schemas: BTreeMap<_, _> = lab.page().by("dbwire_mysql_digest_queries_total", "schema");
    assert!(schemas.contains_key("a\"b\\c"), "{schemas:?}");
    format!("{} schemas read back", schemas.len())
}

/// A client that logs in compressed, then sends this.
fn compressed(port: u16, blocks: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut frames = conversation(port, 1);
    // COMPRESS among the capabilities of the greeting and of the login.
    let greeting = frames.iter().position(|frame| frame.len() > PAYLOAD).unwrap();
    let at = frames[greeting].windows(9).position(|bytes| bytes == b"aaaaaaaa\0").unwrap() + 9;
    frames[greeting][at] |= 0x20;
    frames[greeting + 1][PAYLOAD + 4] |= 0x20;
    let query = frames.iter().rposition(|frame| is_request(frame) && frame[PAYLOAD + 4] == 3).unwrap();
    let template = frames[query].clone();
    frames.truncate(query);
    let bytes = blocks.concat();
    let segments = bytes.chunks(1400).enumerate();
    frames.extend(segments.map(|(index, chunk)| with_payload(&template, 1400 * index as u32, chunk)));
    frames
}

fn bombs() -> String {
    let lab = Lab::new();
    // 16 MB of zeros in 16 KB.
    let bomb = wire::zlib_block(0, &vec![0; 0xff_ffff]);
    for port in 0..20 {
        lab.pour(compressed(2_000 + port, std::slice::from_ref(&bomb)).iter().map(Vec::as_slice));
    }
    lab.ask(1, 10);
    lab.assert_selects(10);
    format!("320 MB in {} KB, {}", 20 * bomb.len() / 1024, lab.assert_memory())
}

fn unanswered() -> String {
    let lab = Lab::new();
    let mut frames = conversation(40_000, 2_000);
    // The client acknowledges none of the answers: it has not got any.
    let acknowledged: [u8; 4] = frames[6][TCP + 8..TCP + 12].try_into().unwrap();
    frames.iter_mut().skip(6).for_each(|frame| frame[TCP + 8..TCP + 12].copy_from_slice(&acknowledged));
    lab.pour(
        frames.iter().enumerate().filter(|(i, frame)| *i < 6 || is_request(frame)).map(|(_, f)| f.as_slice()),
    );
    lab.ask(40_002, 10);
    let hits = lab.limit_hits("pipeline");
    assert!(hits > 0.0, "{hits}");
    format!("{hits} hits, {} counted, {}", lab.selects(), lab.assert_memory())
}

fn many_errors() -> String {
    let lab = Lab::new();
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
    for code in 0..1_000 {
        conversation.query(b"SELECT 1", &error(1000 + code, "HY000", "no"));
    }
    conversation.close();
    lab.pour(frames.iter().map(Vec::as_slice));
    lab.assert_selects(1_000);
    let codes = lab.page().by("dbwire_mysql_errors_total", "code");
    assert!(codes.len() <= 25 && codes.contains_key("other"), "{}", codes.len());
    assert_eq!(codes.values().sum::<f64>(), 1_000.0);
    format!("{} series, sum 1000", codes.len())
}

fn broken_frames() -> String {
    let lab = Lab::new();
    let frame = conversation(40_000, 1).into_iter().find(|frame| is_request(frame)).unwrap();
    for length in IP + 20..PAYLOAD {
        lab.send(&frame[..length]);
    }
    for offset in 0..16_u8 {
        // A TCP header of each length there can be.
        let mut bent = frame.clone();
        bent[TCP + 12] = offset << 4;
        lab.send(&bent);
        let mut bent = frame.clone();
        bent[IP] = 0x40 | offset;
        lab.send(&bent);
    }
    lab.ask(40_002, 10);
    lab.wait_for_more("dbwire_mysql_statements_total", &[("statement", "select")], 10.0);
    let undecoded: f64 = lab.page().by("dbwire_capture_undecoded_packets_total", "layer").values().sum();
    assert!(undecoded > 0.0);
    format!("{undecoded} undecoded")
}

fn reused_ports() -> String {
    let lab = Lab::new();
    for round in 0..50_u32 {
        let shift = round.wrapping_mul(0x1357_9bdf);
        for mut frame in conversation(40_000, 5) {
            for at in [TCP + 4, TCP + 8] {
                let number = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()).wrapping_add(shift);
                frame[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            lab.send(&frame);
        }
    }
    lab.assert_selects(250);
    "250 of 250 counted".to_owned()
}

fn everything_at_once() -> String {
    let lab = Lab::new();
    // Connections by the ten thousand, each with waiting commands, a prepared statement, a half-sent message, and
    // bytes behind a hole.
    for number in 0..30_000_u32 {
        let mut frames = conversation(1024 + (number % 60_000) as u16, 1);
        let at = frames.iter().rposition(|frame| is_request(frame) && frame[PAYLOAD + 4] == 3).unwrap();
        let template = frames[at].clone();
        frames.truncate(at);
        let pings: Vec<u8> = b"\x01\0\0\0\x0e".repeat(20);
        frames.push(with_payload(&template, 0, &pings));
        let mut half = b"\xff\xff\xff\0\x03SELECT ".to_vec();
        half.resize(1_000, b'x');
        frames.push(with_payload(&template, 100, &half));
        frames.push(with_payload(&template, 2_000, &[7; 1_000]));
        lab.pour(frames.iter().map(Vec::as_slice));
    }
    lab.assert_memory()
}

fn server_restart() -> String {
    let lab = Lab::new();
    for port in 0..20 {
        let mut frames = conversation(40_000 + 2 * port, 10);
        // The last query gets a reset for an answer.
        let query = frames.iter().rposition(|frame| is_request(frame) && frame[PAYLOAD + 4] == 3).unwrap();
        let mut reset = frames[query + 1][..PAYLOAD].to_vec();
        reset[IP + 2..IP + 4].copy_from_slice(&40_u16.to_be_bytes());
        reset[TCP + 13] = 0x14;
        frames.truncate(query + 1);
        frames.push(reset);
        lab.pour(frames.iter().map(Vec::as_slice));
    }
    for port in 0..20 {
        lab.ask(50_000 + 2 * port, 10);
    }
    lab.assert_selects(400);
    let answered = lab.value("dbwire_mysql_query_duration_seconds_count", &[("statement", "select")]);
    let resets = lab.value("dbwire_mysql_connections_closed_total", &[("reason", "reset")]);
    assert_eq!((answered, resets), (380.0, 20.0));
    "400 sent, 380 answered, 20 resets".to_owned()
}
