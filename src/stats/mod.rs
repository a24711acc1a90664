//! Events → aggregates.

#![forbid(unsafe_code)]

pub mod capture;

/// Everything counted from packets. A scrape reads a copy of it.
#[derive(Debug, Clone, Default)]
pub struct Stats {}
