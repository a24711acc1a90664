//! The socket collector: a thread that reads, and a handle any number of scrapes may ask.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{clock::thread_cpu_time, netlink::Dumper, procfs::ProcNet};
use crate::{
    config::{Sockets, SourceChoice},
    sockets::{
        backoff::Backoff,
        cache::{Answer, Cache},
        cooldown::{Cost, resting_until},
        report::{Reading, Report, Snapshot},
        source::{Fallbacks, Source},
        state::{StateCounts, StateSet},
    },
};

/// Starts the collector thread. It ends when the last handle is dropped.
pub fn start(config: &Sockets) -> io::Result<SocketsHandle> {
    start_with(config, Dumper::of_kernel())
}

/// [`start`] with a netlink of the caller's.
pub fn start_with(config: &Sockets, netlink: Dumper) -> io::Result<SocketsHandle> {
    let collector = Collector::new(config, netlink);
    let cache = Arc::new(Mutex::new(Cache::new(config.cache_ttl)));
    let (wake, requests) = mpsc::channel();
    let (publish, snapshot) = watch::channel(Arc::default());
    let worker =
        Worker { collector, requests, publish, cache: Arc::clone(&cache), cpu_budget: config.cpu_budget };
    thread::Builder::new().name("sockets".into()).spawn(move || worker.run())?;
    Ok(SocketsHandle { cache, wake, snapshot })
}

/// Asks the collector.
#[derive(Debug, Clone)]
pub struct SocketsHandle {
    cache: Arc<Mutex<Cache>>,
    wake: Sender<()>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl SocketsHandle {
    /// The sockets now, or as they last were.
    ///
    /// Any number of callers cause one read. None waits longer than `within` after a read's start: what there
    /// is by then is served, with its age.
    pub async fn report(&self, within: Duration) -> Arc<Report> {
        let mut snapshot = self.snapshot.clone();
        // Marked before asking: a read that ends in between is seen as a change.
        snapshot.mark_unchanged();
        let asked = Instant::now();
        let answer = lock(&self.cache).ask(asked);
        let since = match answer {
            Answer::Serve => None,
            Answer::Wait { since } => Some(since),
            Answer::Read => {
                // The thread only ends when no handle is left.
                let _ = self.wake.send(());
                Some(asked)
            }
        };
        let overdue = match since {
            None => false,
            Some(since) => {
                let patience = within.saturating_sub(asked.saturating_duration_since(since));
                tokio::time::timeout(patience, snapshot.changed()).await.is_err()
            }
        };
        let snapshot = Arc::clone(&snapshot.borrow());
        let now = Instant::now();
        let cooldown = lock(&self.cache).cooldown(now);
        Arc::new(Report::new(snapshot, now, cooldown, overdue))
    }
}

/// The cache is whole between any two of its calls, so a panic elsewhere does not spoil it.
fn lock(cache: &Mutex<Cache>) -> MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread: reads when woken, measures, publishes.
struct Worker {
    collector: Collector,
    requests: Receiver<()>,
    publish: watch::Sender<Arc<Snapshot>>,
    cache: Arc<Mutex<Cache>>,
    cpu_budget: f64,
}

impl Worker {
    fn run(mut self) {
        while self.requests.recv().is_ok() {
            let (started, cpu_before) = (Instant::now(), thread_cpu_time());
            let (source, outcome) = self.collector.read(started);
            let cost = Cost {
                started,
                elapsed: started.elapsed(),
                cpu: thread_cpu_time().saturating_sub(cpu_before),
            };
            let snapshot = self.next_snapshot(source, outcome, cost);
            // The rest is set before the snapshot is seen, so that no page tells of one without the other.
            let mut cache = lock(&self.cache);
            cache.finished(resting_until(cost, source, self.cpu_budget));
            self.publish.send_replace(Arc::new(snapshot));
        }
    }

    fn next_snapshot(&self, source: Source, outcome: Result<StateCounts, String>, cost: Cost) -> Snapshot {
        let last = Arc::clone(&self.publish.borrow());
        let fallbacks = self.collector.fallbacks;
        match outcome {
            Ok(states) => {
                if last.error.is_some() {
                    tracing::info!(source = source.label(), "TCP sockets are counted again");
                }
                let reading = Reading { states, source, started: cost.started, elapsed: cost.elapsed };
                Snapshot { reading: Some(reading), fallbacks, error: None }
            }
            Err(error) => {
                if last.error.as_ref() != Some(&error) {
                    tracing::error!(%error, "TCP sockets cannot be counted");
                }
                Snapshot { reading: last.reading, fallbacks, error: Some(error) }
            }
        }
    }
}

/// Reads from the source in force.
struct Collector {
    choice: SourceChoice,
    netlink: Dumper,
    procfs: ProcNet,
    backoff: Backoff,
    fallbacks: Fallbacks,
    /// Why netlink last failed, while it does: logged once.
    netlink_error: Option<String>,
}

impl Collector {
    fn new(config: &Sockets, netlink: Dumper) -> Self {
        Self {
            choice: config.source,
            netlink,
            procfs: ProcNet::new(&config.procfs),
            backoff: Backoff::default(),
            fallbacks: Fallbacks::default(),
            netlink_error: None,
        }
    }

    /// Counts the sockets; the source is the one read last, whose cost it was.
    fn read(&mut self, now: Instant) -> (Source, Result<StateCounts, String>) {
        match self.choice {
            SourceChoice::Netlink => (Source::Netlink, self.dump().map_err(|error| error.to_string())),
            SourceChoice::Procfs => (Source::Procfs, self.tables()),
            SourceChoice::Auto => match self.try_netlink(now) {
                Some(states) => (Source::Netlink, Ok(states)),
                None => (Source::Procfs, self.tables()),
            },
        }
    }

    /// Netlink, unless it failed lately.
    fn try_netlink(&mut self, now: Instant) -> Option<StateCounts> {
        if !self.backoff.due(now) {
            return None;
        }
        match self.dump() {
            Ok(states) => {
                self.backoff.succeeded();
                if self.netlink_error.take().is_some() {
                    tracing::info!("netlink works again: TCP sockets are counted by inet_diag");
                }
                Some(states)
            }
            Err(error) => {
                self.backoff.failed(now);
                self.fallbacks.add(error.reason());
                let text = error.to_string();
                if self.netlink_error.as_ref() != Some(&text) {
                    tracing::warn!(
                        error = %text,
                        reason = error.reason().label(),
                        "netlink failed: TCP sockets are counted from procfs, which costs more, until it works again"
                    );
                    self.netlink_error = Some(text);
                }
                None
            }
        }
    }

    fn dump(&mut self) -> Result<StateCounts, super::netlink::NetlinkError> {
        self.netlink.dump(StateSet::ALL, StateCounts::default, |counts, row| counts.add(row.state))
    }

    fn tables(&mut self) -> Result<StateCounts, String> {
        let mut counts = StateCounts::default();
        self.procfs.rows(|row| counts.add(row.state)).map_err(|error| error.to_string())?;
        Ok(counts)
    }
}
