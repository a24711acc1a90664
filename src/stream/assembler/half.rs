//! What is known of one direction: how far it was delivered, and what came early.

use std::{collections::VecDeque, fmt};

use super::PATIENCE;
use crate::{
    limits::{self, Bounds, Limit},
    packet::Timestamp,
    stream::Missing,
};

/// Bytes that came early.
pub(super) struct Held {
    pub(super) sequence: u32,
    /// What the sender had received when it sent this.
    pub(super) acknowledges: Option<u32>,
    pub(super) at: Timestamp,
    pub(super) bytes: Box<[u8]>,
    /// Bytes behind those that are not here, and why.
    pub(super) cut: u32,
    pub(super) why: Missing,
}

/// Shows nothing of the bytes.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Held");
        shown.field("sequence", &self.sequence).field("length", &self.bytes.len()).field("cut", &self.cut);
        shown.finish_non_exhaustive()
    }
}

impl Held {
    pub(super) fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.bytes.len() as u32).wrapping_add(self.cut)
    }

    /// What it takes of the bounds.
    pub(super) fn cost(&self) -> usize {
        cost(self.bytes.len())
    }
}

/// What holding so many bytes takes of the bounds.
pub(super) const fn cost(bytes: usize) -> usize {
    bytes + limits::HELD_OVERHEAD
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the next byte to deliver; valid once `started`.
    pub(super) next: u32,
    /// Highest acknowledgment of this direction's bytes seen; valid once `acked`.
    pub(super) acknowledged: u32,
    /// Sequence number of the FIN, once one was seen.
    pub(super) fin: Option<u32>,
    /// Whether everything up to the FIN was delivered; `next` is then behind the FIN, which has a number of its own.
    pub(super) finished: bool,
    /// Time of the last delivery, 0 before the first: later ones are never earlier, unless the clock was set back.
    pub(super) clock: Timestamp,
    pub(super) started: bool,
    pub(super) acked: bool,
    /// Early segments, by sequence number, without overlaps.
    pub(super) held: VecDeque<Held>,
}

impl Half {
    pub(super) fn start(&mut self, sequence: u32) {
        if !self.started {
            self.started = true;
            self.next = sequence;
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held.iter().map(Held::cost).sum()
    }

    /// Takes the first held segment.
    pub(super) fn take_held(&mut self, bounds: &Bounds) -> Option<Held> {
        let held = self.held.pop_front()?;
        bounds.release(Limit::TotalBytes, held.cost());
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        Some(held)
    }

    /// A SYN tells where the stream begins, even after acknowledgments of it that were captured earlier.
    pub(super) fn restart(&mut self, sequence: u32) {
        if self.clock == Timestamp(0) && self.held.is_empty() {
            self.next = sequence;
        }
    }

    /// The time of a delivery that was captured `at`: what was held is delivered no earlier than what it waited for.
    #[inline]
    pub(super) fn reach(&mut self, at: Timestamp) -> Timestamp {
        self.clock = self.clock.max(at);
        self.clock
    }

    /// A segment came at `now`. Captured so long before an earlier one, it tells that the clock was set back.
    #[inline]
    pub(super) fn follow_clock(&mut self, now: Timestamp) {
        if self.clock.nanos_since(now) > PATIENCE {
            self.clock = now;
        }
    }

    /// Steps over the FIN if it is next.
    #[inline]
    pub(super) fn pass_fin(&mut self) {
        if self.fin == Some(self.next) && !self.finished {
            self.finished = true;
            self.next = self.next.wrapping_add(1);
        }
    }
}
