//! Latency histograms and slow statements, as metric families.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{
    exemplar::Exemplar,
    family::{Family, HistogramSample},
    mysql::{Scale, seconds},
    names,
};
use crate::{
    digest::Statement,
    stats::{
        Stats,
        counters::StatementStats,
        latency::{self, Latency},
        native::{Resolution, Snapshot},
        traces::Traced,
    },
};

/// Kinds with histograms of their own: those that make up most of a load, COMMIT for what it says of the disk, and
/// what is not known or encrypted, which must not be taken for another kind. All kinds together would be half of a
/// host's series.
const OWN: [Statement; 7] = [
    Statement::Select,
    Statement::Insert,
    Statement::Update,
    Statement::Delete,
    Statement::Commit,
    Statement::Unknown,
    Statement::Encrypted,
];

/// Label of the histograms of all other kinds together.
const OTHER: &str = "other";

/// The label of a kind's histograms.
fn label(statement: Statement) -> &'static str {
    if OWN.contains(&statement) { statement.label() } else { OTHER }
}

/// The families that have samples.
pub(super) fn families(stats: &Stats, scale: Scale) -> impl Iterator<Item = MetricFamily> {
    let mut duration = Family::new(&names::MYSQL_QUERY_DURATION);
    let mut first_response = Family::new(&names::MYSQL_FIRST_RESPONSE);
    let mut others = StatementStats::default();
    let mut add = |label: &str, kind: &StatementStats| {
        if kind.duration.count() > 0 {
            let exemplars = exemplars(&stats.traced, label);
            let histograms = [
                (&mut duration, &kind.duration, &*exemplars),
                (&mut first_response, &kind.first_response, &[]),
            ];
            for (family, latency, exemplars) in histograms {
                let (classic, native) = (histogram(latency, &stats.scale, scale), native(latency, scale));
                family.push_native_histogram(&[label], &classic, &native, exemplars);
            }
        }
    };
    for (statement, kind) in stats.statements() {
        if label(statement) != OTHER {
            add(statement.label(), kind);
        } else {
            others.duration.add(&kind.duration);
            others.first_response.add(&kind.first_response);
        }
    }
    add(OTHER, &others);
    [duration, first_response, slow(stats, scale)]
        .into_iter()
        .filter(|family| !family.is_empty())
        .map(Family::build)
}

fn slow(stats: &Stats, scale: Scale) -> Family {
    let mut family = Family::new(&names::MYSQL_SLOW_STATEMENTS);
    for (statement, kind) in stats.statements() {
        for (threshold, count) in kind.slow.counts(&stats.scale) {
            family.push(&[statement.label(), &seconds(threshold).to_string()], scale.of(count));
        }
    }
    family
}

/// The traces of a histogram, the latest first.
fn exemplars(traced: &[Traced], of: &str) -> Vec<Exemplar> {
    let mut traced: Vec<_> = traced.iter().filter(|traced| label(traced.kind) == of).collect();
    traced.sort_by_key(|traced| std::cmp::Reverse(traced.at));
    let exemplar = |traced: &Traced| Exemplar {
        labels: vec![
            ("trace_id".to_owned(), format!("{:032x}", traced.trace.trace_id)),
            ("span_id".to_owned(), format!("{:016x}", traced.trace.span_id)),
        ],
        value: seconds(traced.nanos),
        at: Duration::from_nanos(traced.at.0),
    };
    traced.into_iter().map(exemplar).collect()
}

fn histogram(latency: &Latency, bounds: &latency::Scale, scale: Scale) -> HistogramSample {
    HistogramSample {
        buckets: latency
            .cumulative(bounds)
            .map(|(bound, count)| (seconds(bound), scale.rounded(count)))
            .collect(),
        count: scale.rounded(latency.count()),
        sum: seconds(latency.sum_nanos()) * scale.0,
    }
}

fn native(latency: &Latency, scale: Scale) -> Snapshot {
    let mut native = Snapshot::of(&latency.exponential, Resolution::default());
    native.zero_count *= scale.0;
    native.buckets.iter_mut().for_each(|(_, count)| *count *= scale.0);
    native
}
