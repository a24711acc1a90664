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

use std::{cell::RefCell, collections::BTreeMap, fmt};

use flate2::{Decompress, FlushDecompress};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{capabilities::Capabilities, resync};
use crate::{
    limits::{Bounds, Limit},
    stream::Direction,
};

/// Bytes handed on at a time.
const SCRATCH: usize = 16 * 1024;
/// Header of a block.
const HEADER: usize = 7;
/// Windows of 4 MiB at most: what a decoder may allocate. Larger frames are refused.
const ZSTD_WINDOW_LOG: u32 = 22;
/// What zstd takes, at most: that window, the largest block and tables.
const ZSTD_BYTES: usize = 5 << 20;
/// What zlib takes, at most: a window of 32 KiB, tables and state.
const ZLIB_BYTES: usize = 64 << 10;
/// Idle decompressors kept, and the size of the largest that is.
const KEPT: usize = 4;
const LARGEST_KEPT: usize = 512 << 10;

/// How a connection is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `CLIENT_COMPRESS`.
    Zlib,
    /// `CLIENT_ZSTD_COMPRESSION_ALGORITHM`.
    Zstd,
}

impl Algorithm {
    /// What both ends agreed on; a client that offers both gets zlib, as MySQL's server chooses.
    pub fn agreed(capabilities: Capabilities) -> Option<Self> {
        if capabilities.has(Capabilities::COMPRESS) {
            Some(Self::Zlib)
        } else {
            capabilities.has(Capabilities::ZSTD).then_some(Self::Zstd)
        }
    }
}

/// Decompressors and the scratch buffer, shared by all connections.
#[derive(Default)]
pub struct Codecs(RefCell<Pool>);

struct Pool {
    scratch: Box<[u8; SCRATCH]>,
    /// In use by blocks under way, the one that has waited longest first.
    lent: BTreeMap<u64, Codec>,
    idle: Vec<Codec>,
    /// Tickets given out.
    tickets: u64,
}

impl Default for Pool {
    fn default() -> Self {
        Self { scratch: Box::new([0; SCRATCH]), lent: BTreeMap::new(), idle: Vec::new(), tickets: 0 }
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codecs")
    }
}

/// Stands for a decompressor in the pool, until it is used again or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket(u64);

impl Codecs {
    /// A decompressor at the start of a block.
    fn lend(&self, algorithm: Algorithm, bounds: &Bounds) -> Option<Ticket> {
        let mut pool = self.0.try_borrow_mut().ok()?;
        let codec = pool.take_idle(algorithm, bounds).or_else(|| Codec::new(algorithm))?;
        pool.put(codec, bounds)
    }

    fn give_back(&self, ticket: Ticket, bounds: &Bounds) {
        let Ok(mut pool) = self.0.try_borrow_mut() else { return };
        if let Some(codec) = pool.take(ticket, bounds)
            && pool.idle.len() < KEPT
            && codec.size() <= LARGEST_KEPT
            && bounds.has_room(Limit::DecompressorBytes, codec.size())
            && bounds.reserve(Limit::DecompressorBytes, codec.size())
        {
            pool.idle.push(codec);
        }
    }

    /// Decompresses `input`, at most what was `promised`. `None` if it is damaged, or its decompressor was taken away.
    fn run(
        &self,
        ticket: Ticket,
        mut input: &[u8],
        promised: &mut u32,
        bounds: &Bounds,
        out: &mut impl FnMut(Piece<'_>),
    ) -> Option<Ticket> {
        let mut pool = self.0.try_borrow_mut().ok()?;
        let mut codec = pool.take(ticket, bounds)?;
        pool.make_room(codec.most(), bounds)?;
        while *promised > 0 {
            let room = (*promised as usize).min(SCRATCH);
            let scratch = pool.scratch.get_mut(..room)?;
            let (taken, made) = codec.run(input, scratch)?;
            input = input.get(taken..)?;
            *promised -= made as u32;
            if made > 0 {
                out(Piece::Bytes(scratch.get(..made)?));
            }
            // Full scratch may hide more output, with or without input left.
            if (taken == 0 && made == 0) || (input.is_empty() && made < room) {
                break;
            }
        }
        pool.put(codec, bounds)
    }
}

impl Pool {
    fn take_idle(&mut self, algorithm: Algorithm, bounds: &Bounds) -> Option<Codec> {
        let index = self.idle.iter().position(|codec| codec.algorithm() == algorithm)?;
        let mut codec = self.idle.swap_remove(index);
        bounds.release(Limit::DecompressorBytes, codec.size());
        codec.restart().then_some(codec)
    }

    fn take(&mut self, ticket: Ticket, bounds: &Bounds) -> Option<Codec> {
        let codec = self.lent.remove(&ticket.0)?;
        bounds.release(Limit::DecompressorBytes, codec.size());
        Some(codec)
    }

    /// Puts it behind all others, if there is room.
    fn put(&mut self, codec: Codec, bounds: &Bounds) -> Option<Ticket> {
        self.make_room(codec.size(), bounds)?;
        if !bounds.reserve(Limit::DecompressorBytes, codec.size()) {
            return None;
        }
        self.tickets += 1;
        self.lent.insert(self.tickets, codec);
        Some(Ticket(self.tickets))
    }

    /// Takes away those that were used least recently, until one of so many bytes fits.
    fn make_room(&mut self, bytes: usize, bounds: &Bounds) -> Option<()> {
        while !bounds.has_room(Limit::DecompressorBytes, bytes) {
            let last = match self.idle.pop() {
                Some(last) => last,
                None => {
                    bounds.hit(Limit::DecompressorBytes);
                    self.lent.pop_first()?.1
                }
            };
            bounds.release(Limit::DecompressorBytes, last.size());
        }
        Some(())
    }
}

/// A decompressor and what it took when it last ran.
enum Codec {
    Zlib(Decompress),
    Zstd(DCtx<'static>, usize),
}

impl Codec {
    fn new(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Zlib => Some(Self::Zlib(Decompress::new(true))),
            Algorithm::Zstd => {
                let mut zstd = DCtx::try_create()?;
                zstd.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                let size = zstd.sizeof();
                Some(Self::Zstd(zstd, size))
            }
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Zlib(_) => Algorithm::Zlib,
            Self::Zstd(..) => Algorithm::Zstd,
        }
    }

    /// What it may come to take while it runs.
    const fn most(&self) -> usize {
        match self {
            Self::Zlib(_) => ZLIB_BYTES,
            Self::Zstd(..) => ZSTD_BYTES,
        }
    }

    const fn size(&self) -> usize {
        match self {
            Self::Zlib(_) => ZLIB_BYTES,
            Self::Zstd(_, size) => *size,
        }
    }

    /// At the start of another block.
    fn restart(&mut self) -> bool {
        match self {
            Self::Zlib(zlib) => {
                zlib.reset(true);
                true
            }
            Self::Zstd(zstd, _) => zstd.reset(ResetDirective::SessionOnly).is_ok(),
        }
    }

    /// Decompresses the start of `input` into `output`: how much was taken, how much was made. `None` on damage.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Option<(usize, usize)> {
        match self {
            Self::Zlib(zlib) => {
                let before = (zlib.total_in(), zlib.total_out());
                zlib.decompress(input, output, FlushDecompress::None).ok()?;
                Some(((zlib.total_in() - before.0) as usize, (zlib.total_out() - before.1) as usize))
            }
            Self::Zstd(zstd, size) => {
                let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(output));
                let result = zstd.decompress_stream(&mut output, &mut input);
                *size = zstd.sizeof();
                result.ok()?;
                Some((input.pos(), output.pos()))
            }
        }
    }
}

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
                let next = codecs.run(*ticket, body, &mut self.promised, bounds, out);
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
