//! Measures while capturing: takes censuses, ends slices, and holds the CPU budget.
//!
//! There is one [`Measurement`] for all threads of a capture, behind a lock that each takes between its batches of packets.
//! A *round* begins with a census, for which one thread asks the kernel while the others go on without the lock. Each thread
//! then ends its slice at the time of it, and hands in what the slice had once that is known; the last of them makes weights
//! of it, by which each folds its own counts.

mod part;

use std::time::{Duration, Instant};

pub(super) use part::{Orders, Part, parts};

use super::census::CensusError;
use crate::{
    io::clock,
    packet::{Timestamp, filter::Plan},
    sample::{
        census::Census,
        class::SampleClass,
        controller::{CUT_REPLY, Controller, Level, Load},
        estimator::Slice,
        multiplier::Multiplier,
        pace::Pace,
        sampler::{Sampler, Settings},
        state::Sampling,
    },
    stats::tally::Weights,
    stream::key::Ends,
};

/// How the sample is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleSettings {
    /// Move to the next occupied class this often.
    pub rotate: Option<Duration>,
    /// Share of one CPU for all threads together; `None` for no limit.
    pub cpu_budget: Option<f64>,
}

/// What a round still waits for of its threads.
#[derive(Debug)]
enum Stage {
    /// The end of their slices.
    Slices {
        census: Census<Ends>,
        elapsed: Duration,
        /// Of the next slice.
        class: SampleClass,
        /// What those that have ended had.
        slice: Slice<Ends>,
    },
    /// That they fold by these.
    Folds(Weights),
}

#[derive(Debug)]
struct Round {
    /// From 1.
    number: u64,
    /// Where the slice ends.
    at: Timestamp,
    /// The latest request to each thread before that.
    asked: Vec<u64>,
    /// The threads that take part, a bit each.
    members: u32,
    /// Those that are waited for.
    awaited: u32,
    stage: Stage,
}

/// See the module.
#[derive(Debug)]
struct Measurement {
    sampler: Sampler<Ends>,
    controller: Option<Controller>,
    multiplier: Multiplier,
    /// As asked for; the controller captures less, never more.
    asked_for: Plan,
    level: Level,
    /// The latest change: its number, what to capture, and from when on.
    plan: (u64, Plan, Timestamp),
    round: Option<Round>,
    rounds: u64,
    pace: Pace,
    /// The thread that lists the connections now.
    lister: Option<usize>,
    /// When the last census was begun.
    taken: Instant,
    /// The threads that take part, a bit each.
    present: u32,
    /// Of each thread since the controller's last step.
    loads: Vec<Option<Load>>,
    /// Requests that each thread has decoded since the last census.
    sampled: Vec<u64>,
    /// Of each thread, the latest request that its estimates are new enough for.
    answerable: Vec<u64>,
    error: Option<String>,
    warned: bool,
}

impl Measurement {
    fn new(plan: &Plan, multiplier: Multiplier, settings: SampleSettings, threads: usize) -> Self {
        let SampleSettings { rotate, cpu_budget } = settings;
        let class = plan.class;
        let most_bits = class.with_bits(SampleClass::MAX_BITS).bits();
        // Who gives a number knows what N it is for.
        let extra = if matches!(multiplier, Multiplier::Fixed(_)) { 0 } else { most_bits - class.bits() };
        let now = Instant::now();
        Self {
            sampler: Sampler::new(Settings { class, multiplier, rotate }),
            controller: cpu_budget.map(|budget| Controller::new(budget, extra)),
            multiplier,
            asked_for: plan.clone(),
            level: Level { cut: false, extra_bits: 0 },
            plan: (0, plan.clone(), Timestamp::default()),
            round: None,
            rounds: 0,
            pace: Pace::new(now),
            lister: None,
            taken: now,
            present: (1 << threads) - 1,
            loads: vec![None; threads],
            sampled: vec![0; threads],
            answerable: vec![0; threads],
            error: None,
            warned: false,
        }
    }

    /// A thread's load since it last told: once all have, the controller looks at it. A change of the bytes of replies comes
    /// into force at once, one of the class with the next round. Whether there is one.
    fn load(&mut self, thread: usize, load: Load, now: Instant) -> bool {
        let Some(controller) = &mut self.controller else { return false };
        self.loads[thread] = Some(load);
        let present = (0..self.loads.len()).filter(|thread| self.present & 1 << thread != 0);
        let Some(loads) = present.map(|thread| self.loads[thread]).collect::<Option<Vec<_>>>() else {
            return false;
        };
        self.loads.fill(None);
        let load = Load::sum(&loads);
        let Some(level) = controller.step(load) else { return false };
        let before = std::mem::replace(&mut self.level, level);
        let rank = |level: Level| (level.extra_bits, level.cut);
        let reply_bytes = self.reply_bytes();
        self.sampler.changed(rank(level) > rank(before), reply_bytes);
        tracing::info!(
            cpu_share = load.share(),
            dropped = load.dropped,
            sample_bits = self.bits(),
            reply_bytes,
            "changing what is captured, to hold --mysql.cpu-budget"
        );
        self.pace.hurry(now);
        if level.cut != before.cut {
            self.change_plan(self.class(), clock::wall());
        }
        true
    }

    fn bits(&self) -> u8 {
        self.asked_for.class.bits() + self.level.extra_bits
    }

    fn reply_bytes(&self) -> Option<u16> {
        if !self.level.cut {
            return self.asked_for.reply_bytes;
        }
        Some(self.asked_for.reply_bytes.map_or(CUT_REPLY, |bytes| bytes.min(CUT_REPLY)))
    }

    /// The class that is captured: while slices end, that of the next one.
    fn class(&self) -> SampleClass {
        match self.round {
            Some(Round { stage: Stage::Slices { class, .. }, .. }) => class,
            _ => self.sampler.class(),
        }
    }

    fn change_plan(&mut self, class: SampleClass, from: Timestamp) {
        let plan = Plan { class, reply_bytes: self.reply_bytes(), ..self.asked_for.clone() };
        self.plan = (self.plan.0 + 1, plan, from);
    }

    /// Whether there is a class to choose from, now or next: if not, estimates are always the latest.
    fn is_sampling(&self) -> bool {
        self.sampler.class().bits() > 0 || self.bits() > 0
    }

    /// Whether nothing is under way that a request has to wait for.
    fn is_idle(&self) -> bool {
        self.round.is_none() && self.lister.is_none()
    }

    /// Whether it is for this thread to list the connections, and then to call [`Self::begin`]: it is time to, or the latest
    /// request to a thread that takes part asks for it. The others leave it to this one. In the slice the thread has
    /// `sampled` so many requests.
    fn must_list(
        &mut self,
        thread: usize,
        now: Instant,
        sampled: u64,
        asked: impl Iterator<Item = u64>,
    ) -> bool {
        self.sampled[thread] = sampled;
        let mut requests = asked.zip(&self.answerable).enumerate();
        let wanted = requests.any(|(thread, (asked, able))| asked > *able && self.present & 1 << thread != 0);
        let to_weigh = if self.multiplier.is_measured() { self.sampled.iter().sum() } else { 0 };
        let must = self.is_idle() && self.is_sampling() && self.pace.is_due(now, to_weigh, wanted);
        if must {
            self.lister = Some(thread);
        }
        must
    }

    /// What was asked of a thread is answered by the last estimates if there can be no newer ones.
    fn answer_by_the_last(&mut self, thread: usize, now: Instant, asked: u64) {
        if !self.is_sampling() || self.is_idle() && self.pace.is_resting(now) {
            self.answerable[thread] = asked;
        }
    }

    /// Begins a round by a census that was begun at `now` and took `cost`. What was `asked` up to now it will answer.
    fn begin(
        &mut self,
        census: Result<Census<Ends>, CensusError>,
        now: Instant,
        cost: Duration,
        asked: Vec<u64>,
    ) {
        self.lister = None;
        self.pace.made(now, cost);
        self.sampled.fill(0);
        let Some(census) = self.counted(census) else {
            self.answerable = asked;
            return;
        };
        // The others have gone on meanwhile: the slice ends where none of them has been yet.
        let at = clock::wall();
        let elapsed = now.saturating_duration_since(self.taken);
        self.taken = now;
        let class = self.sampler.next_class(self.asked_for.class, self.bits(), &census, elapsed);
        if class != self.sampler.class() {
            self.change_plan(class, at);
        }
        self.rounds += 1;
        self.round = Some(Round {
            number: self.rounds,
            at,
            asked,
            members: self.present,
            awaited: self.present,
            stage: Stage::Slices { census, elapsed, class, slice: Slice::default() },
        });
    }

    /// Without a census nothing is measured; but where nothing has to be, a class can do without.
    fn counted(&mut self, census: Result<Census<Ends>, CensusError>) -> Option<Census<Ends>> {
        match census {
            Ok(census) => {
                if self.error.take().is_some() {
                    tracing::info!("the connections can be compared again");
                }
                Some(census)
            }
            Err(error) => {
                self.sampler.census_failed();
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the connections cannot be compared: estimates wait until they can");
                    self.error = Some(error);
                }
                (!self.multiplier.is_measured()).then(Census::default)
            }
        }
    }

    /// What a thread's slice had. Whether it was the last of them.
    fn hand_in(&mut self, thread: usize, ended: Slice<Ends>) -> bool {
        if let Some(Round { stage: Stage::Slices { slice, .. }, .. }) = &mut self.round {
            slice.extend(ended);
        }
        self.proceed(thread)
    }

    /// What those that have handed in are to fold by, once that is known.
    fn weights(&self) -> Option<Weights> {
        match &self.round {
            Some(Round { stage: Stage::Folds(weights), .. }) => Some(*weights),
            _ => None,
        }
    }

    /// A thread has folded. Whether it was the last of them.
    fn folded(&mut self, thread: usize) -> bool {
        if let Some(round) = &self.round {
            self.answerable[thread] = round.asked[thread];
        }
        self.proceed(thread)
    }

    /// A thread is not waited for any more. Whether that ends the round's stage.
    fn proceed(&mut self, thread: usize) -> bool {
        let Some(round) = &mut self.round else { return false };
        round.awaited &= !(1 << thread);
        if round.awaited != 0 {
            return false;
        }
        let Some(round) = self.round.take() else { return false };
        if let Stage::Slices { census, elapsed, class, slice } = round.stage {
            let weights = self.sampler.census(census, slice, elapsed, class, Ends::client_port);
            self.warn();
            let awaited = round.members & self.present;
            self.round = (awaited != 0).then_some(Round { awaited, stage: Stage::Folds(weights), ..round });
        }
        true
    }

    /// Once for each time it begins.
    fn warn(&mut self) {
        let state = self.sampler.state();
        let Some(census) = state.census else { return };
        let empty = census.all > 0 && census.sampled == 0 && state.class.bits() > 0;
        if empty && !self.warned {
            tracing::warn!(
                connections = census.all,
                even_ports = census.even,
                class = state.class.number(),
                "no connection is in the sampled class: see --mysql.sample-class, -rotate and -first-bit"
            );
        }
        self.warned = empty;
    }

    fn state(&self) -> &Sampling {
        self.sampler.state()
    }
}
