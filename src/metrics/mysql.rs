//! What was decoded from packets, as metric families.
//!
//! Counters are estimates: what was seen, times the multiplier; `_observed_` ones are what was seen. Closed label
//! sets are complete from the first page on. Histograms are the exception: a kind of statement gets its two once one
//! was seen, and only a few kinds have their own (see `latencies`).

use prometheus::proto::MetricFamily;

use super::{
    askers, digests,
    family::Family,
    latencies,
    names::{self, Metric},
};
use crate::{
    limits::Limit,
    mysql::event::ServerError,
    sample::{class::SampleClass, multiplier::Multiplier},
    stats::Stats,
};

/// Which connections are sampled, and what one of them stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The class that is captured.
    pub class: SampleClass,
    /// How the multiplier is found.
    pub multiplier: Multiplier,
}

/// All families of the decoder, in a fixed order.
pub fn families(stats: &Stats, sampling: &Sampling) -> Vec<MetricFamily> {
    let scale = Scale(sampling.multiplier.value(sampling.class));
    let mut families = Vec::from(commands(stats, scale));
    families.extend(statements(stats, scale));
    families.extend(latencies::families(stats, scale));
    families.extend(digests::families(stats, scale));
    families.extend(askers::families(stats, scale));
    families.extend(connections(stats, scale));
    families.extend(decoder(stats));
    families.extend(sample(sampling, scale));
    families
}

/// What one event stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale(pub(super) f64);

impl Scale {
    pub(super) fn of(self, count: u64) -> f64 {
        count as f64 * self.0
    }

    /// A count that must be an integer.
    pub(super) fn rounded(self, count: u64) -> u64 {
        self.of(count).round() as u64
    }
}

fn commands(stats: &Stats, scale: Scale) -> [MetricFamily; 3] {
    let mut estimated = Family::new(&names::MYSQL_COMMANDS);
    let mut observed = Family::new(&names::MYSQL_OBSERVED_COMMANDS);
    for (command, count) in stats.commands() {
        estimated = estimated.sample(&[command.label()], scale.of(count));
        observed = observed.sample(&[command.label()], count as f64);
    }
    [estimated.build(), observed.build(), errors(stats, scale)]
}

fn errors(stats: &Stats, scale: Scale) -> MetricFamily {
    let mut family = Family::new(&names::MYSQL_ERRORS);
    for (ServerError { code, sqlstate }, count) in stats.errors() {
        let sqlstate = sqlstate.as_ref().and_then(|state| str::from_utf8(state).ok()).unwrap_or("");
        family = family.sample(&[&code.to_string(), sqlstate], scale.of(count));
    }
    family.sample(&["other", ""], scale.of(stats.other_errors)).build()
}

fn statements(stats: &Stats, scale: Scale) -> Vec<MetricFamily> {
    let mut counts = Family::new(&names::MYSQL_STATEMENTS);
    let mut returned = Family::new(&names::MYSQL_ROWS_RETURNED);
    let mut affected = Family::new(&names::MYSQL_ROWS_AFFECTED);
    for (statement, stats) in stats.statements() {
        let label = [statement.label()];
        counts = counts.sample(&label, scale.of(stats.count));
        returned = returned.sample(&label, scale.of(stats.rows_returned));
        affected = affected.sample(&label, scale.of(stats.rows_affected));
    }
    vec![counts.build(), returned.build(), affected.build()]
}

pub(super) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn connections(stats: &Stats, scale: Scale) -> [MetricFamily; 6] {
    let logins = stats.logins().fold(Family::new(&names::MYSQL_LOGINS), |family, (login, count)| {
        family.sample(&[login.label()], scale.of(count))
    });
    let closed = stats
        .connections_closed()
        .fold(Family::new(&names::MYSQL_CONNECTIONS_CLOSED), |family, (reason, count)| {
            family.sample(&[reason.label()], scale.of(count))
        });
    [
        logins.build(),
        tls_handshakes(stats, scale),
        Family::single(&names::MYSQL_CONNECTIONS_OPENED, scale.of(stats.opened)),
        closed.build(),
        Family::single(&names::MYSQL_REQUEST_BYTES, scale.of(stats.request_bytes)),
        Family::single(&names::MYSQL_RESPONSE_BYTES, scale.of(stats.response_bytes)),
    ]
}

fn tls_handshakes(stats: &Stats, scale: Scale) -> MetricFamily {
    let mut family = Family::new(&names::MYSQL_TLS_HANDSHAKES);
    for (version, [failed, ok]) in stats.tls_handshakes() {
        family = family
            .sample(&[version.label(), "ok"], scale.of(ok))
            .sample(&[version.label(), "failed"], scale.of(failed));
    }
    family.build()
}

/// The decoder's own state: unscaled.
fn decoder(stats: &Stats) -> [MetricFamily; 10] {
    let flows = stats.flows().fold(Family::new(&names::MYSQL_FLOWS), |family, (visibility, count)| {
        family.sample(&[visibility.label()], count as f64)
    });
    let undecoded = stats
        .undecoded_by_layer()
        .fold(Family::new(&names::CAPTURE_UNDECODED_PACKETS), |family, (layer, count)| {
            family.sample(&[layer.label()], count as f64)
        });
    let limits = Limit::ALL
        .iter()
        .zip(stats.limit_hits)
        .fold(Family::new(&names::LIMIT_HITS), |family, (limit, hits)| {
            family.sample(&[limit.label()], hits as f64)
        });
    let single = |metric: &'static Metric, value: u64| Family::single(metric, value as f64);
    [
        flows.build(),
        single(&names::MYSQL_GAPS, stats.gaps),
        single(&names::MYSQL_CUT_REPLIES, stats.cut_replies),
        single(&names::MYSQL_DESYNCS, stats.desyncs),
        single(&names::MYSQL_RESYNCS, stats.resyncs),
        single(&names::CAPTURE_PACKETS, stats.packets),
        single(&names::CAPTURE_BYTES, stats.bytes),
        single(&names::CAPTURE_RING_BYTES, stats.ring_bytes),
        undecoded.build(),
        limits.build(),
    ]
}

fn sample(sampling: &Sampling, scale: Scale) -> [MetricFamily; 3] {
    let nominal = 1.0 / f64::from(1_u32 << sampling.class.bits());
    [
        Family::new(&names::MYSQL_SAMPLE_RATIO).sample(&["nominal"], nominal).build(),
        Family::single(&names::MYSQL_SAMPLE_MULTIPLIER, scale.0),
        Family::single(&names::MYSQL_SAMPLE_BITS, f64::from(sampling.class.bits())),
    ]
}
