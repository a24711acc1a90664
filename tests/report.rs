//! `replay --report`: what it prints for people and for programs, against a capture whose every duration is known, and
//! against the metrics of the same capture.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests start programs and write files

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    children::{command, output},
    dialogue::{Conversation, OK, error, write_pcap},
    exposition::Exposition,
};
use tempfile::TempDir;

const MILLISECOND: u64 = 1_000_000;

fn replay(flags: &[&str], file: &Path) -> String {
    let mut replay = command(env!("CARGO_BIN_EXE_dbwire_exporter"));
    output(replay.arg("replay").args(flags).arg(file))
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&replay(&["--report=json"], file)).expect("JSON")
}

/// 100 updates that take 1 ms to 100 ms, 50 deletes that fail after 40 ms, and one whose end cannot be told.
fn write_load(file: &Path) {
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(50_000, "shop", 1_000_000_000, |at, frame| frames.push((at, frame.to_vec())));
    for number in 1..=100 {
        conversation.answer_time = number * MILLISECOND;
        conversation.query(format!("update t set a = 'x' where b = {number}").as_bytes(), OK);
    }
    conversation.answer_time = 40 * MILLISECOND;
    let denied = error(1142, "42000", "DELETE command denied to user 'canary'");
    for number in 0..50 {
        conversation.query(format!("delete from t where b = {number}").as_bytes(), &denied);
    }
    conversation.answer_time = MILLISECOND;
    conversation.query(b"select 'canary", OK);
    conversation.close();
    write_pcap(file, &frames);
}

#[test]
fn a_report_ranks_digests_with_share_count_quantiles_rows_and_errors() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("load.pcap");
    write_load(&file);
    let report = json(&file);
    let digests = report["digests"].as_array().expect("an array");
    let texts: Vec<&str> = digests.iter().map(|row| row["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["update t set a = ? where b = ?", "delete from t where b = ?", "select"]);
    let number = |value: &Value| value.as_f64().expect("a number");
    let counters = |row: &Value| ["count", "errors", "rows_affected"].map(|name| number(&row[name]));
    assert_eq!(counters(&digests[0]), [100.0, 0.0, 100.0]);
    assert_eq!(counters(&digests[1]), [50.0, 50.0, 0.0]);
    assert_eq!(counters(&report["total"]), [151.0, 50.0, 101.0]);
    // 5.05 s and 2 s of 7.051 s.
    for (row, share) in digests.iter().zip([0.7162, 0.2836, 0.0001]) {
        assert!((number(&row["share"]) - share).abs() < 0.0001, "{row}");
    }
    let quantiles =
        [("p50_seconds", [0.050, 0.040]), ("p95_seconds", [0.095, 0.040]), ("p99_seconds", [0.099, 0.040])];
    for (name, truth) in quantiles {
        for (row, truth) in digests.iter().zip(truth) {
            let told = number(&row[name]);
            assert!((told / truth - 1.0).abs() < 0.023, "{name}: {told}, {truth}");
        }
    }
    assert!(!report.to_string().contains("canary"));
}

#[test]
fn the_table_for_people_has_the_rows_of_the_json_in_their_order() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("load.pcap");
    write_load(&file);
    let table = replay(&["--report"], &file);
    assert!(
        table.starts_with(
            "151 statements of 3 kinds took 7.05s, returned 0 rows, affected 101, and failed 50 times.\n"
        ),
        "{table}"
    );
    // Behind the sum, an empty line and the heading.
    let rows: Vec<Vec<&str>> = table.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
    let report = json(&file);
    let digests = report["digests"].as_array().expect("an array");
    assert_eq!(rows.len(), digests.len(), "{table}");
    for (rank, (words, row)) in rows.iter().zip(digests).enumerate() {
        assert_eq!(words[0], (rank + 1).to_string());
        assert_eq!(words[1], row["digest"].as_str().unwrap_or("-"));
        assert_eq!(words[2], format!("{:.1}%", row["share"].as_f64().expect("a number") * 100.0));
        assert_eq!(words[3], row["count"].to_string());
        for (column, name) in [(8, "rows_returned"), (9, "rows_affected"), (10, "errors")] {
            assert_eq!(words[column], row[name].to_string(), "{name}");
        }
        assert_eq!(words[11..].join(" "), row["text"].as_str().expect("a text"));
    }
    assert_eq!(rows[0][5..8], ["49.2ms", "94.3ms", "98.5ms"]);
}

#[test]
fn a_report_has_the_counts_of_the_metrics() {
    for capture in ["sysbench_text_small", "sysbench_ps_small"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/corpus/{capture}.pcap"));
        let page = Exposition::parse(&replay(&[], &file));
        let report = json(&file);
        let digests = report["digests"].as_array().expect("an array");
        assert!(digests.len() > 5, "{capture}");
        for (counter, name) in [
            ("queries", "count"),
            ("errors", "errors"),
            ("rows_returned", "rows_returned"),
            ("rows_affected", "rows_affected"),
        ] {
            let metric = format!("dbwire_mysql_digest_{counter}_total");
            for row in digests {
                let id = row["digest"].as_str().expect("every statement of sysbench has a digest");
                let value = page.value(&metric, &[("digest", id)]).unwrap_or(0.0);
                assert_eq!(row[name].as_f64(), Some(value), "{capture}: {id} {name}");
            }
            assert_eq!(report["total"][name].as_f64(), page.value(&metric, &[]), "{capture}: {name}");
        }
        for row in digests {
            let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| row[format!("{name}_seconds")].as_f64());
            assert!(p50 <= p95 && p95 <= p99, "{row}");
        }
    }
}
