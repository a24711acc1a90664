//! How many series a host has by default, at most.
#![cfg(feature = "capture")]

mod support;

use support::{
    dialogue::{Conversation, OK, error, write_pcap},
    exporter::{Exporter, run},
    exposition::Exposition,
};

/// Kinds of statements, each with a form that may be repeated with other names.
const KINDS: &[&str] = &[
    "select a from",
    "insert into",
    "update",
    "delete from",
    "replace into",
    "with q as",
    "begin work",
    "commit work",
    "rollback to",
    "set",
    "show tables from",
    "call",
    "explain",
    "load data",
    "create table",
    "alter table",
    "drop table",
    "truncate",
    "lock tables",
    "execute",
    "do",
    "analyze table",
    "other",
];

/// What `--mysql.multiplier=measured` adds, which no file has: connections, ports, censuses, the ratio, effective size,
/// standard errors, what is not estimated.
const MEASURED: usize = 2 + 2 + 2 + 1 + 1 + 3 + 1;

fn count(page: &Exposition) -> usize {
    page.samples.len()
}

#[test]
fn a_host_that_shows_all_it_can_has_a_thousand_series() {
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for number in 0..300_u16 {
        let name: String =
            format!("{number:03}").bytes().map(|digit| char::from(digit - b'0' + b'g')).collect();
        let sql = format!("{} t_{name}", KINDS[usize::from(number) % KINDS.len()]);
        let failed = error(1000 + number, "42000", "no");
        conversation.query(sql.as_bytes(), OK);
        conversation.query(sql.as_bytes(), &failed);
    }
    conversation.query(b"select 'unterminated", OK);
    // An execution of what was never prepared.
    conversation.exchange(b"\x17\x09\0\0\0\0\x01\0\0\0", OK);
    conversation.close();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.pcap");
    write_pcap(&path, &frames);
    let output = run(&["replay", path.to_str().unwrap()]);
    let decoder = count(&Exposition::parse(&String::from_utf8(output.stdout).unwrap()));
    let page = Exporter::start(&["--no-collector.mysql"]).page();
    // Two for each port that something listens on, which are this host's affair.
    let listeners = page.of("dbwire_tcp_listen_queue_length").chain(page.of("dbwire_tcp_listen_queue_limit"));
    let others = count(&page) - listeners.count();
    let decoder = decoder + MEASURED;
    println!("decoder {decoder}, others {others}");
    assert!(decoder <= 919, "{decoder} series of the decoder");
    assert!(others <= 79, "{others} series of the others");
    let one_listener = 2;
    assert!(decoder + others + one_listener <= 1000, "more than a host is to have");
}
