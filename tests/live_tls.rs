//! What is told of encrypted connections against the same load in the clear: requests and their latencies.
//! Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::print_stdout)] // a table of what was measured

mod support;
#[path = "support/told.rs"]
mod told;

use std::{path::Path, thread};

use dbwire_exporter::{io::replay, mysql::event::Event, packet::segment};
use support::{
    children::{command, output},
    clients::Client,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    skip,
    tcpdump::Capture,
};
use tempfile::TempDir;
use told::Listener;

const CONNECTIONS: u32 = 10;
/// Of each connection. They take the server some milliseconds each, so that what encryption adds is in proportion.
const QUERIES: usize = 1000;
const QUERY: &str = "SELECT SLEEP(0.004)";

/// Runs the load: the server's port, and the transport of a client's mode.
type Drive = fn(u16, &str);

/// How the server is set up, and what a client is asked for: nothing, or TLS.
const WIRES: [(&str, Option<&str>, &str); 3] =
    [("clear", None, ""), ("TLS 1.2", Some("TLSv1.2"), "-tls"), ("TLS 1.3", Some("TLSv1.3"), "-tls")];

#[test]
fn encrypted_requests_and_their_latencies_are_those_of_the_same_load_in_the_clear() {
    let test = "encrypted_requests_and_their_latencies_are_those_of_the_same_load_in_the_clear";
    if !skip::root(test) || !skip::programs(test, MariaDb::PROGRAMS) {
        return;
    }
    let drivers = [("pymysql", pymysql as Drive), ("mariadb", mariadb_cli), ("connector/j", connector_j)];
    for (name, drive) in drivers {
        let mut clear = None;
        for (wire, version, transport) in WIRES {
            let measured = measure(drive, version, transport);
            println!(
                "{name:<12} {wire:<8} {:>6} requests of {:>6} Questions, median {:>7} µs, p95 {:>7} µs",
                measured.requests,
                measured.questions,
                measured.quantile(50) / 1000,
                measured.quantile(95) / 1000,
            );
            let off = measured.requests.abs_diff(measured.questions);
            assert!(100 * off <= measured.questions, "{name} {wire}: {off} requests off");
            let clear = clear.get_or_insert_with(|| [measured.quantile(50), measured.quantile(95)]);
            // On an idle machine both differ by less than 5 %; on a shared one two equal runs may differ by more, and
            // their tails by much more.
            for ((percent, tolerated), clear) in [(50, 25), (95, 100)].into_iter().zip(*clear) {
                let encrypted = measured.quantile(percent);
                let off = encrypted.abs_diff(clear);
                assert!(
                    100 * off <= tolerated * clear,
                    "{name} {wire} p{percent}: {encrypted} against {clear}"
                );
            }
        }
    }
}

/// What the decoder told of one load, and what the server counted.
struct Measured {
    requests: u64,
    questions: u64,
    /// Nanoseconds, ascending.
    durations: Vec<u64>,
}

impl Measured {
    fn quantile(&self, percent: usize) -> u64 {
        self.durations[(self.durations.len() - 1) * percent / 100]
    }
}

fn measure(drive: Drive, version: Option<&str>, transport: &str) -> Measured {
    let arguments = version.map(|version| format!("--tls-version={version}")).into_iter().collect();
    let server = MariaDb::start(&Options { tls: version.is_some(), arguments, ..Options::default() });
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("load.pcap");
    let capture = Capture::start("lo", &format!("tcp port {}", server.port()), &file);
    let ((), delta) = server.status_delta(|| drive(server.port(), transport));
    capture.stop();
    let mut log = Log::default();
    decode(&file, server.port(), &mut log);
    log.durations.sort_unstable();
    // A QUIT is a question to the server, but nothing answers it.
    let questions = delta["Questions"].unsigned_abs() - u64::from(CONNECTIONS);
    Measured { requests: log.requests, questions, durations: log.durations }
}

fn script() -> String {
    format!("text {QUERY}\n").repeat(QUERIES)
}

fn pymysql(port: u16, transport: &str) {
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope
                .spawn(|| Client::named("pymysql-text").run_over(transport, "127.0.0.1", port, &script(), 1));
        }
    });
}

/// Two programs at a time: each is a virtual machine, and runs its connections one after the other.
fn connector_j(port: u16, transport: &str) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                Client::named("java-text").run_over(transport, "127.0.0.1", port, &script(), CONNECTIONS / 2)
            });
        }
    });
}

fn mariadb_cli(port: u16, transport: &str) {
    let queries = format!("{QUERY};").repeat(QUERIES);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut cli = command("mariadb");
                cli.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]);
                cli.arg(format!("--port={port}"))
                    .arg(format!("--user={USER}"))
                    .arg(format!("--password={PASSWORD}"));
                cli.arg(if transport.is_empty() { "--skip-ssl" } else { "--ssl" });
                output(cli.args(["--execute", &queries]));
            });
        }
    });
}

/// Statements sent, and how long they took.
#[derive(Default)]
struct Log {
    requests: u64,
    durations: Vec<u64>,
}

/// Reads a capture as the pipeline does, but keeps every duration.
fn decode(file: &Path, port: u16, log: &mut Log) {
    let mut listener = Listener::new(port);
    replay::for_each_frame(file, |link, frame| {
        if let Ok(segment) = segment::decode(link, frame) {
            listener.segment(frame.timestamp, &segment);
        }
    })
    .expect("a capture");
    for told in listener.finish() {
        match told.event {
            Event::Statement(_) => log.requests += 1,
            Event::Reply(reply) if reply.statement.is_some() => log.durations.push(reply.duration),
            _ => {}
        }
    }
}
