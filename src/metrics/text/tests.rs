use std::time::Duration;

use prometheus::proto::{self, Bucket};

use super::*;
use crate::metrics::{
    family::{Family, HistogramSample},
    names,
};

const OPENMETRICS: Dialect = Dialect::OpenMetrics { created: None };

fn page(mut families: Vec<MetricFamily>, dialect: Dialect) -> String {
    let mut out = Vec::new();
    family::arrange(&mut families);
    write(&families, dialect, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn samples(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

fn histogram() -> MetricFamily {
    let data =
        HistogramSample { buckets: vec![(0.0001, 1.0), (0.5, 3.0), (10.0, 3.0)], count: 4.0, sum: 2.25 };
    Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build()
}

#[test]
fn families_are_written_in_order_of_their_names_and_empty_ones_left_out() {
    let families = vec![
        Family::single(&names::TCP_SNAPSHOT_AGE, 0.5),
        Family::new(&names::TCP_FALLBACKS).build(),
        Family::new(&names::TCP_CONNECTION_STATES).sample(&["listen"], 3.0).build(),
    ];
    let (states, age) = (names::TCP_CONNECTION_STATES.help, names::TCP_SNAPSHOT_AGE.help);
    let expected = format!(
        "# HELP dbwire_tcp_connection_states {states}\n\
         # TYPE dbwire_tcp_connection_states gauge\n\
         dbwire_tcp_connection_states{{state=\"listen\"}} 3\n\
         # HELP dbwire_tcp_snapshot_age_seconds {age}\n\
         # TYPE dbwire_tcp_snapshot_age_seconds gauge\n\
         dbwire_tcp_snapshot_age_seconds 0.5\n"
    );
    assert_eq!(page(families.clone(), Dialect::Prometheus), expected);
    let mut out = Vec::new();
    encode(families, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn openmetrics_names_counters_without_total_tells_units_and_ends() {
    let families = vec![
        Family::new(&names::MYSQL_DIGEST_SECONDS).sample(&["other", ""], 0.5).build(),
        Family::single(&names::TCP_ORPHANS, 7.0),
    ];
    let (seconds, orphans) = (names::MYSQL_DIGEST_SECONDS.help, names::TCP_ORPHANS.help);
    let expected = format!(
        "# HELP dbwire_mysql_digest_seconds {seconds}\n\
         # TYPE dbwire_mysql_digest_seconds counter\n\
         # UNIT dbwire_mysql_digest_seconds seconds\n\
         dbwire_mysql_digest_seconds_total{{digest=\"other\",schema=\"\"}} 0.5\n\
         # HELP dbwire_tcp_orphans {orphans}\n\
         # TYPE dbwire_tcp_orphans gauge\n\
         dbwire_tcp_orphans 7\n\
         # EOF\n"
    );
    assert_eq!(page(families, OPENMETRICS), expected);
    assert_eq!(page(Vec::new(), OPENMETRICS), "# EOF\n");
}

#[test]
fn a_counter_by_another_name_and_what_has_no_type_are_unknown_to_openmetrics() {
    let mut family = Family::single(&names::MYSQL_GAPS, 1.0);
    family.set_name("gaps".to_owned());
    assert!(page(vec![family.clone()], OPENMETRICS).contains("# TYPE gaps unknown\ngaps 1\n"));
    assert!(page(vec![family.clone()], Dialect::Prometheus).contains("# TYPE gaps counter\ngaps 1\n"));
    family.set_field_type(MetricType::UNTYPED);
    let mut metric = proto::Metric::default();
    metric.untyped.mut_or_insert_default().set_value(2.0);
    family.set_metric(vec![metric]);
    assert!(page(vec![family.clone()], OPENMETRICS).contains("# TYPE gaps unknown\ngaps 2\n"));
    assert!(page(vec![family], Dialect::Prometheus).contains("# TYPE gaps untyped\ngaps 2\n"));
}

#[test]
fn bounds_are_plain_in_one_format_and_canonical_in_the_other() {
    let lines = |bounds: [&str; 3]| {
        let name = "dbwire_mysql_query_duration_seconds";
        let bucket = |le: &str, count| format!("{name}_bucket{{statement=\"select\",le=\"{le}\"}} {count}");
        vec![
            bucket(bounds[0], 1),
            bucket(bounds[1], 3),
            bucket(bounds[2], 3),
            bucket("+Inf", 4),
            format!("{name}_sum{{statement=\"select\"}} 2.25"),
            format!("{name}_count{{statement=\"select\"}} 4"),
        ]
    };
    assert_eq!(samples(&page(vec![histogram()], Dialect::Prometheus)), lines(["0.0001", "0.5", "10"]));
    assert_eq!(samples(&page(vec![histogram()], OPENMETRICS)), lines(["0.0001", "0.5", "10.0"]));
}

#[test]
fn fractions_of_estimates_are_told_but_in_openmetrics() {
    let data = HistogramSample { buckets: vec![(1.0, 0.4), (2.0, 1.5), (3.0, 2.0)], count: 2.5, sum: 4.5 };
    let family = Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build();
    let values = |dialect| {
        let page = page(vec![family.clone()], dialect);
        let value = |line: &&str| line.rsplit(' ').next().map(str::to_owned);
        samples(&page).iter().filter_map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(Dialect::Prometheus), ["0.4", "1.5", "2", "2.5", "4.5", "2.5"]);
    assert_eq!(values(OPENMETRICS), ["0", "2", "2", "3", "4.5", "3"]);
}

#[test]
fn an_infinite_bucket_is_not_written_twice() {
    let data = HistogramSample { buckets: vec![(1.0, 1.0), (f64::INFINITY, 2.0)], count: 2.0, sum: 2.0 };
    let family = Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build();
    assert_eq!(page(vec![family], OPENMETRICS).matches("+Inf").count(), 1);
}

#[test]
fn an_exemplar_follows_its_bucket_in_openmetrics_only() {
    let mut family = histogram();
    let bucket: &mut Bucket = &mut family.mut_metric()[0].histogram.as_mut().unwrap().bucket[1];
    let labels = vec![("trace_id".to_owned(), "4bf9".to_owned()), ("span_id".to_owned(), "00f0".to_owned())];
    Exemplar { labels, value: 0.25, at: Duration::from_millis(1_700_000_000_012) }.attach(bucket);
    let line = "dbwire_mysql_query_duration_seconds_bucket{statement=\"select\",le=\"0.5\"} 3";
    let exemplar = " # {trace_id=\"4bf9\",span_id=\"00f0\"} 0.25 1700000000.012";
    assert_eq!(samples(&page(vec![family.clone()], Dialect::Prometheus))[1], line);
    assert_eq!(samples(&page(vec![family], OPENMETRICS))[1], format!("{line}{exemplar}"));
}

#[test]
fn created_is_told_of_what_this_program_began_to_count() {
    let families = || {
        vec![
            histogram(),
            Family::single(&names::MYSQL_GAPS, 2.0),
            Family::single(&names::TCP_LISTEN_DROPS, 3.0),
            Family::single(&names::TCP_ORPHANS, 4.0),
        ]
    };
    let created = Dialect::OpenMetrics { created: Some(1_700_000_000.25) };
    let page_with = page(families(), created);
    let created: Vec<_> = page_with.lines().filter(|line| line.contains("_created")).collect();
    let expected = [
        "dbwire_mysql_gaps_created 1700000000.25",
        "dbwire_mysql_query_duration_seconds_created{statement=\"select\"} 1700000000.25",
    ];
    assert_eq!(created, expected);
    assert!(!page(families(), OPENMETRICS).contains("_created"));
    assert!(!page(families(), Dialect::Prometheus).contains("_created"));
}

#[test]
fn labels_and_help_are_escaped() {
    let mut family = Family::new(&names::TCP_SOURCE_INFO).sample(&["a\\b\"c\nd\u{e9}"], 1.0).build();
    family.set_help("say \"\\\"\n".to_owned());
    let labels = "{source=\"a\\\\b\\\"c\\nd\u{e9}\"} 1\n";
    let prometheus = page(vec![family.clone()], Dialect::Prometheus);
    assert!(prometheus.contains(labels) && prometheus.contains(" say \"\\\\\"\\n\n"), "{prometheus}");
    let openmetrics = page(vec![family], OPENMETRICS);
    assert!(openmetrics.contains(labels) && openmetrics.contains(" say \\\"\\\\\\\"\\n\n"), "{openmetrics}");
}
