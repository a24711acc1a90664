//! One capture by several threads: each has a ring and a pipeline of its own, and the connections that the kernel gives it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    capture::{CaptureHandle, CaptureThread, OpenCapture},
    fanout::Fanout,
    pcap::Settings,
    schedule::Schedule,
};
use crate::{packet::filter::Plan, pipeline::Options, stats::capture::Snapshot};

/// The least that a ring is made of: some super-frames.
const LEAST_RING: u32 = 1 << 20;
/// The least connections that a pipeline follows.
const LEAST_FLOWS: usize = 64;

/// How many threads, and how they are scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threads {
    /// At least 1.
    pub count: usize,
    /// See [`Schedule::nice`].
    pub nice: Option<u8>,
    /// CPUs to pin threads to, in turns; none for no pinning.
    pub cpus: Vec<usize>,
}

/// Captures that nobody reads yet.
#[derive(Debug)]
pub struct OpenCaptures(Vec<(OpenCapture, Schedule)>);

/// The running threads. Dropping it stops them.
#[derive(Debug)]
pub struct Captures(Vec<CaptureThread>);

impl Captures {
    /// Opens as many captures as there are threads; see [`CaptureThread::open`]. They share ring and connections.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn open(settings: &Settings, options: &Options, threads: &Threads) -> io::Result<OpenCaptures> {
        let count = threads.count.max(1);
        let fanout = (count > 1).then(Arc::<Fanout>::default);
        let share = count as u32;
        let open = |index: usize| {
            let buffer_bytes = (settings.buffer_bytes / share).max(LEAST_RING.min(settings.buffer_bytes));
            let settings = Settings { buffer_bytes, fanout: fanout.clone(), ..settings.clone() };
            let max_flows = options.max_flows.div_ceil(count).max(LEAST_FLOWS.min(options.max_flows));
            let options = Options { max_flows, ..options.clone() };
            let cpu = threads.cpus.get(index % threads.cpus.len().max(1)).copied();
            Ok((CaptureThread::open(settings, options)?, Schedule { nice: threads.nice, cpu }))
        };
        Ok(OpenCaptures((0..count).map(open).collect::<io::Result<_>>()?))
    }

    /// For readers.
    pub fn handle(&self) -> CapturesHandle {
        CapturesHandle(self.0.iter().map(CaptureThread::handle).collect())
    }
}

/// Reads what the threads have counted. Clones share the threads.
#[derive(Debug, Clone)]
pub struct CapturesHandle(Vec<CaptureHandle>);

impl CapturesHandle {
    /// Everything that all of them have counted; see [`CaptureHandle::snapshot`].
    pub async fn snapshot(&self, within: Duration) -> Option<Arc<Snapshot>> {
        let deadline = Instant::now() + within;
        let (first, rest) = self.0.split_first()?;
        let mut sum = first.snapshot(within).await?;
        for thread in rest {
            let left = deadline.saturating_duration_since(Instant::now());
            let snapshot = thread.snapshot(left).await?;
            Arc::make_mut(&mut sum).add(&snapshot);
        }
        Some(sum)
    }

    /// Whether each of them answers; see [`CaptureHandle::answers`].
    pub async fn answers(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        for thread in &self.0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if !thread.answers(left).await {
                return false;
            }
        }
        true
    }

    /// How often one of them has panicked.
    pub fn panics(&self) -> u64 {
        self.0.iter().map(CaptureHandle::panics).sum()
    }

    /// See [`CaptureHandle::set_plan`].
    pub fn set_plan(&self, plan: &Plan) {
        self.0.iter().for_each(|thread| thread.set_plan(plan.clone()));
    }
}

impl OpenCaptures {
    /// Starts the threads, named `capture`, or `capture-0` and so on.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(self) -> io::Result<Captures> {
        let count = self.0.len();
        let name = |index| if count == 1 { "capture".to_owned() } else { format!("capture-{index}") };
        let started = self.0.into_iter().enumerate();
        started
            .map(|(index, (capture, schedule))| capture.start(name(index), schedule))
            .collect::<io::Result<_>>()
            .map(Captures)
    }
}
