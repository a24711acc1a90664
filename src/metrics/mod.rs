//! Aggregates → [`prometheus::proto::MetricFamily`] → an exposition format.
//!
//! [`names`] is the one table of every metric; [`family`] turns a row of it and some samples into a family;
//! each source has a module of its own that says which samples it has ([`build`] and [`scrape`] are the program's
//! own); [`format`] lists what a page can be written as, [`text`] and [`protobuf`] write it. Nothing here reads a clock,
//! a file or a socket.

#![forbid(unsafe_code)]

#[cfg(feature = "capture")]
mod askers;
pub mod build;
#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "capture")]
mod digests;
pub mod exemplar;
pub mod family;
pub mod format;
mod fraction;
#[cfg(feature = "capture")]
mod latencies;
#[cfg(feature = "capture")]
pub mod mysql;
pub mod names;
#[cfg(feature = "capture")]
mod native;
mod number;
pub mod process;
mod protobuf;
#[cfg(feature = "capture")]
mod sampling;
pub mod sandbox;
pub mod scrape;
pub mod sockets;
pub mod text;
