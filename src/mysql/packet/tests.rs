use super::*;
use crate::{
    limits::{Limit, MESSAGE_BYTES, MESSAGE_KEPT, MESSAGE_OWN},
    mysql::tests::packet,
};

/// What a test looks at of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    sequences: (u8, u8),
    length: u64,
    head: Vec<u8>,
    times: (u64, u64),
}

fn seen(message: &Message<'_>) -> Seen {
    Seen {
        sequences: (message.sequence, message.last_sequence),
        length: message.length,
        head: message.head.to_vec(),
        times: (message.first_at.0, message.at.0),
    }
}

/// A framer that keeps 16 bytes, fed pieces one second apart.
struct Fed {
    framer: Framer,
    bounds: Bounds,
    now: u64,
    rows: bool,
}

impl Fed {
    fn new(head_limit: u16) -> Self {
        Self { framer: Framer::new(head_limit), bounds: Bounds::default(), now: 0, rows: false }
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Vec<Seen> {
        self.now += 1;
        let mut messages = Vec::new();
        let (now, rows) = (Timestamp(self.now), self.rows);
        while let Some(message) = self.framer.next_among_rows(&mut bytes, now, &self.bounds, || rows) {
            messages.push(seen(&message));
        }
        assert!(bytes.is_empty());
        messages
    }

    fn skip(&mut self, length: u32) -> Result<Option<Seen>, Lost> {
        self.now += 1;
        Ok(self.framer.skip(length, Timestamp(self.now), Missing::Lost)?.as_ref().map(seen))
    }
}

fn whole(sequence: u8, payload: &[u8], times: (u64, u64)) -> Seen {
    Seen { sequences: (sequence, sequence), length: payload.len() as u64, head: payload.to_vec(), times }
}

#[test]
fn messages_of_one_piece_are_borrowed_from_it() {
    let mut fed = Fed::new(16);
    let long = [b'x'; 40];
    let bytes = [packet(0, b"\x03select 1"), packet(1, b""), packet(255, &long)].concat();
    let messages = fed.feed(&bytes);
    assert_eq!(
        messages,
        [whole(0, b"\x03select 1", (1, 1)), whole(1, b"", (1, 1)), whole(255, &long, (1, 1))]
    );
    assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
    assert!(fed.framer.is_at_boundary());
}

#[test]
fn a_split_at_any_byte_gives_the_same_messages() {
    let payloads: [&[u8]; 4] = [b"\x0e", b"", b"\x03select 22", b"\x19\x01\0\0\0"];
    let stream: Vec<_> =
        payloads.iter().zip(7..).flat_map(|(payload, number)| packet(number, payload)).collect();
    for first in 1..stream.len() {
        for second in first..stream.len() {
            let mut fed = Fed::new(16);
            let mut messages = fed.feed(&stream[..first]);
            messages.extend(fed.feed(&stream[first..second]));
            messages.extend(fed.feed(&stream[second..]));
            let heads: Vec<_> = messages.iter().map(|message| &message.head[..]).collect();
            assert_eq!(heads, payloads, "{first} {second}");
            let sequences: Vec<_> = messages.iter().map(|message| message.sequences).collect();
            assert_eq!(sequences, [(7, 7), (8, 8), (9, 9), (10, 10)], "{first} {second}");
            assert!(messages.iter().all(|message| message.length == message.head.len() as u64));
            assert_eq!(fed.bounds.used(Limit::MessageBytes), 0, "{first} {second}");
        }
    }
}

#[test]
fn one_byte_at_a_time_tells_when_the_first_and_the_last_byte_came() {
    let mut fed = Fed::new(16);
    let stream = [packet(0, b"abc"), packet(1, b""), packet(2, b"d")].concat();
    let messages: Vec<_> = stream.iter().flat_map(|byte| fed.feed(&[*byte])).collect();
    assert_eq!(messages, [whole(0, b"abc", (1, 7)), whole(1, b"", (8, 11)), whole(2, b"d", (12, 16))]);
}

#[test]
fn a_packet_of_16_mib_less_one_is_continued_by_the_next() {
    let chunk = vec![b'x'; 0xff_ffff];
    for (last, pieces) in [(&b""[..], 1), (b"end", 1), (b"", 1000), (b"end", 1000)] {
        for chunks in [1, 2] {
            let mut stream = Vec::new();
            for number in 0..chunks {
                stream.extend(packet(254 + number, &chunk));
            }
            let end = 254_u8.wrapping_add(chunks);
            stream.extend(packet(end, last));
            stream.extend(packet(9, b"next"));
            let mut fed = Fed::new(16);
            let messages: Vec<_> =
                stream.chunks(stream.len().div_ceil(pieces)).flat_map(|piece| fed.feed(piece)).collect();
            let [first, second] = &messages[..] else { panic!("{} messages", messages.len()) };
            assert_eq!(first.sequences, (254, end));
            assert_eq!(first.length, 0xff_ffff * u64::from(chunks) + last.len() as u64);
            assert_eq!(first.head, [b'x'; 16]);
            assert_eq!(second.head, b"next");
            assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
        }
    }
}

/// A message of `length` bytes in two pieces: how many bytes of it were kept.
fn kept(fed: &mut Fed, length: usize) -> usize {
    let stream = packet(0, &vec![b'x'; length]);
    let (first, second) = stream.split_at(stream.len() / 2);
    assert_eq!(fed.feed(first), []);
    let [message] = &fed.feed(second)[..] else { panic!("no message") };
    assert_eq!(message.length, length as u64);
    message.head.len()
}

#[test]
fn the_start_of_a_split_message_is_kept_up_to_the_limit_and_all_but_a_little_room_given_back() {
    let mut fed = Fed::new(1000);
    const LITTLE: usize = MESSAGE_KEPT - MESSAGE_OWN;
    for (length, most, room) in [
        (1, 1, 0),
        (200, 200, LITTLE),
        (256, 256, LITTLE),
        (3, 3, LITTLE),
        (257, 257, 0),
        (999, 999, 0),
        (5000, 1000, 0),
        (3, 3, 0),
    ] {
        assert_eq!(kept(&mut fed, length), most, "of {length}");
        assert_eq!(fed.bounds.used(Limit::MessageBytes), room, "after one of {length}");
    }
}

#[test]
fn of_split_rows_the_first_byte_is_kept_and_of_their_ends_all() {
    let mut fed = Fed::new(1000);
    fed.rows = true;
    assert_eq!(kept(&mut fed, 600), 1);
    assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
    let end = [b"\xfe".as_slice(), &[7; 599]].concat();
    let stream = packet(9, &end);
    for cut in [1, 4, 5, 6, 300] {
        let (first, second) = stream.split_at(cut);
        assert_eq!(fed.feed(first), []);
        let [message] = &fed.feed(second)[..] else { panic!("no message") };
        assert_eq!((message.length, &message.head), (600, &end), "cut at {cut}");
    }
    // What comes is a row or an end: until that is known, nothing is needless.
    assert_eq!(fed.feed(&stream[..4]), []);
    assert!(fed.framer.needless().is_empty());
    fed.framer.reset(&fed.bounds);
    assert_eq!(fed.feed(&packet(9, &[b'x'; 600])[..5]), []);
    assert_eq!(fed.framer.needless(), 0..599);
}

#[test]
fn no_room_stays_while_much_of_the_bound_is_in_use() {
    let mut fed = Fed::new(1000);
    kept(&mut fed, 200);
    let others = MESSAGE_BYTES / 2;
    assert!(fed.bounds.reserve(Limit::MessageBytes, others));
    assert_eq!(kept(&mut fed, 200), 200);
    assert_eq!(fed.bounds.used(Limit::MessageBytes), others);
    kept(&mut fed, 200);
    fed.framer.release(&fed.bounds);
    assert_eq!(fed.bounds.used(Limit::MessageBytes), others);
}

#[test]
fn no_more_is_reserved_than_twice_what_has_arrived() {
    let mut fed = Fed::new(16 * 1024);
    for (index, byte) in packet(0, &[b'x'; 5000])[..4500].iter().enumerate() {
        fed.feed(&[*byte]);
        let arrived = (index + 1).saturating_sub(4);
        let reserved = fed.bounds.used(Limit::MessageBytes);
        assert!(reserved <= 2 * arrived, "{reserved} for {arrived}");
    }
    fed.framer.reset(&fed.bounds);
    assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
    assert_eq!(fed.feed(&packet(3, b"new")), [whole(3, b"new", (fed.now, fed.now))]);
}

#[test]
fn without_room_a_message_is_told_with_what_each_direction_may_keep() {
    let mut fed = Fed::new(1024);
    assert!(fed.bounds.reserve(Limit::MessageBytes, MESSAGE_BYTES));
    assert_eq!(kept(&mut fed, 700), MESSAGE_OWN);
    assert_eq!(fed.bounds.hits()[Limit::MessageBytes as usize], 1);
    assert_eq!(kept(&mut fed, 40), 40);
    // Room again, but what follows is not next to what was kept.
    assert_eq!(fed.feed(&packet(0, &[b'x'; 700])[..600]), []);
    fed.bounds.release(Limit::MessageBytes, MESSAGE_BYTES);
    let [message] = &fed.feed(&[b'x'; 104])[..] else { panic!("no message") };
    assert_eq!((message.length, message.head.len()), (700, MESSAGE_OWN));
}

#[test]
fn missing_bytes_of_one_packet_s_payload_are_stepped_over() {
    // (bytes before, missing, bytes behind, head)
    let stream = packet(4, b"0123456789");
    for (before, missing, head) in
        [(4, 3, &b""[..]), (6, 3, b"01"), (6, 8, b"01"), (4, 10, b""), (13, 1, b"012345678")]
    {
        let mut fed = Fed::new(16);
        assert_eq!(fed.feed(&stream[..before]), []);
        let told = fed.skip(missing).expect("inside the payload");
        let behind = &stream[before + missing as usize..];
        let told = told.or_else(|| fed.feed(behind).pop()).expect("a message");
        assert_eq!((told.length, &told.head[..]), (10, head), "{before} {missing}");
        assert!(fed.framer.is_at_boundary());
        fed.framer.release(&fed.bounds);
        assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
    }
}

#[test]
fn a_message_that_follows_a_skipped_end_begins_anew() {
    let mut fed = Fed::new(16);
    assert_eq!(fed.feed(&packet(0, b"0123456789")[..8]), []);
    assert_eq!(fed.skip(6).expect("inside").map(|message| message.head), Some(b"0123".to_vec()));
    let next = packet(1, b"abcdef");
    assert_eq!(fed.feed(&next[..7]), []);
    assert_eq!(fed.feed(&next[7..]), [whole(1, b"abcdef", (3, 4))]);
    assert_eq!(fed.bounds.used(Limit::MessageBytes), 0);
}

#[test]
fn missing_bytes_may_be_the_end_of_a_continued_packet() {
    let mut fed = Fed::new(16);
    assert_eq!(fed.feed(b"\xff\xff\xff\x00\x03select"), []);
    assert_eq!(fed.skip(0xff_ffff - 7), Ok(None));
    let [message] = &fed.feed(&packet(1, b"tail"))[..] else { panic!("no message") };
    assert_eq!((message.length, message.sequences), (0xff_ffff + 4, (0, 1)));
    assert_eq!(message.head, b"\x03select");
}

#[test]
fn missing_bytes_elsewhere_lose_the_place() {
    let continued = [&b"\xff\xff\xff\x00"[..], &[b'x'; 0xff_ffff]].concat();
    for (before, missing) in [
        (&b""[..], 1),                            // at a boundary
        (b"\x05\x00", 1),                         // in a header
        (b"\x05\x00\x00\x00", 6),                 // more than the packet holds
        (b"\x05\x00\x00\x00abc", 3),              // more than is left of it
        (b"\x01\x00\x00\x00\x0e", 1),             // behind a message
        (&continued, 1),                          // a header between two packets of one message
        (&[&continued[..], b"\x01"].concat(), 1), // within it
    ] {
        let mut fed = Fed::new(16);
        fed.feed(before);
        assert_eq!(fed.skip(missing), Err(Lost), "{:02x?}", &before[..before.len().min(8)]);
    }
}
