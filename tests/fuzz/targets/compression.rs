//! Compressed blocks: any bytes, and blocks made of them.

use std::io::Write as _;

use dbwire_exporter::{
    limits::{self, Bounds, Limit},
    mysql::compress::{Algorithm, Blocks, Codecs, Piece},
    stream::Direction,
};
use flate2::{Compression, write::ZlibEncoder};

use super::input::Input;

/// Longest block.
const MOST: u64 = 0xff_ffff;

/// An algorithm, and either blocks as they are, with gaps; or bytes of which blocks are made, which must come out again.
pub fn compression(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.u8();
    let algorithm = if kind & 1 == 0 { Algorithm::Zlib } else { Algorithm::Zstd };
    if kind & 2 == 0 { any_bytes(algorithm, input) } else { round_trip(algorithm, input) }
}

/// Never more than the headers promised.
fn any_bytes(algorithm: Algorithm, mut input: Input<'_>) {
    let (mut blocks, codecs, bounds) =
        (Blocks::new(algorithm, Direction::ToServer), Codecs::default(), Bounds::default());
    let mut total = 0;
    // A header is 7 bytes and promises at most 16 MiB; few are enough.
    let most = MOST * (input.0.len() as u64 / 7 + 1);
    let mut out = |piece: Piece<'_>| match piece {
        Piece::Bytes(bytes) => total += bytes.len() as u64,
        Piece::Gap(length) => total += u64::from(length),
        Piece::Lost => {}
    };
    while !input.is_empty() {
        let kind = input.u8();
        let length = usize::from(input.u8());
        if kind.is_multiple_of(8) {
            blocks.gap(length as u32 + 1, &codecs, &bounds, &mut out);
        } else {
            blocks.data(input.bytes(length), &codecs, &bounds, &mut out);
        }
    }
    blocks.release(&codecs, &bounds);
    assert!(total <= most, "{total} bytes out of at most {most}");
    assert!(bounds.used(Limit::DecompressorBytes) <= limits::DECOMPRESSOR_BYTES);
}

fn round_trip(algorithm: Algorithm, mut input: Input<'_>) {
    let cuts: Vec<_> = (0..4).map(|_| usize::from(input.u8()) + 1).collect();
    let text = input.0;
    let mut wire = Vec::new();
    for (sequence, block) in text.chunks(cuts[0] * 4).enumerate() {
        wire.extend(wrapped(algorithm, sequence as u8, block));
    }
    let (mut blocks, codecs, bounds) =
        (Blocks::new(algorithm, Direction::ToServer), Codecs::default(), Bounds::default());
    let mut got = Vec::new();
    let mut rest = &wire[..];
    for cut in cuts.iter().cycle() {
        let (segment, behind) = rest.split_at((*cut).min(rest.len()));
        blocks.data(segment, &codecs, &bounds, |piece| match piece {
            Piece::Bytes(bytes) => got.extend_from_slice(bytes),
            other => panic!("{other:?} in a whole stream"),
        });
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    assert!(got == text, "{} bytes in, {} out", text.len(), got.len());
}

/// One block as clients send it.
fn wrapped(algorithm: Algorithm, sequence: u8, block: &[u8]) -> Vec<u8> {
    let body = match algorithm {
        Algorithm::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(block).and_then(|()| encoder.finish()).expect("writing to memory")
        }
        Algorithm::Zstd => zstd::bulk::compress(block, 3).expect("room"),
    };
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    let [d, e, f, _] = (block.len() as u32).to_le_bytes();
    [&[a, b, c, sequence, d, e, f][..], &body].concat()
}
