//! A procfs in which a read takes ten seconds, and forty scrapers that ask every second meanwhile.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests make sockets and run programs"
)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use support::{exporter::Exporter, exposition::Exposition};

const TABLE: &str = concat!(
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 12345\n",
);
/// As many as `--web.max-requests` lets in.
const SCRAPERS: usize = 40;
const SECONDS: u64 = 10;

/// A page for a scraper that waits a second, and how long it waited.
fn scrape(address: &str) -> (Exposition, Duration) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: 1\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    (Exposition::parse(body), start.elapsed())
}

/// Asks all at once; returns when all have their page.
fn scrapes(address: &str) -> Vec<(Exposition, Duration)> {
    thread::scope(|scope| {
        let scrapers: Vec<_> = (0..SCRAPERS).map(|_| scope.spawn(|| scrape(address))).collect();
        scrapers.into_iter().map(|scraper| scraper.join().unwrap()).collect()
    })
}

#[test]
fn a_procfs_that_takes_ten_seconds_delays_no_page_and_costs_no_more_than_the_budget() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("net")).unwrap();
    let table = root.path().join("net/tcp");
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    let procfs = root.path().to_str().unwrap();
    let mut flags = vec!["--sockets.source", "procfs", "--path.procfs", procfs];
    if cfg!(feature = "capture") {
        flags.push("--no-collector.mysql");
    }
    let exporter = Exporter::start(&flags);
    let address = exporter.address();
    let sockets = [("collector", "sockets")];

    // Nobody writes into the FIFO before the last of these pages is there: none of them waited for the read.
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for second in 1..=SECONDS {
        for (page, waited) in scrapes(address) {
            slowest = slowest.max(waited);
            assert_eq!(page.value("dbwire_scrape_collector_success", &sockets), Some(0.0));
            assert_eq!(page.of("dbwire_tcp_connection_states").count(), 0, "numbers from nowhere");
            assert_eq!(page.value("dbwire_tcp_reads_total", &[]), Some(0.0), "a read that did not end");
        }
        thread::sleep((start + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
    }
    println!("slowest of {} pages: {slowest:?}", SCRAPERS as u64 * SECONDS);

    fs::write(&table, TABLE).unwrap();
    let page = loop {
        let (page, _) = scrape(address);
        if page.value("dbwire_scrape_collector_success", &sockets) == Some(1.0) {
            break page;
        }
    };
    for (state, count) in page.by("dbwire_tcp_connection_states", "state") {
        assert_eq!(count, f64::from(u8::from(state == "listen")), "{state}");
    }
    // A second read in flight would have waited for a second writer; a read that took so long is followed by a rest.
    assert_eq!(page.value("dbwire_tcp_reads_total", &[]), Some(1.0));
    let cooldown = page.value("dbwire_tcp_cooldown_seconds", &[]).unwrap();
    assert!(cooldown > SECONDS as f64, "{cooldown}");
    let share = page.value("dbwire_tcp_read_cpu_seconds_total", &[]).unwrap() / start.elapsed().as_secs_f64();
    println!("share of a CPU: {:.3} %", share * 100.0);
    assert!(share < 0.02, "{share}");
}
