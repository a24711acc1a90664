//! A fleet: three hosts in namespaces, each with MariaDB and the exporter; two Prometheus servers that share them by
//! hashmod and write to a third, which sums up. The sums are the servers' own counters, exactly.

#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and read files"
)]

mod support;

use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

use support::{
    children::command,
    clients::{SYSBENCH, prepare_sysbench, sysbench},
    corpus::publish,
    exporter::{self, Exporter},
    mariadb::{MariaDb, Options, Status},
    netns::Namespace,
    prometheus::Prometheus,
    skip, wait,
};

/// Addresses 10.231.*.2 of the hosts. hashmod over two shards gives the first to one, the others to the other.
const SUBNETS: [u8; 3] = [190, 191, 192];
const SHARDS: usize = 2;
/// Longest wait for what was counted to come through: scrapes come each second, remote writes every five.
const LIMIT: Duration = Duration::from_secs(60);

/// A series of the fleet's, and which of a server's counters (added up, and taken away) it must equal.
const TOTALS: &[(&str, &[&str], &[&str])] = &[
    (r#"job_statement:dbwire_mysql_statements:sum{statement="select"}"#, &["Com_select"], &[]),
    (r#"job_statement:dbwire_mysql_statements:sum{statement="insert"}"#, &["Com_insert"], &[]),
    (r#"job_statement:dbwire_mysql_statements:sum{statement="update"}"#, &["Com_update"], &[]),
    (r#"job_statement:dbwire_mysql_statements:sum{statement="delete"}"#, &["Com_delete"], &[]),
    (r#"job_statement:dbwire_mysql_statements:sum{statement="begin"}"#, &["Com_begin"], &[]),
    (r#"job_statement:dbwire_mysql_statements:sum{statement="commit"}"#, &["Com_commit"], &[]),
    (r#"job_result:dbwire_mysql_logins:sum{result="denied"}"#, &["Access_denied_errors"], &[]),
    (r#"job_result:dbwire_mysql_logins:sum{result="ok"}"#, &["Connections"], &["Access_denied_errors"]),
    ("sum by (job) (dbwire_mysql_connections_opened_total)", &["Connections"], &[]),
];

/// One host. Fields are dropped in this order, the namespace last.
struct Host {
    exporter: Exporter,
    server: MariaDb,
    _namespace: Namespace,
    address: String,
}

impl Host {
    fn start(subnet: u8) -> Self {
        let namespace = Namespace::new(&format!("fleet{subnet}"), subnet);
        let options = Options { namespace: Some(namespace.name().to_owned()), ..Options::default() };
        let server = MariaDb::start(&options);
        prepare_sysbench(&server);
        let mut inside = command("ip");
        inside.args(["netns", "exec", namespace.name()]).arg(exporter::command().get_program());
        // Room for all that is sent at once: the machine may have better things to do than to capture.
        inside.args(["--mysql.interface=eth0", "--mysql.buffer-size=64MiB"]);
        inside.arg(format!("--mysql.port={}", server.port()));
        inside.arg(format!("--web.listen-address={}:9098", namespace.inner()));
        let exporter = Exporter::start_command(&mut inside, 1);
        wait::until(LIMIT, "the capture to be up", || {
            (exporter.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
        });
        Self { exporter, server, address: namespace.inner(), _namespace: namespace }
    }
}

/// Transactions, as prepared statements on the first host and as text on the others, and logins that are refused; how
/// the server's counters rose.
fn load(number: usize, server: &MariaDb, address: &str) -> Status {
    let (_, delta) = server.status_delta(|| {
        sysbench(server, address, 3, 40 * (number as u32 + 1), number == 0);
        for _ in 0..=number {
            let mut denied = command("mariadb");
            denied.args(["--no-defaults", "--protocol=tcp", "--skip-ssl", "--user=nobody", "--password=no"]);
            denied.arg(format!("--host={address}")).arg(format!("--port={}", server.port()));
            assert!(!denied.output().expect("the client runs").status.success());
        }
    });
    delta
}

#[test]
fn the_sums_over_a_sharded_fleet_are_the_servers_own_counters() {
    let test = "the_sums_over_a_sharded_fleet_are_the_servers_own_counters";
    let programs = [Prometheus::PROGRAMS, MariaDb::PROGRAMS, SYSBENCH, &["ip"]].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let hosts = SUBNETS.map(Host::start);
    let receiver = receiver();
    let targets: Vec<&str> = hosts.iter().map(|host| host.exporter.address()).collect();
    let _shards: Vec<_> = (0..SHARDS).map(|number| shard(number, &targets, receiver.address())).collect();
    wait::until(LIMIT, "every host to be known", || {
        receiver.value("job:dbwire_hosts:count").filter(|n| *n == 3.0)
    });
    assert_shared_out(&receiver);

    let deltas: Vec<Status> = thread::scope(|scope| {
        let loads = hosts
            .iter()
            .enumerate()
            .map(|(number, Host { server, address, .. })| scope.spawn(move || load(number, server, address)));
        loads.collect::<Vec<_>>().into_iter().map(|load| load.join().expect("no panic")).collect()
    });
    let totals: Vec<Total> = TOTALS.iter().map(|row| Total::of(row, &deltas)).collect();
    for total in &totals {
        wait::until(LIMIT, &format!("{total:?}"), || {
            (receiver.value(total.query) == Some(total.sum())).then_some(())
        });
    }
    assert_eq!(receiver.value("sum(dbwire_capture_dropped_packets_total)"), Some(0.0));
    // Sums of rates, too, are those of every host: both are recorded at the same time.
    wait::until(LIMIT, "the fleet's rate to be the sum of its hosts'", || {
        let hosts = receiver.value("sum(instance:dbwire_mysql_statements:rate5m)")?;
        let fleet = receiver.value("job:dbwire_mysql_statements:rate5m")?;
        (hosts > 0.0 && (hosts - fleet).abs() <= hosts * 1e-9).then_some(())
    });
    // By now whatever is too much would have come, too.
    let rows = totals.iter().map(|total| total.row(receiver.value(total.query)));
    publish("fleet", &format!("Three servers' own counters, and the fleet's\n{}", rows.collect::<String>()));
    let wrong: Vec<_> =
        totals.iter().filter(|total| receiver.value(total.query) != Some(total.sum())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let digests = receiver.query(r#"count({__name__=~"dbwire_mysql_digest_.*"})"#);
    assert_eq!(digests, Some(Vec::new()), "series by digest stay on the shards");
}

/// Each host is scraped by one shard, and no shard is idle.
fn assert_shared_out(receiver: &Prometheus) {
    let up = receiver.query("dbwire_build_info").expect("an answer");
    let mut shards: BTreeMap<&str, usize> = BTreeMap::new();
    for (labels, _) in &up {
        *shards.entry(labels["shard"].as_str().expect("its shard")).or_default() += 1;
    }
    assert_eq!(shards, BTreeMap::from([("0", 1), ("1", 2)]), "{up:?}");
}

/// What the servers say of a series of the fleet's.
#[derive(Debug)]
struct Total {
    query: &'static str,
    /// By host.
    counted: Vec<i64>,
}

impl Total {
    fn of(&(query, plus, minus): &(&'static str, &[&str], &[&str]), deltas: &[Status]) -> Self {
        let sum = |delta: &Status, names: &[&str]| -> i64 {
            names.iter().map(|name| delta.get(*name).unwrap_or(&0)).sum()
        };
        Self { query, counted: deltas.iter().map(|delta| sum(delta, plus) - sum(delta, minus)).collect() }
    }

    fn sum(&self) -> f64 {
        self.counted.iter().sum::<i64>() as f64
    }

    fn row(&self, seen: Option<f64>) -> String {
        format!("{:<72} {:?} = {}, recorded {seen:?}\n", self.query, self.counted, self.sum())
    }
}

/// A file of deploy/prometheus.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `text` with each of these replaced; all are there, or the example no longer is what this test takes it for.
fn with(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no {from} in:\n{text}");
        text.replace(from, to)
    })
}

/// Where the shards meet: examples/receiver.yaml with the rules of the fleet.
fn receiver() -> Prometheus {
    let config = with(&file("examples/receiver.yaml"), &[("../fleet.yaml", "fleet.yaml")]);
    let rules = with(&file("fleet.yaml"), &[("interval: 30s", "interval: 1s")]);
    Prometheus::start(&config, &[("fleet.yaml", &rules)], &["--web.enable-remote-write-receiver"])
}

/// examples/sharded.yaml as this shard has it, with each second for each quarter of a minute.
fn shard(number: usize, targets: &[&str], receiver: &str) -> Prometheus {
    let example = with(
        &file("examples/sharded.yaml"),
        &[
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("{shard: '0'}", &format!("{{shard: '{number}'}}")),
            ("regex: '0'", &format!("regex: '{number}'")),
            ("modulus: 4", &format!("modulus: {SHARDS}")),
            ("/etc/prometheus/dbwire/*.json", "hosts.json"),
            ("http://mimir:9009/api/v1/push", &format!("http://{receiver}/api/v1/write")),
            ("../rules.yaml", "rules.yaml"),
            ("../alerts.yaml", "alerts.yaml"),
        ],
    );
    let rules = with(&file("rules.yaml"), &[("interval: 30s", "interval: 1s")]);
    let hosts = serde_json::json!([{ "targets": targets }]).to_string();
    let files =
        [("hosts.json", hosts.as_str()), ("rules.yaml", &rules), ("alerts.yaml", &file("alerts.yaml"))];
    Prometheus::start(&example, &files, &[])
}
