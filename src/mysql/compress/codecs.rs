//! Decompressors, shared by all connections and together bounded.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use flate2::{Decompress, FlushDecompress};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use crate::{
    limits::{Bounds, Limit},
    mysql::capabilities::Capabilities,
};

/// Bytes handed on at a time.
const SCRATCH: usize = 16 * 1024;
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
pub(super) struct Ticket(u64);

impl Codecs {
    /// Those in use by blocks under way.
    #[cfg(test)]
    pub(super) fn lent(&self) -> usize {
        self.0.borrow().lent.len()
    }

    /// A decompressor at the start of a block.
    pub(super) fn lend(&self, algorithm: Algorithm, bounds: &Bounds) -> Option<Ticket> {
        let mut pool = self.0.try_borrow_mut().ok()?;
        let codec = pool.take_idle(algorithm, bounds).or_else(|| Codec::new(algorithm))?;
        pool.put(codec, bounds)
    }

    pub(super) fn give_back(&self, ticket: Ticket, bounds: &Bounds) {
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

    /// Decompresses `input`, at most what was `promised`, and hands it on in pieces. `None` if it is damaged, or its decompressor was taken away.
    pub(super) fn run(
        &self,
        ticket: Ticket,
        mut input: &[u8],
        promised: &mut u32,
        bounds: &Bounds,
        mut out: impl FnMut(&[u8]),
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
                out(scratch.get(..made)?);
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
