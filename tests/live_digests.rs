//! Digests against the server's own: `performance_schema` and the wire agree about each statement of a mixed load.
//!
//! The server's digests have other texts and ids, so the two are mapped by a statement of each. Its latencies are those
//! of single statements (`events_statements_history_long`), each beside its own on the wire. Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests start programs

mod support;
#[path = "support/told.rs"]
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{Seek as _, Write as _},
    path::Path,
    time::Duration,
};

use dbwire_exporter::{
    digest::{Escapes, Normalizer},
    io::replay,
    mysql::{command::Command, event::Event},
    packet::segment,
};
use serde_json::Value;
use support::{
    children::{command, output},
    clients::{SYSBENCH, prepare_sysbench, sysbench},
    corpus::publish,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    skip,
    tcpdump::Capture,
    wait,
    watcher::Watcher,
};
use tempfile::TempDir;
use told::Listener;

const TEST: &str = "digests_agree_with_performance_schema";

/// Each is run [`ROUNDS`] times; `{k}` is the number of the round.
const SCRIPT: &str = "\
select n from numbers where n <= 3;
SELECT n, 'it''s' FROM numbers WHERE n BETWEEN 10 AND 700 ORDER BY n DESC LIMIT 500;
select sum(a.n * b.n) from numbers a join numbers b on a.n > b.n where a.n < 300;
insert into items values ({k}01, 1, 'x'), ({k}02, 2, 'y'), ({k}03, 3, 'z');
insert into items (id, amount) values ({k}01, 1);
update items set amount = amount + 1 where id between {k}01 and {k}02;
update items set amount = 5 where id = -{k};
replace into items values ({k}03, 4, 'w');
delete from items where id = {k}02;
select * from missing where a = {k};
select no_such_column from items;
begin;
commit;
set @x = {k};
show tables like 'it%';
select sleep(0.1);
";
const ROUNDS: usize = 25;

/// What one side says of a digest.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Counts {
    queries: u64,
    errors: u64,
    sent: u64,
    affected: u64,
}

#[test]
fn digests_agree_with_performance_schema() {
    if !skip::root(TEST)
        || !skip::programs(TEST, MariaDb::PROGRAMS)
        || !skip::programs(TEST, &[SYSBENCH, &["tcpdump"]].concat())
    {
        return;
    }
    let server = server();
    prepare_sysbench(&server);
    let watcher = Watcher::start("lo", server.port(), 0, 0);
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("capture.pcap");
    let capture = Capture::start("lo", &format!("tcp port {}", server.port()), &file);
    server.admin("truncate performance_schema.events_statements_summary_by_digest");
    server.admin("truncate performance_schema.events_statements_history_long");
    let run = sysbench(&server, "127.0.0.1", 2, 100, false);
    run_script(&server);
    let page = watcher.final_page(run.connections.len() + 1);
    capture.stop();
    // The server takes a statement into its summary some time after its answer.
    let sessions = format!("select count(*) from information_schema.processlist where user = '{USER}'");
    wait::until(Duration::from_secs(60), "the server's sessions to end", || {
        (server.admin(&sessions) == [["0"]]).then_some(())
    });

    let ids = ids_by_server_digest(&server);
    let truth = counts_by_id(&server, &ids);
    let mut wrong = Vec::new();
    let mut tables = format!("{:16} {:>24} {:>24}\n", "digest", "server", "exporter");
    for (id, expected) in &truth {
        let value = |counter: &str| {
            let name = format!("dbwire_mysql_digest_{counter}_total");
            page.value(&name, &[("digest", id)]).unwrap_or(0.0) as u64
        };
        let seen = Counts {
            queries: value("queries"),
            errors: value("errors"),
            sent: value("rows_returned"),
            affected: value("rows_affected"),
        };
        let _ = writeln!(tables, "{id} {expected:?} {seen:?}");
        if seen != *expected {
            wrong.push(format!("{id}: the server has {expected:?}, the exporter {seen:?}"));
        }
    }
    let shown: BTreeSet<String> =
        page.by("dbwire_mysql_digest_queries_total", "digest").into_keys().collect();
    let unknown: Vec<_> = shown.iter().filter(|id| *id != "other" && !truth.contains_key(*id)).collect();
    let sysbench: Vec<u16> = run.connections.iter().map(|(_, port)| *port).collect();
    let executions = executions(&server, &ids, &durations(&file, server.port(), &sysbench));
    assert!(executions.len() >= ROUNDS * SCRIPT.lines().count(), "{} executions", executions.len());
    tables += &latencies(&executions, &report(&server, &file), &mut wrong);
    publish("live_digests", &tables);
    assert!(truth.len() >= 20, "only {} digests", truth.len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(unknown, Vec::<&String>::new(), "not on the server");
}

fn server() -> MariaDb {
    let arguments = [
        "--performance-schema-events-statements-history-long-size=20000",
        "--performance-schema-consumer-events-statements-current=ON",
        "--performance-schema-consumer-events-statements-history-long=ON",
    ];
    MariaDb::start(&Options {
        performance_schema: true,
        arguments: arguments.map(str::to_owned).to_vec(),
        ..Options::default()
    })
}

/// All rounds on one connection.
fn run_script(server: &MariaDb) {
    let script: String = (1..=ROUNDS).map(|round| SCRIPT.replace("{k}", &round.to_string())).collect();
    let mut client = command("mariadb");
    client.args(["--no-defaults", "--force", "--silent", "--host=127.0.0.1", "--skip-ssl", "test"]);
    client.args([format!("--port={}", server.port()), format!("--user={USER}")]);
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(script.as_bytes()).and_then(|()| file.rewind()).expect("it is writable");
    // Some of its statements fail, and so does the client at its end.
    let result = client.arg(format!("--password={PASSWORD}")).stdin(file).output();
    let said = result.expect("the client runs").stderr;
    let errors = String::from_utf8_lossy(&said).matches("ERROR ").count();
    assert_eq!(errors, 3 * ROUNDS, "{}", String::from_utf8_lossy(&said));
}

/// This project's id for each of the server's digests that were used with a schema.
fn ids_by_server_digest(server: &MariaDb) -> BTreeMap<String, String> {
    let rows = server.admin(
        "select distinct digest, hex(sql_text) from performance_schema.events_statements_history_long \
         where digest is not null and current_schema in ('test', 'sbtest')",
    );
    let mut normalizer = Normalizer::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for row in &rows {
        let [digest, text] = &row[..] else { panic!("{row:?}") };
        let sql: Vec<u8> =
            text.as_bytes().chunks(2).map(|pair| hex(pair).expect("hexadecimal digits")).collect();
        let shape = normalizer.digest(&sql, true, Escapes::Backslash).shape;
        let id = shape.unwrap_or_else(|| panic!("no digest: {}", sql.escape_ascii())).id.to_string();
        let known = ids.entry(digest.clone()).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "one digest of the server's, two here: {}", sql.escape_ascii());
    }
    ids
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What `events_statements_summary_by_digest` says, by this project's ids.
fn counts_by_id(server: &MariaDb, ids: &BTreeMap<String, String>) -> BTreeMap<String, Counts> {
    let rows = server.admin(
        "select digest, count_star, sum_errors, sum_rows_sent, sum_rows_affected \
         from performance_schema.events_statements_summary_by_digest where schema_name in ('test', 'sbtest')",
    );
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for row in &rows {
        let [digest, numbers @ ..] = &row[..] else { panic!("{row:?}") };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().expect("a number")).collect();
        let [queries, errors, sent, affected] = numbers[..] else { panic!("{row:?}") };
        let id = ids.get(digest).unwrap_or_else(|| panic!("no statement of {row:?}"));
        let counts = counts.entry(id.clone()).or_default();
        counts.queries += queries;
        counts.errors += errors;
        counts.sent += sent;
        counts.affected += affected;
    }
    counts
}

/// `replay --report=json` of the capture.
fn report(server: &MariaDb, file: &Path) -> Value {
    let mut replay = command(env!("CARGO_BIN_EXE_dbwire_exporter"));
    replay.args(["replay", "--report=json", &format!("--mysql.port={}", server.port())]).arg(file);
    serde_json::from_str(&output(&mut replay)).expect("JSON")
}

/// One execution of a statement of the script, in seconds.
#[derive(Debug)]
struct Execution {
    /// This project's id of its digest.
    id: String,
    server: f64,
    wire: f64,
}

impl Execution {
    /// What the way through two sockets takes, and what either end waits for a CPU.
    fn added(&self) -> f64 {
        self.wire - self.server
    }
}

/// The script's statements, each timed by the server and by the decoder: both have them in their order.
fn executions(server: &MariaDb, ids: &BTreeMap<String, String>, wire: &[f64]) -> Vec<Execution> {
    let rows = server.admin(
        "select digest, timer_wait from performance_schema.events_statements_history_long \
         where sql_text is not null and current_schema = 'test' order by event_id",
    );
    assert_eq!(rows.len(), wire.len(), "the server and the decoder have other statements");
    let timed = rows.into_iter().zip(wire).filter_map(|(row, wire)| {
        let [digest, picoseconds] = &row[..] else { panic!("{row:?}") };
        let server = picoseconds.parse::<f64>().expect("a number") / 1e12;
        Some(Execution { id: ids.get(digest)?.clone(), server, wire: *wire })
    });
    timed.collect()
}

/// What the decoder told of the queries of all clients but sysbench's, in seconds.
fn durations(file: &Path, port: u16, sysbench: &[u16]) -> Vec<f64> {
    let mut listener = Listener::new(port);
    replay::for_each_frame(file, |link, frame| {
        if let Ok(segment) = segment::decode(link, frame) {
            listener.segment(frame.timestamp, &segment);
        }
    })
    .expect("a capture");
    let told = listener.finish().into_iter().filter(|told| !sysbench.contains(&told.client.port));
    let replies = told.filter_map(|told| match told.event {
        Event::Reply(reply) if reply.command == Command::Query => Some(reply.duration as f64 / 1e9),
        _ => None,
    });
    replies.collect()
}

/// The value that `share` of them do not exceed.
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share).ceil() as usize).max(1) - 1]
}

/// What a report's quantile may be off for being that of a bucket.
const BUCKET: f64 = 0.022;
/// Seconds from which a statement is compared with itself on the server: one that takes less waits for a CPU for about as
/// long, which counts for the server behind its answer, and for the wire before it.
const LONG: f64 = 0.1;

/// Median and 95th percentile of both sides, as a table, and what the wire adds to each execution.
fn latencies(executions: &[Execution], report: &Value, wrong: &mut Vec<String>) -> String {
    let mut table = format!(
        "{:16} {:>5} {:>10} {:>10} {:>10} {:>10} {:>10}  statement\n",
        "microseconds", "count", "p50 server", "p50 wire", "p95 server", "p95 wire", "wire adds"
    );
    let ids: BTreeSet<&str> = executions.iter().map(|execution| execution.id.as_str()).collect();
    let digests = report["digests"].as_array().expect("an array");
    let mut long = f64::INFINITY;
    for id in ids {
        let own: Vec<_> = executions.iter().filter(|execution| execution.id == id).collect();
        // Others may be of sysbench's, too.
        let alone = |row: &&Value| row["digest"] == *id && row["count"] == own.len() as f64;
        let Some(row) = digests.iter().find(alone) else { continue };
        let _ = write!(table, "{id} {:>5}", own.len());
        for (name, share, tolerated) in [("p50", 0.5, 0.05), ("p95", 0.95, 0.25)] {
            let told = row[format!("{name}_seconds")].as_f64().expect("a number");
            let wire = quantile(own.iter().map(|own| own.wire), share);
            let server = quantile(own.iter().map(|own| own.server), share);
            if (told / wire - 1.0).abs() > BUCKET {
                wrong.push(format!("{id}: {name} is {told} s, that of what the decoder told {wire} s"));
            }
            if server >= LONG {
                long = long.min(server);
                if (told / server - 1.0).abs() > tolerated {
                    wrong.push(format!("{id}: {name} is {told} s, and {server} s on the server"));
                }
            }
            let _ = write!(table, " {:>10.0} {:>10.0}", server * 1e6, told * 1e6);
        }
        let added = 1e6 * quantile(own.iter().map(|own| own.added()), 0.5);
        let _ = writeln!(table, " {added:>10.0}  {}", row["text"].as_str().unwrap_or_default());
    }
    assert!(table.lines().count() > 10 && long.is_finite(), "too few digests: {table}");
    let added = |share| quantile(executions.iter().map(|execution| execution.added().abs()), share);
    let _ = writeln!(
        table,
        "either way the wire differs by {:.0} at the median, {:.0} at the 95th percentile",
        added(0.5) * 1e6,
        added(0.95) * 1e6
    );
    if added(0.5) > 0.05 * long {
        wrong.push(format!("the wire differs by {} s at the median", added(0.5)));
    }
    table
}
