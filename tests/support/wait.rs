//! Waiting for a condition: by asking again until a deadline, never by assuming how long it takes.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two questions; short against anything waited for here.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `ready` until it answers `Some`.
///
/// # Panics
///
/// When `limit` has passed: with `what` was waited for.
pub fn until<T>(limit: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        thread::sleep(PAUSE);
    }
}
