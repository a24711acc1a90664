//! When the next census is made: every few seconds, sooner where there is enough to weigh, at once where a scrape asks for
//! it, and never so often that it costs more than a small share of a CPU.
//!
//! What connections do after the last census before their end the kernel forgets with them: of a load that ends, the less
//! is in the last slice the better is known.

use std::time::{Duration, Instant};

/// Between two censuses, unless somebody asks, or there is enough to weigh.
pub const EVERY: Duration = Duration::from_secs(5);
/// Sampled requests that are enough to weigh: of so many a whole number is right to a thousandth.
pub const ENOUGH: u64 = 1000;
/// There is no newer one sooner than this, whoever asks and however much there is to weigh.
const LEAST: Duration = Duration::from_secs(1);
/// Part of a CPU that censuses may take when nobody asks.
const UNASKED: u32 = 1000;
/// Part of a CPU that they may take however often somebody does.
const ASKED: u32 = 100;

/// See the module. Call order: [`Self::is_due`] at any time, [`Self::made`] after each census, failed or not.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When the next one is made of itself.
    due: Instant,
    /// When it is if there is enough to weigh.
    soonest: Instant,
    /// Until then those who ask have to do with the last.
    rests_until: Instant,
}

impl Pace {
    /// The first census is due at once.
    pub fn new(now: Instant) -> Self {
        Self { due: now, soonest: now, rests_until: now }
    }

    /// Whether it is time for a census, so many requests having been `sampled` since the last one, and somebody having
    /// `asked` for one or not.
    pub fn is_due(&self, now: Instant, sampled: u64, asked: bool) -> bool {
        now >= self.due || (sampled >= ENOUGH && now >= self.soonest) || (asked && !self.is_resting(now))
    }

    /// Whether the last one is new enough for anybody who asks, or was too dear.
    pub fn is_resting(&self, now: Instant) -> bool {
        now < self.rests_until
    }

    /// The class is to change, which it does at a census.
    pub fn hurry(&mut self, now: Instant) {
        self.due = now;
    }

    /// A census was begun at `began` and took so much of a CPU.
    pub fn made(&mut self, began: Instant, cpu: Duration) {
        let unasked = cpu.saturating_mul(UNASKED);
        self.due = began + EVERY.max(unasked);
        self.soonest = began + LEAST.max(unasked);
        self.rests_until = began + LEAST.max(cpu.saturating_mul(ASKED));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use super::*;

    /// From when on a census is due by itself, with enough to weigh, and where somebody asks, in milliseconds after the last.
    fn rests(cpu: Duration) -> [u64; 3] {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        assert!(pace.is_due(began, 0, false));
        pace.made(began, cpu);
        [(ENOUGH - 1, false), (ENOUGH, false), (0, true)].map(|(sampled, asked)| {
            let is_due = |ms: &u64| pace.is_due(began + Duration::from_millis(*ms), sampled, asked);
            (0..100_000).step_by(100).find(is_due).unwrap()
        })
    }

    #[test]
    fn who_asks_need_not_wait_but_for_a_second_and_for_what_the_last_one_cost() {
        for (cpu_ms, expected) in [
            (0, [5000, 1000, 1000]),
            (2, [5000, 2000, 1000]),
            (5, [5000, 5000, 1000]),
            (20, [20_000, 20_000, 2000]),
            (80, [80_000, 80_000, 8000]),
        ] {
            assert_eq!(rests(Duration::from_millis(cpu_ms)), expected, "{cpu_ms} ms");
        }
    }

    #[test]
    fn a_change_of_class_does_not_wait() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        pace.made(began, Duration::from_millis(80));
        pace.hurry(began);
        assert!(pace.is_due(began, 0, false));
    }
}
