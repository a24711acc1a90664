//! Quantiles of durations, to a few per cent, in a fixed number of counters.

/// Counters for each power of two: a duration is known to a sixteenth.
const STEPS: u64 = 16;
/// Durations below `2^FIRST` nanoseconds (1 µs) are one.
const FIRST: u32 = 10;
/// Those of `2^LAST` and more (18 minutes) are one, too.
const LAST: u32 = 40;
const COUNTERS: usize = (LAST - FIRST) as usize * STEPS as usize + 2;

/// Counts of durations by size.
#[derive(Debug, Clone)]
pub struct Quantiles(Box<[u32; COUNTERS]>);

impl Default for Quantiles {
    fn default() -> Self {
        Self(Box::new([0; COUNTERS]))
    }
}

impl Quantiles {
    /// Counts a duration in nanoseconds.
    pub fn observe(&mut self, nanos: u64) {
        if let Some(count) = self.0.get_mut(counter(nanos)) {
            *count = count.saturating_add(1);
        }
    }

    /// The duration in nanoseconds that `share` of those counted do not exceed; `None` if there are none.
    pub fn at(&self, share: f64) -> Option<u64> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let place = self.0.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(middle(place))
    }
}

fn counter(nanos: u64) -> usize {
    let Some(power) = nanos.checked_ilog2().filter(|power| *power >= FIRST) else { return 0 };
    if power >= LAST {
        return COUNTERS - 1;
    }
    let step = ((nanos - (1 << power)) * STEPS) >> power;
    1 + ((power - FIRST) as u64 * STEPS + step) as usize
}

/// The middle of what a counter counts; its lower end for the last one.
fn middle(counter: usize) -> u64 {
    let Some(index) = (counter as u64).checked_sub(1) else { return 1 << (FIRST - 1) };
    let power = FIRST + (index / STEPS) as u32;
    if power >= LAST {
        return 1 << LAST;
    }
    let width = (1 << power) / STEPS;
    (1 << power) + index % STEPS * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_thirtysecond_of_the_truth() {
        let mut quantiles = Quantiles::default();
        let durations: Vec<u64> = (1..=10_000).map(|number| number * number * 37).collect();
        durations.iter().for_each(|nanos| quantiles.observe(*nanos));
        for share in [0.1, 0.5, 0.95, 0.99, 1.0] {
            let truth = durations[(10_000.0 * share) as usize - 1] as f64;
            let told = quantiles.at(share).unwrap() as f64;
            assert!((told - truth).abs() <= truth / 32.0 + 1.0, "{share}: {told} {truth}");
        }
        assert_eq!(Quantiles::default().at(0.5), None);
    }

    #[test]
    fn the_shortest_and_the_longest_are_counted_too() {
        for (nanos, told) in [(0, 512), (1023, 512), (1 << 40, 1 << 40), (u64::MAX, 1 << 40)] {
            let mut quantiles = Quantiles::default();
            quantiles.observe(nanos);
            assert_eq!(quantiles.at(0.5), Some(told));
        }
    }
}
