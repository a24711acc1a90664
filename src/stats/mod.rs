//! Events → aggregates.
//!
//! Integers while events come in; at each fold they are multiplied by what one of them stands for (see [`tally`]). A
//! duration is counted in classic buckets and in exponential ones ([`latency::Latency`]); quantiles
//! ([`exponential::Exponential::quantile`]) and native histograms ([`native::Snapshot`]) are made of the latter when
//! somebody asks.

#![forbid(unsafe_code)]

pub mod askers;
pub mod capture;
pub mod count;
pub mod counters;
pub mod digests;
pub mod durations;
pub mod exponential;
pub mod latency;
pub mod native;
pub mod profile;
pub mod recorder;
pub mod schemas;
pub mod tally;
pub mod texts;
pub mod top;
pub mod traces;

pub use counters::{Closed, Stats};
pub use recorder::Recorder;
