//! Events → aggregates.
//!
//! Plain integers, unscaled: what one of them stands for is the multiplier's business, at export.

#![forbid(unsafe_code)]

pub mod capture;
pub mod counters;
pub mod digests;
pub mod latency;
pub mod profile;
pub mod quantiles;
pub mod recorder;
pub mod schemas;
pub mod texts;
pub mod top;

pub use counters::{Closed, Stats};
pub use recorder::Recorder;
