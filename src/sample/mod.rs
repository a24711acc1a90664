//! Which connections are captured, and what one of them stands for.

#![forbid(unsafe_code)]

pub mod class;
pub mod multiplier;
