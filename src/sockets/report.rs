//! What all reads so far come to, and what one page is told of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    source::{Fallbacks, Source},
    state::StateCounts,
};

/// The outcome of the reads so far. A failed read keeps the counts of the last good one.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Of the last good read; `None` before the first.
    pub reading: Option<Reading>,
    /// How often netlink failed, by reason.
    pub fallbacks: Fallbacks,
    /// Why the last read failed, if it did.
    pub error: Option<String>,
}

/// One good read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Sockets by state.
    pub states: StateCounts,
    /// Where they came from.
    pub source: Source,
    /// When the read started: the counts are no older.
    pub started: Instant,
    /// How long it took.
    pub elapsed: Duration,
}

/// What one page is told.
#[derive(Debug, Clone)]
pub struct Report {
    /// The outcome of the reads so far.
    pub snapshot: Arc<Snapshot>,
    /// Age of the counts.
    pub age: Option<Duration>,
    /// How long the collector still rests to stay within its budget.
    pub cooldown: Duration,
    /// Whether the counts are current: the last read was good, and none is overdue.
    pub success: bool,
}

impl Report {
    /// The report at `now`; `overdue` if a read is in flight that was not waited for any longer.
    pub fn new(snapshot: Arc<Snapshot>, now: Instant, cooldown: Duration, overdue: bool) -> Self {
        let age = snapshot.reading.map(|reading| now.saturating_duration_since(reading.started));
        let success = snapshot.reading.is_some() && snapshot.error.is_none() && !overdue;
        Self { snapshot, age, cooldown, success }
    }
}
