//! Holds the capture's share of a CPU: first replies are cut, then N is raised; both are taken back when there is room.
//!
//! [`Controller::step`] takes the load of each interval of a second or so. It tightens at once and as far as the load
//! asks for, and relaxes a level at a time, only when what the level before would cost fits the budget with room to
//! spare, and after a while of calm. A relaxation that had to be taken back makes the next one wait twice as long, so
//! that a steady load comes to rest at one level.

use std::time::Duration;

/// Payload bytes of each reply segment while replies are cut: the first packets of a reply, with its status or error,
/// of most statements.
pub const CUT_REPLY: u16 = 256;

/// The part of the budget that a change aims at.
const AIM: f64 = 0.8;
/// What the level before may be expected to cost, as a part of the budget, for a relaxation.
const ROOM: f64 = 0.65;
/// Intervals of calm before a relaxation, at first and at most.
const CALM: (u32, u32) = (10, 640);
/// A relaxation that is taken back within so many intervals has failed.
const PROBATION: u32 = 60;

/// What a capture thread, or all of them, took in an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// How long it was.
    pub elapsed: Duration,
    /// CPU time of the thread.
    pub cpu: Duration,
    /// Packets lost because the ring was full.
    pub dropped: u64,
}

impl Load {
    /// Of threads that work at the same time, each told over an interval of its own.
    pub fn sum(loads: &[Self]) -> Self {
        let elapsed = loads.iter().map(|load| load.elapsed).max().unwrap_or_default();
        let share: f64 = loads.iter().map(|load| load.share()).sum();
        Self { elapsed, cpu: elapsed.mul_f64(share), dropped: loads.iter().map(|load| load.dropped).sum() }
    }

    /// CPU time to time; 0 for no time.
    pub fn share(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.cpu.as_secs_f64() / self.elapsed.as_secs_f64() }
    }
}

/// How much is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Whether replies are cut to [`CUT_REPLY`] on the controller's account.
    pub cut: bool,
    /// Bits more than were asked for.
    pub extra_bits: u8,
}

impl Level {
    fn of(step: u8) -> Self {
        Self { cut: step > 0, extra_bits: step.saturating_sub(1) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Controller {
    /// Share of one CPU.
    budget: f64,
    /// 0: all; 1: replies cut; then a bit more each.
    step: u8,
    most_steps: u8,
    /// By how much the last cut reduced the load, at least.
    cut_gain: f64,
    /// The load before the cut, until its effect is known.
    before_cut: Option<f64>,
    calm: u32,
    calm_wanted: u32,
    /// Intervals since the last relaxation.
    since_relaxed: u32,
    overloaded: bool,
}

impl Controller {
    /// Holds `budget`, a share of one CPU above 0, with up to `extra_bits` more bits.
    pub fn new(budget: f64, extra_bits: u8) -> Self {
        Self {
            budget,
            step: 0,
            most_steps: 1 + extra_bits,
            cut_gain: 1.0,
            before_cut: None,
            calm: 0,
            calm_wanted: CALM.0,
            since_relaxed: PROBATION,
            overloaded: false,
        }
    }

    /// What is captured now.
    pub fn level(&self) -> Level {
        Level::of(self.step)
    }

    /// An interval has passed; the new level if it is another one.
    pub fn step(&mut self, load: Load) -> Option<Level> {
        if load.elapsed.is_zero() {
            return None;
        }
        let share = load.share();
        if let Some(before) = self.before_cut.take()
            && share > 0.0
        {
            let sampled = f64::from(1_u32 << self.level().extra_bits);
            self.cut_gain = (before / share / sampled).clamp(1.0, 32.0);
        }
        self.since_relaxed = self.since_relaxed.saturating_add(1);
        let step = self.tightened(share, load.dropped).or_else(|| self.relaxed(share))?;
        let changed = step != self.step;
        self.step = step;
        changed.then(|| self.level())
    }

    /// The step that an overload asks for. A single interval a little above the budget may be chance.
    fn tightened(&mut self, share: f64, dropped: u64) -> Option<u8> {
        let excess = share / (self.budget * AIM);
        let over = share > self.budget;
        let lost = dropped > 0;
        let again = std::mem::replace(&mut self.overloaded, over);
        if !(lost || over && (again || excess > 1.5)) {
            return None;
        }
        self.overloaded = false;
        self.calm = 0;
        if self.since_relaxed <= PROBATION {
            self.calm_wanted = (self.calm_wanted * 2).min(CALM.1);
            self.since_relaxed = PROBATION + 1;
        }
        let halvings = if over { excess.log2().ceil().max(1.0) as u8 } else { 1 };
        if self.step > 0 {
            return Some((self.step + halvings).min(self.most_steps));
        }
        // What a cut saves is known only afterwards. A little too much it may mend; else it is taken to save nothing.
        self.before_cut = Some(share);
        Some(if halvings == 1 { 1 } else { (1 + halvings).min(self.most_steps) })
    }

    /// The step before, once there has been room for it long enough.
    fn relaxed(&mut self, share: f64) -> Option<u8> {
        let gain = if self.step == 1 { self.cut_gain.max(1.5) } else { 2.0 };
        if self.step == 0 || share * gain > self.budget * ROOM {
            self.calm = 0;
            return None;
        }
        self.calm += 1;
        if self.calm < self.calm_wanted {
            return None;
        }
        self.calm = 0;
        if self.since_relaxed > 4 * PROBATION {
            self.calm_wanted = (self.calm_wanted / 2).max(CALM.0);
        }
        self.since_relaxed = 0;
        Some(self.step - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn load(share: f64) -> Load {
        Load { elapsed: SECOND, cpu: SECOND.mul_f64(share), dropped: 0 }
    }

    /// A thread whose cost is `floor`, and `work` that a cut divides by `gain` and each bit by 2; it has one CPU.
    fn cost(level: Level, work: f64, gain: f64, floor: f64) -> f64 {
        let cut = if level.cut { gain } else { 1.0 };
        (floor + work / cut / f64::from(1_u32 << level.extra_bits)).min(1.0)
    }

    #[test]
    fn within_the_budget_nothing_happens() {
        let mut controller = Controller::new(0.25, 8);
        assert!((0..1000).all(|_| controller.step(load(0.25)).is_none()));
    }

    #[test]
    fn a_little_too_much_cuts_replies_and_much_too_much_raises_n_at_once() {
        let mut controller = Controller::new(0.25, 8);
        assert_eq!(controller.step(load(0.26)), None);
        assert_eq!(controller.step(load(0.26)), Some(Level { cut: true, extra_bits: 0 }));
        let mut controller = Controller::new(0.1, 8);
        assert_eq!(controller.step(load(0.7)), Some(Level { cut: true, extra_bits: 4 }));
    }

    #[test]
    fn losses_tighten_whatever_the_cpu_says() {
        let mut controller = Controller::new(0.25, 8);
        assert!(controller.step(Load { dropped: 5, ..load(0.01) }).is_some());
    }

    #[test]
    fn after_the_load_everything_is_captured_again() {
        let mut controller = Controller::new(0.1, 8);
        controller.step(load(0.9));
        let steps = (0..400).filter(|_| controller.step(load(0.001)).is_some()).count();
        assert_eq!((controller.level(), steps), (Level { cut: false, extra_bits: 0 }, 5));
    }

    #[test]
    fn what_a_cut_saved_is_known_whatever_was_done_beside_it() {
        let mut controller = Controller::new(0.12, 8);
        let steps: Vec<Level> = (0..3600)
            .filter_map(|_| controller.step(load(cost(controller.level(), 0.72, 24.0, 0.0))))
            .collect();
        let raised = Level { cut: true, extra_bits: 3 };
        assert_eq!(
            (steps[0], steps.len(), controller.level()),
            (raised, 4, Level { cut: true, extra_bits: 0 })
        );
    }

    #[test]
    fn a_fixed_n_is_kept() {
        let mut controller = Controller::new(0.1, 0);
        controller.step(load(1.0));
        assert_eq!(controller.level(), Level { cut: true, extra_bits: 0 });
    }

    #[test]
    fn the_load_of_threads_is_the_sum_of_their_shares() {
        let long = Load { elapsed: 2 * SECOND, cpu: SECOND, dropped: 3 };
        let sum = Load::sum(&[load(0.25), long]);
        assert_eq!((sum.share(), sum.dropped), (0.75, 3));
        assert_eq!(Load::sum(&[]).share(), 0.0);
    }

    proptest! {
        #[test]
        fn a_steady_load_is_held_within_ten_seconds_and_never_makes_it_oscillate(
            budget in 0.02..0.5_f64, work in 0.0..20.0_f64, gain in 1.0..30.0_f64, noise in 0.0..0.15_f64,
            seed in any::<u64>(),
        ) {
            let mut controller = Controller::new(budget, 8);
            let (mut random, mut changes, mut over) = (seed | 1, 0, 0);
            // The last level may not be enough; nor is it the controller's fault.
            prop_assume!(cost(Level { cut: true, extra_bits: 8 }, work, gain, 0.0) < budget / 2.0);
            for second in 0..3600 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let jitter = 1.0 + noise * ((random >> 33) as f64 / f64::from(1_u32 << 30) - 1.0);
                let share = (cost(controller.level(), work, gain, 0.0) * jitter).min(1.0);
                if second >= 10 && share > 1.2 * budget {
                    over += 1;
                }
                changes += u32::from(controller.step(load(share)).is_some());
            }
            prop_assert!(over <= 10, "{over} seconds above the budget");
            prop_assert!(changes <= 40, "{changes} changes in an hour");
        }
    }
}
