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
    sampling,
};
use crate::{digest::Statement, limits::Limit, mysql::event::ServerError, stats::Stats};

/// Kinds that neither return nor change rows: those that do all the same (MariaDB's `SET STATEMENT … FOR`) get their series
/// then.
const WITHOUT_ROWS: [Statement; 10] = [
    Statement::Begin,
    Statement::Commit,
    Statement::Rollback,
    Statement::Set,
    Statement::Use,
    Statement::Grant,
    Statement::Lock,
    Statement::Prepare,
    Statement::Do,
    Statement::Encrypted,
];

/// All families of the decoder, in a fixed order.
pub fn families(stats: &Stats) -> Vec<MetricFamily> {
    let mut families = Vec::from(commands(stats));
    families.extend(statements(stats));
    families.extend(latencies::families(stats));
    families.extend(digests::families(stats));
    families.extend(askers::families(stats));
    families.extend(connections(stats));
    families.extend(decoder(stats));
    families.extend(sampling::families(&stats.sampling));
    families
}

fn commands(stats: &Stats) -> [MetricFamily; 3] {
    let mut estimated = Family::new(&names::MYSQL_COMMANDS);
    let mut observed = Family::new(&names::MYSQL_OBSERVED_COMMANDS);
    for (command, count) in stats.estimated.commands() {
        estimated = estimated.sample(&[command.label()], count);
    }
    for (command, count) in stats.observed.commands() {
        observed = observed.sample(&[command.label()], count as f64);
    }
    [estimated.build(), observed.build(), errors(stats)]
}

fn errors(stats: &Stats) -> MetricFamily {
    let mut family = Family::new(&names::MYSQL_ERRORS);
    for (ServerError { code, sqlstate }, count) in stats.errors(&stats.estimated) {
        let sqlstate = sqlstate.as_ref().and_then(|state| str::from_utf8(state).ok()).unwrap_or("");
        family = family.sample(&[&code.to_string(), sqlstate], count);
    }
    family.sample(&["other", ""], stats.estimated.other_errors()).build()
}

fn statements(stats: &Stats) -> Vec<MetricFamily> {
    let mut counts = Family::new(&names::MYSQL_STATEMENTS);
    let mut returned = Family::new(&names::MYSQL_ROWS_RETURNED);
    let mut affected = Family::new(&names::MYSQL_ROWS_AFFECTED);
    for (statement, stats) in stats.estimated.statements() {
        let label = [statement.label()];
        counts = counts.sample(&label, stats.count);
        for (family, rows) in [(&mut returned, stats.rows_returned), (&mut affected, stats.rows_affected)] {
            if rows > 0.0 || !WITHOUT_ROWS.contains(&statement) {
                family.push(&label, rows);
            }
        }
    }
    vec![counts.build(), returned.build(), affected.build()]
}

fn connections(stats: &Stats) -> [MetricFamily; 6] {
    let logins =
        stats.estimated.logins().fold(Family::new(&names::MYSQL_LOGINS), |family, (login, count)| {
            family.sample(&[login.label()], count)
        });
    let closed = stats
        .connections_closed()
        .fold(Family::new(&names::MYSQL_CONNECTIONS_CLOSED), |family, (reason, count)| {
            family.sample(&[reason.label()], count as f64)
        });
    [
        logins.build(),
        tls_handshakes(stats),
        Family::single(&names::MYSQL_CONNECTIONS_OPENED, stats.opened as f64),
        closed.build(),
        Family::single(&names::MYSQL_REQUEST_BYTES, stats.estimated.request_bytes),
        Family::single(&names::MYSQL_RESPONSE_BYTES, stats.estimated.response_bytes),
    ]
}

fn tls_handshakes(stats: &Stats) -> MetricFamily {
    let mut family = Family::new(&names::MYSQL_TLS_HANDSHAKES);
    for (version, [failed, ok]) in stats.estimated.tls_handshakes() {
        family = family.sample(&[version.label(), "ok"], ok).sample(&[version.label(), "failed"], failed);
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
