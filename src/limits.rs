//! Every bound on state that traffic can grow, in one place: its name, its size, and how often it was hit.
//!
//! A bound that is hit refuses something (and so may lower counts); it never fails and never lets memory grow.

#![forbid(unsafe_code)]

use std::cell::Cell;

/// Bytes of one direction of one connection held back because an earlier byte is missing, each segment with
/// [`HELD_OVERHEAD`].
pub const DIRECTION_BYTES: usize = 256 * 1024;
/// The same over all connections. Before it is reached, the connections whose holes are the oldest give theirs up.
pub const TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// Segments of one direction held back.
pub const DIRECTION_SEGMENTS: usize = 1024;
/// What holding a segment takes beside its bytes: its place in a queue that grows by doubling, and the allocator's
/// own.
pub const HELD_OVERHEAD: usize = 128;
/// Bytes kept of a request: as much SQL text as is ever looked at.
pub const REQUEST_HEAD: usize = 16 * 1024;
/// Bytes kept of a response packet: enough for a greeting, or an OK with its session state.
pub const RESPONSE_HEAD: usize = 1024;
/// Bytes of a split message that each direction of each connection may keep however little is left of
/// [`MESSAGE_BYTES`]: enough to tell its command and its statement's kind.
pub const MESSAGE_OWN: usize = 64;
/// Bytes kept of split messages beyond those, over all connections.
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that decompressors may take. Beyond it the one that was used least recently is taken from its block.
pub const DECOMPRESSOR_BYTES: usize = 8 * 1024 * 1024;
/// Commands of one connection that wait for their response.
pub const PIPELINE: usize = 1024;
/// Of these, each connection has room for so many however little is left of [`PIPELINE_TOTAL`].
pub const PIPELINE_OWN: usize = 4;
/// Room for waiting commands beyond those, over all connections.
pub const PIPELINE_TOTAL: usize = 1 << 16;
/// Bytes a waiting command takes.
pub const PIPELINE_BYTES: usize = 32;
/// Prepared statements remembered for one connection.
pub const PREPARED_PER_CONNECTION: usize = 4096;
/// Of these, each connection may keep so many however little is left of [`PREPARED_TOTAL`].
pub const PREPARED_OWN: usize = 4;
/// Prepared statements remembered beyond those, over all connections.
pub const PREPARED_TOTAL: usize = 1 << 17;
/// Bytes a prepared statement takes, its share of the map included.
pub const PREPARED_BYTES: usize = 48;
/// Bytes a connection takes in the table: its slot, and its places in the index and the queues.
pub const FLOW_BYTES: usize = 1024;
/// Bytes a connection may take beside its slot without asking for a share of anything: the starts of two split
/// messages, its first waiting commands and prepared statements, what is kept of a TLS handshake, empty queues.
pub const OWN_BYTES: usize = 2048;
/// Different `(code, sqlstate)` pairs that get a series of their own.
pub const ERROR_CODES: usize = 24;
/// Names of schemas that are told apart.
pub const SCHEMAS: usize = 1024;
/// Bytes of the longest name of a user: MariaDB allows 128 characters, MySQL 32.
pub const USER_NAME: usize = 128;
/// Texts of digests kept in each of two generations, of 120 characters at most: 2 MiB for most texts, 8 MiB at worst.
pub const DIGEST_TEXTS: usize = 8192;
/// Digests in a report; each takes 5 KiB.
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
    /// [`TOTAL_BYTES`]: a hole is given up early.
    TotalBytes,
    /// [`MESSAGE_BYTES`]: the text of a split request is cut.
    MessageBytes,
    /// [`DECOMPRESSOR_BYTES`]: the rest of a compressed block is passed over.
    DecompressorBytes,
    /// [`PIPELINE`] or [`PIPELINE_TOTAL`]: the connection's pending commands are dropped.
    Pipeline,
    /// [`PREPARED_PER_CONNECTION`] or [`PREPARED_TOTAL`]: the connection's oldest is forgotten, and its executions count
    /// as statement `unknown`.
    PreparedStatements,
    /// [`ERROR_CODES`]: further codes count as `other`.
    ErrorCodes,
    /// [`SCHEMAS`]: further schemas count as `other`.
    Schemas,
    /// `--mysql.max-users`: further users count as `other`.
    Users,
    /// `--mysql.max-clients`: further clients count as `other`.
    Clients,
}

impl Limit {
    /// Every limit, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 12] = [
        Self::Flows,
        Self::HalfOpenFlows,
        Self::DirectionBytes,
        Self::TotalBytes,
        Self::MessageBytes,
        Self::DecompressorBytes,
        Self::Pipeline,
        Self::PreparedStatements,
        Self::ErrorCodes,
        Self::Schemas,
        Self::Users,
        Self::Clients,
    ];

    /// Value of the `limit` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::HalfOpenFlows => "half_open_flows",
            Self::DirectionBytes => "direction_bytes",
            Self::TotalBytes => "total_bytes",
            Self::MessageBytes => "message_bytes",
            Self::DecompressorBytes => "decompressor_bytes",
            Self::Pipeline => "pipeline",
            Self::PreparedStatements => "prepared_statements",
            Self::ErrorCodes => "error_codes",
            Self::Schemas => "schemas",
            Self::Users => "users",
            Self::Clients => "clients",
        }
    }

    /// What all connections share of it, in its own unit; 0 where nothing is shared.
    const fn shared(self) -> usize {
        match self {
            Self::TotalBytes => TOTAL_BYTES,
            Self::MessageBytes => MESSAGE_BYTES,
            Self::Pipeline => PIPELINE_TOTAL,
            Self::PreparedStatements => PREPARED_TOTAL,
            Self::Flows
            | Self::HalfOpenFlows
            | Self::DirectionBytes
            | Self::DecompressorBytes
            | Self::ErrorCodes
            | Self::Schemas
            | Self::Users
            | Self::Clients => 0,
        }
    }
}

/// How much of the shared bounds is in use, and how often each limit was hit.
///
/// Shared by all stages of one pipeline, on one thread: hence cells, not locks.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    hits: [Cell<u64>; Limit::ALL.len()],
    used: [Cell<usize>; Limit::ALL.len()],
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

    /// What is in use of a bound that all connections share.
    pub fn used(&self, limit: Limit) -> usize {
        self.used.get(limit as usize).map_or(0, Cell::get)
    }

    /// Bytes held back behind holes.
    pub fn bytes(&self) -> usize {
        self.used(Limit::TotalBytes)
    }

    /// Prepared statements beyond what each connection may keep in any case.
    pub fn prepared(&self) -> usize {
        self.used(Limit::PreparedStatements)
    }

    /// Whether so little is left of [`TOTAL_BYTES`] that old holes must be given up: less than an eighth.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        self.bytes() > TOTAL_BYTES / 8 * 7
    }

    /// Reserves `count` of a bound that all connections share; `false`, and a hit, if there is not so much left.
    #[must_use]
    pub fn reserve(&self, limit: Limit, count: usize) -> bool {
        let used = self.used(limit).saturating_add(count);
        let fits = used <= limit.shared();
        if fits {
            self.set_used(limit, used);
        } else {
            self.hit(limit);
        }
        fits
    }

    /// Returns what was reserved before.
    pub fn release(&self, limit: Limit, count: usize) {
        let used = self.used(limit);
        debug_assert!(count <= used, "released {count} of {used}: {limit:?}");
        self.set_used(limit, used.saturating_sub(count));
    }

    fn set_used(&self, limit: Limit, count: usize) {
        if let Some(used) = self.used.get(limit as usize) {
            used.set(count);
        }
    }
}
