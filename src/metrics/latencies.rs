//! Latency histograms and slow statements, as metric families.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{
    exemplar::Exemplar,
    family::{Family, HistogramSample},
    names,
    number::seconds,
};
use crate::{
    digest::Statement,
    stats::{
        Stats,
        latency::{Latency, Scale},
        native::{Resolution, Snapshot},
        tally::StatementStats,
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
pub(super) fn families(stats: &Stats) -> impl Iterator<Item = MetricFamily> {
    let mut duration = Family::new(&names::MYSQL_QUERY_DURATION);
    let mut first_response = Family::new(&names::MYSQL_FIRST_RESPONSE);
    let mut others = StatementStats::<f64>::default();
    let mut add = |label: &str, kind: &StatementStats<f64>| {
        if kind.duration.count() > 0.0 {
            let exemplars = exemplars(&stats.traced, label);
            let histograms = [
                (&mut duration, &kind.duration, &*exemplars),
                (&mut first_response, &kind.first_response, &[]),
            ];
            for (family, latency, exemplars) in histograms {
                let native = Snapshot::of(&latency.exponential, Resolution::default());
                let classic = histogram(latency, &stats.scale);
                family.push_native_histogram(&[label], &classic, &native, exemplars);
            }
        }
    };
    for (statement, kind) in stats.estimated.statements() {
        let label = label(statement);
        if label != OTHER {
            add(label, kind);
        } else {
            others.duration.add(&kind.duration);
            others.first_response.add(&kind.first_response);
        }
    }
    add(OTHER, &others);
    [duration, first_response, slow(stats)].into_iter().filter(|family| !family.is_empty()).map(Family::build)
}

fn slow(stats: &Stats) -> Family {
    let mut family = Family::new(&names::MYSQL_SLOW_STATEMENTS);
    for (statement, kind) in stats.estimated.statements() {
        for (threshold, count) in kind.slow.counts(&stats.scale) {
            family.push(&[statement.label(), &seconds(threshold as f64).to_string()], count);
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
        value: seconds(traced.nanos as f64),
        at: Duration::from_nanos(traced.at.0),
    };
    traced.into_iter().map(exemplar).collect()
}

/// Both cumulative and in the order of the buckets, so that none exceeds the next one or the count.
pub(super) fn histogram<const SCHEMA: i8>(latency: &Latency<f64, SCHEMA>, scale: &Scale) -> HistogramSample {
    HistogramSample {
        buckets: latency.cumulative(scale).map(|(bound, count)| (seconds(bound as f64), count)).collect(),
        count: latency.count(),
        sum: seconds(latency.sum_nanos()),
    }
}
