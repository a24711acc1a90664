//! What all reads so far come to, and what one page is told of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    cache::Scope,
    census::{Census, PortInfo, Tally},
    counters::{Events, Gauges},
    listeners::Listeners,
    pairs::Worst,
    plan::Plan,
    ports::{PortTable, WatchedPorts},
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
    /// What the reads took.
    pub spent: Spent,
}

/// What all reads so far took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Reads of everything that have ended, well or not.
    pub reads: u64,
    /// CPU time of the reading thread, the kernel's share and reads of listeners alone included.
    pub cpu: Duration,
}

impl Spent {
    /// One more read of `scope` has ended, and took `cpu`.
    pub fn add(&mut self, scope: Scope, cpu: Duration) {
        self.reads += u64::from(scope == Scope::Everything);
        self.cpu = self.cpu.saturating_add(cpu);
    }
}

/// One good read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Where it came from.
    pub source: Source,
    /// When it started: the counts are no older.
    pub started: Instant,
    /// How long it took.
    pub elapsed: Duration,
    /// What was counted.
    pub counts: Counts,
}

/// What one read counted.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Sockets by state.
    pub states: StateCounts,
    /// By state and family too, where every socket was listed.
    pub families: Option<Tally>,
    /// How they were counted.
    pub plan: Plan,
    /// When the plan was last compared with a full dump, if it is one that has to be.
    pub verified: Option<Instant>,
    /// Those that listen.
    pub listeners: Arc<Listeners>,
    /// By watched port; `None` where none is watched.
    pub ports: Option<Arc<PortReading>>,
    /// The kernel's gauges, where they could be read.
    pub gauges: Option<Gauges>,
    /// The kernel's counters, where they could be read.
    pub events: Option<Events>,
}

/// What was counted by port. It may be older than the rest of a reading.
#[derive(Debug, Clone)]
pub struct PortReading {
    /// When the read started.
    pub started: Instant,
    /// The ports.
    pub watched: Arc<WatchedPorts>,
    /// Their counts.
    pub table: PortTable,
    /// Ephemeral ports; `None` where their range is not known.
    pub worst: Option<Worst>,
    /// Round-trip times and retransmissions, in the order of the ports; empty unless asked for.
    pub info: Vec<PortInfo>,
}

impl PortReading {
    /// What `census` says of `watched`.
    pub fn new(started: Instant, watched: &Arc<WatchedPorts>, census: Census<'_>) -> Self {
        Self {
            started,
            watched: Arc::clone(watched),
            table: census.ports,
            worst: census.pairs.map(|pairs| pairs.worst()),
            info: census.info,
        }
    }
}

/// What one page is told of one network namespace.
#[derive(Debug, Clone)]
pub struct Report {
    /// Name of the namespace; `None` for the program's own.
    pub netns: Option<Arc<str>>,
    /// The outcome of the reads so far.
    pub snapshot: Arc<Snapshot>,
    /// When the page was made.
    pub now: Instant,
    /// How long the collector still rests to stay within its budget.
    pub cooldown: Duration,
    /// Whether the counts are current: the last read was good, and none is overdue.
    pub success: bool,
}

impl Report {
    /// The report at `now`; `overdue` if a read is in flight that was not waited for any longer.
    pub fn new(
        netns: Option<Arc<str>>,
        snapshot: Arc<Snapshot>,
        now: Instant,
        cooldown: Duration,
        overdue: bool,
    ) -> Self {
        let success = snapshot.reading.is_some() && snapshot.error.is_none() && !overdue;
        Self { netns, snapshot, now, cooldown, success }
    }

    /// The counts to show, if sockets were ever counted.
    pub fn counts(&self) -> Option<&Counts> {
        self.snapshot.reading.as_ref().map(|reading| &reading.counts)
    }

    /// Age of the counts.
    pub fn age(&self) -> Option<Duration> {
        let reading = self.snapshot.reading.as_ref()?;
        Some(self.since(reading.started))
    }

    /// Time from `then` to the page.
    pub fn since(&self, then: Instant) -> Duration {
        self.now.saturating_duration_since(then)
    }
}
