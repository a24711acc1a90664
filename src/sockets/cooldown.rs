//! How long to leave the kernel alone after a read, from what the read cost.
//!
//! A read of c CPU-seconds may start again c / budget after it started, so its share of one CPU stays at or under
//! the budget whatever the number of sockets. A read of procfs also holds the kernel's table locks line by line
//! and may be stuck in somebody's FUSE: it also rests in proportion to the time it took.

use std::time::{Duration, Instant};

use super::source::Source;

/// Share of the time a read of procfs may be under way.
pub const PROCFS_DUTY: f64 = 0.1;

/// Longest rest: a clock gone wrong must not silence the collector for good.
pub const LONGEST_REST: Duration = Duration::from_secs(3600);

/// What one read cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// When it started.
    pub started: Instant,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// CPU time of the reading thread, the kernel's share included.
    pub cpu: Duration,
}

/// When the next read may start, the sockets having been read from `source` at `cost`.
///
/// `budget` is the share of one CPU reads may take, above 0.
pub fn resting_until(cost: Cost, source: Source, budget: f64) -> Option<Instant> {
    let for_cpu = stretched(cost.cpu, budget);
    let rest = match source {
        Source::Netlink => for_cpu,
        Source::Procfs => for_cpu.max(stretched(cost.elapsed, PROCFS_DUTY)),
    };
    cost.started.checked_add(rest)
}

/// The period in which `busy` is `share` of the time.
fn stretched(busy: Duration, share: f64) -> Duration {
    let period = Duration::try_from_secs_f64(busy.as_secs_f64() / share);
    period.unwrap_or(LONGEST_REST).min(LONGEST_REST)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use super::*;

    fn rest(elapsed_ms: u64, cpu_ms: u64, source: Source, budget: f64) -> Duration {
        let started = Instant::now();
        let (elapsed, cpu) = (Duration::from_millis(elapsed_ms), Duration::from_millis(cpu_ms));
        resting_until(Cost { started, elapsed, cpu }, source, budget).unwrap() - started
    }

    #[test]
    fn the_share_of_cpu_is_the_budget_at_most() {
        assert_eq!(rest(30, 27, Source::Netlink, 0.02), Duration::from_millis(1350));
        assert_eq!(rest(30, 0, Source::Netlink, 0.02), Duration::ZERO);
    }

    #[test]
    fn procfs_also_rests_in_proportion_to_the_time_it_took() {
        assert_eq!(rest(10_000, 1, Source::Procfs, 0.02), Duration::from_secs(100));
        assert_eq!(rest(10_000, 1, Source::Netlink, 0.02), Duration::from_millis(50));
        assert_eq!(rest(300, 265, Source::Procfs, 0.02), Duration::from_millis(13_250));
    }

    #[test]
    fn no_budget_or_cost_rests_for_ever() {
        for budget in [0.0, f64::NAN, -1.0, f64::MIN_POSITIVE] {
            assert!(rest(1, 1, Source::Netlink, budget) <= LONGEST_REST, "{budget}");
        }
        assert_eq!(rest(u64::MAX / 1000, 1, Source::Procfs, 0.02), LONGEST_REST);
    }
}
