//! One thread's part in the measurement.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Measurement, SampleSettings};
use crate::{
    io::{
        capture::{
            census::{CensusError, CensusTaker},
            requests::Requests,
        },
        clock,
        netlink::Dumper,
    },
    packet::{Timestamp, filter::Plan},
    pipeline::Pipeline,
    sample::{controller::Load, multiplier::Multiplier, state::Sampling},
    stats::capture::CaptureStats,
};

/// How often a thread tells its load.
const LOAD_EVERY: Duration = Duration::from_secs(1);

/// What a thread is to do now.
#[derive(Debug, Default)]
pub(in crate::io) struct Orders {
    /// End the slice here.
    pub(in crate::io) cut_at: Option<Timestamp>,
    /// Capture this, from then on.
    pub(in crate::io) plan: Option<(Plan, Timestamp)>,
    /// Count that there were too many connections for a census.
    pub(in crate::io) too_many: bool,
}

/// How far a thread is in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It is in none.
    Idle,
    /// Its slice ends here.
    Cutting(Timestamp),
    /// It has handed in what the slice had.
    HandedIn,
}

/// See the module.
#[derive(Debug)]
pub(in crate::io) struct Part {
    index: usize,
    measurement: Arc<Mutex<Measurement>>,
    /// Of the thread that lists the connections: nobody waits for it.
    taker: Arc<Mutex<CensusTaker>>,
    /// To all threads.
    requests: Arc<[Arc<Requests>]>,
    /// Whether there is a controller to tell the load.
    controlled: bool,
    progress: Progress,
    /// Whether there is a round that others have not ended yet.
    others_busy: bool,
    /// The last round that it took part in.
    round: u64,
    /// The plan that it follows.
    plan: u64,
    /// The latest request that the estimates are new enough for.
    answerable: u64,
    /// When the load was told, and CPU time and drops up to then.
    told: (Instant, Duration, u64),
}

/// A part for each of the threads of a capture.
///
/// # Errors
/// If the system has no descriptors left.
pub(in crate::io) fn parts(
    plan: &Plan,
    multiplier: Multiplier,
    settings: SampleSettings,
    threads: usize,
) -> io::Result<Vec<Part>> {
    let measurement = Arc::new(Mutex::new(Measurement::new(plan, multiplier, settings, threads)));
    let taker = Arc::new(Mutex::new(CensusTaker::new(plan.ports.clone(), Dumper::of_kernel())));
    let requests = (0..threads).map(|_| Requests::new().map(Arc::new));
    let requests: Arc<[Arc<Requests>]> = requests.collect::<io::Result<_>>()?;
    let part = |index| Part {
        index,
        measurement: Arc::clone(&measurement),
        taker: Arc::clone(&taker),
        requests: Arc::clone(&requests),
        controlled: settings.cpu_budget.is_some(),
        progress: Progress::Idle,
        others_busy: false,
        round: 0,
        plan: 0,
        answerable: 0,
        told: (Instant::now(), Duration::ZERO, 0),
    };
    Ok((0..threads).map(part).collect())
}

impl Part {
    /// What is asked of this thread.
    pub(in crate::io) fn requests(&self) -> &Arc<Requests> {
        &self.requests[self.index]
    }

    /// The latest request that the estimates are new enough for.
    pub(in crate::io) fn answerable(&self) -> u64 {
        self.answerable
    }

    /// Where the slice ends, until it has.
    pub(in crate::io) fn cut_at(&self) -> Option<Timestamp> {
        match self.progress {
            Progress::Cutting(at) => Some(at),
            Progress::Idle | Progress::HandedIn => None,
        }
    }

    /// Whether a request waits for nothing but this thread.
    pub(in crate::io) fn is_wanted(&self) -> bool {
        self.progress == Progress::Idle && !self.others_busy && self.requests().asked() > self.answerable
    }

    /// How the sampling stands.
    pub(in crate::io) fn state(&self) -> Sampling {
        *lock(&self.measurement).state()
    }

    /// Whether it is time to tell [`Self::turn`] what the thread has taken.
    pub(in crate::io) fn is_load_due(&self, now: Instant) -> bool {
        self.controlled && now.saturating_duration_since(self.told.0) >= LOAD_EVERY
    }

    /// Between two batches, the slice having `sampled` so many requests. The ring is to be read before requests up to
    /// [`Self::answerable`] are answered.
    pub(in crate::io) fn turn(
        &mut self,
        now: Instant,
        sampled: u64,
        capture: Option<&CaptureStats>,
    ) -> Orders {
        let load = capture.map(|capture| self.load(capture, now));
        let asked = self.requests().asked();
        let mut orders = Orders::default();
        let mut measurement = lock(&self.measurement);
        let changed = load.is_some_and(|load| measurement.load(self.index, load, now));
        let lists = measurement.must_list(self.index, now, sampled, self.asked());
        if lists {
            drop(measurement);
            let cpu = clock::thread_cpu_time();
            let census = lock(&self.taker).take();
            let cost = clock::thread_cpu_time().saturating_sub(cpu);
            orders.too_many = matches!(census, Err(CensusError::TooMany(_)));
            measurement = lock(&self.measurement);
            measurement.begin(census, now, cost, self.asked().collect());
        }
        if let (Progress::Idle, Some(round)) = (self.progress, &measurement.round)
            && round.number > self.round
        {
            (self.round, self.progress) = (round.number, Progress::Cutting(round.at));
            orders.cut_at = Some(round.at);
        }
        if self.progress == Progress::Idle {
            measurement.answer_by_the_last(self.index, now, asked);
        }
        self.answerable = measurement.answerable[self.index];
        self.others_busy = !measurement.is_idle();
        let (number, plan, from) = &measurement.plan;
        if *number > self.plan {
            self.plan = *number;
            orders.plan = Some((plan.clone(), *from));
        }
        drop(measurement);
        if changed || lists {
            self.wake_others();
        }
        orders
    }

    /// The latest request to each thread.
    fn asked(&self) -> impl Iterator<Item = u64> {
        self.requests.iter().map(|requests| requests.asked())
    }

    fn load(&mut self, capture: &CaptureStats, now: Instant) -> Load {
        let (since, cpu, dropped) = self.told;
        self.told = (now, capture.cpu, capture.dropped_by_kernel);
        Load {
            elapsed: now.saturating_duration_since(since),
            cpu: capture.cpu.saturating_sub(cpu),
            dropped: capture.dropped_by_kernel.saturating_sub(dropped),
        }
    }

    /// Hands in the slice if the pipeline has ended it, and folds by what came of all of them.
    pub(in crate::io) fn finish(&mut self, pipeline: &mut Pipeline) {
        if self.progress == Progress::Idle {
            return;
        }
        let mut measurement = lock(&self.measurement);
        if measurement.round.as_ref().is_none_or(|round| round.number != self.round) {
            // It was lost with a thread that panicked: what was counted waits for the next one.
            self.progress = Progress::Idle;
            return;
        }
        let mut proceeds = false;
        if let Progress::Cutting(_) = self.progress {
            let Some(slice) = pipeline.take_slice() else { return };
            self.progress = Progress::HandedIn;
            proceeds = measurement.hand_in(self.index, slice);
        }
        if let Some(weights) = measurement.weights() {
            pipeline.fold(weights);
            proceeds |= measurement.folded(self.index);
            self.progress = Progress::Idle;
            self.answerable = measurement.answerable[self.index];
            self.others_busy = !measurement.is_idle();
        }
        drop(measurement);
        if proceeds {
            self.wake_others();
        }
    }

    /// The thread will not take part for a while: nobody is to wait for it.
    pub(in crate::io) fn leave(&mut self) {
        let mut measurement = lock(&self.measurement);
        measurement.present &= !(1 << self.index);
        measurement.lister.take_if(|lister| *lister == self.index);
        measurement.proceed(self.index);
        self.progress = Progress::Idle;
        drop(measurement);
        self.wake_others();
    }

    /// It takes part again, and has answered what it was asked.
    pub(in crate::io) fn join(&mut self) {
        let mut measurement = lock(&self.measurement);
        measurement.present |= 1 << self.index;
        measurement.answerable[self.index] = self.requests().asked();
        // Of a round that is under way it is no member.
        self.round = measurement.rounds;
    }

    fn wake_others(&self) {
        let others = self.requests.iter().enumerate().filter(|(index, _)| *index != self.index);
        others.for_each(|(_, requests)| requests.wake.signal());
    }
}

/// A thread that has panicked leaves, and the others go on.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
