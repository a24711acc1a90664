//! Latency histograms.

use super::exponential::{Exponential, Place};
use crate::config::Counting;

/// Upper bounds of the buckets, and what counts as slow, in nanoseconds: one of it serves all histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Ascending, at most [`Counting::MAX_BUCKETS`].
    pub bounds: Vec<u64>,
    /// At most [`Counting::MAX_THRESHOLDS`].
    pub thresholds: Vec<u64>,
}

/// Counts of durations by bucket, and their sum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latency {
    /// Not cumulative; the last one in use holds what is above every bound.
    buckets: [u64; Counting::MAX_BUCKETS + 1],
    sum: u64,
    /// The same durations in buckets whose bounds nobody has chosen.
    pub exponential: Exponential,
}

impl Latency {
    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn observe(&mut self, nanos: u64, scale: &Scale) {
        // Most durations are short, and the bounds few: faster than a binary search.
        let index = scale.bounds.iter().take_while(|&&bound| bound < nanos).count();
        if let Some(count) = self.buckets.get_mut(index) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
        self.exponential.observe(Place::of(nanos));
    }

    /// Adds the durations of another one, observed with the same scale.
    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
        self.exponential.add(&other.exponential);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of the durations in nanoseconds.
    pub fn sum_nanos(&self) -> u64 {
        self.sum
    }

    /// `(upper bound in nanoseconds, durations ≤ it)`, ascending. `scale` is the one that was observed with.
    pub fn cumulative<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (u64, u64)> + 'a {
        scale.bounds.iter().zip(&self.buckets).scan(0, |total, (&bound, &count)| {
            *total += count;
            Some((bound, *total))
        })
    }
}

/// How many durations were above each threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slow([u64; Counting::MAX_THRESHOLDS]);

impl Slow {
    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn observe(&mut self, nanos: u64, scale: &Scale) {
        for (count, threshold) in self.0.iter_mut().zip(&scale.thresholds) {
            *count += u64::from(nanos > *threshold);
        }
    }

    /// `(threshold in nanoseconds, durations above it)`.
    pub fn counts<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (u64, u64)> + 'a {
        scale.thresholds.iter().copied().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound() {
        let scale = Scale { bounds: vec![100, 250, 1000], thresholds: vec![] };
        let mut latency = Latency::default();
        for nanos in [0, 100, 101, 1000, 1001, u64::MAX / 2] {
            latency.observe(nanos, &scale);
        }
        assert_eq!(latency.cumulative(&scale).collect::<Vec<_>>(), [(100, 2), (250, 3), (1000, 4)]);
        assert_eq!(latency.count(), 6);
    }

    #[test]
    fn slow_is_what_takes_longer_than_a_threshold() {
        let scale = Scale { bounds: vec![], thresholds: vec![1000, 10] };
        let mut slow = Slow::default();
        for nanos in [10, 11, 1000, 1001] {
            slow.observe(nanos, &scale);
        }
        assert_eq!(slow.counts(&scale).collect::<Vec<_>>(), [(1000, 1), (10, 3)]);
    }
}
