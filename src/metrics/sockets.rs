//! [`Report`] → the `dbwire_tcp_*` families.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{family::Family, names};
use crate::sockets::report::Report;

/// Every socket family that has samples. Counts that were never read are absent, not zero.
pub fn families(report: &Report) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    if let Some(reading) = &report.snapshot.reading {
        let mut states = Family::new(&names::TCP_CONNECTION_STATES);
        for (state, count) in reading.states.iter() {
            states = states.sample(&[state.label()], count as f64);
        }
        families.push(states.build());
        families.push(Family::new(&names::TCP_SOURCE_INFO).sample(&[reading.source.label()], 1.0).build());
    }
    families.extend(report.age.map(|age| seconds(&names::TCP_SNAPSHOT_AGE, age)));
    families.push(seconds(&names::TCP_COOLDOWN, report.cooldown));
    let mut fallbacks = Family::new(&names::TCP_FALLBACKS);
    for (reason, count) in report.snapshot.fallbacks.iter() {
        fallbacks = fallbacks.sample(&[reason.label()], count as f64);
    }
    families.push(fallbacks.build());
    families
}

fn seconds(metric: &'static names::Metric, duration: Duration) -> MetricFamily {
    Family::single(metric, duration.as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]
mod tests {
    use std::{sync::Arc, time::Instant};

    use prometheus::{Encoder, TextEncoder};

    use super::*;
    use crate::sockets::{
        report::{Reading, Snapshot},
        source::{FallbackReason, Source},
        state::{State, StateCounts},
    };

    fn page(snapshot: Snapshot, now: Instant) -> String {
        let report = Report::new(Arc::new(snapshot), now, Duration::from_millis(1500), false);
        let mut text = Vec::new();
        TextEncoder::new().encode(&families(&report), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn all_eleven_states_are_there_once_they_are_known() {
        let started = Instant::now();
        let mut states = StateCounts::default();
        states.add(State::Listen);
        let reading = Reading { states, source: Source::Netlink, started, elapsed: Duration::ZERO };
        let text = page(
            Snapshot { reading: Some(reading), ..Snapshot::default() },
            started + Duration::from_millis(250),
        );
        for state in State::ALL {
            let value = u64::from(state == State::Listen);
            let line = format!("dbwire_tcp_connection_states{{state=\"{}\"}} {value}\n", state.label());
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(text.contains("\ndbwire_tcp_source_info{source=\"netlink\"} 1\n"));
        assert!(text.contains("\ndbwire_tcp_snapshot_age_seconds 0.25\n"));
        assert!(text.contains("\ndbwire_tcp_cooldown_seconds 1.5\n"));
    }

    #[test]
    fn counts_that_were_never_read_are_absent() {
        let text = page(Snapshot::default(), Instant::now());
        for name in ["connection_states", "source_info", "snapshot_age"] {
            assert!(!text.contains(name), "{text}");
        }
    }

    #[test]
    fn every_fallback_reason_is_there_from_the_start() {
        let mut snapshot = Snapshot::default();
        snapshot.fallbacks.add(FallbackReason::Handler);
        let text = page(snapshot, Instant::now());
        for reason in FallbackReason::ALL {
            let value = u64::from(reason == FallbackReason::Handler);
            let line = format!("dbwire_tcp_fallbacks_total{{reason=\"{}\"}} {value}\n", reason.label());
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
