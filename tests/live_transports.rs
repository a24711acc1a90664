//! Live traffic that is harder to read: compressed, encrypted, and larger than a packet can be. Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods)] // tests write files

mod support;

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};
use support::{
    clients::Client,
    corpus::{Expected, Range, Row, publish, table},
    counters::{compare_with_server, compare_with_tshark, value},
    mariadb::{MariaDb, Options, Status},
    skip,
    tcpdump::Capture,
    tshark,
    watcher::{Watcher, expected_of},
};
use tempfile::TempDir;

/// As in `tests/live_mysql.rs`, with rows that fill several compressed packets.
const SCRIPT: &str = "\
text SELECT n FROM numbers WHERE n <= 700
prepared 1,2,3,120,0 SELECT n FROM numbers WHERE n <= ?
prepared 11,12,11 INSERT INTO items VALUES ({k}{c}000 + ?, 1, 'x')
prepared 1 SELEC ?
text SELECT * FROM missing
prepared 11,12,13 UPDATE items SET amount = amount + 1 WHERE id = {k}{c}000 + ?
text SELECT REPEAT('x', 400000)
text CALL late_error()
ping
use other
use test
text SELECT 1
";

const CONNECTIONS: u32 = 3;

const COMPRESSING: &[&str] = &[
    "connector-text",
    "connector-prepared",
    "mysql2-text",
    "mysql2-prepared",
    "mariadb-text",
    "mariadb-prepared",
    "mariadb-pipelined",
    "java-text",
    "java-prepared",
    "c-text",
    "c-prepared",
    "c-cursor",
    "php-text",
    "php-prepared",
    "perl-text",
    "perl-prepared",
];

/// Those that send a request only when the last one was answered: Connector/J, for one, sends its first ones together,
/// and inside TLS that is one burst.
const ENCRYPTING: &[&str] = &[
    "pymysql-text",
    "connector-text",
    "connector-prepared",
    "mysql2-text",
    "mariadb-text",
    "c-text",
    "c-prepared",
    "c-cursor",
    "php-text",
    "php-prepared",
];

/// Those that send a file where they are asked to.
const LOADING: &[&str] = &["pymysql-text", "java-text", "c-text", "perl-text"];

/// Those that take rows and send statements of 20 MB.
const LARGE: &[&str] = &[
    "pymysql-text",
    "connector-text",
    "mysql2-text",
    "mariadb-text",
    "java-text",
    "c-text",
    "go-text",
    "php-text",
    "perl-text",
    "ruby-text",
];

/// One at a time: they fill the memory that the kernel has for captures.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn compressed_connections_are_counted_like_plain_ones() {
    let test = "compressed_connections_are_counted_like_plain_ones";
    if !skip::root(test) || !skip::programs(test, &[MariaDb::PROGRAMS, tshark::PROGRAMS].concat()) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = MariaDb::start(&Options::default());
    server.admin("ALTER TABLE test.blobs MODIFY id INT AUTO_INCREMENT");
    let script = format!("{SCRIPT}text INSERT INTO blobs (content) VALUES ('{}')\n", half_a_megabyte());
    let witnesses = Witnesses::call(&server);
    let (mut wrong, mut reports) = (String::new(), Vec::new());
    let ((), delta) = server.status_delta(|| {
        for (mode, its, watcher) in each(test, &server, COMPRESSING, "-compress", &script, CONNECTIONS) {
            check(&mut wrong, mode, watcher.compare(&its, 0));
            reports.extend(its);
        }
    });
    wrong += &witnesses.tell("compressed", &server, &reports, &delta);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_answered_request_inside_tls_is_one_encrypted_statement() {
    let test = "every_answered_request_inside_tls_is_one_encrypted_statement";
    if !skip::root(test) || !skip::programs(test, MariaDb::PROGRAMS) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = MariaDb::start(&Options { tls: true, ..Options::default() });
    let mut wrong = String::new();
    for (mode, reports, watcher) in each(test, &server, ENCRYPTING, "-tls", SCRIPT, CONNECTIONS) {
        let page = watcher.final_page(reports.len());
        check(&mut wrong, mode, encrypted(&reports).compare(&page, 1.0));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn files_sent_and_messages_beyond_16_mib_are_not_taken_for_commands() {
    let test = "files_sent_and_messages_beyond_16_mib_are_not_taken_for_commands";
    if !skip::root(test) || !skip::programs(test, &[MariaDb::PROGRAMS, tshark::PROGRAMS].concat()) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = MariaDb::start(&Options::default());
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("lines");
    // Lines that would be commands, were they read as packets: 01 00 00 00 01 is COM_QUIT.
    let lines: Vec<u8> = (0..200_000_u32).flat_map(|_| *b"\x01\x00\x00\x00\x01\n").collect();
    fs::write(&file, lines).expect("the temporary folder is writable");
    let large = format!(
        "text SELECT REPEAT('x', 20971520)\ntext SELECT LENGTH('{}')\ntext SELECT 1\n",
        "y".repeat(20 << 20)
    );
    let load = format!(
        "text LOAD DATA LOCAL INFILE '{}' INTO TABLE blobs (content) SET id = NULL\n",
        file.display()
    );
    server.admin("ALTER TABLE test.blobs MODIFY id INT AUTO_INCREMENT");
    let witnesses = Witnesses::call(&server);
    let (mut wrong, mut reports) = (String::new(), Vec::new());
    let ((), delta) = server.status_delta(|| {
        let loading = each(test, &server, LOADING, "", &load, 1);
        for (mode, its, watcher) in loading.chain(each(test, &server, LARGE, "", &large, 1)) {
            check(&mut wrong, mode, watcher.compare(&its, 0));
            reports.extend(its);
        }
    });
    wrong += &witnesses.tell("files and large messages", &server, &reports, &delta);
    assert!(wrong.is_empty(), "{wrong}");
}

/// Text that compresses to some half of it.
fn half_a_megabyte() -> String {
    let letter = |n: u32| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8);
    (0..1 << 19).map(letter).collect()
}

/// Those who see all clients of a test together: an exporter, and a capture for tshark.
struct Witnesses {
    watcher: Watcher,
    capture: Capture,
    folder: TempDir,
}

impl Witnesses {
    fn call(server: &MariaDb) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let filter = format!("tcp port {}", server.port());
        let capture = Capture::start("lo", &filter, &folder.path().join("capture.pcap"));
        Self { watcher: Watcher::start("lo", server.port(), 0, 0), capture, folder }
    }

    /// Publishes the tables; what the exporter counted otherwise than the server did.
    fn tell(self, title: &str, server: &MariaDb, reports: &[Value], delta: &Status) -> String {
        let page = self.watcher.final_page(reports.len());
        self.capture.stop();
        let rows = compare_with_server(delta, reports, |family, label| value(&page, family, label));
        let counted = tshark::commands(&self.folder.path().join("capture.pcap"), server.port());
        let mut tables = table(&format!("{title}: clients and exporter"), &self.watcher.compare(reports, 0));
        tables += &table(&format!("{title}: server and exporter"), &rows);
        tables += &compare_with_tshark(&expected_of(reports), &counted);
        publish(&format!("live_{}", title.replace(' ', "_")), &tables);
        let mut wrong = String::new();
        check(&mut wrong, "all clients", rows);
        wrong
    }
}

/// Runs each client that is ready, each watched by an exporter of its own.
fn each<'a>(
    test: &'a str,
    server: &'a MariaDb,
    modes: &'a [&'static str],
    transport: &'a str,
    script: &'a str,
    connections: u32,
) -> impl Iterator<Item = (&'static str, Vec<Value>, Watcher)> + 'a {
    modes.iter().enumerate().filter_map(move |(index, mode)| {
        let client = Client::named(mode);
        if !client.is_ready() {
            skip::unavailable(test, &format!("client {mode} is not ready"));
            return None;
        }
        let script = script.replace("{k}", &(index + 1).to_string());
        let watcher = Watcher::start("lo", server.port(), 0, 0);
        let reports = client.run_over(transport, "127.0.0.1", server.port(), &script, connections);
        Some((*mode, reports, watcher))
    })
}

/// What of these reports can be seen of encrypted connections: what the server answers.
fn encrypted(reports: &[Value]) -> Expected {
    let unanswered = ["COM_QUIT", "COM_STMT_CLOSE", "COM_STMT_SEND_LONG_DATA"];
    let commands = reports.iter().filter_map(|report| report["com"].as_object()).flatten();
    let answered = commands.filter(|(name, _)| !unanswered.contains(&name.as_str()));
    let answered: u64 = answered.filter_map(|(_, count)| count.as_u64()).sum();
    let mut expected = expected_of(&[json!({ "com": {}, "text_statements": { "encrypted": answered } })]);
    expected.logins.insert("tls".to_owned(), Range::exactly(reports.len() as u64));
    expected
}

fn check(wrong: &mut String, mode: &str, rows: Vec<Row>) {
    let rows: Vec<Row> = rows.into_iter().filter(|row| !row.right).collect();
    if !rows.is_empty() {
        wrong.push_str(&table(mode, &rows));
    }
}
