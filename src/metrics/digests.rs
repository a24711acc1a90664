//! Counters of digests, as metric families.
//!
//! `other` holds every statement that has no row of its own, so that each family's sum is the total. Rows are counted
//! for the digests that have any: most statements either return rows or change them, and the zeros of the other half
//! would be a fifth of the digests' series.

use prometheus::proto::MetricFamily;

use super::{
    family::Family,
    latencies::histogram,
    names::{self, Metric},
    number::seconds,
};
use crate::stats::{
    Stats,
    digests::{DigestStats, Shown},
    durations::Coarse,
    native::{Resolution, Snapshot},
};

/// What stands for the digests, and their schemas, that are not shown.
const OTHER: &str = "other";

/// All families of digests, in a fixed order.
pub(super) fn families(stats: &Stats) -> Vec<MetricFamily> {
    let counter = |metric, always, value: fn(&DigestStats<f64>) -> f64| family(metric, stats, always, value);
    let mut families = vec![
        counter(&names::MYSQL_DIGEST_QUERIES, true, |stats| stats.queries),
        counter(&names::MYSQL_DIGEST_SECONDS, true, |stats| seconds(stats.nanos)),
        counter(&names::MYSQL_DIGEST_ERRORS, true, |stats| stats.errors),
        counter(&names::MYSQL_DIGEST_ROWS_RETURNED, false, |stats| stats.rows_returned),
        counter(&names::MYSQL_DIGEST_ROWS_AFFECTED, false, |stats| stats.rows_affected),
    ];
    if stats.digest_histograms {
        families.extend(durations(stats));
    }
    families.extend(info(&stats.digests));
    families
}

/// Histograms of the digests that were answered.
fn durations(stats: &Stats) -> Option<MetricFamily> {
    let mut family = Family::new(&names::MYSQL_DIGEST_DURATION);
    let mut add = |labels: &[&str], durations: &Coarse<f64>| {
        if durations.count() > 0.0 {
            let native = Snapshot::of(&durations.exponential, Resolution::default());
            family.push_native_histogram(labels, &histogram(durations, &stats.scale), &native, &[]);
        }
    };
    for shown in &stats.digests {
        add(&[&shown.id.to_string(), &shown.schema], &shown.durations);
    }
    add(&[OTHER, OTHER], &stats.other_durations);
    (!family.is_empty()).then(|| family.build())
}

/// One counter; the digests for which it is 0 are left out unless it is `always` shown.
fn family(
    metric: &'static Metric,
    stats: &Stats,
    always: bool,
    value: fn(&DigestStats<f64>) -> f64,
) -> MetricFamily {
    let mut family = Family::new(metric);
    for shown in &stats.digests {
        let value = value(&shown.stats);
        if always || value > 0.0 {
            family.push(&[&shown.id.to_string(), &shown.schema], value);
        }
    }
    family.push(&[OTHER, OTHER], value(&stats.other_digests));
    family.build()
}

/// Texts by digest; a digest of several schemas has one.
fn info(shown: &[Shown]) -> Option<MetricFamily> {
    let mut family = Family::new(&names::MYSQL_DIGEST_INFO);
    for same in shown.chunk_by(|one, next| one.id == next.id) {
        if let Some(text) = same.iter().find_map(|shown| shown.text.as_deref()) {
            family.push(&[&same[0].id.to_string(), text], 1.0);
        }
    }
    (!family.is_empty()).then(|| family.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::DigestId, metrics::text};

    fn page(families: Vec<MetricFamily>) -> Vec<String> {
        let mut page = Vec::new();
        text::encode(families, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_digest_has_its_counters_by_schema_and_one_text() {
        let shown = |schema: &str, queries: f64, text: Option<&str>| Shown {
            id: DigestId::of(b"abc"),
            schema: schema.into(),
            text: text.map(Into::into),
            stats: DigestStats { queries, nanos: 1e9, errors: 0.0, rows_returned: 0.0, rows_affected: 14.0 },
            durations: Coarse::default(),
        };
        let mut stats = Stats::default();
        stats.digests = vec![shown("", 2.0, None), shown("shop", 4.0, Some("select \"?\""))];
        stats.other_digests.queries = 6.0;
        let mut expected = [
            r#"dbwire_mysql_digest_queries_total{digest="D6963F7D28E17F72",schema=""} 2"#,
            r#"dbwire_mysql_digest_queries_total{digest="D6963F7D28E17F72",schema="shop"} 4"#,
            r#"dbwire_mysql_digest_queries_total{digest="other",schema="other"} 6"#,
            r#"dbwire_mysql_digest_seconds_total{digest="D6963F7D28E17F72",schema=""} 1"#,
            r#"dbwire_mysql_digest_seconds_total{digest="D6963F7D28E17F72",schema="shop"} 1"#,
            r#"dbwire_mysql_digest_seconds_total{digest="other",schema="other"} 0"#,
            r#"dbwire_mysql_digest_errors_total{digest="D6963F7D28E17F72",schema=""} 0"#,
            r#"dbwire_mysql_digest_errors_total{digest="D6963F7D28E17F72",schema="shop"} 0"#,
            r#"dbwire_mysql_digest_errors_total{digest="other",schema="other"} 0"#,
            r#"dbwire_mysql_digest_rows_returned_total{digest="other",schema="other"} 0"#,
            r#"dbwire_mysql_digest_rows_affected_total{digest="D6963F7D28E17F72",schema=""} 14"#,
            r#"dbwire_mysql_digest_rows_affected_total{digest="D6963F7D28E17F72",schema="shop"} 14"#,
            r#"dbwire_mysql_digest_rows_affected_total{digest="other",schema="other"} 0"#,
            r#"dbwire_mysql_digest_info{digest="D6963F7D28E17F72",digest_text="select \"?\""} 1"#,
        ];
        expected.sort_unstable();
        assert_eq!(page(families(&stats)), expected);
    }
}
