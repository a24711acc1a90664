//! Counters by user and by client, as metric families: those that were asked for.

use prometheus::proto::MetricFamily;

use super::{
    family::Family,
    mysql::{Scale, seconds},
    names::{self, Metric},
};
use crate::stats::{Stats, askers::Row, digests::DigestStats};

/// Three families for users, and three for clients, in a fixed order.
pub(super) fn families(stats: &Stats, scale: Scale) -> Vec<MetricFamily> {
    let users = [&names::MYSQL_USER_QUERIES, &names::MYSQL_USER_SECONDS, &names::MYSQL_USER_ERRORS];
    let clients = [&names::MYSQL_CLIENT_QUERIES, &names::MYSQL_CLIENT_SECONDS, &names::MYSQL_CLIENT_ERRORS];
    let mut families = Vec::new();
    for (rows, metrics) in [(&stats.users, users), (&stats.clients, clients)] {
        if !rows.is_empty() {
            families.extend(counters(metrics, rows, scale));
        }
    }
    families
}

fn counters(metrics: [&'static Metric; 3], rows: &[Row], scale: Scale) -> [MetricFamily; 3] {
    let [queries, time, errors] = metrics;
    let family = |metric, value: fn(&DigestStats) -> f64| {
        let family = Family::new(metric);
        rows.iter()
            .fold(family, |family, (name, stats)| family.sample(&[name], value(stats) * scale.0))
            .build()
    };
    [
        family(queries, |stats| stats.queries as f64),
        family(time, |stats| seconds(stats.nanos)),
        family(errors, |stats| stats.errors as f64),
    ]
}
