//! Measures while capturing: takes censuses, ends slices, and holds the CPU budget. Runs on the capture thread, between
//! its batches.

use std::time::{Duration, Instant};

use super::{
    census::CensusTaker,
    clock,
    netlink::{Dumper, NetlinkError},
};
use crate::{
    packet::{Timestamp, filter::Plan},
    pipeline::Pipeline,
    sample::{
        census::Census,
        class::SampleClass,
        controller::{CUT_REPLY, Controller, Level, Load},
        multiplier::Multiplier,
        sampler::{Sampler, Settings},
        state::Sampling,
    },
    stats::capture::CaptureStats,
    stream::flows::FlowKey,
};

/// Between two censuses, unless somebody asks.
const EVERY: Duration = Duration::from_secs(5);
/// A census may take this part of a CPU; where the kernel's tables are huge, they are taken less often.
const MOST_COST: u32 = 1000;
/// How often the load is looked at.
const CONTROL_EVERY: Duration = Duration::from_secs(1);

/// How the sample is chosen and weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleSettings {
    /// Where weights come from.
    pub multiplier: Multiplier,
    /// Move to the next occupied class this often.
    pub rotate: Option<Duration>,
    /// Share of one CPU; `None` for no limit.
    pub cpu_budget: Option<f64>,
}

/// A census whose slice has not ended yet.
#[derive(Debug)]
struct Pending {
    at: Timestamp,
    census: Census<FlowKey>,
    elapsed: Duration,
    class: SampleClass,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Measurement {
    sampler: Sampler<FlowKey>,
    controller: Option<Controller>,
    taker: CensusTaker,
    multiplier: Multiplier,
    /// As asked for; the controller captures less, never more.
    asked_for: Plan,
    level: Level,
    pending: Option<Pending>,
    /// Of the last census.
    taken: Instant,
    /// When the next one is due.
    due: Instant,
    /// When the load was looked at, and what it was up to then.
    controlled: (Instant, Duration, u64),
    error: Option<String>,
    warned: bool,
}

impl Measurement {
    pub(super) fn new(plan: &Plan, settings: SampleSettings) -> Self {
        let SampleSettings { multiplier, rotate, cpu_budget } = settings;
        let class = plan.class;
        let most_bits = class.with_bits(SampleClass::MAX_BITS).bits();
        // Who gives a number knows what N it is for.
        let extra = if matches!(multiplier, Multiplier::Fixed(_)) { 0 } else { most_bits - class.bits() };
        let now = Instant::now();
        Self {
            sampler: Sampler::new(Settings { class, multiplier, rotate }),
            controller: cpu_budget.map(|budget| Controller::new(budget, extra)),
            taker: CensusTaker::new(plan.ports.clone(), Dumper::of_kernel()),
            multiplier,
            asked_for: plan.clone(),
            level: Level { cut: false, extra_bits: 0 },
            pending: None,
            taken: now,
            due: now,
            controlled: (now, clock::thread_cpu_time(), 0),
            error: None,
            warned: false,
        }
    }

    /// How the sampling stands.
    pub(super) fn state(&self) -> &Sampling {
        self.sampler.state()
    }

    /// Where the slice ends, if a census waits for that.
    pub(super) fn pending(&self) -> Option<Timestamp> {
        self.pending.as_ref().map(|pending| pending.at)
    }

    /// Another plan was asked for.
    pub(super) fn ask(&mut self, plan: Plan) {
        self.sampler.reselect(plan.class);
        self.asked_for = plan;
        self.due = Instant::now();
    }

    /// Whether it is time for [`Self::control`].
    pub(super) fn is_control_due(&self, now: Instant) -> bool {
        self.controller.is_some() && now.saturating_duration_since(self.controlled.0) >= CONTROL_EVERY
    }

    /// Looks at the load since the last time; a plan that differs in the bytes of replies only comes into force at once.
    pub(super) fn control(&mut self, capture: &CaptureStats, now: Instant) -> Option<Plan> {
        let controller = self.controller.as_mut()?;
        let (since, cpu, dropped) = self.controlled;
        let elapsed = now.saturating_duration_since(since);
        self.controlled = (now, capture.cpu, capture.dropped_by_kernel);
        let load = Load {
            elapsed,
            cpu: capture.cpu.saturating_sub(cpu),
            dropped: capture.dropped_by_kernel.saturating_sub(dropped),
        };
        let level = controller.step(load)?;
        let before = std::mem::replace(&mut self.level, level);
        let rank = |level: Level| (level.extra_bits, level.cut);
        let reply_bytes = self.reply_bytes();
        self.sampler.changed(rank(level) > rank(before), reply_bytes);
        tracing::info!(
            cpu_share = load.cpu.as_secs_f64() / elapsed.as_secs_f64(),
            dropped = load.dropped,
            sample_bits = self.bits(),
            reply_bytes,
            "changing what is captured, to hold --mysql.cpu-budget"
        );
        self.due = now;
        let plan = Plan { class: self.sampler.class(), reply_bytes, ..self.asked_for.clone() };
        (level.cut != before.cut).then_some(plan)
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

    /// Takes a census if one is due, or was asked for, and ends the slice there: the time, and the plan to go on with if
    /// it is another one. `None` if nothing has begun.
    pub(super) fn begin(&mut self, asked: bool, now: Instant) -> Option<(Timestamp, Option<Plan>)> {
        let sampled = self.sampler.class().bits() > 0 || self.bits() > 0;
        if self.pending.is_some() || !sampled || !(asked || now >= self.due) {
            return None;
        }
        let (at, cpu) = (clock::wall(), clock::thread_cpu_time());
        let census = self.taker.take();
        let cost = clock::thread_cpu_time().saturating_sub(cpu);
        self.due = now + EVERY.max(cost * MOST_COST);
        let census = self.counted(census)?;
        let elapsed = now.saturating_duration_since(self.taken);
        self.taken = now;
        let class = self.sampler.next_class(self.asked_for.class, self.bits(), &census, elapsed);
        let changed = class != self.sampler.class();
        self.pending = Some(Pending { at, census, elapsed, class });
        let plan = Plan { class, reply_bytes: self.reply_bytes(), ..self.asked_for.clone() };
        Some((at, changed.then_some(plan)))
    }

    /// Without a census nothing is measured; but where nothing has to be, a class can do without.
    fn counted(&mut self, census: Result<Census<FlowKey>, NetlinkError>) -> Option<Census<FlowKey>> {
        match census {
            Ok(census) => {
                if self.error.take().is_some() {
                    tracing::info!("the connections can be listed again");
                }
                Some(census)
            }
            Err(error) => {
                self.sampler.census_failed();
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the connections cannot be listed: estimates wait until they can");
                    self.error = Some(error);
                }
                (!self.multiplier.is_measured()).then(Census::default)
            }
        }
    }

    /// The slice has ended, if the pipeline says so: what was seen in it becomes part of the estimates.
    pub(super) fn finish(&mut self, pipeline: &mut Pipeline) {
        let Some(slice) = self.pending.as_ref().and_then(|_| pipeline.take_slice()) else { return };
        let Some(Pending { census, elapsed, class, .. }) = self.pending.take() else { return };
        let port = |key: &FlowKey| key.client.port;
        let weights = self.sampler.census(census, &slice, elapsed, class, port);
        pipeline.fold(weights);
        self.warn();
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
}
