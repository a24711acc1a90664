//! Counters by user and by client, as metric families: those that were asked for.

use prometheus::proto::MetricFamily;

use super::{
    family::Family,
    names::{self, Metric},
    number::seconds,
};
use crate::stats::{Stats, askers::Row, digests::DigestStats};

/// Three families for users, and three for clients, in a fixed order.
pub(super) fn families(stats: &Stats) -> Vec<MetricFamily> {
    let users = [&names::MYSQL_USER_QUERIES, &names::MYSQL_USER_SECONDS, &names::MYSQL_USER_ERRORS];
    let clients = [&names::MYSQL_CLIENT_QUERIES, &names::MYSQL_CLIENT_SECONDS, &names::MYSQL_CLIENT_ERRORS];
    let mut families = Vec::new();
    for (rows, metrics) in [(&stats.users, users), (&stats.clients, clients)] {
        if !rows.is_empty() {
            families.extend(counters(metrics, rows));
        }
    }
    families
}

fn counters(metrics: [&'static Metric; 3], rows: &[Row]) -> [MetricFamily; 3] {
    let [queries, time, errors] = metrics;
    let family = |metric, value: fn(&DigestStats<f64>) -> f64| {
        let family = Family::new(metric);
        rows.iter().fold(family, |family, (name, stats)| family.sample(&[name], value(stats))).build()
    };
    [
        family(queries, |stats| stats.queries),
        family(time, |stats| seconds(stats.nanos)),
        family(errors, |stats| stats.errors),
    ]
}
