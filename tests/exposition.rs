//! The page of metrics: its names against the golden list, and its form by Prometheus' own checker.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use dbwire_exporter::metrics::names;
#[cfg(feature = "capture")]
use support::exporter::run;
use support::{
    exporter::Exporter,
    exposition::{Exposition, Sample},
    prometheus::promtool_check,
    skip,
};

/// `name type labels`, a line for each metric there is; people's dashboards and alerts rely on them.
const GOLDEN: &str = include_str!("data/metrics.txt");

/// Name → (type, labels).
fn golden() -> BTreeMap<&'static str, (&'static str, Vec<&'static str>)> {
    let lines = GOLDEN.lines().map(|line| {
        let mut words = line.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        (name, (kind, words.collect()))
    });
    lines.collect()
}

#[test]
fn the_golden_list_is_sorted_and_names_what_the_program_knows() {
    let names: Vec<_> = GOLDEN.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(names.is_sorted());
    let known: Vec<String> = names::ALL
        .iter()
        .map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            [&[metric.name, &kind], metric.labels].concat().join(" ")
        })
        .collect();
    let own: Vec<_> = GOLDEN.lines().collect();
    let added: Vec<_> = known.iter().filter(|row| !own.contains(&row.as_str())).collect();
    assert!(added.is_empty(), "new metrics, to be added to tests/data/metrics.txt: {added:#?}");
    let gone: Vec<_> = own.iter().filter(|row| !known.iter().any(|known| known == *row)).collect();
    assert!(gone.is_empty(), "metrics that people rely on were renamed or taken away: {gone:#?}");
}

/// Every family of a page is in the golden list, with its type and its labels.
fn assert_golden(page: &str) {
    let golden = golden();
    let mut histograms = BTreeSet::new();
    for (name, kind) in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        let (expected, _) = golden.get(name).unwrap_or_else(|| panic!("{name} is not in the golden list"));
        assert_eq!(kind, *expected, "{name}");
        histograms.extend((kind == "histogram").then_some(name));
    }
    for Sample { name, labels, .. } in Exposition::parse(page).samples {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let family = of_histogram.filter(|family| histograms.contains(family)).unwrap_or(&name);
        let labels: BTreeSet<_> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        assert_eq!(labels, golden[family].1.iter().copied().collect(), "{name}");
    }
}

#[test]
fn every_family_on_the_page_is_in_the_golden_list() {
    assert_golden(&Exporter::start(&[]).request("GET", "/metrics").body);
}

#[cfg(feature = "capture")]
#[test]
fn every_family_of_a_replay_is_in_the_golden_list() {
    let output = run(&["replay", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/corpus/cli_text.pcap")]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("# TYPE dbwire_mysql_query_duration_seconds histogram"));
    assert_golden(&page);
}

#[test]
fn the_programs_own_metrics_are_always_there() {
    let exporter = Exporter::start(&[]);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    for name in [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ] {
        assert!(page.value(name, &[]) > Some(0.0), "{name}");
    }
}

#[test]
fn sockets_are_counted_in_all_eleven_states_from_either_source() {
    let states = [
        "established",
        "syn_sent",
        "syn_recv",
        "fin_wait1",
        "fin_wait2",
        "time_wait",
        "close",
        "close_wait",
        "last_ack",
        "listen",
        "closing",
    ];
    for source in ["netlink", "procfs"] {
        let exporter = Exporter::start(&["--sockets.source", source]);
        let page = exporter.page();
        let counts = page.by("dbwire_tcp_connection_states", "state");
        assert_eq!(counts.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(states));
        assert!(counts["listen"] >= 1.0, "it listens itself");
        assert_eq!(page.value("dbwire_tcp_source_info", &[("source", source)]), Some(1.0));
        assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
        assert!(exporter.request("GET", "/").body.contains(&format!("TCP sockets are counted by {source}.")));
    }
}

#[test]
fn a_source_that_fails_leaves_a_page_without_counts_that_says_so() {
    let exporter = Exporter::start(&["--sockets.source", "procfs", "--path.procfs", "/no/such/place"]);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(0.0));
    assert_eq!(page.of("dbwire_tcp_connection_states").count(), 0, "zeros would be taken for counts");
    assert!(exporter.request("GET", "/").body.contains("TCP sockets cannot be counted: "));
}

#[test]
fn two_pages_have_the_same_lines_in_the_same_order() {
    // Whatever happens on this machine's port 3306 meanwhile is of no interest.
    let arguments: &[&str] = if cfg!(feature = "capture") { &["--no-collector.mysql"] } else { &[] };
    let exporter = Exporter::start(arguments);
    let lines = || {
        let page = exporter.request("GET", "/metrics").body;
        let names =
            page.lines().map(|line| line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned());
        names.collect::<Vec<_>>()
    };
    let (first, second) = (lines(), lines());
    assert_eq!(first, second);
    let families: Vec<_> = first.iter().filter(|line| line.starts_with("# TYPE ")).collect();
    assert!(families.is_sorted(), "{families:#?}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_page() {
    if !skip::programs("promtool_finds_nothing_wrong_with_the_page", &["promtool"]) {
        return;
    }
    let exporter = Exporter::start(&[]);
    promtool_check(&exporter.request("GET", "/metrics").body);
}
