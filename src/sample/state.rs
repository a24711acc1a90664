//! How the sampling stands, for a page.

use super::class::SampleClass;

/// Which connections are captured now, and what is known of all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The class that is captured.
    pub class: SampleClass,
    /// What each event seen in the last slice stands for, over all strata.
    pub multiplier: f64,
    /// Payload bytes of each segment from a server that are captured; `None` for all of them.
    pub reply_bytes: Option<u16>,
    /// Times the class's size or the bytes of replies were changed to hold the CPU budget.
    pub changes: Changes,
    /// What the last census told; `None` where there is none.
    pub census: Option<CensusState>,
    /// Censuses made, and those that failed.
    pub censuses: [u64; 2],
    /// How far the estimates may be off; `None` unless the multiplier is measured.
    pub accuracy: Option<Accuracy>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::fixed(SampleClass::ALL, 1.0)
    }
}

impl Sampling {
    /// One weight for everything.
    pub fn fixed(class: SampleClass, multiplier: f64) -> Self {
        Self {
            class,
            multiplier,
            reply_bytes: None,
            changes: Changes::default(),
            census: None,
            censuses: [0; 2],
            accuracy: None,
        }
    }
}

/// Changes made to hold the CPU budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Less is captured since.
    pub tightened: u64,
    /// More is.
    pub relaxed: u64,
}

/// The connections to the servers' ports as the kernel listed them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CensusState {
    /// All of them.
    pub all: u64,
    /// Those in the class.
    pub sampled: u64,
    /// Those whose client has an even port; the others' are odd.
    pub even: u64,
    /// Of the requests of the last slice, the share that was in the class; `None` if there were none.
    pub ratio: Option<f64>,
}

/// n_eff below which an interval promises too much.
const LEAST_EFFECTIVE_SIZE: f64 = 4.0;

/// What the estimates are worth.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Accuracy {
    /// Cumulative standard errors, by [`super::interval::MEASURES`]; to be told by [`Self::honest_errors`].
    pub standard_errors: [f64; 3],
    /// n_eff of the last slice: as many connections of equal size would tell as much.
    pub effective_size: f64,
    /// Data segments for which no estimate could be made.
    pub unestimated: f64,
}

impl Accuracy {
    /// The standard errors, where they are worth telling.
    pub fn honest_errors(&self) -> Option<[f64; 3]> {
        (self.effective_size >= LEAST_EFFECTIVE_SIZE).then_some(self.standard_errors)
    }
}
