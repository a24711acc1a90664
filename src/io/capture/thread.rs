//! The capture thread: it owns the libpcap handle and a [`Pipeline`], and shares nothing with the other threads
//! while packets flow. A scrape asks for a copy of what was counted; the thread reads the ring empty, copies,
//! and goes on.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    live::{RING_TIMEOUT_MS, Settings},
    looks::Looks,
    measure::{Orders, Part},
    requests::Requests,
    schedule::Schedule,
    source::Source,
};
use crate::{
    io::{
        clock,
        supervisor::{Panics, Task, supervise},
    },
    limits::Limit,
    packet::Timestamp,
    pipeline::{Options, Pipeline},
    stats::capture::Snapshot,
};

/// Frames decoded between two looks at whether to stop.
const BATCH: usize = 1024;
/// Batches read before a scrape is answered even though the ring has more: about a full default ring of small packets.
const BATCHES_PER_ROUND: usize = 64;
/// How often the pipeline is told the time, and a named interface is looked for.
const TICK: Duration = Duration::from_millis(500);
/// Packets younger than this may still be in a block of the ring the kernel has not shown yet.
const RING_LAG_NANOS: u64 = 2 * RING_TIMEOUT_MS as u64 * 1_000_000;

/// A snapshot and the number of the latest request it answers.
#[derive(Debug)]
struct Published {
    answers: u64,
    snapshot: Arc<Snapshot>,
}

/// Reads what the capture thread has counted. Clones share the thread.
#[derive(Debug, Clone)]
pub(super) struct CaptureHandle {
    requests: Arc<Requests>,
    published: watch::Receiver<Published>,
    panics: Panics,
}

/// What comes of asking the thread.
pub(super) enum Answer {
    /// Everything counted up to the request, as far as the kernel has shown the packets (up to 100 ms before).
    Snapshot(Arc<Snapshot>),
    /// It did not answer in time; this is what it last published.
    Late(Arc<Snapshot>),
    /// It has ended.
    Ended,
}

impl CaptureHandle {
    /// How often the thread has panicked.
    pub(super) fn panics(&self) -> u64 {
        self.panics.count()
    }

    /// Asks for a snapshot: the request's number.
    pub(super) fn ask(&self) -> u64 {
        self.requests.ask()
    }

    /// What comes of a request `within` that time.
    pub(super) async fn answer(&self, request: u64, within: Duration) -> Answer {
        let mut published = self.published.clone();
        let answer = published.wait_for(|published| published.answers >= request);
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(published)) => Answer::Snapshot(Arc::clone(&published.snapshot)),
            Ok(Err(_)) => Answer::Ended,
            Err(_) => Answer::Late(Arc::clone(&self.published.borrow().snapshot)),
        }
    }
}

/// The running thread. Dropping it stops it.
#[derive(Debug)]
pub(super) struct CaptureThread {
    handle: CaptureHandle,
    thread: Option<JoinHandle<()>>,
}

impl CaptureThread {
    /// Opens the capture, here and now: the only part that needs a privilege.
    ///
    /// A capture that cannot be opened is no error: it is logged, [`CaptureStats::error`] says why, and unless
    /// a permission is missing it is tried again. An interface need not be there, nor stay: it is followed.
    pub(super) fn open(settings: Settings, options: Options, part: Part) -> OpenCapture {
        OpenCapture { source: Source::new(settings), options, part }
    }

    /// For readers.
    pub(super) fn handle(&self) -> CaptureHandle {
        self.handle.clone()
    }
}

/// A capture that nobody reads yet.
#[derive(Debug)]
pub(super) struct OpenCapture {
    source: Source,
    options: Options,
    part: Part,
}

impl OpenCapture {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub(super) fn start(self, name: String, schedule: Schedule) -> io::Result<CaptureThread> {
        let Self { mut source, options, part } = self;
        source.follow();
        let requests = Arc::clone(part.requests());
        let first = Published {
            answers: 0,
            snapshot: Arc::new(Snapshot { capture: source.state.clone(), ..Snapshot::default() }),
        };
        let (publisher, published) = watch::channel(first);
        let panics = Panics::default();
        let handle = CaptureHandle { requests: Arc::clone(&requests), published, panics: panics.clone() };
        let worker = move || {
            if let Err(error) = schedule.apply() {
                tracing::warn!(
                    nice = schedule.nice,
                    cpu = schedule.cpu,
                    "the capture thread is scheduled like any other: {error}; is the CPU of --mysql.capture-cpu among those \
                     that this process may use (taskset -cp, AllowedCPUs=)?"
                );
            }
            let mut worker = Worker {
                looks: Looks::new(source.settings.buffer_bytes, Instant::now()),
                source,
                requests,
                publisher,
                spare: Arc::default(),
                part,
                pipeline: Pipeline::new(options.clone()),
                options,
                latest: Timestamp::default(),
                ticked: Instant::now(),
            };
            supervise(&panics, &mut worker);
        };
        let thread = thread::Builder::new().name(name).spawn(worker)?;
        Ok(CaptureThread { handle, thread: Some(thread) })
    }
}

impl Drop for CaptureThread {
    fn drop(&mut self) {
        self.handle.requests.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the capture thread had panicked");
        }
    }
}

/// What runs on the thread.
struct Worker {
    source: Source,
    looks: Looks,
    requests: Arc<Requests>,
    publisher: watch::Sender<Published>,
    /// The snapshot before the published one: its allocations serve again once no reader holds it.
    spare: Arc<Snapshot>,
    pipeline: Pipeline,
    part: Part,
    /// To make another pipeline with.
    options: Options,
    /// Of the last frame.
    latest: Timestamp,
    ticked: Instant,
}

impl Task for Worker {
    fn run(&mut self) {
        while !self.must_stop() {
            self.wait();
            self.requests.wake.clear();
            self.measure();
            let (frames, ring_is_empty) = self.read_ring();
            self.looks.looked(frames, Instant::now());
            self.tick_if_due(ring_is_empty);
            self.end_slice(ring_is_empty);
            let answerable = self.part.answerable();
            if answerable > self.publisher.borrow().answers {
                self.publish(answerable);
            }
            self.source.retry_if_due();
        }
    }

    /// Counts from nothing, which Prometheus takes for a restart.
    fn start_afresh(&mut self) {
        let options = Options { plan: self.source.settings.plan.clone(), ..self.options.clone() };
        self.part.leave();
        self.pipeline = Pipeline::new(options);
    }

    fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while !self.must_stop() && Instant::now() < until {
            poll(self.requests.wake.as_fd(), None, until.saturating_duration_since(Instant::now()));
            self.requests.wake.clear();
            self.publish(self.requests.asked());
        }
        self.part.join();
    }
}

impl Worker {
    fn must_stop(&self) -> bool {
        self.requests.must_stop()
    }

    /// Tells the load, begins a round if it is time to or a scrape asks for the latest, and follows those of other threads.
    /// What waits in the ring was captured by the old plan: it stands until the first packet after the change.
    fn measure(&mut self) {
        let now = Instant::now();
        let load = self.part.is_load_due(now).then(|| self.source.refreshed());
        let Orders { cut_at, plan, too_many } = self.part.turn(now, self.pipeline.sampled(), load);
        if too_many {
            self.pipeline.bounds().hit(Limit::CensusSockets);
        }
        if let Some(at) = cut_at {
            self.pipeline.cut_at(at);
        }
        if let Some((plan, from)) = plan {
            self.source.set_plan(plan);
            self.pipeline.set_plan(self.source.settings.plan.clone(), from);
        }
    }

    /// With nothing left in the ring, a slice has ended once the kernel has shown all of it, or the clock that it should end
    /// by was set back.
    fn end_slice(&mut self, ring_is_empty: bool) {
        if let Some(at) = self.part.cut_at()
            && ring_is_empty
            && clock::wall().abs_diff(at) >= RING_LAG_NANOS
        {
            self.pipeline.tick(at);
        }
        self.part.finish(&mut self.pipeline);
    }

    /// Until there are packets or a request, or it is time for a tick.
    fn wait(&self) {
        let left = match self.part.cut_at() {
            Some(at) => Duration::from_nanos((at.0 + RING_LAG_NANOS).saturating_sub(clock::wall().0)),
            None if self.part.is_wanted() => Duration::ZERO,
            None => TICK,
        };
        let left = left.min(TICK.saturating_sub(self.ticked.elapsed()));
        let wake = self.requests.wake.as_fd();
        match self.looks.after() {
            Some(time) => poll(wake, None, left.min(time)),
            None => poll(wake, self.source.live.as_ref().map(|live| live.as_fd()), left),
        }
    }

    /// Feeds the pipeline what the ring has: how many frames, and whether that was all; a round has its limit.
    fn read_ring(&mut self) -> (usize, bool) {
        let Some(live) = self.source.live.as_mut() else { return (0, true) };
        let link = live.link();
        let mut read = 0;
        for _ in 0..BATCHES_PER_ROUND {
            let (pipeline, latest) = (&mut self.pipeline, &mut self.latest);
            let result = live.dispatch(BATCH, |frame| {
                *latest = frame.timestamp;
                pipeline.frame(link, frame);
            });
            match result {
                Ok(frames) => {
                    read += frames;
                    if frames < BATCH || self.requests.must_stop() {
                        return (read, frames < BATCH);
                    }
                }
                Err(error) => {
                    self.source.fail(&error);
                    return (read, true);
                }
            }
        }
        (read, false)
    }

    /// With nothing left in the ring, packet time has come as far as the clock, but for what the kernel has not
    /// shown yet; else only as far as the last packet.
    fn tick_if_due(&mut self, ring_is_empty: bool) {
        if self.ticked.elapsed() < TICK {
            return;
        }
        self.ticked = Instant::now();
        self.source.follow();
        let shown = Timestamp(clock::wall().0.saturating_sub(RING_LAG_NANOS));
        self.pipeline.tick(if ring_is_empty { self.latest.max(shown) } else { self.latest });
    }

    fn publish(&mut self, answers: u64) {
        self.pipeline.set_sampling(self.part.state());
        let (stats, capture) = (self.pipeline.stats(), self.source.refreshed());
        match Arc::get_mut(&mut self.spare) {
            Some(spare) => {
                spare.stats.clone_from(stats);
                spare.capture.clone_from(capture);
            }
            None => self.spare = Arc::new(Snapshot { stats: stats.clone(), capture: capture.clone() }),
        }
        let snapshot = Arc::clone(&self.spare);
        self.spare = self.publisher.send_replace(Published { answers, snapshot }).snapshot;
    }
}

/// Waits until one of the descriptors is readable, or for `at_most`.
fn poll(wake: BorrowedFd<'_>, ring: Option<BorrowedFd<'_>>, at_most: Duration) {
    let readable = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // poll(2) ignores a negative descriptor.
    let mut fds = [readable(wake.as_raw_fd()), readable(ring.map_or(-1, |fd| fd.as_raw_fd()))];
    // Rounded up: rounded down, the last millisecond before a tick would be spent spinning.
    let milliseconds = i32::try_from(at_most.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: `fds` is an array of as many pollfds as told, and both descriptors are borrowed, so open. An error
    // (EINTR) is a wake-up with nothing to do.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, milliseconds) };
}
