//! Aggregates → [`prometheus::proto::MetricFamily`] → an exposition format.
//!
//! [`names`] is the one table of every metric; [`family`] turns a row of it and some samples into a family;
//! each source has a module of its own that says which samples it has ([`build`] and [`scrape`] are the program's
//! own); [`text`] writes the page. Nothing here reads a clock, a file or a socket.

#![forbid(unsafe_code)]

pub mod build;
#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "capture")]
mod digests;
pub mod family;
#[cfg(feature = "capture")]
mod latencies;
#[cfg(feature = "capture")]
pub mod mysql;
pub mod names;
pub mod sandbox;
pub mod scrape;
pub mod sockets;
pub mod text;
