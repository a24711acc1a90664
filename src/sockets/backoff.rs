//! When to try netlink again after it failed.

use std::time::{Duration, Instant};

/// Wait after the first failure; doubled by each that follows.
pub const FIRST: Duration = Duration::from_secs(5);

/// Longest wait: what an administrator repairs is noticed within this.
pub const LONGEST: Duration = Duration::from_secs(300);

/// Doubling waits between tries.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    retry_at: Option<Instant>,
}

impl Backoff {
    /// Whether a try is due at `now`.
    pub fn due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|retry_at| now >= retry_at)
    }

    /// A try failed at `now`.
    pub fn failed(&mut self, now: Instant) {
        let wait = 2_u32.checked_pow(self.failures).and_then(|factor| FIRST.checked_mul(factor));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.checked_add(wait.unwrap_or(LONGEST).min(LONGEST));
    }

    /// A try succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert!(backoff.due(now));
            backoff.failed(now);
            let wait = Duration::from_secs(seconds);
            assert!(!backoff.due(now + wait - Duration::from_nanos(1)), "{seconds}");
            now += wait;
        }
        (0..100).for_each(|_| backoff.failed(now));
        assert!(backoff.due(now + LONGEST));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.failed(now);
        backoff.failed(now);
        backoff.succeeded();
        assert!(backoff.due(now));
        backoff.failed(now);
        assert!(backoff.due(now + FIRST));
    }
}
