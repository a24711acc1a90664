//! The compressed protocol: blocks around the packets.
//!
//! Behind the login each direction is a sequence of blocks, whose borders have nothing to do with those of packets: a
//! length of 3 bytes, a sequence id of their own, the length before compression (0: not compressed), and the data.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>
//!
//! A block is decompressed as it arrives, through a scratch buffer of fixed size: nothing is allocated by a length
//! field, and what a block holds beyond what it said is not looked at. Decompressors are borrowed from [`Codecs`] for
//! the time a block is under way. Together they are bounded: where another is needed, that of the block which has waited
//! longest is taken away. The rest of such a block, and of one that cannot be decompressed, becomes a gap of the length
//! it said.

mod codecs;

use codecs::Ticket;
pub use codecs::{Algorithm, Codecs};

use super::resync;
use crate::{limits::Bounds, stream::Direction};

/// Header of a block.
const HEADER: usize = 7;

/// What a direction's blocks hold, piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes of packets.
    Bytes(&'a [u8]),
    /// So many bytes of packets are missing.
    Gap(u32),
    /// Where blocks begin is unknown: an unknown number of bytes is missing.
    Lost,
}

#[derive(Debug)]
enum Body {
    /// Not compressed.
    Plain,
    /// Compressed, and being decompressed.
    Compressed(Ticket),
    /// Passed over: it counts as a gap.
    Skipped,
}

/// One direction's blocks.
#[derive(Debug)]
pub struct Blocks {
    algorithm: Algorithm,
    direction: Direction,
    header: [u8; HEADER],
    header_length: u8,
    body: Body,
    /// Bytes of the block still to come.
    remaining: u32,
    /// Bytes of packets it still holds.
    promised: u32,
    lost: bool,
}

impl Blocks {
    /// At the start of a block.
    pub fn new(algorithm: Algorithm, direction: Direction) -> Self {
        Self {
            algorithm,
            direction,
            header: [0; HEADER],
            header_length: 0,
            body: Body::Plain,
            remaining: 0,
            promised: 0,
            lost: false,
        }
    }

    /// Where it is unknown where blocks begin.
    pub fn lost(algorithm: Algorithm, direction: Direction) -> Self {
        Self { lost: true, ..Self::new(algorithm, direction) }
    }

    /// The next bytes of the direction; `out` is given what they hold.
    pub fn data(
        &mut self,
        mut bytes: &[u8],
        codecs: &Codecs,
        bounds: &Bounds,
        mut out: impl FnMut(Piece<'_>),
    ) {
        if self.lost {
            if !begins_block(bytes, self.direction) {
                return;
            }
            *self = Self::new(self.algorithm, self.direction);
        }
        while !bytes.is_empty() {
            if self.remaining == 0 && !self.take_header(&mut bytes, codecs, bounds) {
                return;
            }
            let here = bytes.len().min(self.remaining as usize);
            let Some((body, rest)) = bytes.split_at_checked(here) else { return };
            bytes = rest;
            self.remaining -= here as u32;
            self.body(body, codecs, bounds, &mut out);
            if self.remaining == 0 {
                self.finish(codecs, bounds, &mut out);
            }
        }
    }

    /// Whether it is unknown where blocks begin.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The next `length` bytes of the direction are missing.
    pub fn gap(&mut self, length: u32, codecs: &Codecs, bounds: &Bounds, mut out: impl FnMut(Piece<'_>)) {
        if self.lost {
            return;
        }
        if length > self.remaining {
            self.release(codecs, bounds);
            self.lost = true;
            return out(Piece::Lost);
        }
        self.remaining -= length;
        if matches!(self.body, Body::Plain) {
            self.promised = self.promised.saturating_sub(length);
            out(Piece::Gap(length));
        } else {
            self.release(codecs, bounds);
        }
        if self.remaining == 0 {
            self.finish(codecs, bounds, &mut out);
        }
    }

    /// An unknown part of the direction is missing, to be found again at the start of a response.
    pub fn cut(&mut self, codecs: &Codecs, bounds: &Bounds) {
        self.release(codecs, bounds);
        self.lost = true;
    }

    /// Gives back what is borrowed; the rest of the block is passed over.
    pub fn release(&mut self, codecs: &Codecs, bounds: &Bounds) {
        if let Body::Compressed(ticket) = std::mem::replace(&mut self.body, Body::Skipped) {
            codecs.give_back(ticket, bounds);
        }
    }

    /// Completes the header from `bytes`; `false` if there are too few.
    fn take_header(&mut self, bytes: &mut &[u8], codecs: &Codecs, bounds: &Bounds) -> bool {
        while let Some(place) = self.header.get_mut(usize::from(self.header_length)) {
            let Some((byte, rest)) = bytes.split_first() else { return false };
            *place = *byte;
            *bytes = rest;
            self.header_length += 1;
        }
        self.header_length = 0;
        let [a, b, c, _, d, e, f] = self.header;
        self.remaining = u32::from_le_bytes([a, b, c, 0]);
        let before_compression = u32::from_le_bytes([d, e, f, 0]);
        if before_compression == 0 {
            self.body = Body::Plain;
            self.promised = self.remaining;
        } else {
            self.promised = before_compression;
            self.body = codecs.lend(self.algorithm, bounds).map_or(Body::Skipped, Body::Compressed);
        }
        true
    }

    fn body(&mut self, body: &[u8], codecs: &Codecs, bounds: &Bounds, out: &mut impl FnMut(Piece<'_>)) {
        match &mut self.body {
            Body::Skipped => {}
            Body::Plain => {
                self.promised = self.promised.saturating_sub(body.len() as u32);
                out(Piece::Bytes(body));
            }
            Body::Compressed(ticket) => {
                let bytes = |bytes: &[u8]| out(Piece::Bytes(bytes));
                let next = codecs.run(*ticket, body, &mut self.promised, bounds, bytes);
                self.body = next.map_or(Body::Skipped, Body::Compressed);
            }
        }
    }

    /// The block is complete: what it said it holds and did not is missing.
    fn finish(&mut self, codecs: &Codecs, bounds: &Bounds, out: &mut impl FnMut(Piece<'_>)) {
        self.release(codecs, bounds);
        self.body = Body::Plain;
        if self.promised > 0 {
            out(Piece::Gap(std::mem::take(&mut self.promised)));
        }
    }
}

/// Whether a segment begins a block with a request, which must then be all of it, or with a response: for finding the
/// place again.
pub fn begins_block(bytes: &[u8], direction: Direction) -> bool {
    let Some(([a, b, c, sequence, d, e, f], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return false;
    };
    let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
    let before_compression = u32::from_le_bytes([*d, *e, *f, 0]) as usize;
    let place = match direction {
        Direction::ToServer => *sequence == 0 && length == rest.len(),
        // Blocks are numbered on from the request's.
        Direction::ToClient => *sequence > 0 && length > 0,
    };
    place
        && match (before_compression, direction) {
            (0, Direction::ToServer) => resync::begins_request(rest),
            // The first packet of a response to a request of one packet.
            (0, Direction::ToClient) => rest.get(3) == Some(&1),
            _ => before_compression > length && begins_compressed(rest),
        }
}

/// Whether compressed data begins here: zlib's header is a multiple of 31 (RFC 1950 section 2.2), zstd's a fixed
/// number (RFC 8878 section 3.1.1).
fn begins_compressed(data: &[u8]) -> bool {
    match data {
        [0x78, flags, ..] => (0x7800 | u16::from(*flags)) % 31 == 0,
        _ => data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
    }
}

#[cfg(test)]
mod tests;
