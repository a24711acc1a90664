//! One capture by several threads: each has a ring and a pipeline of its own, and the connections that the kernel gives it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    fanout::Fanout,
    live::Settings,
    measure::{SampleSettings, parts},
    schedule::Schedule,
    thread::{Answer, CaptureHandle, CaptureThread, OpenCapture},
};
use crate::{pipeline::Options, stats::capture::Snapshot};

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
    /// Opens as many captures as there are threads, here and now: the only part that needs a privilege. They share ring,
    /// connections and one measurement of the sample.
    ///
    /// A capture that cannot be opened is no error: it is logged, [`crate::stats::capture::CaptureStats::error`] says why,
    /// and unless a permission is missing it is tried again. An interface need not be there, nor stay: it is followed.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn open(
        settings: &Settings,
        options: &Options,
        sample: SampleSettings,
        threads: &Threads,
    ) -> io::Result<OpenCaptures> {
        let count = threads.count.max(1);
        let fanout = (count > 1).then(Arc::<Fanout>::default);
        let share = count as u32;
        let parts = parts(&options.plan, options.multiplier, sample, count)?;
        let open = |(index, part)| {
            let buffer_bytes = (settings.buffer_bytes / share).max(LEAST_RING.min(settings.buffer_bytes));
            let settings = Settings { buffer_bytes, fanout: fanout.clone(), ..settings.clone() };
            let max_flows = options.max_flows.div_ceil(count).max(LEAST_FLOWS.min(options.max_flows));
            let options = Options { max_flows, census: true, ..options.clone() };
            let cpu = threads.cpus.get(index % threads.cpus.len().max(1)).copied();
            (CaptureThread::open(settings, options, part), Schedule { nice: threads.nice, cpu })
        };
        Ok(OpenCaptures(parts.into_iter().enumerate().map(open).collect()))
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
    /// Everything counted up to now, as far as the kernel has shown the packets (up to 100 ms ago).
    ///
    /// Of a thread that does not answer `within` that time, what it last published. `None` if one has ended.
    pub async fn snapshot(&self, within: Duration) -> Option<Arc<Snapshot>> {
        let mut sum: Option<Arc<Snapshot>> = None;
        for answer in self.ask(within).await {
            let (Answer::Snapshot(snapshot) | Answer::Late(snapshot)) = answer else { return None };
            match &mut sum {
                Some(sum) => Arc::make_mut(sum).add(&snapshot),
                None => sum = Some(snapshot),
            }
        }
        sum
    }

    /// Whether each of them answers `within` that time.
    pub async fn answers(&self, within: Duration) -> bool {
        self.ask(within).await.iter().all(|answer| matches!(answer, Answer::Snapshot(_)))
    }

    /// All are asked before the first is awaited, so that one census serves them.
    async fn ask(&self, within: Duration) -> Vec<Answer> {
        let deadline = Instant::now() + within;
        let requests: Vec<u64> = self.0.iter().map(CaptureHandle::ask).collect();
        let mut answers = Vec::with_capacity(requests.len());
        for (thread, request) in self.0.iter().zip(requests) {
            let left = deadline.saturating_duration_since(Instant::now());
            answers.push(thread.answer(request, left).await);
        }
        answers
    }

    /// How often one of them has panicked.
    pub fn panics(&self) -> u64 {
        self.0.iter().map(CaptureHandle::panics).sum()
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
