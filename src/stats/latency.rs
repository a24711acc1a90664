//! Latency histograms.

/// Upper bounds of the classic buckets, in nanoseconds: 100 µs to 10 s.
pub const BOUNDS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Counts of durations by bucket, and their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Not cumulative; the last one holds what is above every bound.
    buckets: [u64; BOUNDS.len() + 1],
    sum: u64,
}

impl Latency {
    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn observe(&mut self, nanos: u64) {
        let index = BOUNDS.partition_point(|&bound| bound < nanos);
        if let Some(count) = self.buckets.get_mut(index) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of the durations in nanoseconds.
    pub fn sum_nanos(&self) -> u64 {
        self.sum
    }

    /// `(upper bound in nanoseconds, durations ≤ it)`, ascending.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        BOUNDS.iter().zip(&self.buckets).scan(0, |total, (&bound, &count)| {
            *total += count;
            Some((bound, *total))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound() {
        let mut latency = Latency::default();
        for nanos in [0, 100_000, 100_001, 10_000_000_000, 10_000_000_001, u64::MAX / 2] {
            latency.observe(nanos);
        }
        let cumulative: Vec<_> = latency.cumulative().collect();
        assert_eq!(cumulative[0], (100_000, 2));
        assert_eq!(cumulative[1], (250_000, 3));
        assert_eq!(cumulative[15], (10_000_000_000, 4));
        assert_eq!(latency.count(), 6);
    }
}
