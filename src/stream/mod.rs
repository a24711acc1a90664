//! Segments → each connection's bytes, in order: `data`, `gap`, `opened` and `closed`.
//!
//! [`flows`] finds the connection of a segment; [`assembler`] puts one connection's two directions in order;
//! [`seq`] is the arithmetic of sequence numbers. Time is packet time. Loss is explicit: a hole that is given
//! up becomes a gap of known length, never silence.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod assembler;
pub mod flows;
pub mod key;
pub mod seq;

use std::ops::Range;

use crate::packet::Timestamp;

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server's port.
    ToServer,
    /// From the server's port to the client.
    ToClient,
}

impl Direction {
    /// The other way.
    #[inline]
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// Why bytes of a stream are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They were never captured.
    Lost,
    /// The snapshot length cut them off.
    Cut,
    /// They came out of order, and were not kept because nobody needed them ([`Receiver::needless`]).
    Needless,
    /// They went by while the connection was not one of those to be captured.
    Unselected,
}

/// Takes one connection's bytes in order.
///
/// Between the two directions the order is causal: what one side had received when it sent something (its
/// acknowledgment number) is delivered before that something, even where the capture saw it later.
pub trait Receiver {
    /// The next bytes of a direction. `at` never decreases within a direction, unless the clock was set back.
    fn data(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]);
    /// The next `length` bytes of a direction are missing.
    fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, why: Missing);
    /// The client sent the bytes that come next before it had received all of the server's that were handed on: it did not
    /// await them.
    fn hurried(&mut self);
    /// Which of the bytes to come in a direction, counted from the next one on, are needed for their number and time only.
    /// Those that come before their turn are not held back, and told as [`Missing::Needless`] when it is theirs.
    fn needless(&self, direction: Direction) -> Range<u32>;
}
