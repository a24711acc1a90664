//! Counts of durations in buckets that grow by a constant factor: what quantiles and native histograms are made of.
//!
//! The buckets are those of a native histogram of schema [`FINEST`], or of a lower one: each power of two of seconds is
//! cut into 2^schema of them, and a bucket's upper bound belongs to it
//! (<https://prometheus.io/docs/specs/native_histograms/#standard-schemas>). Their number is fixed, so that counting a
//! duration is an addition, and two tallies add up place by place.

use super::count::Count;

/// Sixteen buckets for each power of two: each is 4.4 % wide, so that a quantile is within 2.2 % of the truth.
pub const FINEST: i8 = 4;
/// Four of them: 19 % wide, so that a quantile is within 9 %.
pub const COARSE: i8 = 2;
const STEPS: i32 = 1 << FINEST;
/// Durations up to 2^-20 s (0.95 µs) are one bucket, the *zero bucket*: no clock of a capture tells them apart.
const ZERO_POWER: i32 = -20;
/// The upper bound of the zero bucket in seconds.
pub const ZERO_THRESHOLD: f64 = 1.0 / (1 << -ZERO_POWER) as f64;
/// Those above 2^15 s (9.1 h, more than a connection may be idle) are in the last bucket.
const LAST_POWER: i32 = 15;
/// How many places there are: the zero bucket and the others.
pub const PLACES: usize = 1 + ((LAST_POWER - ZERO_POWER) * STEPS) as usize;

/// Counts of durations by size. Takes 4.5 KiB ([`COARSE`]: 1.1), all of them when the first duration is counted.
///
/// `Exponential` (of `u64`) tallies what is seen; `Exponential<f64>` sums up tallies that stand for more than
/// themselves ([`Exponential::fold`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Exponential<C = u64, const SCHEMA: i8 = FINEST>(Option<Box<[C]>>);

impl<C, const SCHEMA: i8> Default for Exponential<C, SCHEMA> {
    fn default() -> Self {
        Self(None)
    }
}

/// Where durations of a certain length are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u16);

impl Place {
    /// Ascends with the durations; less than [`PLACES`].
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Of a duration in nanoseconds.
    #[inline]
    pub fn of(nanos: u64) -> Self {
        // Seconds are 2^power × 1.fraction, so that a bucket is found by the bits of the number. The factor is 10^-9 to
        // half of an f64's last place, so that where a power of two is meant the product is rounded to it.
        let seconds = nanos.min(i64::MAX as u64) as i64 as f64 * 1e-9;
        let bits = seconds.to_bits();
        let power = (bits >> FRACTION_BITS) as i32 - POWER_BIAS;
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        let step = GUESSES[(fraction >> (FRACTION_BITS - GUESS_BITS)) as usize];
        let step = i32::from(step) + i32::from(fraction > FRACTIONS[usize::from(step)]);
        let place = (power - ZERO_POWER) * STEPS + step;
        Self(place.clamp(0, PLACES as i32 - 1) as u16)
    }
}

/// Of an `f64` (IEEE 754 binary64).
const FRACTION_BITS: u32 = 52;
const POWER_BIAS: i32 = 1023;

/// The fractions of `2^(step / STEPS)`, rounded down: a number is in the bucket of a step if its fraction is above
/// that of the step before it, and not above the step's own.
const FRACTIONS: [u64; STEPS as usize + 1] = [
    0x0,
    0xb558_6cf9_890f,
    0x1_72b8_3c7d_517a,
    0x2_387a_6e75_6238,
    0x3_06fe_0a31_b715,
    0x3_dea6_4c12_3422,
    0x4_bfda_d536_2a27,
    0x5_ab07_dd48_5429,
    0x6_a09e_667f_3bcc,
    0x7_a114_73eb_0186,
    0x8_ace5_422a_a0db,
    0x9_c491_82a3_f090,
    0xa_e89f_995a_d3ad,
    0xc_199b_dd85_529c,
    0xd_5818_dcfb_a487,
    0xe_a4af_a2a4_90d9,
    u64::MAX,
];

/// So many leading bits of a fraction leave two steps to choose from.
const GUESS_BITS: u32 = 5;
const GUESSES: [u8; 1 << GUESS_BITS] = {
    let mut guesses = [0; 1 << GUESS_BITS];
    let mut cell = 0;
    while cell < guesses.len() {
        while FRACTIONS[guesses[cell] as usize] < (cell as u64) << (FRACTION_BITS - GUESS_BITS) {
            guesses[cell] += 1;
        }
        cell += 1;
    }
    guesses
};

impl<C: Copy + Default, const SCHEMA: i8> Exponential<C, SCHEMA> {
    /// So many places of [`FINEST`] are one here, as a power of two; the zero bucket is one of its own.
    const MERGED: u32 = (FINEST - SCHEMA) as u32;
    /// Index of the zero bucket, if it were one like the others, as Prometheus numbers them: the upper bound of a bucket
    /// is `2^(index / 2^SCHEMA)`.
    const ZERO_INDEX: i32 = ZERO_POWER << SCHEMA;

    fn counters_mut(&mut self) -> &mut [C] {
        self.0.get_or_insert_with(|| vec![C::default(); 1 + ((PLACES - 1) >> Self::MERGED)].into())
    }
}

impl<const SCHEMA: i8> Exponential<u64, SCHEMA> {
    /// Counts a duration.
    #[inline]
    pub fn observe(&mut self, place: Place) {
        match &mut self.0 {
            Some(counters) => {
                let round_up = (1 << Self::MERGED) - 1;
                if let Some(count) = counters.get_mut((place.index() + round_up) >> Self::MERGED) {
                    *count += 1;
                }
            }
            None => self.observe_first(place),
        }
    }

    #[cold]
    fn observe_first(&mut self, place: Place) {
        self.counters_mut();
        self.observe(place);
    }

    /// Forgets all durations, but keeps the memory.
    pub fn clear(&mut self) {
        if let Some(counters) = &mut self.0 {
            counters.fill(0);
        }
    }
}

impl<const SCHEMA: i8> Exponential<f64, SCHEMA> {
    /// Adds what was tallied, each duration `weight` times.
    pub fn fold(&mut self, tally: &Exponential<u64, SCHEMA>, weight: f64) {
        let Some(tally) = &tally.0 else { return };
        let totals = self.counters_mut().iter_mut();
        totals.zip(tally.iter()).for_each(|(total, count)| *total += *count as f64 * weight);
    }
}

impl<C: Count, const SCHEMA: i8> Exponential<C, SCHEMA> {
    /// Adds the durations of another one.
    pub fn add(&mut self, other: &Self) {
        let Some(more) = &other.0 else { return };
        let counters = self.counters_mut().iter_mut();
        counters.zip(more.iter()).for_each(|(count, more)| *count = count.plus(*more));
    }

    /// How many durations there are.
    pub fn count(&self) -> f64 {
        self.counters().iter().map(|count| count.as_f64()).sum()
    }

    /// The duration in nanoseconds that `share` (0 to 1) of them do not exceed, to 2.2 % ([`COARSE`]: 9 %); 0 if they are
    /// in the zero bucket, and `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = self.count() * share;
        let mut below = 0.0;
        let place = self.counters().iter().position(|count| {
            below += count.as_f64();
            *count != C::default() && below >= rank
        })?;
        if place == 0 {
            return Some(0);
        }
        // The middle of the bucket, as a factor.
        let power = f64::from(Self::ZERO_INDEX + place as i32) - 0.5;
        Some(((power / f64::from(1 << SCHEMA)).exp2() * 1e9) as u64)
    }

    /// Durations in the zero bucket.
    pub fn zeros(&self) -> f64 {
        self.counters().first().map_or(0.0, |zeros| zeros.as_f64())
    }

    /// `(index, count)` of each bucket that is not empty, ascending, as Prometheus numbers them for the schema; without
    /// the zero bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let used = self.counters().iter().enumerate().skip(1).filter(|(_, count)| **count != C::default());
        used.map(|(place, count)| (Self::ZERO_INDEX + place as i32, count.as_f64()))
    }

    fn counters(&self) -> &[C] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Exponential {
        let mut tally = Exponential::default();
        durations.iter().for_each(|nanos| tally.observe(Place::of(*nanos)));
        tally
    }

    /// Upper bound of a bucket in seconds, by the specification.
    fn bound(index: i32) -> f64 {
        (f64::from(index) / 16.0).exp2()
    }

    #[test]
    fn a_duration_is_in_the_bucket_that_the_specification_names() {
        for (nanos, index) in [
            (1_000_000_000, 0),
            (1_000_000_001, 1),
            (2_000_000_000, 16),
            (500_000_000, -16),
            (250_000_001, -31),
            (1_044_273_782, 1),
            (1_044_273_783, 2),
            (954, -319),
        ] {
            let tally = of(&[nanos]);
            assert_eq!(tally.buckets().collect::<Vec<_>>(), [(index, 1.0)], "{nanos}");
        }
    }

    #[test]
    fn the_shortest_are_zeros_and_the_longest_are_in_the_last_bucket() {
        let tally = of(&[0, 1, 953, u64::MAX, 1 << 50]);
        assert_eq!((tally.zeros(), tally.count()), (3.0, 5.0));
        assert_eq!(tally.buckets().collect::<Vec<_>>(), [(240, 2.0)]);
        assert_eq!((tally.quantile(0.5), Exponential::<u64>::default().quantile(0.5)), (Some(0), None));
    }

    #[test]
    fn what_was_tallied_is_folded_with_its_weight() {
        let mut totals = Exponential::<f64>::default();
        totals.fold(&of(&[1_000_000_000, 2_000_000_000]), 1.5);
        totals.fold(&of(&[1_000_000_000]), 4.0);
        totals.fold(&Exponential::default(), 9.0);
        assert_eq!(totals.buckets().collect::<Vec<_>>(), [(0, 5.5), (16, 1.5)]);
    }

    #[test]
    fn a_sum_has_the_durations_of_both_and_an_empty_one_none() {
        let mut one = of(&[5_000_000]);
        one.add(&of(&[5_000_000, 70_000_000]));
        one.add(&Exponential::default());
        assert_eq!(one, of(&[5_000_000, 5_000_000, 70_000_000]));
        one.clear();
        assert_eq!((one.count(), one.buckets().count()), (0.0, 0));
    }

    proptest! {
        #[test]
        fn every_duration_is_between_the_bounds_of_its_bucket(nanos in 954..u64::MAX >> 20) {
            let seconds = nanos as f64 / 1e9;
            let (index, _) = of(&[nanos]).buckets().next().unwrap();
            // The bounds are irrational, or exact: a duration in nanoseconds is never within rounding of one.
            prop_assert!(bound(index - 1) < seconds && seconds <= bound(index), "{nanos}: {index}");
        }

        #[test]
        fn quantiles_are_within_two_per_cent_of_the_truth(
            mut durations in prop::collection::vec(1_000..100_000_000_000_u64, 1..500),
            share in 0.0..=1.0,
        ) {
            let told = of(&durations).quantile(share).unwrap() as f64;
            durations.sort_unstable();
            let rank = ((durations.len() as f64 * share).ceil() as usize).max(1);
            let truth = durations[rank - 1] as f64;
            prop_assert!((told / truth - 1.0).abs() < 0.0225, "{share}: {told}, {truth}");
        }
    }
}
