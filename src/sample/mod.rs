//! Which connections are captured, and what one of them stands for.
//!
//! [`class`] divides the connections by bits of the client's port; [`multiplier`] says where the weight comes from. The
//! rest measures it: a [`census`] of all connections, sampled or not, is taken at a [`pace`], [`openings`] keeps
//! what the filter shows of those that come and go in between, [`estimator`] makes weights of the two, [`interval`] says
//! how far they may be off, [`rotation`] moves to other classes, [`controller`] holds the CPU budget, and [`sampler`]
//! is all of these together. Nothing here knows of packets or sockets: keys, numbers and times come in, weights and
//! plans go out.

#![forbid(unsafe_code)]

pub mod census;
pub mod class;
pub mod controller;
pub mod estimator;
pub mod interval;
mod line;
pub mod multiplier;
pub mod openings;
pub mod pace;
pub mod rotation;
pub mod sampler;
pub mod state;
