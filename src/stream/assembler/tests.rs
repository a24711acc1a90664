use std::ops::Range;

use super::*;
use crate::packet::Endpoint;
use Direction::{ToClient, ToServer};

/// What the receiver got: bytes or a gap, by direction.
#[derive(Debug, Default)]
struct Log {
    told: Vec<(Direction, u64, String)>,
    /// Places in the client's stream, and how much of it has come.
    needless: Range<u32>,
    next: u32,
    /// How often the client did not await what was handed on.
    hurried: u32,
}

impl Receiver for Log {
    fn data(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]) {
        self.pass(direction, bytes.len());
        self.told.push((direction, at.0, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, why: Missing) {
        let why = match why {
            Missing::Cut => "cut",
            Missing::Lost => "lost",
            Missing::Needless => "needless",
            Missing::Unselected => "unselected",
        };
        self.pass(direction, length as usize);
        self.told.push((direction, at.0, format!("<{length} {why}>")));
    }

    fn hurried(&mut self) {
        self.hurried += 1;
    }

    fn needless(&self, direction: Direction) -> Range<u32> {
        let Range { start, end } = self.needless;
        if direction == ToServer {
            start.saturating_sub(self.next)..end.saturating_sub(self.next)
        } else {
            0..0
        }
    }
}

impl Log {
    fn pass(&mut self, direction: Direction, count: usize) {
        self.next += if direction == ToServer { count as u32 } else { 0 };
    }
}

/// An assembler, and the segments it was given one nanosecond apart.
#[derive(Default)]
struct Wire {
    assembler: Assembler,
    bounds: Bounds,
    log: Log,
    now: u64,
}

const NOWHERE: Endpoint = Endpoint { address: 0, port: 0 };

impl Wire {
    fn send(&mut self, direction: Direction, flags: u8, sequence: u32, acknowledgment: u32, payload: &str) {
        self.send_cut(direction, flags, sequence, acknowledgment, payload, 0);
    }

    fn send_cut(
        &mut self,
        direction: Direction,
        flags: u8,
        sequence: u32,
        ack: u32,
        payload: &str,
        cut: u32,
    ) {
        self.now += 1;
        let segment = Segment {
            source: NOWHERE,
            destination: NOWHERE,
            sequence,
            acknowledgment: ack,
            flags: TcpFlags(flags),
            payload: payload.as_bytes(),
            cut,
        };
        self.assembler.segment(direction, Timestamp(self.now), &segment, &self.bounds, &mut self.log);
    }

    /// From the client, without regard to the other direction.
    fn client(&mut self, sequence: u32, payload: &str) {
        self.send(ToServer, 0, sequence, 0, payload);
    }

    fn tick(&mut self, nanos: u64) {
        self.now += nanos;
        self.assembler.tick(Timestamp(self.now), &self.bounds, &mut self.log);
    }

    fn flush(&mut self) {
        self.assembler.flush(&self.bounds, &mut self.log);
    }

    /// What one direction got, in one string; nothing may be reserved any more.
    fn got(&self, direction: Direction) -> String {
        self.log.told.iter().filter(|(to, ..)| *to == direction).map(|(.., text)| text.as_str()).collect()
    }
}

#[test]
fn segments_in_order_go_straight_through() {
    let mut wire = Wire::default();
    wire.client(100, "ab");
    wire.client(102, "cd");
    assert_eq!(wire.got(ToServer), "abcd");
    assert!(!wire.assembler.is_stalled());
}

#[test]
fn overlaps_keep_the_first_copy_whatever_their_shape() {
    // Segments after "ab" at 100; the stream is what arrives first, letter by letter.
    type Case = (&'static str, &'static [(u32, &'static str)], &'static str);
    let cases: &[Case] = &[
        ("duplicate", &[(100, "AB"), (102, "c")], "abc"),
        ("duplicate of the tail", &[(101, "B"), (102, "c")], "abc"),
        ("overlaps what was delivered", &[(101, "BC")], "abC"),
        ("keep-alive probe", &[(101, "x"), (102, "c")], "abc"),
        ("wholly before what was delivered", &[(90, "0123456789"), (102, "c")], "abc"),
        ("early, then the hole filled exactly", &[(103, "d"), (102, "c")], "abcd"),
        ("early, then the hole filled with more", &[(103, "d"), (102, "cDE")], "abcDE"),
        ("early, then a duplicate of the early one", &[(103, "d"), (103, "D"), (102, "c")], "abcd"),
        ("early, then one that starts before it", &[(104, "e"), (103, "dE"), (102, "c")], "abcde"),
        ("early, then one that spans it", &[(104, "e"), (103, "dEf"), (102, "c")], "abcdef"),
        ("early, then one inside it", &[(103, "def"), (104, "E"), (102, "c")], "abcdef"),
        ("early, then one past its end", &[(103, "de"), (104, "Ef"), (102, "c")], "abcdef"),
        ("early, then one that bridges two", &[(103, "d"), (105, "f"), (103, "DeFg"), (102, "c")], "abcdefg"),
        ("early ones in reverse", &[(105, "f"), (104, "e"), (103, "d"), (102, "c")], "abcdef"),
    ];
    for (name, segments, expected) in cases {
        let mut wire = Wire::default();
        wire.client(100, "ab");
        for (sequence, payload) in *segments {
            wire.client(*sequence, payload);
        }
        // Of an overlap with what is held, either copy may come first; letters do not depend on it.
        let got = wire.got(ToServer);
        assert_eq!(got.to_lowercase(), expected.to_lowercase(), "{name}");
        assert!(!wire.assembler.is_stalled(), "{name}");
        assert_eq!(wire.bounds.bytes(), 0, "{name}");
    }
}

#[test]
fn sequence_numbers_wrap() {
    let mut wire = Wire::default();
    wire.client(u32::MAX - 1, "abc");
    wire.client(3, "fg");
    wire.client(1, "de");
    assert_eq!(wire.got(ToServer), "abcdefg");
}

#[test]
fn a_syn_takes_one_number_and_a_fin_ends_the_stream() {
    let mut wire = Wire::default();
    wire.send(ToServer, TcpFlags::SYN, 9, 0, "");
    wire.send(ToClient, TcpFlags::SYN | TcpFlags::ACK, 49, 10, "");
    wire.send(ToServer, TcpFlags::ACK, 10, 50, "ab");
    wire.send(ToServer, TcpFlags::ACK | TcpFlags::FIN, 12, 50, "");
    assert!(!wire.assembler.is_finished());
    wire.send(ToClient, TcpFlags::ACK | TcpFlags::FIN, 50, 13, "x");
    assert!(wire.assembler.is_finished());
    assert_eq!((wire.got(ToServer), wire.got(ToClient)), ("ab".to_owned(), "x".to_owned()));
}

#[test]
fn a_fin_before_its_data_does_not_end_the_stream() {
    let mut wire = Wire::default();
    wire.send(ToServer, TcpFlags::SYN, 9, 0, "");
    wire.send(ToClient, TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN, 49, 10, "");
    wire.send(ToServer, TcpFlags::ACK | TcpFlags::FIN, 12, 50, "c");
    assert!(!wire.assembler.is_finished());
    wire.send(ToServer, TcpFlags::ACK, 10, 50, "ab");
    assert!(wire.assembler.is_finished());
    assert_eq!(wire.got(ToServer), "abc");
}

#[test]
fn a_reply_captured_before_its_request_is_delivered_after_it() {
    let mut wire = Wire::default();
    wire.send(ToServer, TcpFlags::ACK, 10, 50, "q1");
    wire.send(ToClient, TcpFlags::ACK, 50, 12, "r1");
    wire.send(ToClient, TcpFlags::ACK, 52, 14, "r2");
    wire.send(ToServer, TcpFlags::ACK, 12, 52, "q2");
    let order: Vec<_> = wire.log.told.iter().map(|(.., text)| text.as_str()).collect();
    assert_eq!(order, ["q1", "r1", "q2", "r2"]);
}

#[test]
fn a_hole_nobody_acknowledged_waits_and_is_filled_late() {
    let mut wire = Wire::default();
    wire.client(100, "ab");
    wire.client(103, "d");
    wire.tick(PATIENCE / 2);
    assert_eq!(wire.got(ToServer), "ab");
    wire.client(102, "c");
    assert_eq!(wire.got(ToServer), "abcd");
    // What waited is complete when the hole is filled, not when it was captured.
    assert_eq!(wire.log.told.last().unwrap().1, wire.now);
}

#[test]
fn a_hole_becomes_a_gap_after_a_while() {
    let mut wire = Wire::default();
    wire.client(100, "ab");
    wire.client(105, "f");
    wire.tick(PATIENCE + 1);
    assert_eq!(wire.got(ToServer), "ab<3 lost>f");
    // What comes after all is old.
    wire.client(102, "cde");
    wire.client(106, "g");
    assert_eq!(wire.got(ToServer), "ab<3 lost>fg");
    assert_eq!(wire.bounds.bytes(), 0);
}

#[test]
fn a_clock_that_is_set_back_neither_keeps_a_hole_open_nor_stands_still() {
    const DAY: u64 = 86_400_000_000_000;
    let mut wire = Wire { now: 2 * DAY, ..Wire::default() };
    wire.client(100, "ab");
    wire.client(105, "f");
    wire.now -= DAY;
    wire.tick(0);
    assert_eq!(wire.got(ToServer), "ab<3 lost>f");
    wire.client(106, "g");
    assert_eq!(wire.log.told.last().unwrap().1, DAY + 3);
}

#[test]
fn an_acknowledged_hole_is_given_up_after_a_few_segments_and_keeps_the_order_of_cause_and_effect() {
    let mut wire = Wire::default();
    wire.send(ToServer, TcpFlags::ACK, 10, 50, "q1");
    // The reply, 2 bytes, is lost; the next requests acknowledge it.
    for index in 0..=u32::from(PATIENCE_SEGMENTS) {
        let (request, reply) = (12 + index, 52 + index);
        wire.send(ToServer, TcpFlags::ACK, request, reply, "q");
        wire.send(ToClient, TcpFlags::ACK, reply, request + 1, "r");
    }
    let order: String = wire.log.told.iter().map(|(.., text)| text.as_str()).collect();
    assert!(order.starts_with("q1<2 lost>qrqrqrqr"), "{order}");
    assert_eq!(wire.bounds.bytes(), 0);
    // Times are those of the capture, not of the decision.
    assert_eq!(wire.log.told[2].1, 2);
}

#[test]
fn one_direction_alone_is_delivered_with_gaps_for_the_other() {
    let mut wire = Wire::default();
    for index in 0..100 {
        wire.send(ToClient, TcpFlags::ACK, 50 + index, 10 + 3 * (index + 1), "r");
    }
    wire.flush();
    assert_eq!(wire.got(ToClient), "r".repeat(100));
    let lost: u32 = wire.got(ToServer).split(['<', ' ']).filter_map(|word| word.parse::<u32>().ok()).sum();
    assert_eq!(lost, 3 * 99, "all but what the first segment acknowledged");
    assert_eq!(wire.bounds.bytes(), 0);
}

#[test]
fn what_the_snapshot_length_cut_is_a_gap_of_known_length() {
    let mut wire = Wire::default();
    wire.send_cut(ToServer, 0, 100, 0, "ab", 3);
    wire.send_cut(ToServer, 0, 107, 0, "h", 1);
    wire.send_cut(ToServer, 0, 105, 0, "f", 1);
    // A whole copy that comes later does not fill it any more.
    wire.client(102, "cde");
    wire.client(109, "j");
    assert_eq!(wire.got(ToServer), "ab<3 cut>f<1 cut>h<1 cut>j");
}

#[test]
fn the_limit_of_a_direction_gives_up_its_oldest_hole() {
    let mut wire = Wire::default();
    wire.client(100, "a");
    let block = "x".repeat(60_000);
    for index in 0..6 {
        wire.client(200 + index * 60_000, &block);
    }
    assert!(wire.bounds.bytes() <= limits::DIRECTION_BYTES);
    assert!(wire.got(ToServer).starts_with("a<99 lost>xxx"));
    assert_eq!(wire.bounds.hits()[Limit::DirectionBytes as usize], 1);
    wire.flush();
    assert_eq!(wire.bounds.bytes(), 0);
}

#[test]
fn of_what_nobody_needs_only_the_length_is_held() {
    // Of the client's stream bytes 10 to 90 are needless; bytes 0 and 1 are there. Then come these, by place and length.
    type Case = (&'static str, &'static [(u32, usize)], usize, &'static str);
    let cases: &[Case] = &[
        ("inside", &[(22, 60), (2, 20)], 1, "ab8<12 needless><60 needless>"),
        (
            "inside, twice, and overlapping",
            &[(22, 60), (22, 60), (40, 45), (2, 20)],
            2,
            "ab8<12 needless><60 needless><3 needless>",
        ),
        ("across both borders", &[(5, 90), (2, 3)], 3 + 5 + 5, "ab35<80 needless>5"),
        ("outside", &[(90, 7), (2, 88)], 1 + 7, "ab8<80 needless>7"),
        ("a hole that is given up", &[(22, 60)], 1, "ab<20 lost><60 needless>"),
    ];
    for (name, pieces, held, expected) in cases {
        let mut wire = Wire { log: Log { needless: 10..90, ..Log::default() }, ..Wire::default() };
        wire.client(100, "ab");
        let mut most = 0;
        for (place, length) in *pieces {
            wire.client(100 + place, &"x".repeat(*length));
            most = most.max(wire.bounds.bytes());
        }
        // Each piece that is held has its overhead; beside it only what is needed counts.
        assert_eq!(most % limits::HELD_OVERHEAD + most / limits::HELD_OVERHEAD, *held, "{name}");
        wire.flush();
        // Runs of letters as their numbers.
        let got: Vec<String> = wire.log.told.iter().map(|(.., text)| short(text)).collect();
        assert_eq!(got.concat(), *expected, "{name}");
        assert_eq!(wire.bounds.bytes(), 0, "{name}");
    }
}

fn short(text: &str) -> String {
    if text.starts_with('x') { text.len().to_string() } else { text.to_owned() }
}

#[test]
fn the_limit_over_all_connections_refuses_what_does_not_fit() {
    let mut wire = Wire::default();
    assert!(wire.bounds.reserve(Limit::TotalBytes, limits::TOTAL_BYTES));
    wire.client(100, "a");
    wire.client(105, "f");
    assert_eq!(wire.got(ToServer), "a");
    assert!(!wire.assembler.is_stalled());
    assert_eq!(wire.bounds.hits()[Limit::TotalBytes as usize], 1);
}

#[test]
fn bytes_sent_before_the_other_side_s_were_received_are_told() {
    let mut wire = Wire::default();
    wire.send(ToServer, TcpFlags::ACK, 100, 500, "ask");
    wire.send(ToClient, TcpFlags::ACK, 500, 103, "answer");
    wire.send(ToServer, TcpFlags::ACK, 103, 506, "ask");
    assert_eq!(wire.log.hurried, 0);
    wire.send(ToClient, TcpFlags::ACK, 506, 106, "answer");
    wire.send(ToServer, TcpFlags::ACK, 106, 509, "ask");
    assert_eq!(wire.log.hurried, 1);
    // A copy, and what acknowledges more than was seen: that waits for it.
    wire.send(ToServer, TcpFlags::ACK, 106, 509, "ask");
    wire.send(ToServer, TcpFlags::ACK, 109, 518, "ask");
    wire.send(ToClient, TcpFlags::ACK, 512, 109, "answer");
    assert_eq!(wire.log.hurried, 1);
}
