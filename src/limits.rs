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
pub const REQUEST_HEAD: u16 = 16 * 1024;
/// Bytes kept of a response packet: enough for a greeting, or an OK with its session state.
pub const RESPONSE_HEAD: u16 = 1024;
/// Bytes of a split message that each direction of each connection may keep however little is left of
/// [`MESSAGE_BYTES`]: enough to tell its command and its statement's kind.
pub const MESSAGE_OWN: usize = 48;
/// Up to so many bytes of room a direction keeps from one split message to the next, while no more than half of
/// [`MESSAGE_BYTES`] is in use.
pub const MESSAGE_KEPT: usize = 256;
/// Bytes kept of split messages beyond those, over all connections.
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that decompressors may take. Beyond it the one that was used least recently is taken from its block.
pub const DECOMPRESSOR_BYTES: usize = 8 * 1024 * 1024;
/// Commands of one connection that wait for their response.
pub const PIPELINE: usize = 1024;
/// Of these, each connection has room for so many however little is left of [`PIPELINE_TOTAL`].
pub const PIPELINE_OWN: usize = 2;
/// Room for waiting commands beyond those, over all connections.
pub const PIPELINE_TOTAL: usize = 1 << 16;
/// Bytes a waiting command takes.
pub const PIPELINE_BYTES: usize = 32;
/// Prepared statements remembered for one connection.
pub const PREPARED_PER_CONNECTION: usize = 4096;
/// Of these, each connection may keep so many however little is left of [`PREPARED_TOTAL`].
pub const PREPARED_OWN: usize = 2;
/// Prepared statements remembered beyond those, over all connections.
pub const PREPARED_TOTAL: usize = 1 << 17;
/// Bytes a prepared statement takes.
pub const PREPARED_BYTES: usize = 24;
/// Most connections tracked, unless `--mysql.max-flows` says otherwise.
pub const MAX_FLOWS: usize = 32_768;
/// Bytes a connection takes in the table: its slot, and its places in the index and the queues.
pub const FLOW_BYTES: usize = 688;
/// Bytes a connection may take beside its slot without asking for a share of anything, the allocator's own included.
/// Once it is logged in, the starts of two split messages, its first waiting commands and prepared statements, replies
/// in doubt, the blocks of compression; before, or inside TLS, less.
pub const OWN_BYTES: usize = 512;
/// Bytes kept of a login that comes before the server's greeting, and of what follows it: the longest name and a proof
/// take less, and only a client that has nothing to prove does not wait.
pub const EARLY_LOGIN: usize = 256;
/// Bytes for connections and what they share, however small the table is.
pub const LEAST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that only what does not last may take: what is held back behind holes, and decompressors.
pub const PASSING_BYTES: usize = 5 * 512 * 1024;
/// Different `(code, sqlstate)` pairs that get a series of their own.
pub const ERROR_CODES: usize = 24;
/// Names of schemas that are told apart.
pub const SCHEMAS: usize = 1024;
/// Bytes of the longest name of a user: MariaDB allows 128 characters, MySQL 32.
pub const USER_NAME: usize = 128;
/// Bytes of the longest name of a schema that a login asks for: 64 characters of 3 bytes.
pub const SCHEMA_NAME: usize = 192;
/// Texts of digests kept in each of two generations, of 120 characters at most: half a MiB for most texts, 2 MiB at
/// worst.
pub const DIGEST_TEXTS: usize = 2048;
/// Bytes that the durations of a digest take at most.
pub const DIGEST_DURATIONS: usize = 7 * 1024;
/// Digests in a report; each takes 5 KiB.
pub const PROFILE_DIGESTS: usize = 10_000;

/// What can be refused: the values of the `limit` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// More connections than `--mysql.max-flows`, or than there is memory for: new ones are not decoded.
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
    /// [`MOST_LIVES`](crate::sample::openings::MOST_LIVES): the connection known longest is forgotten.
    ConnectionLives,
    /// More connections in a slice of the sample than are measured one by one: the others are left out of its weights.
    SliceConnections,
    /// [`MOST_SOCKETS`](crate::sample::census::MOST_SOCKETS): there is no census, and estimates wait for the next one.
    CensusSockets,
}

impl Limit {
    /// Every limit, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 15] = [
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
        Self::ConnectionLives,
        Self::SliceConnections,
        Self::CensusSockets,
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
            Self::ConnectionLives => "connection_lives",
            Self::SliceConnections => "slice_connections",
            Self::CensusSockets => "census_sockets",
        }
    }

    /// Bytes that one of its unit takes.
    const fn unit(self) -> usize {
        match self {
            Self::Pipeline => PIPELINE_BYTES,
            Self::PreparedStatements => PREPARED_BYTES,
            _ => 1,
        }
    }

    /// Whether it bounds what does not last.
    const fn passes(self) -> bool {
        matches!(self, Self::TotalBytes | Self::DecompressorBytes)
    }

    /// What all connections share of it, in its own unit; 0 where nothing is shared.
    const fn shared(self) -> usize {
        match self {
            Self::DecompressorBytes => DECOMPRESSOR_BYTES,
            Self::TotalBytes => TOTAL_BYTES,
            Self::MessageBytes => MESSAGE_BYTES,
            Self::Pipeline => PIPELINE_TOTAL,
            Self::PreparedStatements => PREPARED_TOTAL,
            Self::Flows
            | Self::HalfOpenFlows
            | Self::DirectionBytes
            | Self::ErrorCodes
            | Self::Schemas
            | Self::Users
            | Self::Clients
            | Self::ConnectionLives
            | Self::SliceConnections
            | Self::CensusSockets => 0,
        }
    }
}

/// How much of the shared bounds and of all memory is in use, and how often each limit was hit.
///
/// Each shared bound keeps one kind of state from taking too much. Beside them there is one account, in bytes, of
/// everything that connections make grow: slots of the table and what each connection may keep of its own are put
/// down whole when it appears, what is shared when it is reserved. So many connections and full shared bounds are
/// never paid for twice, and the sum never exceeds [`Bounds::most`].
///
/// Shared by all stages of one pipeline, on one thread: hence cells, not locks.
#[derive(Debug, Clone)]
pub struct Bounds {
    most: usize,
    memory: Cell<usize>,
    hits: [Cell<u64>; Limit::ALL.len()],
    used: [Cell<usize>; Limit::ALL.len()],
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new(MAX_FLOWS)
    }
}

impl Bounds {
    /// For a table of so many connections.
    pub fn new(max_flows: usize) -> Self {
        let most = Self::most(max_flows);
        Self { most, memory: Cell::new(0), hits: Default::default(), used: Default::default() }
    }

    /// Bytes that all connections may take together if there may be so many.
    pub const fn most(max_flows: usize) -> usize {
        let lasting = max_flows.saturating_mul(FLOW_BYTES + OWN_BYTES);
        let lasting = if lasting > LEAST_BYTES { lasting } else { LEAST_BYTES };
        lasting.saturating_add(PASSING_BYTES)
    }

    /// Puts down another connection, and the slot it needs if none is free; `false` if memory is short.
    #[must_use]
    pub fn admit(&self, needs_slot: bool) -> bool {
        let bytes = OWN_BYTES + if needs_slot { FLOW_BYTES } else { 0 };
        let fits = self.memory.get().saturating_add(bytes) <= self.most - PASSING_BYTES;
        if fits {
            self.memory.set(self.memory.get() + bytes);
        }
        fits
    }

    /// A connection is forgotten. Its slot stays, for another.
    pub fn dismiss(&self) {
        self.give_back(OWN_BYTES);
    }

    /// Bytes that all connections are taken to take.
    pub fn memory(&self) -> usize {
        self.memory.get()
    }

    fn give_back(&self, bytes: usize) {
        self.memory.set(self.memory.get().saturating_sub(bytes));
    }

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

    /// Whether so little is left of [`TOTAL_BYTES`], or of what else may use the memory, that old holes must be given up.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        let held = self.bytes();
        let short = self.memory.get() > self.most - PASSING_BYTES - OWN_BYTES - FLOW_BYTES;
        held > TOTAL_BYTES / 8 * 7 || (short && held > PASSING_BYTES / 2)
    }

    /// Whether `count` more of a bound that all connections share would fit.
    pub fn has_room(&self, limit: Limit, count: usize) -> bool {
        let most = if limit.passes() { self.most } else { self.most - PASSING_BYTES };
        let memory = self.memory.get().saturating_add(count.saturating_mul(limit.unit()));
        self.used(limit).saturating_add(count) <= limit.shared() && (count == 0 || memory <= most)
    }

    /// Reserves `count` of a bound that all connections share; `false`, and a hit, if there is not so much left.
    #[must_use]
    pub fn reserve(&self, limit: Limit, count: usize) -> bool {
        let fits = self.has_room(limit, count);
        if fits {
            self.set_used(limit, self.used(limit) + count);
            self.memory.set(self.memory.get() + count * limit.unit());
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
        self.give_back(count.saturating_mul(limit.unit()));
    }

    fn set_used(&self, limit: Limit, count: usize) {
        if let Some(used) = self.used.get(limit as usize) {
            used.set(count);
        }
    }
}
