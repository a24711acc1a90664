use std::collections::BTreeSet;

use serde_json::Value;

use super::{mysql::*, sockets::*, *};

const GOLDEN: &str = include_str!("../../tests/data/status.json");
const DOCUMENTATION: &str = include_str!("../../docs/api.md");

/// Fields that are objects by label: their keys are values.
const LABELLED: [&str; 7] =
    ["states", "dropped", "undecoded", "limit_hits", "connections", "logins", "statements"];

fn sockets() -> Sockets {
    let listener = Listener { address: "::".to_owned(), port: 3306, queue: 3, limit: Some(80) };
    let reading = Reading {
        source: "netlink",
        plan: "counters",
        age_seconds: 0.25,
        read_seconds: 0.0005,
        states: Labelled(vec![("established", 12), ("time_wait", 3)]),
        listeners: vec![listener],
        listeners_not_shown: 0,
        kernel: Some(Kernel { listen_overflows: 1, listen_drops: 2, timeouts: 3, syn_retransmits: 4 }),
    };
    Sockets { namespace: None, works: true, error: None, cooldown_seconds: 0.0, reading: Some(reading) }
}

fn traffic() -> Traffic {
    let durations = Durations {
        count: 30.0,
        sum_seconds: 0.75,
        p50_seconds: Some(0.02),
        p95_seconds: Some(0.04),
        p99_seconds: None,
        zeros: 2.0,
        buckets: vec![(-90, 20.0), (-74, 8.0)],
    };
    let select = Statements { count: 32.0, durations, rows_returned: 64.0, rows_affected: 0.0 };
    let counts =
        DigestCounts { queries: 32.0, seconds: 0.75, errors: 4.0, rows_returned: 64.0, rows_affected: 0.0 };
    Traffic {
        connections: Labelled(vec![("decoded", 2), ("tls", 1), ("compressed", 0), ("unknown", 0)]),
        opened: 4.0,
        closed: 2.0,
        logins: Labelled(vec![("ok", 4.0)]),
        request_bytes: 100.0,
        response_bytes: 1000.0,
        statements: Labelled(vec![("select", select)]),
        errors: vec![Errors { code: Some(1213), sqlstate: Some("40001".to_owned()), count: 4.0 }],
        digests: vec![Digest {
            digest: "0123456789ABCDEF".to_owned(),
            schema: "shop".into(),
            text: Some("select <b>&\"'".into()),
            p95_seconds: None,
            counts: counts.clone(),
        }],
        other_digests: counts,
    }
}

/// Both collectors at work.
pub(crate) fn status() -> Status {
    let mysql = Mysql {
        works: true,
        error: None,
        note: None,
        interface: "any".to_owned(),
        ports: vec![3306],
        sampling: Sampling {
            bits: 1,
            multiplier: 2.0,
            nominal_multiplier: 2.0,
            measured_multiplier: Some(1.9),
            effective_size: Some(12.5),
            standard_error: Some(StandardError { queries: 1.5, errors: 0.5, seconds: 0.125 }),
            text: "One connection in 2 is decoded.".to_owned(),
        },
        capture: Some(Capture {
            packets: 999,
            bytes: 65_536,
            dropped: Labelled(vec![("kernel", 1), ("interface", 0)]),
            undecoded: Labelled(vec![("link", 0)]),
            gaps: 1,
            desyncs: 0,
            limit_hits: Labelled(vec![("flows", 1)]),
            cpu_seconds: 0.5,
        }),
        traffic: Some(traffic()),
    };
    let mut status = Status::new(Duration::from_millis(61_500), Some(vec![sockets()]), Some(mysql));
    (status.version, status.revision) = ("1.2.3", "0123456789ab");
    status
}

#[test]
fn the_json_is_that_of_the_golden_file() {
    let json: Value = serde_json::from_slice(&status().json()).unwrap();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(json, golden, "{json:#}");
}

/// Paths of all fields, as the documentation writes them.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let labelled = LABELLED.iter().any(|name| path.ends_with(name));
            for (name, value) in fields {
                let name = if labelled { "*" } else { name };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                paths(value, &path, found);
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|value| paths(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(
                path.trim_end_matches("[][]").to_owned() + if path.ends_with("[][]") { "[]" } else { "" },
            );
        }
    }
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    let rows = DOCUMENTATION.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let documented: BTreeSet<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let mut fields = BTreeSet::new();
    paths(&serde_json::from_str(GOLDEN).unwrap(), "", &mut fields);
    let missing: Vec<_> = fields.iter().filter(|field| !documented.contains(field.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/api.md: {missing:#?}");
    // The table also tells of whole objects, which may be null.
    let part_of_some = |path: &&str| fields.iter().any(|field| field.starts_with(*path));
    let gone: Vec<_> = documented.iter().filter(|path| !part_of_some(path)).collect();
    assert!(gone.is_empty(), "in docs/api.md only: {gone:#?}");
}

#[test]
fn the_heaviest_digests_are_told_and_the_others_added_up() {
    let digest = |number: u32| Digest { digest: number.to_string(), ..traffic().digests.remove(0) };
    let mut digests: Vec<_> = (0..MOST_DIGESTS as u32 + 3).map(digest).collect();
    digests.iter_mut().zip(0..).for_each(|(digest, rank)| digest.counts.seconds = f64::from(rank));
    let counts = DigestCounts { queries: 1.0, seconds: 0.5, ..DigestCounts::default() };
    let (told, others) = heaviest(digests, counts);
    assert_eq!((told.len(), told[0].counts.seconds), (MOST_DIGESTS, MOST_DIGESTS as f64 + 2.0));
    assert_eq!((others.queries, others.seconds, others.errors), (1.0 + 3.0 * 32.0, 3.5, 12.0));
}

#[test]
fn one_line_says_how_well_it_works_and_why() {
    let working = status();
    let mut quiet = working.clone();
    let note = "No MySQL traffic seen on any interface since the start. Is port 3306 right?";
    quiet.mysql.as_mut().unwrap().note = Some(note.to_owned());
    let mut unprivileged = working.clone();
    unprivileged.mysql.as_mut().unwrap().error = Some("no permission".to_owned());
    unprivileged.mysql.as_mut().unwrap().works = false;
    let mut blind = unprivileged.clone();
    blind.sockets.as_mut().unwrap()[0].error = Some("no netlink.".to_owned());
    blind.sockets.as_mut().unwrap()[0].works = false;
    let mut late = working.clone();
    late.sockets.as_mut().unwrap()[0].reading.as_mut().unwrap().age_seconds = 12.0;
    late.mysql = None;
    let cases = [
        (
            working,
            Level::Working,
            "TCP sockets are counted by netlink. MySQL is decoded on all interfaces; 0.1% of its packets were \
             lost since the start, so counts are low.",
        ),
        (
            quiet,
            Level::Working,
            "TCP sockets are counted by netlink. No MySQL traffic seen on any interface since the start. Is port \
             3306 right?",
        ),
        (
            unprivileged,
            Level::Impaired,
            "TCP sockets are counted by netlink. MySQL is not captured: no permission.",
        ),
        (
            blind,
            Level::Failed,
            "TCP sockets cannot be counted: no netlink. MySQL is not captured: no permission.",
        ),
        (
            late,
            Level::Working,
            "TCP sockets were counted by netlink some seconds ago: it rests to spare the CPU.",
        ),
    ];
    for (status, level, text) in cases {
        let health = Health::of(status.sockets.as_deref(), status.mysql.as_ref());
        assert_eq!(health, Health { level, text: text.to_owned() });
    }
}
