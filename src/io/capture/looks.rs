//! When the ring is looked at.

use std::time::{Duration, Instant};

/// While blocks of the ring are full sooner than this after one another, it is looked at so often, and not at each of them:
/// to be woken costs more than to read a block, and whoever sends pays for it, too. (The kernel's NAPI does as much with
/// interrupts.)
const EVERY: Duration = Duration::from_millis(1);
/// Rings that could be full by then are read when the kernel says so: this one takes 4 GB/s.
const LEAST_RING: u32 = 4 << 20;

/// See the module. Call order: [`Self::after`] before a look, [`Self::looked`] after it.
#[derive(Debug)]
pub(super) struct Looks {
    may_wait: bool,
    last: Instant,
    timed: bool,
}

impl Looks {
    /// At a ring of so many bytes.
    pub(super) fn new(ring_bytes: u32, now: Instant) -> Self {
        Self { may_wait: ring_bytes >= LEAST_RING, last: now, timed: false }
    }

    /// How long to wait whatever the ring says; `None` if it is to say so.
    pub(super) fn after(&self) -> Option<Duration> {
        self.timed.then_some(EVERY)
    }

    /// A look has found so many frames.
    pub(super) fn looked(&mut self, frames: usize, now: Instant) {
        let soon = now.saturating_duration_since(self.last) < EVERY;
        self.last = now;
        self.timed = self.may_wait && frames > 0 && (self.timed || soon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the look after each of these is at its time: so many microseconds after the last, so many frames.
    fn timed(ring_bytes: u32, looks: &[(u64, usize)]) -> Vec<bool> {
        let mut now = Instant::now();
        let mut state = Looks::new(ring_bytes, now);
        let look = |&(micros, frames): &(u64, usize)| {
            now += Duration::from_micros(micros);
            state.looked(frames, now);
            state.after().is_some()
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_ring_whose_blocks_come_faster_is_looked_at_at_its_time_until_there_is_nothing() {
        let looks = [(5000, 9), (999, 9), (1100, 9), (1100, 9), (1100, 0), (200, 0), (3000, 9), (1000, 9)];
        let expected = [false, true, true, true, false, false, false, false];
        assert_eq!(timed(8 << 20, &looks), expected);
    }

    #[test]
    fn a_small_ring_is_read_when_the_kernel_says_so() {
        assert_eq!(timed(1 << 20, &[(10, 9), (10, 9)]), [false, false]);
    }
}
