//! How many series a host has by default, at most.
#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and write files"
)]

mod support;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "support/unshare.rs"]
mod unshare;

use std::{
    fmt::Write as _,
    fs,
    net::{TcpListener, TcpStream},
    process::Stdio,
    time::Duration,
};

use support::{
    busy_host::{self, KINDS},
    children::{command, output},
    corpus::publish,
    dialogue::write_pcap,
    exporter::{Exporter, run},
    exposition::Exposition,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    prometheus::Prometheus,
    skip, wait,
};

/// What `--mysql.multiplier=measured` adds, which no file has: connections, ports, censuses, the ratio, effective size,
/// standard errors, what is not estimated.
const MEASURED: usize = 2 + 2 + 2 + 1 + 1 + 3 + 1;

fn count(page: &Exposition) -> usize {
    page.samples.len()
}

#[test]
fn a_host_that_shows_all_it_can_has_a_thousand_series() {
    let frames = busy_host::frames();
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

/// What an attacker who may log in and open ports brings about.
const DIGESTS: usize = 100_000;
const SCHEMAS: usize = 1_000;
const PORTS: u16 = 500;
const ERROR_CODES: usize = 300;

/// SQL that does so: a hundred statements in each schema, half of them with rows, all of them different but for their
/// literals; and errors of every number in three SQLSTATEs.
fn hostile_statements() -> String {
    let mut sql = String::new();
    for number in 0..DIGESTS {
        if number % (DIGESTS / SCHEMAS) == 0 {
            writeln!(sql, "USE s{};", number / (DIGESTS / SCHEMAS)).unwrap();
        }
        // Names in letters: digits would make no digest.
        let name: String = format!("{number:05}").bytes().map(|d| char::from(d - b'0' + b'g')).collect();
        match number % 2 {
            0 => writeln!(sql, "SELECT {number} AS {name};").unwrap(),
            _ => writeln!(sql, "{} t_{name};", KINDS[number / 2 % KINDS.len()]).unwrap(),
        }
        if number % (DIGESTS / ERROR_CODES) == 0 {
            let code = 4_000 + number / (DIGESTS / ERROR_CODES);
            for state in ["45000", "HY000", "42000"] {
                writeln!(sql, "SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {code};").unwrap();
            }
        }
    }
    sql
}

#[test]
fn prometheus_stores_a_thousand_series_of_a_host_under_attack() {
    let test = "prometheus_stores_a_thousand_series_of_a_host_under_attack";
    if !skip::programs(test, &[Prometheus::PROGRAMS, MariaDb::PROGRAMS, &["promtool"]].concat()) {
        return;
    }
    unshare::in_own_namespace(test, attack);
}

fn attack() {
    let server = MariaDb::start(&Options::default());
    let schemas: String = (0..SCHEMAS).fold(String::new(), |sql, n| sql + &format!("CREATE DATABASE s{n};"));
    server.admin(&schemas);
    let port = server.port().to_string();
    // As installed, but for the port.
    let exporter = Exporter::start(&["--mysql.port", &port]);
    let ports: Vec<_> = (0..PORTS).map(|n| TcpListener::bind(("127.0.0.1", 10_000 + n)).unwrap()).collect();
    let _waiting: Vec<_> =
        ports.iter().map(|port| TcpStream::connect(port.local_addr().unwrap()).unwrap()).collect();
    let prometheus = {
        let job =
            format!("[{{job_name: dbwire, static_configs: [{{targets: ['{}']}}]}}]", exporter.address());
        let config = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: {job}\n");
        Prometheus::start(&config, &[], &["--web.enable-admin-api"])
    };
    send(&server, &hostile_statements());
    // Loss makes counts low, so that not all need have come; but the limits must have been met.
    let limit = Duration::from_secs(60);
    for met in [
        format!("sum(dbwire_mysql_observed_commands_total{{command=\"query\"}}) > {}", DIGESTS / 2),
        "dbwire_limit_hits_total{limit=\"error_codes\"} > 0".to_owned(),
        format!("sum(dbwire_tcp_unlisted_entries{{kind=\"listeners\"}}) > {}", PORTS / 2),
        "sum(dbwire_mysql_digest_queries_total{digest=\"other\"}) > 0".to_owned(),
    ] {
        wait::until(limit, &met, || prometheus.value(&met));
    }
    let analysis =
        output(command("promtool").args(["tsdb", "analyze"]).arg(prometheus.snapshot()).arg("--limit=30"));
    publish("series", &analysis);
    let series = analysis.lines().find_map(|line| line.strip_prefix("Series: ")).expect("a count");
    assert!(series.parse::<usize>().expect("a number") <= 1000, "{analysis}");
}

/// Runs `sql` over TCP, as somebody who does not care for errors.
fn send(server: &MariaDb, sql: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), sql).unwrap();
    let mut client = command("mariadb");
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--skip-ssl", "--force"]);
    client.args([
        format!("--port={}", server.port()),
        format!("--user={USER}"),
        format!("--password={PASSWORD}"),
    ]);
    client.stdin(file.reopen().unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    // With --force it fails at the end if a statement failed, as they are meant to.
    client.status().expect("the client runs");
}
