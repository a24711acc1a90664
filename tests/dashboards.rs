//! The dashboards, rules and alerts: every expression runs against a real Prometheus and finds data, every metric is
//! one that there is, and every dashboard keeps the same habits.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use dbwire_exporter::metrics::names;
use serde_json::Value;
use support::{
    children::{Running, command, output, tied},
    clients::{Client, SYSBENCH, prepare_sysbench, sysbench},
    corpus::publish,
    exporter::Exporter,
    mariadb::{MariaDb, Options, PASSWORD, USER},
    prometheus::Prometheus,
    skip, wait,
};

/// Expressions that find nothing under the load of this test, by a word of theirs, and why.
const EMPTY: &[(&str, &str)] = &[
    ("dbwire_tcp_plan_verified_age_seconds", "with every socket listed there is no plan to verify"),
    ("changes(process_start_time_seconds", "the exporter is not restarted"),
    ("dbwire_limit_hits_total", "no limit is reached"),
    ("dbwire_mysql_estimate_standard_error_total", "the sample is everything: there is no error"),
    ("dbwire_mysql_sample_effective_size", "the sample is everything"),
    ("dbwire_mysql_unestimated_segments_total", "the sample is everything"),
    ("dbwire_capture_dropped_packets:ratio_rate5m > ", "nothing is dropped"),
];

/// How expressions begin that pass classic buckets on, or show them.
const OF_BUCKETS: &[&str] = &[
    "sum without (statement) (rate(dbwire_mysql_query_duration_seconds_bucket[5m]))",
    "sum by (job, le) (instance_le:",
    "sum by (le) (rate(dbwire_mysql_query_duration_seconds_bucket",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every dashboard by its file's name.
fn dashboards() -> BTreeMap<String, Value> {
    let files = fs::read_dir(root().join("dashboards")).expect("dashboards/");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}

fn rule_files() -> Vec<String> {
    ["rules.yaml", "fleet.yaml", "alerts.yaml"]
        .map(|name| fs::read_to_string(root().join("deploy/prometheus").join(name)).expect(name))
        .to_vec()
}

fn list<'a>(value: &'a Value, what: &str) -> &'a [Value] {
    value[what].as_array().map_or(&[], Vec::as_slice)
}

/// Panels that show data.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

/// Where an expression stands, and the expression.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let title = format!("{name}: {}", panel["title"].as_str().expect("a title"));
            for target in list(panel, "targets") {
                found.push((title.clone(), target["expr"].as_str().expect("an expression").to_owned()));
            }
        }
        for annotation in list(&dashboard["annotations"], "list") {
            if let Some(expression) = annotation["expr"].as_str() {
                found.push((format!("{name}: annotation"), expression.to_owned()));
            }
        }
    }
    assert!(found.len() > 80, "{}", found.len());
    found
}

/// As Grafana fills variables in, for a Prometheus that scrapes each second.
fn filled(expression: &str) -> String {
    [("$__rate_interval", "20s"), ("$__range", "1m"), ("$job", ".*"), ("$instance", ".*")]
        .iter()
        .fold(expression.to_owned(), |text, (variable, value)| text.replace(variable, value))
}

/// Names of this program's metrics in an expression; those of recording rules have a level and a colon before.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expression
        .split(|c| !word(c))
        .filter(|name| name.starts_with("dbwire_") && !name.contains(':'))
        .map(str::to_owned)
        .collect()
}

fn is_exported(name: &str) -> bool {
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    names::ALL.iter().any(|metric| metric.name == name || Some(metric.name) == stem)
}

#[test]
fn every_metric_in_dashboards_and_rules_is_one_that_is_exported() {
    let mut texts: Vec<String> = expressions().into_iter().map(|(_, expression)| expression).collect();
    texts.extend(rule_files().iter().map(|text| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("- record:"));
        lines.collect::<Vec<_>>().join("\n")
    }));
    let named: BTreeSet<String> = texts.iter().flat_map(|text| metrics_in(text)).collect();
    assert!(named.len() > 40, "{named:?}");
    let unknown: Vec<_> =
        named.iter().filter(|name| !is_exported(name) && *name != "dbwire_exporter").collect();
    assert!(unknown.is_empty(), "no such metric: {unknown:?}");
}

#[test]
fn every_recorded_series_that_is_read_is_recorded() {
    let recorded: BTreeSet<String> = rule_files()
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("- record: ").map(str::to_owned))
        .collect();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for text in expressions().into_iter().map(|(_, expression)| expression).chain(rule_files()) {
        for name in text.split(|c| !word(c)).filter(|name| name.contains(":dbwire_")) {
            assert!(recorded.contains(name), "{name} is not recorded");
        }
    }
}

#[test]
fn dashboards_keep_the_same_habits() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 4);
    for (name, dashboard) in &dashboards {
        assert_eq!(dashboard["uid"], Value::from(name.as_str()), "the uid of a file is its name");
        let tags = list(dashboard, "tags");
        assert!(tags.contains(&Value::from("dbwire")), "{name}: {tags:?}");
        let variables: Vec<_> =
            list(&dashboard["templating"], "list").iter().map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(variables, ["datasource", "job", "instance"], "{name}");
        // `up` and `process_…` are everybody's: all jobs are all of this exporter's, one by one, and not `.*`.
        let job = &list(&dashboard["templating"], "list")[1];
        assert!(job["query"]["query"].as_str().unwrap().contains("dbwire_build_info"), "{name}");
        assert!(job["allValue"].is_null(), "{name}: all jobs would be those of other exporters, too");
        for other in dashboards.keys().filter(|other| *other != name) {
            let url = format!("/d/{other}?");
            let linked =
                list(dashboard, "links").iter().any(|link| link["url"].as_str().unwrap().starts_with(&url));
            assert!(linked, "{name} does not link to {other}");
        }
        let mut ids = BTreeSet::new();
        for panel in panels(dashboard) {
            let title = panel["title"].as_str().unwrap();
            let at = format!("{name}: {title}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{at}: id taken");
            assert!(
                panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{at}: description"
            );
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string() || panel["type"] == "heatmap",
                "{at}: unit"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{at}");
            let is_merged = list(panel, "transformations").iter().any(|it| it["id"] == "merge");
            // What is told as of now is not the last thing that was heard of a host that is gone.
            let is_of_now = panel["type"] == "stat" && panel["options"]["graphMode"] == "none";
            for target in list(panel, "targets") {
                let expression = target["expr"].as_str().unwrap();
                // Rows become one where all labels that they share agree, and the name is one.
                assert!(!is_merged || expression.contains(" by ("), "{at}: has a name: {expression}");
                assert!(!is_of_now || target["instant"] == true, "{at}: {expression}");
                assert!(expression.contains("$job"), "{at}: not of the jobs chosen: {expression}");
                let rate = expression.contains("rate(") && !expression.contains(":rate");
                assert!(!rate || expression.contains("[$__rate_interval]"), "{at}: {expression}");
            }
        }
    }
}

#[test]
fn panels_lie_side_by_side_and_do_not_overlap() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{name}: {} is too wide", panel["title"]);
            for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
                assert!(taken.insert(cell), "{name}: {} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn dashboards_are_what_grafana_takes() {
    let test = "dashboards_are_what_grafana_takes";
    let grafana = root().join("target/clients/grafana");
    if !skip::programs(test, &["node"]) {
        return;
    }
    assert!(grafana.join(".key").exists(), "tests/setup/clients.sh has not prepared {}", grafana.display());
    let mut typed = fs::read_to_string(root().join("tests/grafana/types.ts")).expect("types.ts");
    for dashboard in dashboards().values() {
        typed.push_str(&format!("((_: Plain<Dashboard>) => _)({dashboard});\n"));
        for panel in panels(dashboard) {
            let plugin = panel["type"].as_str().expect("a type");
            let options = &panel["options"];
            typed.push_str(&format!("((_: Plain<Partial<{plugin}.Options>>) => _)({options});\n"));
            if let Some(custom) = panel["fieldConfig"]["defaults"].get("custom") {
                typed.push_str(&format!("((_: Plain<Partial<{plugin}.FieldConfig>>) => _)({custom});\n"));
            }
        }
    }
    // Beside the packages, where their names are looked up.
    let file = tempfile::Builder::new().suffix(".ts").tempfile_in(&grafana).expect("a temporary file");
    fs::write(file.path(), typed).expect("writable");
    let mut tsc = command("node");
    tsc.current_dir(&grafana).args(["node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck"]);
    tsc.args(["--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022"]);
    output(tsc.arg(file.path()));
}

#[test]
fn promtool_accepts_the_rules_and_every_alert_fires_and_stays_silent() {
    let test = "promtool_accepts_the_rules_and_every_alert_fires_and_stays_silent";
    if !skip::programs(test, &["promtool"]) {
        return;
    }
    let folder = root().join("deploy/prometheus");
    output(command("promtool").current_dir(&folder).args([
        "check",
        "rules",
        "rules.yaml",
        "fleet.yaml",
        "alerts.yaml",
    ]));
    output(command("promtool").current_dir(&folder).args(["test", "rules", "tests.yaml"]));

    let alerts = rule_files().pop().expect("the alerts");
    let cases = fs::read_to_string(folder.join("tests.yaml")).expect("tests.yaml");
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        for what in ["fires", "stays silent"] {
            assert!(cases.contains(&format!("- name: {alert} {what}\n")), "no case where {alert} {what}");
        }
        let runbook = root().join("docs/runbooks").join(format!("{alert}.md"));
        assert!(runbook.exists(), "{alert} has no {}", runbook.display());
    }
}

#[test]
fn every_expression_finds_data_in_a_prometheus_that_scraped_a_loaded_host() {
    let test = "every_expression_finds_data_in_a_prometheus_that_scraped_a_loaded_host";
    let programs = [Prometheus::PROGRAMS, MariaDb::PROGRAMS, SYSBENCH].concat();
    if !skip::root(test) || !skip::programs(test, &programs) || !Client::named("pymysql-text").is_ready() {
        return;
    }
    let server = MariaDb::start(&Options::default());
    prepare_sysbench(&server);
    let port = server.port().to_string();
    let exporter = Exporter::start(&[
        "--mysql.interface=lo",
        "--mysql.port",
        &port,
        "--sockets.ports",
        &port,
        "--sockets.detail=full",
        "--sockets.tcp-info",
    ]);
    // Where native histograms are on, Prometheus stores those and no buckets: one server for each.
    let classic = Prometheus::with_rules(exporter.address(), &rule_files(), &[]);
    let native = Prometheus::with_rules(exporter.address(), &rule_files(), &["native-histograms"]);
    let _open = stay_connected(&server);
    let done = AtomicBool::new(false);
    let (rows, of_native) = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                load(&server);
            }
        });
        let rows = ask_all(&classic, false);
        let of_native = ask_all(&native, true);
        done.store(true, Ordering::Relaxed);
        (rows, of_native)
    });

    let table: String =
        rows.iter().map(|row| format!("{:>6} {:<60} {}\n", row.found(), row.place, row.note())).collect();
    publish(
        "dashboards",
        &format!("Series found by each expression of dashboards, rules and alerts\n{table}"),
    );
    for rows in [&rows, &of_native] {
        let empty: Vec<_> = rows.iter().filter(|row| row.is_wrong()).collect();
        assert!(empty.is_empty(), "found nothing: {empty:#?}");
    }
    the_same_is_slow(&classic, &native);
    for rule in [&classic, &native].iter().flat_map(|prometheus| prometheus.rules()) {
        assert_ne!(rule["health"], "err", "{}: {}", rule["name"], rule["lastError"]);
    }
}

/// As many of the same statements took longer than 100 ms, whichever way that is told.
fn the_same_is_slow(classic: &Prometheus, native: &Prometheus) {
    let ratio = "avg_over_time(instance:dbwire_mysql_slow:ratio_rate5m[10s])";
    wait::until(Duration::from_secs(30), "the share of slow statements in both", || {
        let [one, other] = [classic, native].map(|prometheus| prometheus.value(ratio));
        let (one, other) = (one?, other?);
        (one > 0.0 && (one / other - 1.0).abs() < 0.2).then_some(())
    });
}

/// A connection for as long as the test lasts: what is told of connections that exist needs one whenever it is read.
fn stay_connected(server: &MariaDb) -> Running {
    let mut client = tied("mariadb");
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--skip-ssl"]);
    client.arg(format!("--port={}", server.port())).arg(format!("--user={USER}"));
    client.arg(format!("--password={PASSWORD}"));
    Running::start(client.args(["--execute", "SELECT SLEEP(600)"]).stdout(Stdio::null()))
}

/// Some transactions, an error, a statement that takes longer than the objective allows, and a login that is refused.
fn load(server: &MariaDb) {
    sysbench(server, "127.0.0.1", 2, 20, false);
    Client::named("pymysql-text").run(
        "127.0.0.1",
        server.port(),
        "text SELECT * FROM absent\ntext SELECT SLEEP(0.15)\n",
        1,
    );
    let mut denied = command("mariadb");
    denied.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--skip-ssl", "--user=nobody"]);
    denied.arg(format!("--port={}", server.port())).arg(format!("--password=not-{PASSWORD}"));
    assert!(!denied.output().expect("the client runs").status.success());
}

/// What an expression found.
#[derive(Debug)]
struct Row {
    place: String,
    expression: String,
    /// Number of series; an alert's expression finds none while nothing is wrong.
    series: Option<usize>,
    alert: bool,
    /// Prometheus has native histograms and no buckets.
    native: bool,
}

impl Row {
    fn excuse(&self) -> Option<&'static str> {
        if self.native && OF_BUCKETS.iter().any(|start| self.expression.starts_with(start)) {
            return Some("of classic buckets");
        }
        EMPTY.iter().find(|(word, _)| self.expression.contains(word)).map(|(_, why)| *why)
    }

    /// Prometheus could not answer, or nothing was found without a reason.
    fn is_wrong(&self) -> bool {
        match self.series {
            None => true,
            Some(0) => !self.alert && self.excuse().is_none(),
            Some(_) => false,
        }
    }

    fn found(&self) -> String {
        self.series.map_or_else(|| "error".to_owned(), |series| series.to_string())
    }

    fn note(&self) -> &'static str {
        match self.series {
            Some(0) if self.alert => "alert: nothing is wrong",
            Some(0) => self.excuse().unwrap_or("EMPTY"),
            _ => "",
        }
    }
}

/// Asks each expression until it finds something; in vain for half a minute at most, all together.
fn ask_all(prometheus: &Prometheus, native: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = expressions()
        .into_iter()
        .map(|(place, expression)| Row {
            place,
            expression: filled(&expression),
            series: None,
            alert: false,
            native,
        })
        .collect();
    rows.extend(prometheus.rules().into_iter().map(|rule| Row {
        place: format!("{}: {}", rule["type"].as_str().unwrap(), rule["name"].as_str().unwrap()),
        expression: rule["query"].as_str().unwrap().to_owned(),
        series: None,
        alert: rule["type"] == "alerting",
        native,
    }));
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        for row in rows.iter_mut().filter(|row| row.series.unwrap_or(0) == 0) {
            row.series = prometheus.query(&row.expression).map(|series| series.len());
        }
        if !rows.iter().any(Row::is_wrong) || Instant::now() > deadline {
            return rows;
        }
        thread::sleep(Duration::from_millis(500));
    }
}
