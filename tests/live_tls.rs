//! What is told of encrypted connections against the same load in the clear, on the same server at the same time: requests
//! and their latencies. Needs root.
//!
//! `DBWIRE_TLS_QUERIES=1000 cargo test --test live_tls -- --nocapture` is the whole of it, for a machine with
//! nothing else to do, or as `nice -n -20`: every latency within 5 %.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // the environment; a table of what was measured

mod support;
#[path = "support/told.rs"]
mod told;

use std::{path::Path, thread};

use dbwire_exporter::{
    digest::Statement,
    io::replay,
    mysql::event::{Event, Reply, StatementRef},
    packet::segment,
};
use support::{
    children::{command, output},
    clients::Client,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    skip,
    tcpdump::Capture,
};
use tempfile::TempDir;
use told::Listener;

/// Of each wire.
const CONNECTIONS: u32 = 10;
/// Takes the server some milliseconds, so that what encryption adds is in proportion.
const QUERY: &str = "SELECT SLEEP(0.004)";

/// Runs a load: the server's port, the queries of each connection, and the transport of a client's mode.
type Drive = fn(u16, u32, &str);

const DRIVERS: [(&str, Drive); 3] =
    [("pymysql", pymysql), ("mariadb", mariadb_cli), ("connector/j", connector_j)];

/// How many queries each connection makes, and how far the percentiles of both wires may be apart.
struct Scale {
    queries: u32,
    tolerated: [(usize, f64); 2],
}

impl Scale {
    /// Where others use the machine, a wake-up that comes late meets either wire, but few queries of a small load: they
    /// decide about its tail.
    fn of_environment() -> Self {
        match std::env::var("DBWIRE_TLS_QUERIES") {
            Ok(queries) => {
                Self { queries: queries.parse().expect("a number"), tolerated: [(50, 0.05), (95, 0.05)] }
            }
            Err(_) => Self { queries: 200, tolerated: [(50, 0.3), (95, 1.0)] },
        }
    }
}

#[test]
fn encrypted_requests_and_their_latencies_are_those_of_the_same_load_in_the_clear() {
    let test = "encrypted_requests_and_their_latencies_are_those_of_the_same_load_in_the_clear";
    if !skip::root(test) || !skip::programs(test, MariaDb::PROGRAMS) {
        return;
    }
    let scale = Scale::of_environment();
    let mut wrong = Vec::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let arguments = vec![format!("--tls-version={version}")];
        let server = MariaDb::start(&Options { tls: true, arguments, ..Options::default() });
        for (name, drive) in DRIVERS {
            let measured = (0..ATTEMPTS)
                .map(|_| measure(&server, drive, scale.queries))
                .find(|measured| measured.ratios(50).len() >= FEWEST_SLICES)
                .unwrap_or_else(|| panic!("{name}: the two wires were never used at one time"));
            println!("{name:<12} {version}: {measured}");
            if let Err(fault) = measured.holds(&scale) {
                wrong.push(format!("{name} {version}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of one wire: when each response ended and how long it took, in nanoseconds, in the order of the capture.
#[derive(Default)]
struct Wire {
    requests: u64,
    answers: Vec<(u64, u64)>,
}

/// What the decoder told of one load on both wires, and what the server counted.
struct Measured {
    clear: Wire,
    encrypted: Wire,
    questions: u64,
}

/// Pieces of a load in which both wires are compared: what else the machine does is then much the same for both.
const SLICES: usize = 10;
/// Answers of the other wire that a slice must have.
const FEWEST: usize = 20;
/// Slices that a load must have in which both were used.
const FEWEST_SLICES: usize = 4;
/// Loads that may have fewer: clients that the machine starts one after the other are not there at one time.
const ATTEMPTS: usize = 8;

impl Measured {
    fn holds(&self, scale: &Scale) -> Result<(), String> {
        let asked = u64::from(CONNECTIONS * scale.queries);
        let most = self.questions.saturating_sub(self.clear.requests);
        // What a client asks for in one go when it connects is one request.
        if !(asked..=most).contains(&self.encrypted.requests) {
            return Err(format!("{} requests of {asked} to {most}", self.encrypted.requests));
        }
        let off = most - self.encrypted.requests;
        if scale.queries >= 1000 && 100 * off > most {
            return Err(format!("{off} requests off"));
        }
        for (percent, tolerance) in scale.tolerated {
            let ratio = self.ratio(percent);
            if (ratio - 1.0).abs() > tolerance {
                return Err(format!("p{percent} is {ratio:.3} times that in the clear"));
            }
        }
        Ok(())
    }

    /// A percentile of the encrypted wire's latencies in the clear one's: the median of all slices'.
    fn ratio(&self, percent: usize) -> f64 {
        let ratios = self.ratios(percent);
        ratios[ratios.len() / 2]
    }

    /// That of each slice in which both wires were used, ascending.
    fn ratios(&self, percent: usize) -> Vec<f64> {
        let slices = self.encrypted.answers.chunks(self.encrypted.answers.len().div_ceil(SLICES));
        let of_slice = |slice: &[(u64, u64)]| {
            let (first, last) = (slice.first()?.0, slice.last()?.0);
            let within = |(at, _): &&(u64, u64)| (first..=last).contains(at);
            let clear: Vec<_> = self.clear.answers.iter().filter(within).copied().collect();
            (clear.len() >= FEWEST).then(|| quantile(slice, percent) / quantile(&clear, percent))
        };
        let mut ratios: Vec<f64> = slices.filter_map(of_slice).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>6} requests in the clear, ", self.clear.requests)?;
        write!(f, "{:>6} encrypted, {:>6} Questions;", self.encrypted.requests, self.questions)?;
        for percent in [50, 95] {
            let of = |wire: &Wire| quantile(&wire.answers, percent) / 1e3;
            write!(f, " p{percent} {:.0} and {:.0} µs,", of(&self.clear), of(&self.encrypted))?;
            write!(f, " {:+.1} %;", 100.0 * (self.ratio(percent) - 1.0))?;
        }
        Ok(())
    }
}

/// Nanoseconds.
fn quantile(answers: &[(u64, u64)], percent: usize) -> f64 {
    let mut durations: Vec<u64> = answers.iter().map(|(_, duration)| *duration).collect();
    durations.sort_unstable();
    durations[(durations.len() - 1) * percent / 100] as f64
}

/// Runs the load on both wires at once.
fn measure(server: &MariaDb, drive: Drive, queries: u32) -> Measured {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("load.pcap");
    let capture = Capture::start("lo", &format!("tcp port {}", server.port()), &file);
    let ((), delta) = server.status_delta(|| {
        thread::scope(|scope| {
            for transport in ["", "-tls"] {
                scope.spawn(move || drive(server.port(), queries, transport));
            }
        });
    });
    capture.stop();
    let [clear, encrypted] = decode(&file, server.port());
    // A QUIT is a question to the server, but nothing answers it.
    let questions = delta["Questions"].unsigned_abs() - u64::from(2 * CONNECTIONS);
    Measured { clear, encrypted, questions }
}

fn script(queries: u32) -> String {
    format!("text {QUERY}\n").repeat(queries as usize)
}

fn pymysql(port: u16, queries: u32, transport: &str) {
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                Client::named("pymysql-text").run_over(transport, "127.0.0.1", port, &script(queries), 1)
            });
        }
    });
}

/// Two programs at a time: each is a virtual machine, and runs its connections one after the other.
fn connector_j(port: u16, queries: u32, transport: &str) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                Client::named("java-text").run_over(
                    transport,
                    "127.0.0.1",
                    port,
                    &script(queries),
                    CONNECTIONS / 2,
                )
            });
        }
    });
}

fn mariadb_cli(port: u16, queries: u32, transport: &str) {
    let queries = format!("{QUERY};").repeat(queries as usize);
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

/// Reads a capture as the pipeline does, but keeps every duration: of what is in the clear, and of what is not.
fn decode(file: &Path, port: u16) -> [Wire; 2] {
    let mut listener = Listener::new(port);
    replay::for_each_frame(file, |link, frame| {
        if let Ok(segment) = segment::decode(link, frame) {
            listener.segment(frame.timestamp, &segment);
        }
    })
    .expect("a capture");
    let mut wires = [Wire::default(), Wire::default()];
    let of = |statement: StatementRef| usize::from(statement.kind() == Statement::Encrypted);
    for told in listener.finish() {
        match told.event {
            Event::Statement(statement) => wires[of(statement)].requests += 1,
            Event::Reply(Reply { statement: Some(statement), duration, .. }) => {
                wires[of(statement)].answers.push((told.at, duration));
            }
            _ => {}
        }
    }
    wires
}
