//! Logging to stderr, at a bounded rate.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{Event, Metadata, Subscriber, callsite::Identifier, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::cli::{LogArgs, LogFormat, LogLevel};

/// Messages that one line of the source may log in [`INTERVAL`]: nobody outside can fill a disk by making it speak.
const BURST: u32 = 20;
const INTERVAL: Duration = Duration::from_secs(60);

/// Messages left out so far.
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// How many messages were left out, because too many of their kind came before them.
pub fn suppressed() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Sends the messages of this process to stderr from now on. To be called once, before anything is logged.
///
/// What cannot be written, to a full disk or a closed pipe, is lost, and that is all.
pub fn start(log: LogArgs) {
    let level = match log.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let registry = tracing_subscriber::registry();
    match log.format {
        LogFormat::Logfmt => {
            let lines = tracing_logfmt::builder().with_target(false).layer();
            let lines = lines.with_writer(std::io::stderr).log_internal_errors(false);
            registry.with(bounded(lines, level)).init();
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
            let lines = lines.with_writer(std::io::stderr).log_internal_errors(false);
            registry.with(bounded(lines, level)).init();
        }
    }
}

fn bounded<S>(lines: impl Layer<S>, level: LevelFilter) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    lines.with_filter(RateLimit::default()).with_filter(level)
}

/// Counts the messages of each line of the source.
#[derive(Debug, Default)]
struct RateLimit {
    sources: Mutex<HashMap<Identifier, Allowance>>,
}

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let allowance =
            sources.entry(event.metadata().callsite()).or_insert(Allowance { since: now, used: 0 });
        let allowed = allowance.take(now);
        if !allowed {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }
}

/// What one line of the source has used of its allowance.
#[derive(Debug)]
struct Allowance {
    since: Instant,
    used: u32,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= INTERVAL {
            *self = Self { since: now, used: 0 };
        }
        self.used = self.used.saturating_add(1);
        self.used <= BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_speak_so_often_in_each_interval_and_no_more() {
        let start = Instant::now();
        let mut allowance = Allowance { since: start, used: 0 };
        let mut taken = |at| (0..100).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(start), BURST as usize);
        assert_eq!(taken(start + INTERVAL / 2), 0);
        assert_eq!(taken(start + INTERVAL), BURST as usize);
    }
}
