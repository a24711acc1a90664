//! What is known of the MySQL traffic, and of the capture it is decoded from.

#[cfg(feature = "capture")]
mod from_snapshot;

use std::sync::Arc;

use serde::Serialize;

use super::Labelled;

/// Most digests told: what a person may want to look through, whatever `--mysql.max-digests` says.
pub const MOST_DIGESTS: usize = 100;

/// The MySQL collector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mysql {
    /// Whether packets are captured now.
    pub works: bool,
    /// Why not: what failed, on what, what to do.
    pub error: Option<String>,
    /// Why no statement was decoded although it works, in plain words.
    pub note: Option<String>,
    /// The interface's name, or `any`.
    pub interface: String,
    /// The servers' ports.
    pub ports: Vec<u16>,
    /// Which connections are looked at, and what each stands for.
    pub sampling: Sampling,
    /// What the capture did and missed; `None` until it was up for the first time.
    pub capture: Option<Capture>,
    /// What was decoded; `None` until the capture was up for the first time.
    pub traffic: Option<Traffic>,
}

/// Which connections are looked at, and what each stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sampling {
    /// N: one of 2^N connections.
    pub bits: u8,
    /// What each event of a sampled connection counts for.
    pub multiplier: f64,
    /// 2^N.
    pub nominal_multiplier: f64,
    /// By comparing sampled connections with all; `None` unless it is measured.
    pub measured_multiplier: Option<f64>,
    /// Connections the estimates rest on, if all were alike; `None` unless it is measured.
    pub effective_size: Option<f64>,
    /// Cumulative standard errors of the estimated counters; `None` unless they are known.
    pub standard_error: Option<StandardError>,
    /// What all this means, in plain words.
    pub text: String,
}

/// Cumulative standard errors, each in the unit of what it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardError {
    /// Of the statements.
    pub queries: f64,
    /// Of the errors.
    pub errors: f64,
    /// Of the time statements took, in seconds.
    pub seconds: f64,
}

/// What the capture did and missed since the start; unscaled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capture {
    /// Frames handed over by the kernel.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets dropped, by where: `kernel` (the ring was full) and `interface`.
    pub dropped: Labelled<u64>,
    /// Frames that could not be decoded, by layer.
    pub undecoded: Labelled<u64>,
    /// Holes in the streams of connections.
    pub gaps: u64,
    /// Times the decoder lost its place in a conversation.
    pub desyncs: u64,
    /// What was refused, by limit; those never hit are left out.
    pub limit_hits: Labelled<u64>,
    /// CPU time of the capture, user and system.
    pub cpu_seconds: f64,
}

/// What was decoded since the start. Counts are estimates: what was seen times the multiplier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traffic {
    /// Connections tracked now, by what can be seen of them; unscaled.
    pub connections: Labelled<u64>,
    /// Connections whose opening was seen.
    pub opened: f64,
    /// Connections that ended, for whatever reason.
    pub closed: f64,
    /// Logins by result.
    pub logins: Labelled<f64>,
    /// Payload bytes to servers.
    pub request_bytes: f64,
    /// Payload bytes to clients.
    pub response_bytes: f64,
    /// By kind; those never seen are left out.
    pub statements: Labelled<Statements>,
    /// By code.
    pub errors: Vec<Errors>,
    /// The heaviest, by the time they took: [`MOST_DIGESTS`] at most.
    pub digests: Vec<Digest>,
    /// All other statements. It falls where one of them becomes one of the heaviest.
    pub other_digests: DigestCounts,
}

/// What was counted of one kind of statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statements {
    /// Statements sent.
    pub count: f64,
    /// How long they took.
    pub durations: Durations,
    /// Rows in result sets.
    pub rows_returned: f64,
    /// Rows changed.
    pub rows_affected: f64,
}

/// How many statements took how long, from the last byte of the request to the last of the response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Durations {
    /// Of all that were answered.
    pub count: f64,
    /// Of all durations.
    pub sum_seconds: f64,
    /// The duration that half of them did not exceed, to 2.2 %; `None` if there are none.
    pub p50_seconds: Option<f64>,
    /// 95 %, alike.
    pub p95_seconds: Option<f64>,
    /// 99 %, alike.
    pub p99_seconds: Option<f64>,
    /// How many took at most 2^-20 s.
    pub zeros: f64,
    /// `(index, count)`: how many took longer than 2^((index - 1)/16) s and at most 2^(index/16) s; those with none are
    /// left out.
    pub buckets: Vec<(i32, f64)>,
}

/// Errors of one code.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Errors {
    /// The server's number for it; `None` for all codes beyond those told apart.
    pub code: Option<u16>,
    /// Its SQLSTATE, if it had one.
    pub sqlstate: Option<String>,
    /// How many.
    pub count: f64,
}

/// A digest in a schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Digest {
    /// 16 hexadecimal digits: the id pt-query-digest gives.
    pub digest: String,
    /// Empty if none is selected.
    pub schema: Arc<str>,
    /// The statement without its literals; `None` if it is not known any more, or not wanted.
    pub text: Option<Arc<str>>,
    /// The duration that 95 % of its statements did not exceed, to 9 %; `None` before the first was answered.
    pub p95_seconds: Option<f64>,
    /// What it did while it was shown.
    #[serde(flatten)]
    pub counts: DigestCounts,
}

/// What was counted of statements.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DigestCounts {
    /// Statements sent.
    pub queries: f64,
    /// The time they took.
    pub seconds: f64,
    /// Error replies.
    pub errors: f64,
    /// Rows in result sets.
    pub rows_returned: f64,
    /// Rows changed.
    pub rows_affected: f64,
}

/// The heaviest digests, by the time they took, and all others together.
#[cfg(any(feature = "capture", test))]
pub(super) fn heaviest(mut digests: Vec<Digest>, mut others: DigestCounts) -> (Vec<Digest>, DigestCounts) {
    digests.sort_by(|one, other| other.counts.seconds.total_cmp(&one.counts.seconds));
    let light = digests.split_off(digests.len().min(MOST_DIGESTS));
    light.iter().for_each(|digest| others.add(&digest.counts));
    (digests, others)
}

#[cfg(any(feature = "capture", test))]
impl DigestCounts {
    fn add(&mut self, more: &Self) {
        self.queries += more.queries;
        self.seconds += more.seconds;
        self.errors += more.errors;
        self.rows_returned += more.rows_returned;
        self.rows_affected += more.rows_affected;
    }
}

impl Sampling {
    /// Whether counts are estimates rather than what was seen.
    pub fn estimates(&self) -> bool {
        self.multiplier != 1.0
    }
}

impl Capture {
    /// Packets dropped, wherever.
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

impl Traffic {
    /// Statements of all kinds.
    pub fn all_statements(&self) -> f64 {
        self.statements.iter().map(|(_, statements)| statements.count).sum()
    }

    /// Errors of all codes.
    pub fn all_errors(&self) -> f64 {
        self.errors.iter().map(|errors| errors.count).sum()
    }

    /// The time statements of all kinds took.
    pub fn all_seconds(&self) -> f64 {
        self.statements.iter().map(|(_, statements)| statements.durations.sum_seconds).sum()
    }

    /// Connections tracked now.
    pub fn all_connections(&self) -> u64 {
        self.connections.iter().map(|(_, count)| count).sum()
    }
}
