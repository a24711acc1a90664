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
    let complaints =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}\n{page}");
}
