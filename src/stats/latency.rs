//! Latency histograms.

use super::{
    count::{self, Count},
    exponential::{Exponential, FINEST, PLACES, Place},
};
use crate::config::Counting;

/// Upper bounds of the buckets, and what counts as slow, in nanoseconds: one of it serves all histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    bounds: Vec<u64>,
    thresholds: Vec<u64>,
    /// For each place of an exponential histogram the bounds that are below it: where to look for a duration's bucket.
    below: Box<[u8; PLACES]>,
}

/// Counts of durations by bucket, and their sum: seen (`u64`) or estimated (`f64`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latency<N = u64, const SCHEMA: i8 = FINEST> {
    /// Not cumulative; the last one in use holds what is above every bound.
    buckets: [N; Counting::MAX_BUCKETS + 1],
    sum: N,
    /// The same durations in buckets whose bounds nobody has chosen.
    pub exponential: Exponential<N, SCHEMA>,
}

/// A duration and the buckets it belongs to, found once for all histograms that it is counted in.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    nanos: u64,
    bucket: usize,
    place: Place,
}

impl Scale {
    /// Ascending `bounds`, at most [`Counting::MAX_BUCKETS`], and at most [`Counting::MAX_THRESHOLDS`] `thresholds`.
    pub fn new(bounds: Vec<u64>, thresholds: Vec<u64>) -> Self {
        let places: Vec<usize> = bounds.iter().map(|bound| Place::of(*bound).index()).collect();
        let below = |place| places.iter().take_while(|of_bound| **of_bound < place).count() as u8;
        let below = Box::new(std::array::from_fn(below));
        Self { bounds, thresholds, below }
    }

    /// Where a duration in nanoseconds is counted.
    #[inline]
    pub fn place(&self, nanos: u64) -> Placed {
        let place = Place::of(nanos);
        let mut bucket = self.below.get(place.index()).map_or(0, |below| usize::from(*below));
        // Only bounds of the same place are left to look at, which are few or none.
        while self.bounds.get(bucket).is_some_and(|bound| *bound < nanos) {
            bucket += 1;
        }
        Placed { nanos, bucket, place }
    }
}

impl Placed {
    /// Which bucket it is in, from 0; what is above every bound is in the last one.
    pub fn bucket(self) -> usize {
        self.bucket
    }
}

impl<const SCHEMA: i8> Latency<u64, SCHEMA> {
    /// Counts a duration.
    #[inline]
    pub fn observe(&mut self, Placed { nanos, bucket, place }: Placed) {
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
        self.exponential.observe(place);
    }

    /// Forgets all durations, but keeps the memory.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        self.sum = 0;
        self.exponential.clear();
    }
}

impl<const SCHEMA: i8> Latency<f64, SCHEMA> {
    /// Adds what was seen with the same scale, each duration `weight` times.
    pub fn fold(&mut self, seen: &Latency<u64, SCHEMA>, weight: f64) {
        count::zip(&mut self.buckets, &seen.buckets, count::weighted(weight));
        count::weighted(weight)(&mut self.sum, seen.sum);
        self.exponential.fold(&seen.exponential, weight);
    }
}

impl<N: Count, const SCHEMA: i8> Latency<N, SCHEMA> {
    /// Adds what another one counted with the same scale.
    pub fn add(&mut self, other: &Self) {
        count::zip(&mut self.buckets, &other.buckets, count::add);
        count::add(&mut self.sum, other.sum);
        self.exponential.add(&other.exponential);
    }

    /// How many durations were counted.
    pub fn count(&self) -> N {
        self.buckets.iter().copied().fold(N::default(), N::plus)
    }

    /// Sum of the durations in nanoseconds.
    pub fn sum_nanos(&self) -> N {
        self.sum
    }

    /// `(upper bound in nanoseconds, durations ≤ it)`, ascending. `scale` is the one that was observed with.
    pub fn cumulative<'a>(&'a self, scale: &'a Scale) -> impl Iterator<Item = (u64, N)> + 'a {
        scale.bounds.iter().zip(&self.buckets).scan(N::default(), |total, (&bound, &count)| {
            count::add(total, count);
            Some((bound, *total))
        })
    }
}

/// How many durations were above each threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slow<N = u64>(pub(super) [N; Counting::MAX_THRESHOLDS]);

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
        let scale = Scale::new(vec![100, 250, 1000], vec![]);
        let mut latency: Latency = Latency::default();
        for nanos in [0, 100, 101, 1000, 1001, u64::MAX / 2] {
            latency.observe(scale.place(nanos));
        }
        assert_eq!(latency.cumulative(&scale).collect::<Vec<_>>(), [(100, 2), (250, 3), (1000, 4)]);
        assert_eq!(latency.count(), 6);
    }

    #[test]
    fn bounds_may_lie_as_close_as_anybody_likes() {
        let bounds: Vec<u64> =
            (0..12).map(|step| 1_000_000 + step).chain((1..12).map(|power| 10 << (3 * power))).collect();
        let mut sorted = bounds.clone();
        sorted.sort_unstable();
        let scale = Scale::new(sorted.clone(), vec![]);
        for nanos in sorted.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]) {
            let bucket = sorted.iter().filter(|bound| **bound < nanos).count();
            assert_eq!(scale.place(nanos).bucket, bucket, "{nanos}");
        }
    }

    #[test]
    fn slow_is_what_takes_longer_than_a_threshold() {
        let scale = Scale::new(vec![], vec![1000, 10]);
        let mut slow = Slow::default();
        for nanos in [10, 11, 1000, 1001] {
            slow.observe(nanos, &scale);
        }
        assert_eq!(slow.counts(&scale).collect::<Vec<_>>(), [(1000, 1), (10, 3)]);
    }
}
