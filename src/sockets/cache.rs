//! Whether a caller reads, waits for a read or takes what there is: one read in flight, none too soon.

use std::time::{Duration, Instant};

/// How much to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every socket.
    Everything,
    /// Listeners only, which costs microseconds: the collector has to rest.
    Listeners,
}

/// What a caller is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Serve the last snapshot: it is fresh enough.
    Serve,
    /// Start a read; the caller is the one to do so, and [`Cache::finished`] must follow.
    Read(Scope),
    /// A read is in flight since then: wait for it, but not for ever.
    Wait {
        /// When it was started.
        since: Instant,
    },
}

/// Decides when the sockets are read. Call order: [`Self::ask`] by any number of callers, [`Self::finished`] after
/// each [`Answer::Read`].
#[derive(Debug)]
pub struct Cache {
    time_to_live: Duration,
    reading_since: Option<Instant>,
    fresh_until: Option<Instant>,
    resting_until: Option<Instant>,
}

impl Cache {
    /// No two reads start closer together than `time_to_live`.
    pub fn new(time_to_live: Duration) -> Self {
        Self { time_to_live, reading_since: None, fresh_until: None, resting_until: None }
    }

    /// What a caller at `now` is to do.
    pub fn ask(&mut self, now: Instant) -> Answer {
        if let Some(since) = self.reading_since {
            return Answer::Wait { since };
        }
        let before = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if before(self.fresh_until) {
            return Answer::Serve;
        }
        self.reading_since = Some(now);
        self.fresh_until = now.checked_add(self.time_to_live);
        Answer::Read(if before(self.resting_until) { Scope::Listeners } else { Scope::Everything })
    }

    /// The read in flight has ended, and the next of everything may not start before `resting_until`, or an
    /// earlier read's, if that is later.
    pub fn finished(&mut self, resting_until: Option<Instant>) {
        self.reading_since = None;
        self.resting_until = self.resting_until.max(resting_until);
    }

    /// How long the read in flight has taken by now.
    pub fn reading_for(&self, now: Instant) -> Option<Duration> {
        self.reading_since.map(|since| now.saturating_duration_since(since))
    }

    /// How long the collector still has to rest.
    pub fn cooldown(&self, now: Instant) -> Duration {
        self.resting_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_caller_reads_and_the_others_wait_for_it() {
        let (mut cache, start) = (Cache::new(SECOND), Instant::now());
        assert_eq!(cache.ask(start), Answer::Read(Scope::Everything));
        for later in [0, 1, 100] {
            assert_eq!(cache.ask(start + later * SECOND), Answer::Wait { since: start });
        }
    }

    #[test]
    fn reads_start_no_closer_together_than_the_time_to_live() {
        let (mut cache, start) = (Cache::new(SECOND), Instant::now());
        assert_eq!(cache.ask(start), Answer::Read(Scope::Everything));
        assert_eq!(cache.reading_for(start + SECOND), Some(SECOND));
        cache.finished(None);
        assert_eq!(cache.reading_for(start + SECOND), None);
        assert_eq!(cache.ask(start + SECOND - Duration::from_nanos(1)), Answer::Serve);
        assert_eq!(cache.ask(start + SECOND), Answer::Read(Scope::Everything));
    }

    #[test]
    fn a_resting_collector_reads_listeners_only_and_says_how_long() {
        let (mut cache, start) = (Cache::new(SECOND), Instant::now());
        assert_eq!(cache.ask(start), Answer::Read(Scope::Everything));
        cache.finished(Some(start + 10 * SECOND));
        assert_eq!(cache.ask(start + SECOND / 2), Answer::Serve);
        assert_eq!(cache.ask(start + 4 * SECOND), Answer::Read(Scope::Listeners));
        // That cost next to nothing, and does not shorten the rest.
        cache.finished(Some(start + 5 * SECOND));
        assert_eq!(cache.cooldown(start + 4 * SECOND), 6 * SECOND);
        assert_eq!(cache.ask(start + 10 * SECOND), Answer::Read(Scope::Everything));
        assert_eq!(cache.cooldown(start + 11 * SECOND), Duration::ZERO);
    }

    #[test]
    fn a_time_to_live_of_zero_still_allows_one_read_at_a_time() {
        let (mut cache, start) = (Cache::new(Duration::ZERO), Instant::now());
        assert_eq!(cache.ask(start), Answer::Read(Scope::Everything));
        assert_eq!(cache.ask(start), Answer::Wait { since: start });
        cache.finished(None);
        assert_eq!(cache.ask(start), Answer::Read(Scope::Everything));
    }
}
