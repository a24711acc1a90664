//! Keeps a collector's thread going: a panic is counted, the collector starts afresh, and rests before it goes on.
//!
//! No input is known to cause one. But the alternative, a daemon that has ended or a half that is silently gone, is worse
//! than a half that begins to count anew.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The first and the longest rest.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// After so long without a panic the next rest is the first again.
const FORGIVEN: Duration = Duration::from_secs(300);

/// How often a collector's thread has panicked. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Panics(Arc<AtomicU64>);

impl Panics {
    /// Since the start.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a thread does.
pub(super) trait Task {
    /// Works until told to stop.
    fn run(&mut self);
    /// After a panic: leaves nothing that may be half done.
    fn start_afresh(&mut self);
    /// Waits, or less if told to stop.
    fn rest(&mut self, time: Duration);
}

/// Runs `task` until it returns.
pub(super) fn supervise(panics: &Panics, task: &mut impl Task) {
    let mut rest = REST.0;
    loop {
        let started = Instant::now();
        // What a panic leaves half done is thrown away by `start_afresh`.
        if panic::catch_unwind(AssertUnwindSafe(|| task.run())).is_ok() {
            return;
        }
        panics.add();
        if started.elapsed() >= FORGIVEN {
            rest = REST.0;
        }
        tracing::error!(seconds = rest.as_secs(), "a collector starts afresh after a panic");
        task.start_afresh();
        task.rest(rest);
        rest = (rest * 2).min(REST.1);
    }
}

/// Tells of panics in the log: of where, not of what, for a message may hold a value that is not for the log.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let current = thread::current();
        tracing::error!(place, thread = current.name().unwrap_or_default(), "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics so many times, and notes what is done with it.
    #[derive(Default)]
    struct Shaky {
        panics_left: usize,
        fresh_starts: usize,
        rests: Vec<Duration>,
    }

    impl Task for Shaky {
        fn run(&mut self) {
            if self.panics_left > 0 {
                self.panics_left -= 1;
                panic!("as the test wants it");
            }
        }

        fn start_afresh(&mut self) {
            self.fresh_starts += 1;
        }

        fn rest(&mut self, time: Duration) {
            self.rests.push(time);
        }
    }

    #[test]
    fn a_task_that_panics_is_counted_started_afresh_and_rests_longer_each_time() {
        let panics = Panics::default();
        let mut shaky = Shaky { panics_left: 9, ..Shaky::default() };
        supervise(&panics, &mut shaky);
        assert_eq!((panics.count(), shaky.fresh_starts), (9, 9));
        let seconds: Vec<_> = shaky.rests.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_task_that_returns_is_not_run_again() {
        let mut steady = Shaky::default();
        supervise(&Panics::default(), &mut steady);
        assert_eq!((steady.fresh_starts, steady.rests.len()), (0, 0));
    }
}
