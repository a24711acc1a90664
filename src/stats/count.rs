//! Two kinds of counts, and how they add up.

/// A count: of what was seen, or an estimate of what there was.
pub trait Count: Copy + Default + PartialEq {
    /// As a number that may have a fraction.
    fn as_f64(self) -> f64;
    /// The sum of both; the largest number there is if it is beyond.
    #[must_use]
    fn plus(self, more: Self) -> Self;
}

impl Count for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn plus(self, more: Self) -> Self {
        self.saturating_add(more)
    }
}

impl Count for f64 {
    fn as_f64(self) -> f64 {
        self
    }

    fn plus(self, more: Self) -> Self {
        self + more
    }
}

/// Applies `step` to each number of `own` and its like in `other`.
pub(super) fn zip<N, M: Copy>(own: &mut [N], other: &[M], step: impl Fn(&mut N, M)) {
    own.iter_mut().zip(other).for_each(|(own, other)| step(own, *other));
}

/// Adds another number of the same kind.
pub(super) fn add<N: Count>(own: &mut N, more: N) {
    *own = own.plus(more);
}

/// Adds what was seen, each event for `weight`.
pub(super) fn weighted(weight: f64) -> impl Fn(&mut f64, u64) + Copy {
    move |own, seen| *own += seen as f64 * weight
}
