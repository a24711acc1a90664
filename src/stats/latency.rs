//! Latency histograms.

use std::{iter::Sum, ops::AddAssign};

use super::tally;
use crate::config::Counting;

/// Upper bounds of the buckets, and what counts as slow, in nanoseconds: one of it serves all histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Ascending, at most [`Counting::MAX_BUCKETS`].
    pub bounds: Vec<u64>,
    /// At most [`Counting::MAX_THRESHOLDS`].
    pub thresholds: Vec<u64>,
}

/// Counts of durations by bucket, and their sum: seen (`u64`) or estimated (`f64`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency<N = u64> {
    /// Not cumulative; the last one in use holds what is above every bound.
    buckets: [N; Counting::MAX_BUCKETS + 1],
    sum: N,
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
    }
}

impl<N: Copy> Latency<N> {
    /// Applies `step` to each number and its like in `other`, observed with the same scale.
    pub(super) fn zip<M: Copy>(&mut self, other: &Latency<M>, step: impl Fn(&mut N, M) + Copy) {
        tally::zip(&mut self.buckets, &other.buckets, step);
        step(&mut self.sum, other.sum);
    }

    /// Sum of the durations in nanoseconds.
    pub fn sum_nanos(&self) -> N {
        self.sum
    }
}

impl<N: Copy + Default + AddAssign + Sum> Latency<N> {
    /// Adds the durations of another one, observed with the same scale.
    pub fn add(&mut self, other: &Self) {
        self.zip(other, |own, more| *own += more);
    }

    /// How many durations were counted.
    pub fn count(&self) -> N {
        self.buckets.iter().copied().sum()
    }

    /// `(upper bound in nanoseconds, durations ≤ it)`, ascending. `scale` is the one that was observed with.
    pub fn cumulative<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (u64, N)> + 'a {
        scale.bounds.iter().zip(&self.buckets).scan(N::default(), |total, (&bound, &count)| {
            *total += count;
            Some((bound, *total))
        })
    }
}

/// How many durations were above each threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slow<N = u64>([N; Counting::MAX_THRESHOLDS]);

impl Slow {
    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn observe(&mut self, nanos: u64, scale: &Scale) {
        for (count, threshold) in self.0.iter_mut().zip(&scale.thresholds) {
            *count += u64::from(nanos > *threshold);
        }
    }
}

impl<N: Copy> Slow<N> {
    /// Applies `step` to each number and its like in `other`, observed with the same scale.
    pub(super) fn zip<M: Copy>(&mut self, other: &Slow<M>, step: impl Fn(&mut N, M) + Copy) {
        tally::zip(&mut self.0, &other.0, step);
    }

    /// `(threshold in nanoseconds, durations above it)`.
    pub fn counts<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (u64, N)> + 'a {
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
