//! Every bound on state that traffic can grow, in one place: its name, its size, and how often it was hit.
//!
//! A bound that is hit refuses something (and so may lower counts); it never fails and never lets memory grow.

#![forbid(unsafe_code)]

use std::cell::Cell;

/// Bytes of one direction of one connection held back because an earlier byte is missing.
pub const DIRECTION_BYTES: usize = 256 * 1024;
/// Bytes held back, kept as the start of a split message, or taken by decompressors, over all connections.
pub const TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// Segments of one direction held back.
pub const DIRECTION_SEGMENTS: usize = 1024;
/// Bytes kept of a request: as much SQL text as is ever looked at.
pub const REQUEST_HEAD: usize = 16 * 1024;
/// Bytes kept of a response packet: enough for a greeting, or an OK with its session state.
pub const RESPONSE_HEAD: usize = 1024;
/// Commands of one connection that wait for their response.
pub const PIPELINE: usize = 1024;
/// Prepared statements remembered for one connection.
pub const PREPARED_PER_CONNECTION: usize = 4096;
/// Prepared statements remembered over all connections.
pub const PREPARED_TOTAL: usize = 1 << 18;
/// Different `(code, sqlstate)` pairs that get a series of their own.
pub const ERROR_CODES: usize = 32;
/// Names of schemas that are told apart.
pub const SCHEMAS: usize = 1024;
/// Texts of digests kept in each of two generations, of 120 characters at most: 2 MiB for most texts, 8 MiB at worst.
pub const DIGEST_TEXTS: usize = 8192;
/// Digests in a report; each takes 2 KiB.
pub const PROFILE_DIGESTS: usize = 10_000;

/// What can be refused: the values of the `limit` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// More connections than `--mysql.max-flows`: new ones are not decoded.
    Flows,
    /// More connections without any payload than a quarter of that: the oldest is forgotten.
    HalfOpenFlows,
    /// [`DIRECTION_BYTES`] or [`DIRECTION_SEGMENTS`]: a hole is given up early.
    DirectionBytes,
    /// [`TOTAL_BYTES`]: a hole is given up early, the text of a split request is cut, or a compressed block is passed
    /// over.
    TotalBytes,
    /// [`PIPELINE`]: the connection's pending commands are dropped.
    Pipeline,
    /// [`PREPARED_PER_CONNECTION`] or [`PREPARED_TOTAL`]: executions count as statement `unknown`.
    PreparedStatements,
    /// [`ERROR_CODES`]: further codes count as `other`.
    ErrorCodes,
    /// [`SCHEMAS`]: further schemas count as `other`.
    Schemas,
}

impl Limit {
    /// Every limit, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 8] = [
        Self::Flows,
        Self::HalfOpenFlows,
        Self::DirectionBytes,
        Self::TotalBytes,
        Self::Pipeline,
        Self::PreparedStatements,
        Self::ErrorCodes,
        Self::Schemas,
    ];

    /// Value of the `limit` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::HalfOpenFlows => "half_open_flows",
            Self::DirectionBytes => "direction_bytes",
            Self::TotalBytes => "total_bytes",
            Self::Pipeline => "pipeline",
            Self::PreparedStatements => "prepared_statements",
            Self::ErrorCodes => "error_codes",
            Self::Schemas => "schemas",
        }
    }
}

/// How much of the shared bounds is in use, and how often each limit was hit.
///
/// Shared by all stages of one pipeline, on one thread: hence cells, not locks.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    hits: [Cell<u64>; Limit::ALL.len()],
    bytes: Cell<usize>,
    prepared: Cell<usize>,
}

impl Bounds {
    /// Counts a refusal.
    pub fn hit(&self, limit: Limit) {
        if let Some(hits) = self.hits.get(limit as usize) {
            hits.set(hits.get() + 1);
        }
    }

    /// Refusals by limit, in the order of [`Limit::ALL`].
    pub fn hits(&self) -> [u64; Limit::ALL.len()] {
        self.hits.each_ref().map(Cell::get)
    }

    /// Bytes in use of [`TOTAL_BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Prepared statements in use of [`PREPARED_TOTAL`].
    pub fn prepared(&self) -> usize {
        self.prepared.get()
    }

    /// Reserves `count` bytes; `false`, and a hit, if that would exceed [`TOTAL_BYTES`].
    #[must_use]
    pub fn reserve_bytes(&self, count: usize) -> bool {
        let used = self.bytes.get().saturating_add(count);
        let fits = used <= TOTAL_BYTES;
        if fits {
            self.bytes.set(used);
        } else {
            self.hit(Limit::TotalBytes);
        }
        fits
    }

    /// Returns bytes reserved before.
    pub fn release_bytes(&self, count: usize) {
        let used = self.bytes.get();
        debug_assert!(count <= used, "released {count} of {used} bytes");
        self.bytes.set(used.saturating_sub(count));
    }

    /// Reserves room for one more prepared statement; `false`, and a hit, if there is none.
    #[must_use]
    pub fn reserve_prepared(&self) -> bool {
        let used = self.prepared.get();
        let fits = used < PREPARED_TOTAL;
        if fits {
            self.prepared.set(used + 1);
        } else {
            self.hit(Limit::PreparedStatements);
        }
        fits
    }

    /// Returns room reserved before.
    pub fn release_prepared(&self, count: usize) {
        let used = self.prepared.get();
        debug_assert!(count <= used, "released {count} of {used} prepared statements");
        self.prepared.set(used.saturating_sub(count));
    }
}
