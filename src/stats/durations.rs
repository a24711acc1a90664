//! How long the statements of one digest took: less finely than those of a kind, because there are many digests.

use super::{
    exponential::COARSE,
    latency::{Latency, Placed},
    tally::{Stratum, Weights},
};

/// Quantiles of it are right to 9 %.
pub type Coarse<N = u64> = Latency<N, COARSE>;

/// What was seen in this slice, in those before it that are not folded yet, and what all before stands for. Takes no
/// memory before the first duration, then up to 7 KiB ([`limits::DIGEST_DURATIONS`](crate::limits::DIGEST_DURATIONS)).
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Option<Box<Parts>>);

#[derive(Debug, Clone, Default)]
struct Parts {
    seen: [Coarse; Stratum::COUNT],
    cut: [Coarse; Stratum::COUNT],
    estimated: Coarse<f64>,
}

impl Durations {
    /// Counts a duration.
    #[inline]
    pub(super) fn observe(&mut self, stratum: Stratum, placed: Placed) {
        self.0.get_or_insert_default().seen[stratum as usize].observe(placed);
    }

    /// A slice ends.
    pub(super) fn cut(&mut self) {
        let Some(parts) = &mut self.0 else { return };
        for (cut, seen) in parts.cut.iter_mut().zip(&mut parts.seen) {
            if seen.count() > 0 {
                cut.add(seen);
                seen.clear();
            }
        }
    }

    /// What was seen in the slices that ended is worth `weights`.
    pub(super) fn fold(&mut self, weights: Weights) {
        let Some(parts) = &mut self.0 else { return };
        for (cut, weight) in parts.cut.iter_mut().zip(weights) {
            if let Some(weight) = weight.filter(|_| cut.count() > 0) {
                parts.estimated.fold(cut, weight);
                cut.clear();
            }
        }
    }

    /// Begins at nothing again, to give back the memory; but for what is not folded yet, which must not be lost.
    pub(super) fn begin_anew(&mut self) {
        let waits = |parts: &Parts| parts.seen.iter().chain(&parts.cut).any(|tally| tally.count() > 0);
        self.0 = self.0.take().filter(|parts| waits(parts));
    }

    /// What all that were folded stand for.
    pub(super) fn estimated(&self) -> Coarse<f64> {
        self.0.as_ref().map_or_else(Coarse::default, |parts| parts.estimated.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::latency::Scale;

    #[test]
    fn each_stratum_is_folded_with_its_weight_and_what_has_none_waits() {
        let scale = Scale::new(vec![1_000_000], vec![]);
        let mut durations = Durations::default();
        durations.observe(Stratum::Lasting, scale.place(500_000));
        durations.observe(Stratum::New, scale.place(20_000_000));
        durations.cut();
        durations.fold([Some(3.0), None]);
        durations.begin_anew();
        let told = durations.estimated();
        assert_eq!((told.count(), told.sum_nanos()), (3.0, 1_500_000.0));
        durations.fold([Some(9.0), Some(2.0)]);
        let told = durations.estimated();
        assert_eq!(told.cumulative(&scale).collect::<Vec<_>>(), [(1_000_000, 3.0)]);
        assert_eq!((told.count(), told.sum_nanos()), (5.0, 41_500_000.0));
        durations.begin_anew();
        assert_eq!(durations.estimated(), Coarse::default());
        let p95 = told.exponential.quantile(0.95).unwrap() as f64;
        assert!((p95 / 20e6 - 1.0).abs() < 0.091, "{p95}");
    }

    #[test]
    fn a_digest_takes_what_the_limits_say() {
        let counters = size_of::<u64>() * (1 + (35 << COARSE));
        assert!(size_of::<Parts>() + 5 * counters <= crate::limits::DIGEST_DURATIONS);
        assert_eq!(size_of::<Durations>(), 8);
    }
}
