//! A snapshot of the capture → [`Mysql`].

use super::{
    Capture, Digest, DigestCounts, Durations, Errors, Mysql, Sampling, Statements, Traffic, heaviest,
};
use crate::{
    limits::Limit,
    metrics::mysql as metrics,
    stats::{
        Stats,
        capture::Snapshot,
        counters::StatementStats,
        digests::{DigestStats, Shown},
        latency::Latency,
    },
};

impl Mysql {
    /// What `snapshot` says; `None` once the capture's thread has ended.
    pub fn new(snapshot: Option<&Snapshot>, sampling: &metrics::Sampling, ports: &[u16]) -> Self {
        let weight = sampling.multiplier.value(sampling.class);
        let state = snapshot.map(|snapshot| &snapshot.capture);
        let begun = snapshot.filter(|snapshot| snapshot.capture.link.is_some());
        let works = state.is_some_and(|state| state.up);
        let interface = state.map_or_else(String::new, |state| state.interface.clone());
        let ended = "the capture thread has ended, see the log";
        Self {
            works,
            error: state.map_or(Some(ended.to_owned()), |state| state.error.clone()),
            note: begun.filter(|_| works).and_then(|begun| nothing_decoded(&begun.stats, &interface, ports)),
            interface,
            ports: ports.to_vec(),
            sampling: Sampling::new(sampling, weight),
            capture: begun.map(Capture::new),
            traffic: begun.map(|begun| Traffic::new(&begun.stats, weight)),
        }
    }
}

fn nothing_decoded(stats: &Stats, interface: &str, ports: &[u16]) -> Option<String> {
    if stats.statements().any(|(_, kind)| kind.count > 0) {
        return None;
    }
    let on = if interface == "any" { "any interface" } else { interface };
    Some(match stats.packets {
        0 => format!("No MySQL traffic seen on {on} since the start. {} right?", ports_are(ports)),
        _ => format!("MySQL packets are seen on {on}, but no statement yet."),
    })
}

/// "Is port 3306", "Are ports 3306 and 3307".
fn ports_are(ports: &[u16]) -> String {
    match ports {
        [port] => format!("Is port {port}"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(u16::to_string).collect();
            format!("Are ports {} and {last}", first.join(", "))
        }
        [] => "Is the port".to_owned(),
    }
}

impl Sampling {
    fn new(sampling: &metrics::Sampling, multiplier: f64) -> Self {
        let bits = sampling.class.bits();
        let text = match bits {
            0 if multiplier == 1.0 => {
                "Every connection is decoded: counts are exact, but for what was lost.".to_owned()
            }
            0 => format!("Every connection is decoded, and each event counts {multiplier} times, as told."),
            _ => format!(
                "One connection in {} is decoded, whole, and each of its events counts {multiplier} times: counts \
                 are estimates.",
                1_u32 << bits
            ),
        };
        Self {
            bits,
            multiplier,
            nominal_multiplier: f64::from(1_u32 << bits),
            measured_multiplier: None,
            effective_size: None,
            standard_error: None,
            text,
        }
    }
}

impl Capture {
    fn new(Snapshot { stats, capture }: &Snapshot) -> Self {
        let hits = Limit::ALL.iter().zip(stats.limit_hits).filter(|(_, hits)| *hits > 0);
        Self {
            packets: stats.packets,
            bytes: stats.bytes,
            dropped: [("kernel", capture.dropped_by_kernel), ("interface", capture.dropped_by_interface)]
                .into_iter()
                .collect(),
            undecoded: stats.undecoded_by_layer().map(|(layer, count)| (layer.label(), count)).collect(),
            gaps: stats.gaps,
            desyncs: stats.desyncs,
            limit_hits: hits.map(|(limit, hits)| (limit.label(), hits)).collect(),
            cpu_seconds: capture.cpu.as_secs_f64(),
        }
    }
}

impl Traffic {
    fn new(stats: &Stats, weight: f64) -> Self {
        let scaled = |count: u64| count as f64 * weight;
        let kinds = stats.statements().filter(|(_, kind)| kind.count > 0 || kind.duration.count() > 0);
        let digests = stats.digests.iter().map(|shown| Digest::new(shown, weight)).collect();
        let (digests, other_digests) = heaviest(digests, DigestCounts::new(&stats.other_digests, weight));
        Self {
            connections: stats.flows().map(|(visibility, count)| (visibility.label(), count)).collect(),
            opened: scaled(stats.opened),
            closed: stats.connections_closed().map(|(_, count)| scaled(count)).sum(),
            logins: stats.logins().map(|(login, count)| (login.label(), scaled(count))).collect(),
            request_bytes: scaled(stats.request_bytes),
            response_bytes: scaled(stats.response_bytes),
            statements: kinds
                .map(|(kind, counted)| (kind.label(), Statements::new(counted, weight)))
                .collect(),
            errors: errors(stats, weight),
            digests,
            other_digests,
        }
    }
}

impl Statements {
    fn new(kind: &StatementStats, weight: f64) -> Self {
        Self {
            count: kind.count as f64 * weight,
            durations: Durations::new(&kind.duration, weight),
            rows_returned: kind.rows_returned as f64 * weight,
            rows_affected: kind.rows_affected as f64 * weight,
        }
    }
}

impl Durations {
    fn new(latency: &Latency, weight: f64) -> Self {
        let quantile = |share| latency.exponential.quantile(share).map(seconds);
        Self {
            count: latency.count() as f64 * weight,
            sum_seconds: seconds(latency.sum_nanos()) * weight,
            p50_seconds: quantile(0.5),
            p95_seconds: quantile(0.95),
            p99_seconds: quantile(0.99),
            zeros: latency.exponential.zeros() * weight,
            buckets: latency.exponential.buckets().map(|(index, count)| (index, count * weight)).collect(),
        }
    }
}

fn errors(stats: &Stats, weight: f64) -> Vec<Errors> {
    let by_code = stats.errors().into_iter().map(|(error, count)| Errors {
        code: Some(error.code),
        sqlstate: error.sqlstate.map(|state| String::from_utf8_lossy(&state).into_owned()),
        count: count as f64 * weight,
    });
    let other = (stats.other_errors > 0).then_some(Errors {
        code: None,
        sqlstate: None,
        count: stats.other_errors as f64 * weight,
    });
    by_code.chain(other).collect()
}

impl Digest {
    fn new(shown: &Shown, weight: f64) -> Self {
        Self {
            digest: shown.id.to_string(),
            schema: shown.schema.clone(),
            text: shown.text.clone(),
            p95_seconds: None,
            counts: DigestCounts::new(&shown.stats, weight),
        }
    }
}

impl DigestCounts {
    fn new(stats: &DigestStats, weight: f64) -> Self {
        Self {
            queries: stats.queries as f64 * weight,
            seconds: seconds(stats.nanos) * weight,
            errors: stats.errors as f64 * weight,
            rows_returned: stats.rows_returned as f64 * weight,
            rows_affected: stats.rows_affected as f64 * weight,
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
