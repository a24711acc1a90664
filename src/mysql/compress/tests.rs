use std::io::Write as _;

use flate2::{Compression, write::ZlibEncoder};

use super::*;
use crate::{
    limits::{DECOMPRESSOR_BYTES, Limit},
    mysql::{capabilities::Capabilities, tests::packet},
};

/// `select 1` as `mysql --compress` sends it: a block that is not compressed, for being shorter than 50 bytes.
const PLAIN: &[u8] = b"\x0d\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x03select 1";
/// The example of the protocol's documentation: `select "012345678901234567890123456789012345"` in zlib.
const ZLIB_EXAMPLE: &[u8] =
    b"\x22\x00\x00\x00\x32\x00\x00\x78\x9c\xd3\x63\x60\x60\x60\x2e\x4e\xcd\x49\x4d\x2e\x51\x50\x32\x30\x34\x32\x36\
    \x31\x35\x33\xb7\xb0\xc4\xcd\x52\x02\x00\x0c\xd1\x0a\x6c";
/// What is in it: 46 bytes of packet, `03` and the text.
const ZLIB_TEXT: &[u8] = b"\x2e\x00\x00\x00\x03select \"012345678901234567890123456789012345\"";

/// What came out: bytes, joined; holes by their length.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Bytes(Vec<u8>),
    Gap(u32),
    Lost,
}

struct Unpacked {
    blocks: Blocks,
    codecs: Codecs,
    bounds: Bounds,
    out: Vec<Out>,
}

impl Unpacked {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            blocks: Blocks::new(algorithm, Direction::ToServer),
            codecs: Codecs::default(),
            bounds: Bounds::default(),
            out: Vec::new(),
        }
    }

    fn data(&mut self, bytes: &[u8]) -> &mut Self {
        let out = &mut self.out;
        self.blocks.data(bytes, &self.codecs, &self.bounds, |piece| keep(out, piece));
        self
    }

    fn gap(&mut self, length: u32) -> &mut Self {
        let out = &mut self.out;
        self.blocks.gap(length, &self.codecs, &self.bounds, |piece| keep(out, piece));
        self
    }

    /// Decompressors under way.
    fn lent(&self) -> usize {
        self.codecs.lent()
    }

    /// What came out since the last call.
    fn take(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }
}

fn keep(out: &mut Vec<Out>, piece: Piece<'_>) {
    match (piece, out.last_mut()) {
        (Piece::Bytes([]), _) => {}
        (Piece::Bytes(bytes), Some(Out::Bytes(before))) => before.extend(bytes),
        (Piece::Bytes(bytes), _) => out.push(Out::Bytes(bytes.to_vec())),
        (Piece::Gap(length), _) => out.push(Out::Gap(length)),
        (Piece::Lost, _) => out.push(Out::Lost),
    }
}

fn bytes(bytes: &[u8]) -> Vec<Out> {
    vec![Out::Bytes(bytes.to_vec())]
}

fn compressed(algorithm: Algorithm, text: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).expect("into memory");
            encoder.finish().expect("into memory")
        }
        Algorithm::Zstd => zstd::bulk::compress(text, 3).expect("into memory"),
    }
}

/// A block that says it holds `promised` bytes.
fn block(body: &[u8], promised: usize) -> Vec<u8> {
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    let [d, e, f, _] = (promised as u32).to_le_bytes();
    [&[a, b, c, 0, d, e, f][..], body].concat()
}

const BOTH: [Algorithm; 2] = [Algorithm::Zlib, Algorithm::Zstd];

/// A packet that compresses, and larger than the scratch buffer.
fn long() -> Vec<u8> {
    packet(0, &b"\x03insert into t values (1),(2),(3)".repeat(2000))
}

#[test]
fn the_ends_agree_on_zlib_first() {
    let (zlib, zstd) = (Capabilities::COMPRESS.0, Capabilities::ZSTD.0);
    for (flags, algorithm) in [
        (0, None),
        (zlib, Some(Algorithm::Zlib)),
        (zstd, Some(Algorithm::Zstd)),
        (zlib | zstd, Some(Algorithm::Zlib)),
    ] {
        assert_eq!(Algorithm::agreed(Capabilities(flags)), algorithm);
    }
}

#[test]
fn blocks_give_their_bytes_however_they_are_split() {
    for algorithm in BOTH {
        let text = packet(0, &b"\x03select 'abc', 'abc', 'abc'".repeat(4));
        let stream =
            [PLAIN.to_vec(), block(&compressed(algorithm, &text), text.len()), PLAIN.to_vec()].concat();
        let packets = [&PLAIN[7..], &text, &PLAIN[7..]].concat();
        for first in 0..=stream.len() {
            for second in [first, (first + 3).min(stream.len())] {
                let mut unpacked = Unpacked::new(algorithm);
                unpacked.data(&stream[..first]).data(&stream[first..second]).data(&stream[second..]);
                assert_eq!(unpacked.take(), bytes(&packets), "{algorithm:?} {first}");
                assert_eq!(unpacked.lent(), 0);
            }
        }
    }
}

#[test]
fn the_documented_example_is_understood() {
    let mut unpacked = Unpacked::new(Algorithm::Zlib);
    unpacked.data(ZLIB_EXAMPLE);
    assert_eq!(unpacked.take(), bytes(ZLIB_TEXT));
}

#[test]
fn packets_and_blocks_end_independently() {
    let text = long();
    for algorithm in BOTH {
        let mut unpacked = Unpacked::new(algorithm);
        for piece in text.chunks(20_000) {
            let body = compressed(algorithm, piece);
            for part in block(&body, piece.len()).chunks(11) {
                unpacked.data(part);
            }
        }
        assert_eq!(unpacked.take(), bytes(&text), "{algorithm:?}");
        assert_eq!(unpacked.lent(), 0);
    }
}

#[test]
fn a_block_gives_no_more_than_it_promised_and_a_gap_for_what_it_lacks() {
    let text = long();
    for algorithm in BOTH {
        let body = compressed(algorithm, &text);
        let mut unpacked = Unpacked::new(algorithm);
        unpacked.data(&block(&body, 100)).data(PLAIN);
        assert_eq!(unpacked.take(), bytes(&[&text[..100], &PLAIN[7..]].concat()), "{algorithm:?}");
        unpacked.data(&block(&body, text.len() + 9)).data(PLAIN);
        let [Out::Bytes(before), Out::Gap(9), Out::Bytes(behind)] = &unpacked.take()[..] else {
            panic!("{algorithm:?}")
        };
        assert!(before == &text && behind == &PLAIN[7..]);
        assert_eq!(unpacked.lent(), 0);
    }
}

#[test]
fn a_damaged_block_is_a_gap_of_the_length_it_promised() {
    let text = long();
    for algorithm in BOTH {
        let mut body = compressed(algorithm, &text);
        body[0] ^= 0xff;
        let mut unpacked = Unpacked::new(algorithm);
        unpacked.data(&block(&body, text.len())).data(PLAIN);
        let gap = Out::Gap(text.len() as u32);
        assert_eq!(unpacked.take(), [gap, Out::Bytes(PLAIN[7..].to_vec())], "{algorithm:?}");
        assert_eq!(unpacked.lent(), 0);
    }
}

#[test]
fn what_each_damaged_byte_spoils_adds_up_to_what_was_promised() {
    let text = packet(0, &b"\x03select 'abc', 'abd', 'abc'".repeat(9));
    for algorithm in BOTH {
        let body = compressed(algorithm, &text);
        for index in 0..body.len() {
            let mut damaged = body.clone();
            damaged[index] ^= 0x55;
            let mut unpacked = Unpacked::new(algorithm);
            unpacked.data(&block(&damaged, text.len()));
            let told: usize = unpacked
                .take()
                .iter()
                .map(|out| match out {
                    Out::Bytes(bytes) => bytes.len(),
                    Out::Gap(length) => *length as usize,
                    Out::Lost => panic!("blocks are in their place"),
                })
                .sum();
            assert_eq!(told, text.len(), "{algorithm:?} {index}");
            assert_eq!(unpacked.lent(), 0);
        }
    }
}

#[test]
fn empty_blocks_hold_nothing() {
    let mut unpacked = Unpacked::new(Algorithm::Zlib);
    unpacked.data(&block(b"", 0)).data(&block(b"", 5)).data(PLAIN);
    assert_eq!(unpacked.take(), [Out::Gap(5), Out::Bytes(PLAIN[7..].to_vec())]);
}

#[test]
fn a_frame_with_a_window_beyond_the_bound_is_refused() {
    // A zstd frame header without a content size: window descriptor 0x70, 2^24 bytes.
    let body = b"\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00";
    let mut unpacked = Unpacked::new(Algorithm::Zstd);
    unpacked.data(&block(body, 1000));
    assert_eq!(unpacked.take(), [Out::Gap(1000)]);
}

#[test]
fn missing_bytes_within_a_block_are_a_gap_of_what_it_still_held() {
    // Not compressed: exactly the missing ones.
    let mut unpacked = Unpacked::new(Algorithm::Zlib);
    unpacked.data(&PLAIN[..10]).gap(4).data(&PLAIN[14..]).data(PLAIN);
    let behind = [&PLAIN[14..], &PLAIN[7..]].concat();
    assert_eq!(unpacked.take(), [Out::Bytes(PLAIN[7..10].to_vec()), Out::Gap(4), Out::Bytes(behind)]);
    // Compressed: everything that had not come out.
    let text = long();
    for algorithm in BOTH {
        let stream = block(&compressed(algorithm, &text), text.len());
        for missing in [1, 20, stream.len() - 7] {
            let mut unpacked = Unpacked::new(algorithm);
            unpacked.data(&stream[..7]).gap(missing as u32).data(&stream[7 + missing..]).data(PLAIN);
            let gap = Out::Gap(text.len() as u32);
            assert_eq!(unpacked.take(), [gap, Out::Bytes(PLAIN[7..].to_vec())], "{algorithm:?} {missing}");
            assert_eq!(unpacked.lent(), 0);
        }
    }
}

#[test]
fn missing_bytes_beyond_a_block_lose_the_place_until_a_request_begins_one() {
    for (before, missing) in [(0, 1), (3, 4), (10, 11), (PLAIN.len(), 1)] {
        let mut unpacked = Unpacked::new(Algorithm::Zlib);
        unpacked.data(&PLAIN[..before]).take();
        unpacked.gap(missing).gap(5).data(b"anything").data(&PLAIN[1..]);
        assert_eq!(unpacked.take(), [Out::Lost], "{before}");
        unpacked.data(PLAIN);
        assert_eq!(unpacked.take(), bytes(&PLAIN[7..]), "{before}");
        unpacked.gap(1).take();
        unpacked.data(ZLIB_EXAMPLE);
        assert_eq!(unpacked.take(), bytes(ZLIB_TEXT), "{before}");
    }
}

#[test]
fn only_one_whole_block_with_a_request_begins_a_segment() {
    let long = long();
    let zstd = block(&compressed(Algorithm::Zstd, &long), long.len());
    let reply = block(&packet(1, b"\x00\x00\x00\x02\x00\x00\x00"), 0);
    let mut numbered = PLAIN.to_vec();
    numbered[3] = 1;
    for (segment, begins) in [
        (PLAIN, true),
        (ZLIB_EXAMPLE, true),
        (&zstd, true),
        (&ZLIB_EXAMPLE[..20], false),
        (&numbered, false),
        (&reply, false),
        (&PLAIN[7..], false),
        (&block(b"\x79\x9c123", 50), false),
        (&block(b"\x78\x9c123", 4), false),
        (b"", false),
    ] {
        assert_eq!(
            begins_block(segment, Direction::ToServer),
            begins,
            "{:02x?}",
            &segment[..segment.len().min(12)]
        );
    }
}

#[test]
fn a_response_begins_a_segment_but_need_not_end_it() {
    let numbered = |mut block: Vec<u8>| {
        block[3] = 1;
        block
    };
    let ok = numbered(block(&packet(1, b"\x00\x00\x00\x02\x00\x00\x00"), 0));
    let long = long();
    let rows = numbered(block(&compressed(Algorithm::Zlib, &long), long.len()));
    for (segment, begins) in [
        (&ok[..], true),
        (&rows, true),
        (&rows[..20], true),
        (&numbered(block(&packet(2, b"\x011"), 0)), false),
        (&numbered(block(b"\x78\x9d123", 50)), false),
        (PLAIN, false),
        (&ok[7..], false),
        (b"", false),
    ] {
        assert_eq!(
            begins_block(segment, Direction::ToClient),
            begins,
            "{:02x?}",
            &segment[..segment.len().min(12)]
        );
    }
}

#[test]
fn decompressors_are_lent_only_while_a_block_is_under_way() {
    let text = long();
    for algorithm in BOTH {
        let stream = block(&compressed(algorithm, &text), text.len());
        let mut unpacked = Unpacked::new(algorithm);
        unpacked.data(&stream[..20]);
        assert_eq!(unpacked.lent(), 1);
        // The connection ends here.
        unpacked.blocks.release(&unpacked.codecs, &unpacked.bounds);
        assert_eq!(unpacked.lent(), 0);
    }
}

#[test]
fn the_block_that_has_waited_longest_gives_up_its_decompressor() {
    let text = long();
    for algorithm in BOTH {
        let stream = block(&compressed(algorithm, &text), text.len());
        let (first, second) = stream.split_at(stream.len() / 2);
        let mut unpacked = Unpacked::new(algorithm);
        unpacked.data(first);
        // As many others begin as there is room for, and one more.
        let mut others = Vec::new();
        while unpacked.bounds.hits()[Limit::DecompressorBytes as usize] == 0 {
            let mut blocks = Blocks::new(algorithm, Direction::ToServer);
            blocks.data(first, &unpacked.codecs, &unpacked.bounds, |_| ());
            others.push(blocks);
            assert!(unpacked.bounds.used(Limit::DecompressorBytes) <= DECOMPRESSOR_BYTES);
        }
        unpacked.data(second).data(PLAIN);
        let out = unpacked.take();
        assert!(matches!(out[..], [.., Out::Gap(_), Out::Bytes(_)]), "{out:?}");
        // The latest is none of those that lost theirs.
        let mut made = 0;
        let latest = others.last_mut().unwrap();
        latest.data(second, &unpacked.codecs, &unpacked.bounds, |piece| {
            made += if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 };
        });
        assert!(made > 0);
    }
}
