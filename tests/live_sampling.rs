//! Estimates from some of the connections, against what all of them did. Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests open sockets

#[path = "support/pool.rs"]
mod pool;
mod support;

use pool::{CREATE_PLAIN_USER, Connection};
use support::{
    exporter::Exporter,
    exposition::Exposition,
    mariadb::{MariaDb, Options},
    skip, wait,
};

/// N.
const BITS: u32 = 3;
/// Connections of the pool.
const POOL: usize = 64;
/// Queries of its busiest connection; the k-th busiest has a k-th of them.
const BUSIEST: usize = 1200;

fn ready(test: &str) -> bool {
    skip::root(test) && skip::programs(test, MariaDb::PROGRAMS)
}

fn watch(port: u16, arguments: &[String]) -> Exporter {
    let mut all = vec![
        "--no-collector.sockets".to_owned(),
        "--mysql.interface=lo".to_owned(),
        "--mysql.buffer-size=64MiB".to_owned(),
        format!("--mysql.port={port}"),
        "--mysql.multiplier=measured".to_owned(),
    ];
    all.extend_from_slice(arguments);
    let exporter = Exporter::start(&all.iter().map(String::as_str).collect::<Vec<_>>());
    wait::until(std::time::Duration::from_secs(30), "the capture to be up", || {
        (exporter.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
    });
    exporter
}

fn value(page: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    page.value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

fn queries(page: &Exposition) -> f64 {
    value(page, "dbwire_mysql_commands_total", &[("command", "query")])
}

fn observed(page: &Exposition) -> f64 {
    value(page, "dbwire_mysql_observed_commands_total", &[("command", "query")])
}

/// Every connection's queries, interleaved, so that rates differ and the order is always the same.
fn zipf(pool: &mut [Connection]) -> u64 {
    let mut sent = 0;
    for round in 1..=BUSIEST {
        for (rank, connection) in pool.iter_mut().enumerate() {
            if round % (rank + 1) == 0 {
                connection.query("SELECT 1");
                sent += 1;
            }
        }
    }
    sent
}

#[test]
fn a_pool_of_unequal_connections_is_estimated_to_a_percent_by_whichever_class() {
    let test = "a_pool_of_unequal_connections_is_estimated_to_a_percent_by_whichever_class";
    if !ready(test) {
        return;
    }
    let server = MariaDb::start(&Options::default());
    server.admin(CREATE_PLAIN_USER);
    let mut pool: Vec<_> = (0..POOL).map(|_| Connection::open(server.port())).collect();
    let class = |class: u32| {
        // How many threads there are must not matter.
        let threads = 1 + class % 3;
        vec![
            format!("--mysql.sample-bits={BITS}"),
            format!("--mysql.sample-class={class}"),
            format!("--mysql.threads={threads}"),
        ]
    };
    let exporters: Vec<_> = (0..1 << BITS).map(|number| watch(server.port(), &class(number))).collect();
    let before: Vec<_> = exporters.iter().map(Exporter::page).collect();
    let truth = zipf(&mut pool) as f64;
    let mut squares = [0.0; 2];
    let mut with_traffic = 0.0;
    for (number, (exporter, before)) in exporters.iter().zip(&before).enumerate() {
        let page = exporter.page();
        let seen = observed(&page) - observed(before);
        if seen == 0.0 {
            continue;
        }
        let measured = (queries(&page) - queries(before)) / truth - 1.0;
        let nominal = seen * f64::from(1 << BITS) / truth - 1.0;
        println!("class {number}: measured {:+.3} %, nominal {:+.1} %", 100.0 * measured, 100.0 * nominal);
        assert!(measured.abs() <= 0.01, "class {number} is off by {measured}");
        let n_eff = value(&page, "dbwire_mysql_sample_effective_size", &[]);
        assert!(n_eff >= 1.0, "class {number}: n_eff {n_eff}");
        with_traffic += 1.0;
        squares[0] += measured * measured;
        squares[1] += nominal * nominal;
    }
    let [measured, nominal] = squares.map(|sum: f64| 100.0 * (sum / with_traffic).sqrt());
    println!("RMSE over {with_traffic} classes: measured {measured:.3} %, nominal {nominal:.1} %");
    assert!(with_traffic >= 4.0 && measured < nominal);
    pool.into_iter().for_each(Connection::close);
}

#[test]
fn connections_opened_and_closed_are_exact_however_few_are_sampled() {
    let test = "connections_opened_and_closed_are_exact_however_few_are_sampled";
    if !ready(test) {
        return;
    }
    let server = MariaDb::start(&Options::default());
    server.admin(CREATE_PLAIN_USER);
    let exporters = [3, 8].map(|bits| watch(server.port(), &[format!("--mysql.sample-bits={bits}")]));
    let before = exporters.each_ref().map(Exporter::page);
    const CONNECTIONS: u32 = 1500;
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(server.port());
        (0..1 + number % 3).for_each(|_| connection.query("SELECT 1"));
        connection.close();
    }
    let truth = f64::from(2 * CONNECTIONS);
    for (exporter, before) in exporters.iter().zip(&before) {
        let page = exporter.page();
        let bits = value(&page, "dbwire_mysql_sample_bits", &[]);
        for family in ["dbwire_mysql_connections_opened_total", "dbwire_mysql_connections_closed_total"] {
            let counted = value(&page, family, &[]) - value(before, family, &[]);
            assert_eq!(counted, f64::from(CONNECTIONS), "{family}, N = {bits}");
        }
        let error = (queries(&page) - queries(before)) / truth - 1.0;
        let seen = observed(&page) - observed(before);
        println!("N = {bits}: queries off by {:+.2} %, from {seen} seen", 100.0 * error);
    }
}

#[test]
fn without_a_connection_in_the_class_counters_stand_still_and_the_traffic_is_told_of() {
    let test = "without_a_connection_in_the_class_counters_stand_still_and_the_traffic_is_told_of";
    if !ready(test) {
        return;
    }
    let server = MariaDb::start(&Options::default());
    server.admin(CREATE_PLAIN_USER);
    let mut connection = Connection::open(server.port());
    // Linux hands out even ports: of the two classes by bit 0 the odd one is empty.
    let odd = ["--mysql.sample-bits=1", "--mysql.sample-first-bit=0", "--mysql.sample-class=1"];
    let mut exporter = watch(server.port(), &odd.map(str::to_owned));
    let before = exporter.page();
    let mut unestimated = 0.0;
    for _ in 0..4 {
        (0..100).for_each(|_| connection.query("SELECT 1"));
        let page = exporter.page();
        assert_eq!(queries(&page), queries(&before));
        unestimated = value(&page, "dbwire_mysql_unestimated_segments_total", &[]);
    }
    assert!((100.0..=400.0).contains(&unestimated), "{unestimated}");
    exporter.wait_for_log("no connection is in the sampled class");
    let page = exporter.page();
    assert_eq!(value(&page, "dbwire_mysql_sample_connections", &[("set", "all")]), 1.0);
    assert_eq!(value(&page, "dbwire_mysql_client_ports", &[("parity", "even")]), 1.0);
    connection.close();
}
