//! Events → aggregates.
//!
//! Plain integers, unscaled: what one of them stands for is the multiplier's business, at export. A duration is counted
//! in classic buckets and in exponential ones ([`latency::Latency`]); quantiles ([`exponential::Exponential::quantile`])
//! and native histograms ([`native::Snapshot`]) are made of the latter when somebody asks.

#![forbid(unsafe_code)]

pub mod askers;
pub mod capture;
pub mod counters;
pub mod digests;
pub mod exponential;
pub mod latency;
pub mod native;
pub mod profile;
pub mod recorder;
pub mod schemas;
pub mod texts;
pub mod top;
pub mod traces;

pub use counters::{Closed, Stats};
pub use recorder::Recorder;
