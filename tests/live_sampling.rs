//! Estimates from some of the connections, against what all of them did. Needs root.
//!
//! `make sampling` runs each for as long as the figures in `docs/sampling.md` are for; here they are shorter.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests open sockets

#[path = "support/pool.rs"]
mod pool;
#[path = "support/sampled.rs"]
mod sampled;
mod support;

use std::{
    env,
    net::{SocketAddr, TcpListener},
    process, thread,
    time::{Duration, Instant},
};

use pool::{CREATE_PLAIN_USER, Connection};
use sampled::{Classes, Errors, queries, value, watch};
use socket2::{Domain, Socket, Type};
use support::{
    children::tied,
    clients::{SYSBENCH, prepare_sysbench},
    exposition::Exposition,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    skip, wait,
};

/// N.
const BITS: u32 = 3;
/// Connections of the pool.
const POOL: usize = 64;

fn ready(test: &str) -> bool {
    skip::root(test) && skip::programs(test, MariaDb::PROGRAMS)
}

/// Seconds that the load is to take; by default it is short, and its rounds are counted instead.
fn seconds() -> Option<Duration> {
    let seconds = env::var("DBWIRE_SAMPLING_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Rounds from 1 on, until there were so many or the time is up.
fn rounds(at_least: usize) -> impl Iterator<Item = usize> {
    let (begun, time) = (Instant::now(), seconds());
    (1..).take_while(move |round| time.map_or(*round <= at_least, |time| begun.elapsed() < time))
}

fn server() -> MariaDb {
    let server = MariaDb::start(&Options::default());
    server.admin(CREATE_PLAIN_USER);
    server
}

fn pool(server: &MariaDb, connections: usize) -> Vec<Connection> {
    (0..connections).map(|_| Connection::open(server.port())).collect()
}

/// The k-th busiest takes part in every k-th round, so that rates differ and the order is always the same.
fn zipf(pool: &mut [Connection], round: usize, sql: &str) {
    let busy = pool.iter_mut().enumerate().filter(|(rank, _)| round.is_multiple_of(rank + 1));
    busy.for_each(|(_, connection)| connection.query(sql));
}

fn sent(pool: &[Connection]) -> f64 {
    pool.iter().map(|connection| connection.queries).sum::<u64>() as f64
}

#[test]
fn a_pool_of_unequal_connections_is_estimated_to_a_percent_by_whichever_class() {
    let test = "a_pool_of_unequal_connections_is_estimated_to_a_percent_by_whichever_class";
    if !ready(test) {
        return;
    }
    let server = server();
    let mut pool = pool(&server, POOL);
    let classes = Classes::watch(server.port(), BITS, 0..1 << BITS, &[]);
    rounds(1200).for_each(|round| zipf(&mut pool, round, "SELECT 1"));
    let errors = classes.errors(sent(&pool));
    let most = if seconds().is_some_and(|time| time >= Duration::from_secs(60)) { 0.01 } else { 0.02 };
    assert!(Errors::worst(&errors.measured) <= most, "{errors:?}");
    assert!(errors.measured.len() >= 4 && Errors::rmse(&errors.measured) < Errors::rmse(&errors.nominal));
    for (class, page, _) in classes.pages() {
        let n_eff = value(&page, "dbwire_mysql_sample_effective_size", &[]);
        assert!(n_eff >= 1.0, "class {class}: n_eff {n_eff}");
    }
    pool.into_iter().for_each(Connection::close);
}

/// A large insert is many segments in and a dump many out: neither is many requests.
#[test]
fn inserts_of_a_megabyte_and_a_dump_beside_them_leave_estimates_right() {
    let test = "inserts_of_a_megabyte_and_a_dump_beside_them_leave_estimates_right";
    if !ready(test) {
        return;
    }
    let server = server();
    server.admin("CREATE TABLE test.large (content LONGBLOB)");
    let insert = format!("INSERT INTO test.large VALUES ('{}')", "x".repeat(1 << 20));
    let mut pool = pool(&server, POOL);
    let classes = Classes::watch(server.port(), BITS, 0..1 << BITS, &[]);
    for round in rounds(600) {
        zipf(&mut pool, round, "SELECT 1");
        if round % 20 == 0 {
            pool[round / 20 % 8 * 8 + 3].query(&insert);
        }
        if round % 200 == 0 {
            pool[20].query("SELECT content FROM test.large");
            pool[20].query("TRUNCATE test.large");
        }
    }
    let errors = classes.errors(sent(&pool));
    assert!(Errors::worst(&errors.measured) <= 0.02, "{errors:?}");
    pool.into_iter().for_each(Connection::close);
}

#[test]
fn short_connections_are_counted_exactly_and_their_queries_estimated() {
    let test = "short_connections_are_counted_exactly_and_their_queries_estimated";
    if !ready(test) {
        return;
    }
    let server = server();
    let watched = [
        (0.01, Classes::watch(server.port(), BITS, 0..1 << BITS, &[])),
        (0.15, Classes::watch(server.port(), 8, (0..8).map(|number| number * 31), &[])),
    ];
    let (begun, mut truth, mut opened) = (Instant::now(), 0.0, 0.0);
    // A connection has one to three queries: by chance a class is off by 38 % / √(its connections), 1 % of so many at N = 3,
    // if their bytes tell nothing of it.
    for round in rounds(12_000) {
        let mut connection = Connection::open(server.port());
        (0..1 + round % 3).for_each(|_| connection.query("SELECT 1"));
        truth += connection.queries as f64;
        opened += 1.0;
        connection.close();
        if seconds().is_some() {
            // 500 a second, as far as the machine keeps up.
            let due = Duration::from_millis(2) * round as u32;
            thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    println!("{opened} connections in {:.1} s", begun.elapsed().as_secs_f64());
    for (most, classes) in watched {
        for (class, page, before) in classes.pages() {
            for family in ["dbwire_mysql_connections_opened_total", "dbwire_mysql_connections_closed_total"] {
                let counted = value(&page, family, &[]) - value(before, family, &[]);
                assert_eq!(counted, opened, "{family}, class {class}");
            }
        }
        let errors = classes.errors(truth);
        assert!(Errors::rmse(&errors.measured) <= most, "{errors:?}");
    }
}

/// A connection to a port that nobody listens on, from a port with bit 1 set: in class 1 of two. Whether the port was free.
fn knock(closed: u16, number: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Below those that others are given.
    let own = SocketAddr::from(([127, 0, 0, 1], 20_002 + 4 * number));
    if socket.bind(&own.into()).is_err() {
        return false;
    }
    let server = SocketAddr::from(([127, 0, 0, 1], closed));
    socket.connect(&server.into()).expect_err("nobody listens");
    true
}

/// As clients do while their server is away, all of them in the class that is not looked at.
#[test]
fn connections_that_are_refused_raise_no_estimate() {
    let test = "connections_that_are_refused_raise_no_estimate";
    if !ready(test) {
        return;
    }
    let server = server();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let classes = Classes::watch(server.port(), 1, 0..2, &[&format!("--mysql.port={closed}")]);
    let (mut truth, mut knocks) = (0.0, 0);
    for number in 0..2000 {
        knocks += u32::from(knock(closed, number));
        if number % 5 == 0 {
            let mut connection = Connection::open(server.port());
            (0..1 + number % 3).for_each(|_| connection.query("SELECT 1"));
            truth += connection.queries as f64;
            connection.close();
        }
    }
    assert!(knocks >= 1900, "{knocks}");
    let errors = classes.errors(truth);
    assert!(Errors::worst(&errors.measured) <= 0.05, "{errors:?}");
}

#[test]
fn without_a_connection_in_the_class_counters_stand_still_and_the_traffic_is_told_of() {
    let test = "without_a_connection_in_the_class_counters_stand_still_and_the_traffic_is_told_of";
    if !ready(test) {
        return;
    }
    let server = server();
    let mut connection = Connection::open(server.port());
    // Linux hands out even ports: of the two classes by bit 0 the odd one is empty.
    let odd = ["--mysql.sample-bits=1", "--mysql.sample-first-bit=0", "--mysql.sample-class=1"];
    let mut exporter = watch(server.port(), &odd.map(str::to_owned));
    let before = exporter.page_of_a_new_census();
    let mut unestimated = 0.0;
    for _ in 0..4 {
        (0..100).for_each(|_| connection.query("SELECT 1"));
        let page = exporter.page_of_a_new_census();
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

#[test]
fn a_server_that_starts_anew_makes_no_counter_jump() {
    let test = "a_server_that_starts_anew_makes_no_counter_jump";
    if !ready(test) {
        return;
    }
    let mut server = server();
    let mut before_it = pool(&server, POOL);
    let classes = Classes::watch(server.port(), 1, 0..2, &[]);
    (1..=100).for_each(|round| zipf(&mut before_it, round, "SELECT 1"));
    // In the middle of a slice.
    drop(classes.errors(sent(&before_it)));
    (1..=20).for_each(|round| zipf(&mut before_it, round, "SELECT 1"));
    server.restart();
    let mut after_it = pool(&server, POOL);
    (1..=100).for_each(|round| zipf(&mut after_it, round, "SELECT 1"));
    let truth = sent(&before_it) + sent(&after_it);
    let errors = classes.errors(truth);
    // What was done by connections that ended is told by others like them: right in kind, not to a percent.
    assert!(Errors::worst(&errors.measured) <= 0.25, "{errors:?}");
}

/// One of a few connections does most of a statement, so that a class has nearly all of it or nearly none.
#[test]
fn rotation_tells_a_statements_share_better_than_the_class_that_stays() {
    let test = "rotation_tells_a_statements_share_better_than_the_class_that_stays";
    if !ready(test) || seconds().is_none_or(|time| time < Duration::from_secs(60)) {
        return skip::skipped(test, "it takes a minute: make sampling");
    }
    let server = server();
    let mut pool = pool(&server, POOL);
    let fixed = Classes::watch(server.port(), BITS, 0..1 << BITS, &[]);
    let rotating = Classes::watch(server.port(), BITS, [0, 3, 6].into_iter(), &["--mysql.sample-rotate=5s"]);
    let mut truth = 0.0;
    for round in rounds(0) {
        for (rank, connection) in pool.iter_mut().enumerate() {
            if round % (rank / 4 + 1) != 0 {
                continue;
            }
            // Of every fifth connection; a quarter of all.
            let digest = rank % 5 == 2;
            connection.query(if digest { "SELECT 1, 1" } else { "SELECT 1" });
            truth += f64::from(u8::from(digest));
        }
    }
    println!("the digest is {:.0} % of {} queries", 100.0 * truth / sent(&pool), sent(&pool));
    let [fixed, rotating] = [fixed, rotating].map(|classes| {
        let of = |page: &Exposition| {
            let text = "select ?, ?";
            let infos = page.of("dbwire_mysql_digest_info");
            let id =
                infos.filter(|info| info.labels["digest_text"] == text).map(|info| &info.labels["digest"]);
            let id: Vec<_> = id.collect();
            // It is in one schema only, whatever that is called.
            let queries = page.of("dbwire_mysql_digest_queries_total");
            queries.filter(|row| id.contains(&&row.labels["digest"])).map(|row| row.value).sum::<f64>()
        };
        let errors: Vec<f64> =
            classes.pages().map(|(_, page, before)| (of(&page) - of(before)) / truth - 1.0).collect();
        println!("errors {errors:.3?}, RMSE {:.1} %", 100.0 * Errors::rmse(&errors));
        Errors::rmse(&errors)
    });
    assert!(rotating <= 0.25 && rotating < fixed, "{fixed} {rotating}");
    pool.into_iter().for_each(Connection::close);
}

/// As many point selects as the machine makes; it ends by itself.
fn point_selects(server: &MariaDb, seconds: u64) -> process::Child {
    let mut sysbench = tied("sysbench");
    sysbench.args(["oltp_point_select", "--tables=1", "--table-size=10000", "--mysql-db=sbtest"]);
    sysbench.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    sysbench.args(["--mysql-host=127.0.0.1".to_owned(), format!("--mysql-port={}", server.port())]);
    sysbench.args([
        format!("--threads={POOL}"),
        format!("--time={seconds}"),
        "--db-ps-mode=disable".to_owned(),
    ]);
    sysbench.arg("run").stdout(process::Stdio::null()).spawn().expect("sysbench")
}

/// Less than what any machine's load costs to decode.
const BUDGET: f64 = 0.005;
/// What the controller has to find out how much it can capture.
const TO_SETTLE: Duration = Duration::from_secs(10);

#[test]
fn a_step_of_load_is_held_to_the_budget_and_counted_all_the_same() {
    let test = "a_step_of_load_is_held_to_the_budget_and_counted_all_the_same";
    if !(ready(test) && skip::programs(test, SYSBENCH)) {
        return;
    }
    let server = server();
    prepare_sysbench(&server);
    let exporter = watch(server.port(), &[format!("--mysql.cpu-budget={BUDGET}")]);
    let idle = exporter.page();
    let time = seconds().unwrap_or(Duration::from_secs(20)).max(2 * TO_SETTLE);
    let ((settled, loaded, measured), done) = server.status_delta(|| {
        let begun = Instant::now();
        let mut load = point_selects(&server, time.as_secs());
        // What is asserted is asserted of the time behind it.
        thread::sleep(TO_SETTLE);
        let (settled, since) = (exporter.page(), Instant::now());
        assert!(load.wait().expect("its end").success());
        let (loaded, measured) = (exporter.page(), since.elapsed());
        println!("{:.1} s of load", begun.elapsed().as_secs_f64());
        (settled, loaded, measured)
    });
    let grown = |name, labels: &[(&str, &str)], from: &Exposition, to: &Exposition| {
        value(to, name, labels) - value(from, name, labels)
    };
    let cpu = grown("dbwire_capture_cpu_seconds_total", &[], &settled, &loaded);
    let share = cpu / measured.as_secs_f64();
    let kernel = [("where", "kernel")];
    let drops = [(&idle, &settled), (&settled, &loaded)]
        .map(|(from, to)| grown("dbwire_capture_dropped_packets_total", &kernel, from, to));
    let last = exporter.page_of_a_new_census();
    let selects = [("statement", "select")];
    let estimate = grown("dbwire_mysql_statements_total", &selects, &idle, &last);
    let truth = done["Com_select"] as f64;
    let error = estimate / truth - 1.0;
    let bits = [&settled, &loaded].map(|page| value(page, "dbwire_mysql_sample_bits", &[]));
    println!(
        "{truth} selects, {:.0} a second; N {bits:?}; {:.2} % of a CPU of {:.2} % allowed; {drops:?} packets lost before \
         and after; estimated {:+.2} %",
        truth / time.as_secs_f64(),
        100.0 * share,
        100.0 * BUDGET,
        100.0 * error
    );
    assert!(bits[0] > 0.0, "the budget has to bind");
    assert!(share <= 1.2 * BUDGET, "{share}");
    assert_eq!(drops[1], 0.0);
    assert!(error.abs() <= 0.03, "{estimate} of {truth}");
    if seconds().is_some() {
        wait::until(Duration::from_secs(600), "everything to be captured again", || {
            // Pages asked for without a pause would themselves take more than such a budget.
            thread::sleep(Duration::from_secs(5));
            (value(&exporter.page(), "dbwire_mysql_sample_bits", &[]) == 0.0).then_some(())
        });
    }
}
