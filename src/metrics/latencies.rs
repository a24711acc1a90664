//! Latency histograms and slow statements, as metric families.

use prometheus::proto::MetricFamily;

use super::{
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

/// The families that have samples.
pub(super) fn families(stats: &Stats, scale: Scale) -> impl Iterator<Item = MetricFamily> {
    let mut duration = Family::new(&names::MYSQL_QUERY_DURATION);
    let mut first_response = Family::new(&names::MYSQL_FIRST_RESPONSE);
    let mut others = StatementStats::default();
    let mut add = |label: &str, kind: &StatementStats| {
        if kind.duration.count() > 0 {
            for (family, latency) in
                [(&mut duration, &kind.duration), (&mut first_response, &kind.first_response)]
            {
                let (classic, native) = (histogram(latency, &stats.scale, scale), native(latency, scale));
                family.push_native_histogram(&[label], &classic, &native, &[]);
            }
        }
    };
    for (statement, kind) in stats.statements() {
        if OWN.contains(&statement) {
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
