//! Events → aggregates.
//!
//! Integers while events come in; at each fold they are multiplied by what one of them stands for (see [`tally`]).

#![forbid(unsafe_code)]

pub mod capture;
pub mod counters;
pub mod digests;
pub mod latency;
pub mod profile;
pub mod quantiles;
pub mod recorder;
pub mod schemas;
pub mod tally;
pub mod texts;
pub mod top;

pub use counters::{Closed, Stats};
pub use recorder::Recorder;
