//! Captures of real clients, replayed: the counts must be what the client and the server knew.
//!
//! `tests/data/corpus` holds, for each capture, what the client did (`.expected.json`) and what the server's
//! counters rose by (`.server.json`).
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods)] // tests read files

mod support;

use std::{fs, path::PathBuf};

use serde_json::Value;
use support::{
    children::{command, output},
    corpus::{Expected, Range, table},
    exposition::Exposition,
};

/// How exactly a capture can be counted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grade {
    /// Everything the reports tell.
    Exact,
    /// Packets are missing: never more than the reports tell.
    Lossy,
    /// Inside TLS: how many requests were answered, not which.
    Encrypted,
}

const CORPUS: &[(&str, Grade)] = &[
    ("cli_compress", Grade::Exact),
    ("cli_text", Grade::Exact),
    ("cli_tls", Grade::Encrypted),
    ("cmariadb_plain", Grade::Exact),
    ("dup_text", Grade::Exact),
    ("go_prep", Grade::Exact),
    ("haproxy_check", Grade::Exact),
    ("haproxy_proxy", Grade::Exact),
    ("java_batch", Grade::Exact),
    ("java_text", Grade::Exact),
    ("loss1_text", Grade::Lossy),
    ("mariadb_binlog", Grade::Exact),
    ("mariadb_replica", Grade::Exact),
    ("midcut_text", Grade::Lossy),
    ("midstream_live", Grade::Exact),
    ("node_mariadb_pipe", Grade::Exact),
    ("node_mysql2_compress", Grade::Exact),
    ("node_mysql2_prep", Grade::Exact),
    ("odbc_prep", Grade::Exact),
    ("pymariadb_bulk", Grade::Exact),
    ("pymysql_denied", Grade::Exact),
    ("pymysql_ipv6", Grade::Exact),
    ("pymysql_kill", Grade::Exact),
    ("pymysql_load", Grade::Exact),
    ("pymysql_multi", Grade::Exact),
    ("pymysql_proc", Grade::Exact),
    ("pymysql_text", Grade::Exact),
    ("reorder_text", Grade::Exact),
    ("seqwrap_ps", Grade::Exact),
    ("sll_ps", Grade::Exact),
    ("sysbench_ps_small", Grade::Exact),
    ("sysbench_text_small", Grade::Exact),
    ("vlan_ps", Grade::Exact),
];

#[test]
fn every_capture_of_the_corpus_is_counted_as_its_client_and_server_counted() {
    let mut wrong = Vec::new();
    for (name, grade) in CORPUS {
        let rows = expected(name, *grade).compare(&replay(name), 1.0);
        println!("{}", table(&format!("{name} ({grade:?})"), &rows));
        wrong.extend(rows.iter().filter(|row| !row.right).map(|row| format!("{name}: {row}")));
    }
    assert!(wrong.is_empty(), "{} numbers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_sums_over_digests_are_those_over_kinds_of_statements() {
    let pairs = [
        ("dbwire_mysql_digest_queries_total", "dbwire_mysql_statements_total"),
        ("dbwire_mysql_digest_seconds_total", "dbwire_mysql_query_duration_seconds_sum"),
        ("dbwire_mysql_digest_rows_returned_total", "dbwire_mysql_rows_returned_total"),
        ("dbwire_mysql_digest_rows_affected_total", "dbwire_mysql_rows_affected_total"),
    ];
    for (name, _) in CORPUS {
        for options in
            [&[][..], &["--mysql.max-digests=3"], &["--mysql.max-digests=0", "--no-mysql.digest-text"]]
        {
            let page = replay_with(name, options);
            let sum = |family: &str| page.of(family).map(|sample| sample.value).sum::<f64>();
            for (digests, kinds) in pairs {
                let (digests, kinds) = (sum(digests), sum(kinds));
                assert!((digests - kinds).abs() <= 1e-9 * kinds, "{name} {options:?}: {digests} {kinds}");
            }
        }
    }
}

#[test]
fn every_capture_in_the_folder_is_in_the_table() {
    let mut captures: Vec<String> = fs::read_dir(folder())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    captures.sort();
    assert_eq!(captures, CORPUS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus")
}

fn replay(name: &str) -> Exposition {
    replay_with(name, &[])
}

fn replay_with(name: &str, options: &[&str]) -> Exposition {
    let capture = folder().join(format!("{name}.pcap"));
    let mut replay = command(env!("CARGO_BIN_EXE_dbwire_exporter"));
    Exposition::parse(&output(replay.arg("replay").arg(capture).args(options)))
}

fn expected(name: &str, grade: Grade) -> Expected {
    let report = json(name, "expected").expect("every capture has a report");
    let original = report["derived_from"].as_str().unwrap_or(name);
    let server = json(original, "server").unwrap_or(Value::Null);
    let mut expected = Expected::default();
    expected.add(&report, &server);
    match grade {
        Grade::Exact => expected,
        Grade::Lossy => expected.at_most(),
        Grade::Encrypted => {
            let commands: u64 =
                report["com"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
            let quits = report["com"]["COM_QUIT"].as_u64().unwrap_or(0);
            Expected {
                logins: [("tls".to_owned(), Range::exactly(1))].into(),
                statements: [("encrypted".to_owned(), Range::exactly(commands - quits))].into(),
                ..Expected::default()
            }
        }
    }
}

fn json(name: &str, kind: &str) -> Option<Value> {
    let text = fs::read_to_string(folder().join(format!("{name}.{kind}.json"))).ok()?;
    Some(serde_json::from_str(&text).expect("a JSON file"))
}
