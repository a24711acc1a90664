//! Aggregates → [`prometheus::proto::MetricFamily`] → an exposition format.
//!
//! [`names`] is the one table of every metric; [`family`] turns a row of it and some samples into a family;
//! each source has a module of its own that says which samples it has. Nothing here reads a clock, a file
//! or a socket.

#![forbid(unsafe_code)]

pub mod family;
pub mod names;
pub mod sockets;
