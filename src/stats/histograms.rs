//! Latency histograms by kind of statement, of the kinds that have them.

use super::latency::{Latency, Scale, Slow};
use crate::digest::Statement;

/// Kinds with histograms of their own: those that make up most of a load, COMMIT for what it says of the disk,
/// and what is not known or encrypted, which must not be taken for another kind. All kinds together would be half of a host's series.
const OWN: [Statement; 7] = [
    Statement::Select,
    Statement::Insert,
    Statement::Update,
    Statement::Delete,
    Statement::Commit,
    Statement::Unknown,
    Statement::Encrypted,
];

/// Label of the histograms of all other kinds.
const OTHER: &str = "other";

/// The two histograms of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pair {
    /// Last byte of the request to the last byte of the response.
    pub duration: Latency,
    /// Last byte of the request to the first byte of the response.
    pub first_response: Latency,
}

/// All histograms, and the counts of slow statements.
#[derive(Debug, Clone)]
pub struct Histograms {
    /// What they are measured with.
    pub scale: Scale,
    pairs: [Pair; OWN.len() + 1],
    slow: [Slow; Statement::COUNT],
}

impl Histograms {
    /// Empty ones.
    pub fn new(scale: Scale) -> Self {
        Self { scale, pairs: Default::default(), slow: [Slow::default(); _] }
    }

    /// Counts a statement that was answered, in nanoseconds.
    #[inline]
    pub fn observe(&mut self, statement: Statement, duration: u64, first_response: u64) {
        let own = OWN.iter().position(|own| *own == statement);
        let pair = &mut self.pairs[own.unwrap_or(OWN.len())];
        pair.duration.observe(duration, &self.scale);
        pair.first_response.observe(first_response, &self.scale);
        self.slow[statement as usize].observe(duration, &self.scale);
    }

    /// By value of the `statement` label.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &Pair)> + '_ {
        OWN.iter().map(|own| own.label()).chain([OTHER]).zip(&self.pairs)
    }

    /// Slow statements by kind.
    pub fn slow(&self) -> impl Iterator<Item = (Statement, &Slow)> + '_ {
        Statement::ALL.into_iter().zip(&self.slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_without_histograms_of_its_own_is_other() {
        let mut histograms = Histograms::new(Scale { bounds: vec![10], thresholds: vec![5] });
        for (statement, nanos) in [(Statement::Select, 4), (Statement::Call, 6), (Statement::Other, 20)] {
            histograms.observe(statement, nanos, 1);
        }
        let counts: Vec<_> = histograms.pairs().map(|(label, pair)| (label, pair.duration.count())).collect();
        assert_eq!(counts.first(), Some(&("select", 1)));
        assert_eq!(counts.last(), Some(&("other", 2)));
        let slow = |wanted| {
            let (_, slow) = histograms.slow().find(|(statement, _)| *statement == wanted).unwrap();
            slow.counts(&histograms.scale).next().unwrap().1
        };
        assert_eq!([Statement::Select, Statement::Call, Statement::Set].map(slow), [0, 1, 0]);
    }
}
