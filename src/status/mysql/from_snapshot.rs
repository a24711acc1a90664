//! A snapshot of the capture → [`Mysql`].

use super::{
    Capture, Digest, DigestCounts, Durations, Errors, Mysql, Sampling, StandardError, Statements, Traffic,
    heaviest,
};
use crate::{
    limits::Limit,
    sample::state,
    stats::{
        Stats,
        capture::Snapshot,
        digests::{DigestStats, Shown},
        latency::Latency,
        tally::StatementStats,
    },
};

impl Mysql {
    /// What `snapshot` says; `None` once the capture's thread has ended.
    pub fn new(snapshot: Option<&Snapshot>, ports: &[u16]) -> Self {
        let sampling = snapshot.map(|snapshot| snapshot.stats.sampling).unwrap_or_default();
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
            sampling: Sampling::new(&sampling),
            capture: begun.map(Capture::new),
            traffic: begun.map(|begun| Traffic::new(&begun.stats)),
        }
    }
}

fn nothing_decoded(stats: &Stats, interface: &str, ports: &[u16]) -> Option<String> {
    if stats.observed.statements().any(|(_, kind)| kind.count > 0) {
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
    fn new(sampling: &state::Sampling) -> Self {
        let (bits, multiplier) = (sampling.class.bits(), sampling.multiplier);
        let text = match bits {
            0 if multiplier == 1.0 => {
                "Every connection is decoded: counts are exact, but for what was lost.".to_owned()
            }
            0 => format!("Every connection is decoded, and each event counts {multiplier} times, as told."),
            _ => format!(
                "One connection in {} is decoded, whole, and each of its events counts {} times: counts are estimates.",
                1_u32 << bits,
                (multiplier * 100.0).round() / 100.0
            ),
        };
        Self {
            bits,
            multiplier,
            nominal_multiplier: f64::from(1_u32 << bits),
            measured_multiplier: sampling.accuracy.map(|_| multiplier),
            effective_size: sampling.accuracy.map(|accuracy| accuracy.effective_size),
            standard_error: sampling
                .accuracy
                .and_then(|accuracy| accuracy.honest_errors())
                .map(|[queries, errors, seconds]| StandardError { queries, errors, seconds }),
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
    fn new(stats: &Stats) -> Self {
        let estimated = &stats.estimated;
        let kinds =
            estimated.statements().filter(|(_, kind)| kind.count > 0.0 || kind.duration.count() > 0.0);
        let digests = stats.digests.iter().map(Digest::new).collect();
        let (digests, other_digests) = heaviest(digests, DigestCounts::new(&stats.other_digests));
        Self {
            connections: stats.flows().map(|(visibility, count)| (visibility.label(), count)).collect(),
            opened: stats.opened as f64,
            closed: stats.connections_closed().map(|(_, count)| count as f64).sum(),
            logins: estimated.logins().map(|(login, count)| (login.label(), count)).collect(),
            request_bytes: estimated.request_bytes,
            response_bytes: estimated.response_bytes,
            statements: kinds.map(|(kind, counted)| (kind.label(), Statements::new(counted))).collect(),
            errors: errors(stats),
            digests,
            other_digests,
        }
    }
}

impl Statements {
    fn new(kind: &StatementStats<f64>) -> Self {
        Self {
            count: kind.count,
            durations: Durations::new(&kind.duration),
            rows_returned: kind.rows_returned,
            rows_affected: kind.rows_affected,
        }
    }
}

impl Durations {
    fn new(latency: &Latency<f64>) -> Self {
        let quantile = |share| latency.exponential.quantile(share).map(|nanos| seconds(nanos as f64));
        Self {
            count: latency.count(),
            sum_seconds: seconds(latency.sum_nanos()),
            p50_seconds: quantile(0.5),
            p95_seconds: quantile(0.95),
            p99_seconds: quantile(0.99),
            zeros: latency.exponential.zeros(),
            buckets: latency.exponential.buckets().collect(),
        }
    }
}

fn errors(stats: &Stats) -> Vec<Errors> {
    let by_code = stats.errors(&stats.estimated).into_iter().map(|(error, count)| Errors {
        code: Some(error.code),
        sqlstate: error.sqlstate.map(|state| String::from_utf8_lossy(&state).into_owned()),
        count,
    });
    let other = (stats.estimated.other_errors() > 0.0).then_some(Errors {
        code: None,
        sqlstate: None,
        count: stats.estimated.other_errors(),
    });
    by_code.chain(other).collect()
}

impl Digest {
    fn new(shown: &Shown) -> Self {
        Self {
            digest: shown.id.to_string(),
            schema: shown.schema.clone(),
            text: shown.text.clone(),
            p95_seconds: shown.durations.exponential.quantile(0.95).map(|nanos| seconds(nanos as f64)),
            counts: DigestCounts::new(&shown.stats),
        }
    }
}

impl DigestCounts {
    fn new(stats: &DigestStats<f64>) -> Self {
        Self {
            queries: stats.queries,
            seconds: seconds(stats.nanos),
            errors: stats.errors,
            rows_returned: stats.rows_returned,
            rows_affected: stats.rows_affected,
        }
    }
}

fn seconds(nanos: f64) -> f64 {
    nanos / 1e9
}
