//! No literal leaves the host: a canary in every literal position, as text and as arguments, in error replies that
//! echo it, is in nothing that the program prints.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods)] // tests read files

#[path = "digest/forms.rs"]
mod forms;
mod support;

use std::path::Path;

use forms::{FORMS, literals};
use support::{
    dialogue::{Conversation, OK, error, write_pcap},
    exporter::{Exporter, run},
    exposition::Exposition,
};

const CANARY: &str = "canary";

/// Writes a capture of all forms, and tells how many statements and errors it has.
fn write_capture(path: &Path) -> (u64, u64) {
    let mut frames = Vec::new();
    let (mut statements, mut errors) = (0, 0);
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for canary in [CANARY.to_owned(), CANARY.to_uppercase()] {
        let echo = error(1064, "42000", &format!("You have an error near '{canary}' at line 1"));
        for (number, form) in FORMS.iter().enumerate() {
            for literal in literals(&canary) {
                let failed = number % 2 == 0;
                let response = if failed { &echo[..] } else { OK };
                conversation.query(form.replace("{}", &literal).as_bytes(), response);
                conversation.query(form.to_uppercase().replace("{}", &literal).as_bytes(), response);
                statements += 2;
                errors += 2 * u64::from(failed);
            }
            let unterminated = form.replacen("{}", &format!("'{canary}"), 1).replace("{}", "1");
            conversation.query(unterminated.as_bytes(), &echo);
            let prepared = form.replace("{}", "?");
            conversation.execute(number as u32 + 1, prepared.as_bytes(), canary.as_bytes(), &echo);
            statements += 2;
            errors += 2;
        }
    }
    conversation.close();
    write_pcap(path, &frames);
    (statements, errors)
}

#[test]
fn a_canary_in_every_literal_is_in_no_metric_report_or_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary.pcap");
    let (statements, errors) = write_capture(&path);
    let path = path.to_str().unwrap();
    for options in [&[][..], &["--mysql.max-digests=10000"], &["--report"], &["--report=json"]] {
        let output = run(&[&["replay", path, "--log.level=debug"], options].concat());
        assert!(output.status.success(), "{output:?}");
        for printed in [&output.stdout, &output.stderr] {
            let printed = String::from_utf8_lossy(printed).to_lowercase();
            let at = printed.find(CANARY);
            assert_eq!(at, None, "{options:?}: {}", at.map_or("", |at| &printed[at.saturating_sub(200)..]));
        }
        if options.first().is_none_or(|option| !option.starts_with("--report")) {
            let page = Exposition::parse(&String::from_utf8_lossy(&output.stdout));
            assert_eq!(page.value("dbwire_mysql_statements_total", &[]), Some(statements as f64));
            assert_eq!(page.value("dbwire_mysql_digest_queries_total", &[]), Some(statements as f64));
            assert_eq!(page.value("dbwire_mysql_digest_errors_total", &[]), Some(errors as f64));
            assert_eq!(page.value("dbwire_mysql_errors_total", &[]), Some(errors as f64));
            let unparsed = page.value("dbwire_mysql_digest_queries_total", &[("digest", "other")]);
            assert!(unparsed > Some(0.0), "an unterminated literal has no digest");
        }
    }
}

#[test]
fn the_kernel_may_not_write_a_core() {
    let exporter = Exporter::start(&["--no-collector.mysql"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", exporter.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words, ["Max", "core", "file", "size", "1", "1", "bytes"]);
}
