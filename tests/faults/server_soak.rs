//! The same of a real server: a mixed load, faults at random, restarts, rotation and every format, held to what the server
//! itself has counted.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::{
    lab::{PATIENCE, ip},
    soak::{ACCEPTS, length, scrape},
    support::{
        children::{command, output},
        clients::prepare_sysbench,
        exporter::{self, Exporter},
        exposition::Exposition,
        mariadb::{DATABASE, MariaDb, Options, PASSWORD, USER},
        wait,
    },
    vitals::Vitals,
};

/// Restarts of the server, and one more.
const ROUNDS: u32 = 6;
/// A round is this long at least.
const ROUND: Duration = Duration::from_secs(10);
/// Between two scrapes, of one format after the other.
const SCRAPES: Duration = Duration::from_millis(250);
/// Kinds of statements that the server counts under these names.
const KINDS: [(&str, &str); 6] = [
    ("begin", "Com_begin"),
    ("select", "Com_select"),
    ("update", "Com_update"),
    ("insert", "Com_insert"),
    ("delete", "Com_delete"),
    ("commit", "Com_commit"),
];
/// What sysbench runs, with how many connections, by prepared statements or not, and how many transactions a second.
const LOADS: [(&str, u32, &str, u32); 3] = [
    ("oltp_read_write", 8, "auto", 10),
    ("oltp_read_write", 8, "disable", 10),
    ("oltp_point_select", 24, "disable", 200),
];

/// One that sees everything, and one that sees a quarter of the connections, in turns.
struct Watchers {
    exact: Exporter,
    sampled: Exporter,
    config: tempfile::TempDir,
}

const GOOD: &str = "http_server_config: {headers: {X-Frame-Options: deny}}\n";

impl Watchers {
    fn of(server: &MariaDb) -> Self {
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("web.yml");
        fs::write(&file, GOOD).unwrap();
        let port = server.port().to_string();
        let start = |flags: &[&str]| {
            let common =
                ["--web.listen-address", "127.0.0.1:0", "--mysql.interface", "lo", "--mysql.port", &port];
            let mut command = exporter::command();
            let exporter = Exporter::start_command(command.args(common).args(flags), 1);
            wait::until(PATIENCE, "the capture to be up", || {
                exporter.page().value("dbwire_capture_up", &[]).filter(|up| *up == 1.0)
            });
            exporter
        };
        let sampling = ["--mysql.sample-bits=2", "--mysql.sample-rotate=5s", "--mysql.multiplier=measured"];
        let exact = start(&["--web.config.file", file.to_str().unwrap(), "--mysql.cpu-budget=0"]);
        Self { exact, sampled: start(&sampling), config }
    }

    fn both(&self) -> [&Exporter; 2] {
        [&self.exact, &self.sampled]
    }
}

pub(crate) fn run() -> String {
    let length = length();
    let mut server = MariaDb::start(&Options {
        arguments: vec!["--max-connect-errors=1000000".to_owned()],
        ..Options::default()
    });
    prepare_sysbench(&server);
    let watchers = Watchers::of(&server);
    let mut vitals = [Vitals::new(), Vitals::new()];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut truth, mut rounds, mut told) = ([0_i64; KINDS.len()], 0, 0.0_f64);
    while vitals[0].elapsed() < length {
        let round = (length / ROUNDS).max(ROUND);
        let (error, delta) =
            server.status_delta(|| load(&server, round, &watchers, &mut vitals, &mut random));
        told = told.max(error);
        for (sum, (_, name)) in truth.iter_mut().zip(KINDS) {
            *sum += delta.get(name).unwrap_or(&0);
        }
        rounds += 1;
        // One or the other.
        if random.below(2) == 0 {
            server.restart()
        } else {
            server.crash()
        };
    }
    assert_exact(&watchers.exact, &truth);
    let flat = vitals.map(|vitals| vitals.assert_flat()).join("; ");
    let estimate = assert_estimated(&watchers.sampled, &truth, told);
    for exporter in [watchers.exact, watchers.sampled] {
        assert_eq!(exporter.stop().code(), Some(0));
    }
    let all: i64 = truth.iter().sum();
    format!("{} s, {rounds} servers: {all} of {all} counted, {estimate}, {flat}", length.as_secs())
}

/// Statements of a kind.
fn counted(page: &Exposition, kind: &str) -> f64 {
    page.value("dbwire_mysql_statements_total", &[("statement", kind)]).unwrap()
}

/// All is counted once, whatever has happened.
fn assert_exact(exporter: &Exporter, truth: &[i64]) {
    for ((kind, _), truth) in KINDS.iter().zip(truth) {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while last != Some(*truth as f64) {
            assert!(Instant::now() < deadline, "{kind}: {last:?} of {truth}");
            last = Some(counted(&exporter.page(), kind));
        }
    }
    let page = exporter.page();
    for name in
        ["dbwire_capture_dropped_packets_total", "dbwire_collector_panics_total", "dbwire_mysql_gaps_total"]
    {
        let sum: f64 = page.of(name).map(|sample| sample.value).sum();
        assert_eq!(sum, 0.0, "{name}");
    }
}

/// Standard error of all estimates so far; none is told while too few connections are there.
fn told_error(exporter: &Exporter) -> Option<f64> {
    exporter.page().value("dbwire_mysql_estimate_standard_error_total", &[("metric", "queries")])
}

/// Estimates are as far off as they say at most. What was prepared in the turn of other connections is not known by its
/// kind.
fn assert_estimated(exporter: &Exporter, truth: &[i64], told: f64) -> String {
    let page = exporter.page_of_a_new_census();
    let truth = truth.iter().sum::<i64>() as f64;
    let estimate: f64 =
        KINDS.iter().map(|(kind, _)| *kind).chain(["unknown"]).map(|kind| counted(&page, kind)).sum();
    let off = (estimate - truth).abs();
    assert!(off <= 3.0 * told + 0.02 * truth, "{estimate} of {truth}, said to be {told} off");
    format!(
        "estimated {:+.2} % (±{:.2} % by its own account)",
        100.0 * (estimate / truth - 1.0),
        100.0 * told / truth
    )
}

/// A mixed load for a while, with scrapes and faults meanwhile.
fn load(
    server: &MariaDb,
    time: Duration,
    watchers: &Watchers,
    vitals: &mut [Vitals; 2],
    random: &mut Random,
) -> f64 {
    let mut loads = LOADS.map(|load| sysbench(server, load, time));
    let (started, mut told) = (Instant::now(), 0.0_f64);
    for turn in 0.. {
        if started.elapsed() >= time {
            break;
        }
        for (exporter, vitals) in watchers.both().into_iter().zip(&mut *vitals) {
            scrape(exporter, ACCEPTS[turn % ACCEPTS.len()]);
            vitals.read(exporter);
        }
        match turn % 8 {
            0 => errors(server),
            2 => told = told.max(told_error(&watchers.sampled).unwrap_or_default()),
            4 => disturb(server, watchers, random),
            _ => {}
        }
        thread::sleep(SCRAPES);
    }
    for load in &mut loads {
        load.wait().unwrap();
    }
    told
}

fn sysbench(
    server: &MariaDb,
    (script, threads, prepared, rate): (&str, u32, &str, u32),
    time: Duration,
) -> Child {
    let mut program = command("sysbench");
    program.args([script, "--tables=1", "--table-size=10000", "--mysql-db=sbtest", "--mysql-host=127.0.0.1"]);
    program.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    program.args([format!("--mysql-port={}", server.port()), format!("--threads={threads}")]);
    program.args([format!("--rate={rate}"), format!("--time={}", time.as_secs().max(1))]);
    program.args([
        format!("--db-ps-mode={prepared}"),
        "--mysql-ignore-errors=all".to_owned(),
        "run".to_owned(),
    ]);
    program.stdout(std::process::Stdio::null()).spawn().unwrap()
}

/// A client that comes and goes, with a statement that fails.
fn errors(server: &MariaDb) {
    let _ = client(server, "SELECT 1; SELECT * FROM nowhere").output();
}

fn client(server: &MariaDb, sql: &str) -> std::process::Command {
    let mut client = command("mariadb");
    client.args(["--no-defaults", "--skip-ssl", "--host=127.0.0.1", "--batch", DATABASE, "-e", sql]);
    client.args([
        format!("--port={}", server.port()),
        format!("--user={USER}"),
        format!("--password={PASSWORD}"),
    ]);
    client.stderr(std::process::Stdio::null());
    client
}

/// One of the faults that lose no packet.
fn disturb(server: &MariaDb, watchers: &Watchers, random: &mut Random) {
    let exporter = watchers.both()[random.below(2)];
    match random.below(9) {
        0 => exporter.signal(libc::SIGHUP),
        1 => {
            exporter.signal(libc::SIGSTOP);
            thread::sleep(Duration::from_millis(100));
            exporter.signal(libc::SIGCONT);
        }
        2 => {
            let process = exporter.id().to_string();
            for limit in ["8", "20000"] {
                output(command("prlimit").args(["--pid", &process, &format!("--nofile={limit}:20000")]));
            }
        }
        3 => drop(
            TcpStream::connect(exporter.address()).unwrap().write_all(b"\x16\x03\x01 no request\r\n\r\n"),
        ),
        4 => drop(TcpStream::connect(exporter.address()).unwrap().write_all(b"GET /metrics HTTP/1.1\r\nX: ")),
        5 => drop(TcpStream::connect(("127.0.0.1", server.port())).unwrap().write_all(&[0xa5; 600])),
        6 => {
            let mut killed = client(server, "SELECT SLEEP(5)").spawn().unwrap();
            thread::sleep(Duration::from_millis(100));
            killed.kill().unwrap();
            killed.wait().unwrap();
        }
        7 => rewrite(&watchers.exact, watchers.config.path()),
        _ => {
            ip("link add other0 type ifb");
            ip("link set other0 up");
            ip("link del other0");
        }
    }
}

/// Breaks the web configuration, and mends it; files are looked at when somebody asks, at most once a second.
fn rewrite(exporter: &Exporter, folder: &Path) {
    let file = folder.join("web.yml");
    fs::write(&file, "http_server_config: [").unwrap();
    thread::sleep(Duration::from_millis(1100));
    scrape(exporter, ACCEPTS[0]);
    fs::write(&file, GOOD).unwrap();
}

/// The same numbers each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}
