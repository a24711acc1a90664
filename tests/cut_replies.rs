//! Replies cut short, over captures of real clients: times and bytes stay what they are with everything at hand, and
//! nothing is counted that was not there.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::{fs, path::PathBuf};

use dbwire_exporter::{
    config::{Counting, PortSet},
    digest::Statement,
    io::replay,
    packet::filter::Plan,
    pipeline::{Options, Pipeline},
    stats::Stats,
};

/// Captures where some replies cannot be timed: where packets are lost, and where a client does not await each answer, so
/// that it cannot be told where a cut one among several ends.
const LESS: &[&str] = &["java_text", "loss1_text", "odbc_prep", "pymariadb_bulk"];

/// Of these, where each statement is prepared and executed at once: behind a cut reply the ids of what was prepared are not
/// known.
const WITHOUT_IDS: &[&str] = &["odbc_prep"];

fn captures() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/data/corpus").expect("the corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    assert!(files.len() > 10, "the corpus is there");
    files
}

fn decode(file: &PathBuf, reply_bytes: Option<u16>) -> Stats {
    let ports: Vec<u16> = vec![3306];
    let plan = Plan { reply_bytes, ..Plan::whole(PortSet::new(&ports).expect("ports")) };
    let mut pipeline = Pipeline::new(Options {
        plan,
        multiplier: dbwire_exporter::sample::multiplier::Multiplier::Auto,
        census: false,
        max_flows: 1024,
        seed: 1,
        counting: Counting::default(),
    });
    replay::replay(&[file], &mut pipeline).expect("a capture");
    pipeline.finish();
    pipeline.stats().clone()
}

/// What must not change.
fn exact(stats: &Stats) -> Vec<(String, u64)> {
    let mut rows = vec![
        ("request bytes".to_owned(), stats.observed.request_bytes),
        ("response bytes".to_owned(), stats.observed.response_bytes),
        ("opened".to_owned(), stats.opened),
        ("gaps".to_owned(), stats.gaps),
    ];
    rows.extend(
        stats.observed.commands().map(|(command, count)| (format!("command {}", command.label()), count)),
    );
    rows.extend(stats.observed.logins().map(|(login, count)| (format!("login {}", login.label()), count)));
    for (statement, stats) in stats.observed.statements() {
        let name = statement.label();
        rows.push((name.to_owned(), stats.count));
    }
    rows
}

/// What must not change where each reply is awaited.
fn times(stats: &Stats) -> Vec<(String, u64)> {
    let of = |(statement, stats): (Statement, &dbwire_exporter::stats::tally::StatementStats)| {
        [
            (format!("{} replies", statement.label()), stats.duration.count()),
            (format!("{} nanoseconds", statement.label()), stats.duration.sum_nanos()),
            (
                format!("{} nanoseconds to the first byte", statement.label()),
                stats.first_response.sum_nanos(),
            ),
        ]
    };
    stats.observed.statements().flat_map(of).collect()
}

/// What is unknown of a reply that was cut.
fn unknown(stats: &Stats) -> [u64; 3] {
    let rows = stats.observed.statements().map(|(_, stats)| (stats.rows_returned, stats.rows_affected));
    let (returned, affected) = rows.fold((0, 0), |sum, rows| (sum.0 + rows.0, sum.1 + rows.1));
    [returned, affected, stats.errors(&stats.observed).iter().map(|(_, count)| count).sum()]
}

/// As many statements, though of some of them it is not known which they are; all else is exact.
fn no_kind_is_higher(whole: &Stats, cut: &Stats) {
    let kinds = whole.observed.statements().zip(cut.observed.statements());
    let mut sums = [0, 0];
    for ((kind, whole), (_, cut)) in kinds {
        assert!(kind == Statement::Unknown || cut.count <= whole.count, "{}", kind.label());
        sums = [sums[0] + whole.count, sums[1] + cut.count];
    }
    assert_eq!(sums[0], sums[1]);
    let others = |stats: &Stats| {
        let kinds = stats.observed.statements().count();
        let rows = exact(stats);
        rows[..rows.len() - kinds].to_vec()
    };
    assert_eq!(others(whole), others(cut));
}

#[test]
fn times_and_bytes_of_cut_replies_are_exact_and_no_count_is_higher() {
    let (mut wrong, mut cut_replies) = (Vec::new(), 0);
    for file in captures() {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let whole = decode(&file, None);
        assert_eq!(whole.cut_replies, 0, "{name}");
        for bytes in [128, 256, 1000] {
            let cut = decode(&file, Some(bytes));
            cut_replies += cut.cut_replies;
            let differs = |rows: fn(&Stats) -> Vec<(String, u64)>| {
                let pairs = rows(&whole).into_iter().zip(rows(&cut));
                pairs
                    .filter(|(one, other)| one != other)
                    .map(|pair| format!("{name} cut at {bytes}: {pair:?}"))
                    .collect::<Vec<_>>()
            };
            if WITHOUT_IDS.contains(&name.as_str()) {
                no_kind_is_higher(&whole, &cut);
            } else {
                wrong.extend(differs(exact));
            }
            if LESS.contains(&name.as_str()) {
                let pairs = times(&whole).into_iter().zip(times(&cut));
                pairs.for_each(|(whole, cut)| {
                    assert!(cut.1 <= whole.1, "{name} cut at {bytes}: {cut:?}, {whole:?}")
                });
            } else {
                wrong.extend(differs(times));
            }
            for (whole, cut) in unknown(&whole).into_iter().zip(unknown(&cut)) {
                assert!(cut <= whole, "{name} cut at {bytes}: {cut} of {whole}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cut_replies > 1000, "{cut_replies} replies were cut");
}
