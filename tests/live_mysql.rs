//! Real clients, a real server, live capture: the exporter counts what they counted.
//!
//! The server's own counters and the clients' reports are two independent truths; where only some connections are
//! sampled, the reports of the connections in the class are the truth. Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests open sockets

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;
use support::{
    children::command,
    clients::{CLIENTS, Client, SYSBENCH, Sysbench, prepare_sysbench, sysbench, sysbench_reports},
    corpus::{Range, Row, publish, table},
    counters::{compare_with_server, compare_with_tshark, value},
    mariadb::{MariaDb, Options, PASSWORD, USER},
    netns::Namespace,
    skip,
    tcpdump::Capture,
    tshark,
    watcher::{Watcher, expected_of},
};
use tempfile::TempDir;

/// Every client runs it; see `tests/clients/README.md`. `{k}` is a number of the client's own.
const SCRIPT: &str = "\
text SELECT n FROM numbers WHERE n <= 3
text SELECT n FROM numbers WHERE n <= 700
prepared 1,2,3,120,0 SELECT n FROM numbers WHERE n <= ?
prepared 11,12,11 INSERT INTO items VALUES ({k}{c}000 + ?, 1, 'x')
prepared 1 SELEC ?
text SELECT * FROM missing
prepared 11,12,13 UPDATE items SET amount = amount + 1 WHERE id = {k}{c}000 + ?
text BEGIN
text DELETE FROM items WHERE id = {k}{c}000 + 12
text COMMIT
text begin
text rollback
text REPLACE INTO items VALUES ({k}{c}000 + 11, 2, 'y')
text CALL late_error()
text SET @x = 1
text SELECT /* ? */ 'it''s', \"quoted\"
ping
use other
use test
text SELECT 1
";

/// Connections of each client.
const CONNECTIONS: u32 = 6;

#[test]
fn counts_equal_the_servers_the_clients_and_those_of_the_sampled_connections() {
    let test = "counts_equal_the_servers_the_clients_and_those_of_the_sampled_connections";
    if !skip::root(test)
        || !skip::programs(test, MariaDb::PROGRAMS)
        || !skip::programs(test, &[SYSBENCH, tshark::PROGRAMS].concat())
    {
        return;
    }
    let server = MariaDb::start(&Options { general_log: true, ..Options::default() });
    prepare_sysbench(&server);
    let watchers = [
        Watcher::start("lo", server.port(), 0, 0),
        Watcher::start("any", server.port(), 0, 0),
        Watcher::start("lo", server.port(), 1, 1),
        Watcher::start("lo", server.port(), 2, 2),
        Watcher::start("lo", server.port(), 3, 5),
    ];

    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("capture.pcap");
    let capture = Capture::start("lo", &format!("tcp port {}", server.port()), &file);
    let ((mut reports, runs), delta) = server.status_delta(|| traffic(&server, test));
    let deadlocks = runs.iter().map(|run| run.ignored_errors).sum();
    reports.extend(sysbench_reports(&server, &runs));

    let mut wrong = Vec::new();
    let mut tables = String::new();
    for watcher in &watchers {
        let title = format!("N = {}, class {}", watcher.bits, watcher.class);
        let rows = watcher.compare(&reports, deadlocks);
        tables += &table(&format!("{title}: clients and exporter"), &rows);
        wrong.extend(rows.into_iter().filter(|row| !row.right).map(|row| format!("{title}: {row}")));
    }
    let all = expected_of(&reports);
    let page = watchers[0].page();
    for (title, rows) in [
        (
            "server and clients",
            compare_with_server(&delta, &reports, |family, label| all.count(family, label)),
        ),
        (
            "server and exporter",
            compare_with_server(&delta, &reports, |family, label| value(&page, family, label)),
        ),
    ] {
        tables += &table(title, &rows);
        wrong.extend(rows.into_iter().filter(|row| !row.right).map(|row| format!("{title}: {row}")));
    }
    capture.stop();
    tables += &compare_with_tshark(&all, &tshark::commands(&file, server.port()));
    publish("live_mysql", &tables);
    assert!(wrong.is_empty(), "{} numbers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// All clients, one after the other, and sysbench by both protocols.
fn traffic(server: &MariaDb, test: &str) -> (Vec<Value>, Vec<Sysbench>) {
    let mut reports = Vec::new();
    for (index, client) in CLIENTS.iter().enumerate() {
        if client.is_ready() {
            reports.extend(run(client, "127.0.0.1", server.port(), index));
        } else {
            skip::unavailable(test, &format!("client {} is not ready", client.mode));
        }
    }
    let runs = [false, true].map(|prepared| sysbench(server, "127.0.0.1", 8, 60, prepared));
    (reports, runs.into())
}

fn run(client: &Client, host: &str, port: u16, index: usize) -> Vec<Value> {
    client.run(host, port, &SCRIPT.replace("{k}", &(index + 1).to_string()), CONNECTIONS)
}

#[test]
fn refused_logins_ipv6_and_garbage_are_counted_as_what_they_are() {
    let test = "refused_logins_ipv6_and_garbage_are_counted_as_what_they_are";
    if !skip::root(test) || !skip::programs(test, MariaDb::PROGRAMS) {
        return;
    }
    let server = MariaDb::start(&Options::default());
    let watcher = Watcher::start("lo", server.port(), 0, 0);

    let (reports, delta) = server.status_delta(|| {
        for (user, schema) in [("app", "test"), ("nobody", "test"), ("app", "test")] {
            assert!(!log_in(&server, user, "wrong", schema));
        }
        assert!(!log_in(&server, USER, PASSWORD, "no_such_schema"));
        send_garbage(server.port());
        run(&Client::named("c-prepared"), "::1", server.port(), 0)
    });

    assert_eq!(delta["Access_denied_errors"], 3);
    // What the refused connections add to the scripts' own; garbage is no login, whatever the server answers to it.
    let mut expected = expected_of(&reports);
    let named = |(label, count): (&str, u64)| (label.to_owned(), Range::exactly(count));
    expected.errors.extend([("1045", 3), ("1049", 1)].map(named));
    expected.logins.extend([("denied", 3), ("error", 1)].map(named));
    let page = watcher.final_page(reports.len() + 5);
    let mut rows = expected.compare(&page, 1.0);
    // The server answers garbage with errors of its own choice (1043, 1158 …).
    rows.retain(|row| !row.right);
    rows.retain(|row| !(row.what.contains("errors_total") && row.expected == Range::default()));
    assert!(rows.is_empty(), "{}", table("wrong", &rows));
}

#[test]
fn traffic_over_a_cable_is_counted_at_the_clients_end() {
    let test = "traffic_over_a_cable_is_counted_at_the_clients_end";
    if !skip::root(test) || !skip::programs(test, MariaDb::PROGRAMS) {
        return;
    }
    let namespace = Namespace::new("live", 41);
    let options = Options { namespace: Some(namespace.name().to_owned()), ..Options::default() };
    let server = MariaDb::start(&options);
    let watchers = [
        Watcher::start(namespace.interface(), server.port(), 0, 0),
        Watcher::start("any", server.port(), 1, 0),
    ];
    // Replies far larger than a packet: the network card's segmentation makes them super-frames.
    let script = format!("{}text SELECT REPEAT('x', 3000000)\n", SCRIPT.replace("{k}", "1"));
    let reports = Client::named("c-text").run(&namespace.inner(), server.port(), &script, 8);
    for watcher in &watchers {
        let wrong: Vec<Row> = watcher.compare(&reports, 0).into_iter().filter(|row| !row.right).collect();
        assert!(wrong.is_empty(), "{}", table(&format!("N = {}", watcher.bits), &wrong));
    }
}

/// Whether the server lets `user` in.
fn log_in(server: &MariaDb, user: &str, password: &str, schema: &str) -> bool {
    let mut client = command("mariadb");
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--skip-ssl", "-e", "SELECT 1"]);
    client.args([format!("--port={}", server.port()), format!("--user={user}")]);
    client.args([format!("--password={password}"), format!("--database={schema}")]);
    client.output().expect("the client runs").status.success()
}

/// Something that is not MySQL, until the server hangs up.
fn send_garbage(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
    stream.write_all(&[0xff; 300]).expect("the server reads");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
}
