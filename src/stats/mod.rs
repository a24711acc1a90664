//! Events → aggregates.
//!
//! Plain integers, unscaled: what one of them stands for is the multiplier's business, at export.

#![forbid(unsafe_code)]

pub mod capture;
pub mod counters;
pub mod latency;
pub mod top;

pub use counters::{Closed, Stats};
