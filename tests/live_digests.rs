//! Digests against the server's own: `performance_schema` and the wire agree about each statement of a mixed load.
//!
//! The server's digests have other texts and ids, so the two are mapped by a statement of each. Its latencies are those
//! of single statements (`events_statements_history_long`). Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests start programs

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{Seek as _, Write as _},
};

use dbwire_exporter::digest::{Escapes, Normalizer};
use serde_json::Value;
use support::{
    children::{command, output},
    clients::{SYSBENCH, prepare_sysbench, sysbench},
    corpus::publish,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    skip,
    tcpdump::Capture,
    watcher::Watcher,
};
use tempfile::TempDir;

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
    tables += &latencies(&server, &ids, &report(&server, &file), &mut wrong);
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
fn report(server: &MariaDb, file: &std::path::Path) -> Value {
    let mut replay = command(env!("CARGO_BIN_EXE_dbwire_exporter"));
    replay.args(["replay", "--report=json", &format!("--mysql.port={}", server.port())]).arg(file);
    serde_json::from_str(&output(&mut replay)).expect("JSON")
}

/// Median and 95th percentile of both sides, as a table. The wire has the way through two sockets, and what either end
/// waits for a CPU, on top of what the server times; that is compared where it is small against the statement itself.
fn latencies(
    server: &MariaDb,
    ids: &BTreeMap<String, String>,
    report: &Value,
    wrong: &mut Vec<String>,
) -> String {
    let rows = server.admin(
        "select digest, timer_wait from performance_schema.events_statements_history_long \
         where digest is not null and current_schema in ('test', 'sbtest')",
    );
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in &rows {
        let [digest, picoseconds] = &row[..] else { panic!("{row:?}") };
        let seconds = picoseconds.parse::<f64>().expect("a number") / 1e12;
        times.entry(&ids[digest]).or_default().push(seconds);
    }
    let mut table = format!(
        "{:16} {:>6} {:>10} {:>10} {:>10} {:>10}  statement\n",
        "microseconds", "count", "p50 server", "p50 wire", "p95 server", "p95 wire"
    );
    let mut compared = 0;
    for (id, times) in &mut times {
        times.sort_by(f64::total_cmp);
        let digests = report["digests"].as_array().expect("an array");
        let Some(row) = digests.iter().find(|row| row["digest"] == *id) else {
            wrong.push(format!("{id} is not in the report"));
            continue;
        };
        let told = ["p50_seconds", "p95_seconds"].map(|name| row[name].as_f64().expect("a number"));
        let truth = [0.5, 0.95].map(|share| times[((times.len() as f64 * share).ceil() as usize).max(1) - 1]);
        let [p50, p95] = [0, 1].map(|place| (truth[place] * 1e6, told[place] * 1e6));
        let _ = writeln!(
            table,
            "{id} {:>6} {:>10.0} {:>10.0} {:>10.0} {:>10.0}  {}",
            times.len(),
            p50.0,
            p50.1,
            p95.0,
            p95.1,
            row["text"].as_str().unwrap_or_default()
        );
        if truth[0] >= 0.1 {
            compared += 1;
            for (truth, told) in truth.into_iter().zip(told) {
                // Either side's clock may stop late, where the machine has others to serve.
                if !(truth / 2.0..truth * 2.0).contains(&told) {
                    wrong.push(format!("{id}: {truth} s on the server, {told} s on the wire"));
                }
            }
        }
    }
    assert!(compared >= 1, "no statement took long enough");
    table
}
