//! The socket collectors: for each network namespace a thread that reads, and one handle any number of scrapes may
//! ask.

mod reader;

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::sync::watch;

use reader::{ReadError, SocketReader};

use super::{
    clock::thread_cpu_time,
    netlink::Dumper,
    sandbox::Policy,
    supervisor::{Panics, Task, supervise},
};
use crate::{
    config::{Netns, Sockets},
    sockets::{
        cache::{Answer, Cache, Scope},
        cooldown::{Cost, resting_until},
        report::{Counts, Reading, Report, Snapshot},
        source::Source,
    },
};

/// Why the collectors could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// No thread could be started.
    #[error("cannot start a thread for the sockets (see ulimit -u): {0}")]
    Thread(io::Error),
    /// A network namespace could not be entered.
    #[error("cannot enter network namespace {} (see ip netns; needs CAP_SYS_ADMIN): {cause}", path.display())]
    Namespace {
        /// Of the namespace.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// [`enter_namespaces`] and [`start_beside`] in one, for a process that stays as it is.
pub fn start(config: &Sockets) -> Result<SocketsHandle, StartError> {
    start_beside(config, enter_namespaces(config, &Policy::default())?)
}

/// Collectors for each of `config.netns`. Entering a namespace needs a capability, so this comes before `policy` is
/// enforced for the rest of the process; the threads that entered one have enforced it for themselves when this
/// returns.
pub fn enter_namespaces(config: &Sockets, policy: &Policy) -> Result<Entered, StartError> {
    let start = |netns: &Netns| {
        let entry = Entry { netns: netns.clone(), policy: policy.clone() };
        Collector::start(config, Dumper::of_kernel(), Some(entry))
    };
    Ok(Entered(config.netns.iter().map(start).collect::<Result<_, _>>()?))
}

/// The collectors of other network namespaces.
#[derive(Debug)]
pub struct Entered(Vec<Collector>);

/// Starts a collector for the caller's network namespace, beside those of others. All end when the last handle is
/// dropped.
pub fn start_beside(config: &Sockets, others: Entered) -> Result<SocketsHandle, StartError> {
    let mut handle = start_with(config, Dumper::of_kernel())?;
    handle.collectors.extend(others.0);
    Ok(handle)
}

/// [`start`] for the caller's network namespace only, with a netlink of the caller's.
pub fn start_with(config: &Sockets, netlink: Dumper) -> Result<SocketsHandle, StartError> {
    Ok(SocketsHandle { collectors: vec![Collector::start(config, netlink, None)?] })
}

/// Asks the collectors.
#[derive(Debug, Clone)]
pub struct SocketsHandle {
    /// The caller's namespace first.
    collectors: Vec<Collector>,
}

impl SocketsHandle {
    /// The sockets now, or as they last were, of each namespace: the program's own first.
    ///
    /// Any number of callers cause one read. None waits longer than `within` after a read's start: what there
    /// is by then is served, with its age.
    pub async fn reports(&self, within: Duration) -> Vec<Report> {
        let questions: Vec<_> = self.collectors.iter().map(Collector::ask).collect();
        let mut reports = Vec::with_capacity(questions.len());
        for question in questions {
            reports.push(question.answer(within).await);
        }
        reports
    }

    /// How long the read in flight has taken by now, if there is one: the longest of all namespaces.
    pub fn reading_for(&self, now: Instant) -> Option<Duration> {
        self.collectors.iter().filter_map(|collector| lock(&collector.cache).reading_for(now)).max()
    }

    /// How often the threads have panicked.
    pub fn panics(&self) -> u64 {
        self.collectors.iter().map(|collector| collector.panics.count()).sum()
    }
}

/// One thread's end of the conversation.
#[derive(Debug, Clone)]
struct Collector {
    netns: Option<Arc<str>>,
    cache: Arc<Mutex<Cache>>,
    wake: Sender<Scope>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    panics: Panics,
}

impl Collector {
    fn start(config: &Sockets, netlink: Dumper, entry: Option<Entry>) -> Result<Self, StartError> {
        let cache = Arc::new(Mutex::new(Cache::new(config.cache_ttl)));
        let (wake, requests) = mpsc::channel();
        let (publish, snapshot) = watch::channel(Arc::default());
        let (entered, outcome) = mpsc::channel();
        let netns = entry.as_ref().map(|entry| entry.netns.name.as_str().into());
        let collector = Self { netns, cache, wake, snapshot, panics: Panics::default() };
        let panics = collector.panics.clone();
        let (config, cache) = (config.clone(), Arc::clone(&collector.cache));
        let body = move || {
            let outcome = entry.map_or(Ok(()), Entry::enter);
            let ready = outcome.is_ok();
            // The one that started this thread waits for it.
            let _ = entered.send(outcome);
            if ready {
                // Shared by all namespaces.
                let cpu_budget = config.cpu_budget / (1 + config.netns.len()) as f64;
                let reader = SocketReader::new(&config, netlink);
                supervise(&panics, &mut Worker { reader, requests, publish, cache, cpu_budget });
            }
        };
        thread::Builder::new().name("sockets".into()).spawn(body).map_err(StartError::Thread)?;
        let died = || StartError::Thread(io::ErrorKind::BrokenPipe.into());
        outcome.recv().map_err(|_| died())?.map(|()| collector)
    }

    /// Starts a read, or joins the one in flight.
    fn ask(&self) -> Question<'_> {
        let mut snapshot = self.snapshot.clone();
        // Marked before asking: a read that ends in between is seen as a change.
        snapshot.mark_unchanged();
        let asked = Instant::now();
        let since = match lock(&self.cache).ask(asked) {
            Answer::Serve => None,
            Answer::Wait { since } => Some(since),
            Answer::Read(scope) => {
                // The thread only ends when no handle is left.
                let _ = self.wake.send(scope);
                Some(asked)
            }
        };
        Question { collector: self, snapshot, since }
    }
}

/// A read that was asked for.
struct Question<'a> {
    collector: &'a Collector,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    /// When the read in flight was started, if one is waited for.
    since: Option<Instant>,
}

impl Question<'_> {
    async fn answer(mut self, within: Duration) -> Report {
        let overdue = match self.since {
            None => false,
            Some(since) => {
                let patience = within.saturating_sub(since.elapsed());
                tokio::time::timeout(patience, self.snapshot.changed()).await.is_err()
            }
        };
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let now = Instant::now();
        let cooldown = lock(&self.collector.cache).cooldown(now);
        Report::new(self.collector.netns.clone(), snapshot, now, cooldown, overdue)
    }
}

/// The cache is whole between any two of its calls, so a panic elsewhere does not spoil it.
fn lock(cache: &Mutex<Cache>) -> MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a thread goes, and what it gives up when it is there.
struct Entry {
    netns: Netns,
    policy: Policy,
}

impl Entry {
    /// Moves the calling thread, for good, to the network namespace, and gives up what that took.
    fn enter(self) -> Result<(), StartError> {
        let path = self.netns.path;
        let entered = File::open(&path).and_then(|namespace| {
            // SAFETY: setns takes a descriptor, which is open during the call, and affects the calling thread only.
            match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
                0 => self.policy.enforce().map(drop).map_err(io::Error::other),
                _ => Err(io::Error::last_os_error()),
            }
        });
        entered.map_err(|cause| StartError::Namespace { path, cause })
    }
}

/// The thread: reads when woken, measures, publishes.
struct Worker {
    reader: SocketReader,
    requests: Receiver<Scope>,
    publish: watch::Sender<Arc<Snapshot>>,
    cache: Arc<Mutex<Cache>>,
    cpu_budget: f64,
}

impl Task for Worker {
    fn run(&mut self) {
        while let Ok(scope) = self.requests.recv() {
            let (started, cpu_before) = (Instant::now(), thread_cpu_time());
            let (source, mut snapshot) = match scope {
                Scope::Everything => self.everything(started),
                Scope::Listeners => self.listeners(),
            };
            let elapsed = started.elapsed();
            let cost = Cost { started, elapsed, cpu: thread_cpu_time().saturating_sub(cpu_before) };
            if let (Scope::Everything, Some(reading)) = (scope, &mut snapshot.reading) {
                reading.elapsed = elapsed;
            }
            snapshot.spent.add(scope, cost.cpu);
            // The rest is set before the snapshot is seen, so that no page tells of one without the other.
            lock(&self.cache).finished(resting_until(cost, source, self.cpu_budget));
            self.publish.send_replace(Arc::new(snapshot));
        }
    }

    /// Answers those who wait for the read that failed.
    fn start_afresh(&mut self) {
        self.reader.start_afresh();
        let last = Snapshot::clone(&self.publish.borrow());
        let error = Some("reading the sockets failed: see the log for a panic".to_owned());
        lock(&self.cache).finished(None);
        self.publish.send_replace(Arc::new(Snapshot { error, ..last }));
    }

    /// Reads that are asked for meanwhile wait, as long as those who ask care to.
    fn rest(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

impl Worker {
    fn everything(&mut self, started: Instant) -> (Source, Snapshot) {
        let (source, outcome) = self.reader.read(started);
        (source, self.next_snapshot(started, source, outcome))
    }

    fn next_snapshot(
        &self,
        started: Instant,
        source: Source,
        outcome: Result<Counts, ReadError>,
    ) -> Snapshot {
        let last = Snapshot::clone(&self.publish.borrow());
        let fallbacks = self.reader.fallbacks();
        match outcome {
            Ok(counts) => {
                if last.error.is_some() {
                    tracing::info!(source = source.label(), "TCP sockets are counted again");
                }
                let reading = Reading { source, started, elapsed: Duration::ZERO, counts };
                Snapshot { reading: Some(reading), fallbacks, error: None, ..last }
            }
            Err(error) => {
                let error = error.to_string();
                if last.error.as_ref() != Some(&error) {
                    tracing::error!(%error, "TCP sockets cannot be counted");
                }
                Snapshot { fallbacks, error: Some(error), ..last }
            }
        }
    }

    /// The last snapshot with the listeners as they are now. What comes from procfs stays as it is: listing its
    /// listeners costs as much as listing all.
    fn listeners(&mut self) -> (Source, Snapshot) {
        let mut snapshot = Snapshot::clone(&self.publish.borrow());
        if let Some(Reading { source: Source::Netlink, counts, .. }) = &mut snapshot.reading {
            // If this fails, so will the next read of everything, and say so.
            if let Ok(listeners) = self.reader.listeners() {
                counts.listeners = Arc::new(listeners);
            }
        }
        (Source::Netlink, snapshot)
    }
}
