//! Native histograms: an [`Exponential`] in the form that Prometheus' protobuf has them.
//!
//! <https://prometheus.io/docs/specs/native_histograms/>, and `io.prometheus.client.Histogram` in
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>.

use super::{
    count::Count,
    exponential::{Exponential, FINEST, ZERO_THRESHOLD},
};

/// How fine a native histogram is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// The factor from one bucket's bound to the next is this at most, if [`Self::most_buckets`] and the tally's own
    /// ([`FINEST`]: 1.044) allow it.
    pub factor: f64,
    /// Most buckets that are not empty. Where there would be more, pairs of neighbours are merged, again and again.
    /// What was not empty never becomes so, hence a histogram only ever becomes coarser. At least 1.
    pub most_buckets: usize,
}

/// Buckets that are 9 % wide, as they commonly are; 160 of them in a row span a factor of a million.
impl Default for Resolution {
    fn default() -> Self {
        Self { factor: 1.1, most_buckets: 160 }
    }
}

impl Resolution {
    /// The coarsest standard schema whose buckets grow by the factor or less, but neither coarser than -4 nor finer
    /// than [`FINEST`].
    fn schema(self) -> i8 {
        (-4..FINEST).find(|schema| (-f64::from(*schema)).exp2().exp2() <= self.factor).unwrap_or(FINEST)
    }
}

/// A native histogram of seconds. Negative buckets there are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Buckets grow by `2^(2^-schema)`; -4 to [`FINEST`].
    pub schema: i8,
    /// The zero bucket holds durations up to this, in seconds.
    pub zero_threshold: f64,
    /// Its count.
    pub zero_count: f64,
    /// `(index, count)` of each bucket that is not empty, ascending. The upper bound of a bucket is
    /// `2^(index × 2^-schema)` seconds and belongs to it; its lower bound does not.
    pub buckets: Vec<(i32, f64)>,
}

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Buckets between the end of the span before it and its first one; the first one's index for the first span.
    pub offset: i32,
    /// Its buckets.
    pub length: u32,
}

/// So many empty buckets in a row cost less than another span.
const MOST_EMPTY: i32 = 2;

impl Snapshot {
    /// What `durations` holds, as fine as `resolution` has it.
    pub fn of<C: Count, const SCHEMA: i8>(
        durations: &Exponential<C, SCHEMA>,
        resolution: Resolution,
    ) -> Self {
        let mut snapshot = Self {
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: durations.zeros(),
            buckets: durations.buckets().collect(),
        };
        let schema = resolution.schema();
        while snapshot.schema > -4
            && (snapshot.schema > schema || snapshot.buckets.len() > resolution.most_buckets.max(1))
        {
            snapshot.coarsen();
        }
        snapshot
    }

    /// Merges pairs of neighbours: the next lower schema.
    fn coarsen(&mut self) {
        self.schema -= 1;
        let mut merged: Vec<(i32, f64)> = Vec::with_capacity(self.buckets.len());
        for (index, count) in self.buckets.drain(..) {
            // Rounded up: a bucket is named after its upper bound.
            let index = (index + 1).div_euclid(2);
            match merged.last_mut() {
                Some((last, total)) if *last == index => *total += count,
                _ => merged.push((index, count)),
            }
        }
        self.buckets = merged;
    }

    /// All durations, those in the zero bucket included.
    pub fn count(&self) -> f64 {
        self.zero_count + self.buckets.iter().map(|(_, count)| count).sum::<f64>()
    }

    /// The buckets as `positive_span`, and the count of each bucket of the spans, in order: `positive_count` of a float
    /// histogram. A few empty buckets stand in the spans.
    pub fn spans(&self) -> (Vec<Span>, Vec<f64>) {
        let mut spans: Vec<Span> = Vec::new();
        let mut counts = Vec::with_capacity(self.buckets.len());
        let mut next = 0;
        for &(index, count) in &self.buckets {
            let empty = index - next;
            match spans.last_mut() {
                Some(span) if empty <= MOST_EMPTY => {
                    span.length += empty as u32 + 1;
                    counts.extend((0..empty).map(|_| 0.0));
                }
                _ => spans.push(Span { offset: empty, length: 1 }),
            }
            counts.push(count);
            next = index + 1;
        }
        (spans, counts)
    }
}

/// `positive_delta`: each count as the difference to the one before it; the first as it is. `None` unless all are
/// integers, as those of a histogram that is not of floats have to be.
pub fn deltas(counts: &[f64]) -> Option<Vec<i64>> {
    // Up to here every integer is an f64.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let mut last = 0;
    let delta = |count: &f64| {
        let integer = (count.fract() == 0.0 && (0.0..=EXACT).contains(count)).then_some(*count as i64)?;
        Some(integer - std::mem::replace(&mut last, integer))
    };
    counts.iter().map(delta).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::exponential::Place;

    fn of(durations: &[u64], resolution: Resolution) -> Snapshot {
        let mut tally: Exponential = Exponential::default();
        durations.iter().for_each(|nanos| tally.observe(Place::of(*nanos)));
        Snapshot::of(&tally, resolution)
    }

    /// What Prometheus makes of spans: the indices of the buckets.
    fn indices(spans: &[Span]) -> Vec<i32> {
        let mut next = 0;
        let mut indices = Vec::new();
        for span in spans {
            next += span.offset;
            indices.extend(next..next + span.length as i32);
            next += span.length as i32;
        }
        indices
    }

    #[test]
    fn the_schema_is_the_coarsest_that_is_fine_enough() {
        for (factor, schema) in
            [(1.0, 4), (1.05, 4), (1.1, 3), (1.2, 2), (1.5, 1), (2.0, 0), (4.0, -1), (1e9, -4)]
        {
            assert_eq!(Resolution { factor, most_buckets: 160 }.schema(), schema, "{factor}");
        }
    }

    #[test]
    fn a_histogram_has_the_bounds_of_its_schema() {
        let durations = [100, 1_000_000_000, 1_000_000_001, 1_090_000_000, 1_100_000_000, 4_000_000_000];
        let snapshot = of(&durations, Resolution::default());
        // Indices 0 (up to 1 s), 1 (1.09 s), 2 (1.19 s) and 16 (4 s).
        assert_eq!(snapshot.buckets, [(0, 1.0), (1, 2.0), (2, 1.0), (16, 1.0)]);
        assert_eq!((snapshot.schema, snapshot.zero_count, snapshot.count()), (3, 1.0, 6.0));
        assert_eq!(snapshot.zero_threshold, 0.000_000_953_674_316_406_25);
        let (spans, counts) = snapshot.spans();
        assert_eq!(spans, [Span { offset: 0, length: 3 }, Span { offset: 13, length: 1 }]);
        assert_eq!(counts, [1.0, 2.0, 1.0, 1.0]);
        assert_eq!(deltas(&counts).unwrap(), [1, 1, -1, 0]);
    }

    #[test]
    fn a_few_empty_buckets_stand_within_a_span() {
        let buckets = vec![(-5, 2.0), (-2, 1.0), (2, 4.0)];
        let snapshot = Snapshot { schema: 3, zero_threshold: 1e-6, zero_count: 0.0, buckets };
        let (spans, counts) = snapshot.spans();
        assert_eq!(spans, [Span { offset: -5, length: 4 }, Span { offset: 3, length: 1 }]);
        assert_eq!(counts, [2.0, 0.0, 0.0, 1.0, 4.0]);
    }

    #[test]
    fn counts_that_are_no_integers_have_no_deltas() {
        assert_eq!(deltas(&[1.0, 2.5]), None);
        assert_eq!(deltas(&[-1.0]), None);
        assert_eq!(deltas(&[]), Some(vec![]));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_whatever_the_resolution(
            durations in prop::collection::vec(1_000..100_000_000_000_u64, 1..200),
            factor in 1.0..70_000.0_f64,
            most_buckets in 1_usize..50,
        ) {
            let snapshot = of(&durations, Resolution { factor, most_buckets });
            prop_assert!(snapshot.buckets.len() <= most_buckets.max(4));
            let width = (-f64::from(snapshot.schema)).exp2();
            for &(index, count) in &snapshot.buckets {
                let bound = |index: i32| (f64::from(index) * width).exp2() * 1e9;
                let inside = |nanos: &&u64| bound(index - 1) < **nanos as f64 && **nanos as f64 <= bound(index);
                prop_assert_eq!(durations.iter().filter(inside).count() as f64, count);
            }
            let (spans, counts) = snapshot.spans();
            let told: Vec<_> = indices(&spans).into_iter().zip(counts).filter(|(_, count)| *count > 0.0).collect();
            prop_assert_eq!(told, snapshot.buckets);
        }
    }
}
