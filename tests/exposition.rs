//! The page of metrics: its names against the golden list, and its form by Prometheus' own checker.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test starts programs")]

#[path = "support/exporter.rs"]
mod exporter;

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use dbwire_exporter::metrics::names;
use exporter::Exporter;

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
    let mut known: Vec<_> = names::ALL
        .iter()
        .map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            [&[metric.name, &kind], metric.labels].concat().join(" ")
        })
        .collect();
    known.sort();
    // `process_*` are not this program's own.
    let own: Vec<_> = GOLDEN.lines().filter(|line| line.starts_with("dbwire_")).collect();
    assert_eq!(known, own, "metrics may be added to tests/data/metrics.txt, but none renamed or taken away");
}

#[test]
fn every_family_on_the_page_is_in_the_golden_list_with_its_type_and_labels() {
    let exporter = Exporter::start(&[]);
    let page = exporter.scrape();
    let golden = golden();
    for (name, kind) in &page.types {
        let (expected, _) =
            golden.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the golden list"));
        assert_eq!(kind, expected, "{name}");
    }
    for series in page.values.keys() {
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            name.strip_suffix(suffix)
                .filter(|family| page.types.get(*family).is_some_and(|kind| kind == "histogram"))
        });
        let labels = labels
            .split("\",")
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|name| *name != "le");
        let labels: Vec<_> = labels.collect();
        assert_eq!(labels, golden[family.unwrap_or(name)].1, "{series}");
    }
}

#[test]
fn the_programs_own_metrics_are_always_there() {
    let exporter = Exporter::start(&[]);
    let page = exporter.scrape();
    assert_eq!(page.sum("dbwire_build_info"), 1.0);
    let build = page.values.keys().find(|series| series.starts_with("dbwire_build_info")).unwrap();
    assert!(build.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))), "{build}");
    assert!(page.get("process_resident_memory_bytes") > 0.0);
    assert!(page.get("process_start_time_seconds") > 0.0);
    assert!(page.get("process_open_fds") > 0.0);
    assert!(page.get("process_cpu_seconds_total") > 0.0);
}

#[test]
fn sockets_are_counted_in_all_eleven_states_from_either_source() {
    for source in ["netlink", "procfs"] {
        let exporter = Exporter::start(&["--sockets.source", source]);
        let page = exporter.scrape();
        for state in [
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
        ] {
            page.get(&format!("dbwire_tcp_connection_states{{state=\"{state}\"}}"));
        }
        assert!(page.get("dbwire_tcp_connection_states{state=\"listen\"}") >= 1.0, "it listens itself");
        assert_eq!(page.get(&format!("dbwire_tcp_source_info{{source=\"{source}\"}}")), 1.0);
        assert_eq!(page.get("dbwire_scrape_collector_success{collector=\"sockets\"}"), 1.0);
        assert!(exporter.request("GET", "/").body.contains(&format!("counted from {source}")));
    }
}

#[test]
fn a_source_that_fails_leaves_a_page_without_counts_that_says_so() {
    let exporter = Exporter::start(&["--sockets.source", "procfs", "--path.procfs", "/no/such/place"]);
    let page = exporter.scrape();
    assert_eq!(page.get("dbwire_scrape_collector_success{collector=\"sockets\"}"), 0.0);
    assert!(!page.types.contains_key("dbwire_tcp_connection_states"), "zeros would be taken for counts");
    assert!(exporter.request("GET", "/").body.contains("TCP socket states: does not work"));
}

#[test]
fn two_pages_have_the_same_lines_in_the_same_order() {
    let exporter = Exporter::start(&[]);
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

/// promtool takes every `bits` in a name for a unit of data; these are bits of a port number, and the name is a
/// contract.
const KNOWN_COMPLAINT: &str = "dbwire_mysql_sample_bits use base unit \"bytes\" instead of \"bits\"";

#[test]
fn promtool_finds_nothing_wrong_with_the_page() {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        assert!(std::env::var_os("CI").is_none(), "promtool is missing");
        println!("skipped: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    let exporter = Exporter::start(&[]);
    let page = exporter.request("GET", "/metrics").body;
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    let complaints: Vec<_> =
        text.lines().filter(|line| !line.is_empty() && *line != KNOWN_COMPLAINT).collect();
    // 0: nothing found; 3: only what is above.
    assert!(matches!(output.status.code(), Some(0 | 3)) && complaints.is_empty(), "{complaints:#?}\n{page}");
}
