//! The page for people in a real browser, under the load of a small shop; and its JSON against the metrics.
//!
//! `tests/browser/visit.js` drives Chromium and tells what it saw; pictures of it are left in `target/pictures`. With
//! `DBWIRE_PICTURE=FILE` (`make picture`) it looks on for a minute and leaves a picture for the documentation.

#![allow(clippy::disallowed_methods, reason = "tests read files and their environment")]

mod support;

use std::fs;

use serde_json::Value;
use support::{children, exporter::Exporter, skip};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn status(exporter: &Exporter) -> Value {
    let response = exporter.request("GET", "/api/v1/status");
    assert_eq!((response.status, response.headers["content-type"].as_str()), (200, "application/json"));
    assert_eq!(response.headers["cache-control"], "no-store");
    serde_json::from_str(&response.body).unwrap()
}

#[test]
fn the_json_tells_of_the_sockets() {
    // Of a port that is watched the queue is shown however many others there are.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let exporter = Exporter::start(&["--sockets.source=netlink", &format!("--sockets.ports={port}")]);
    let status = status(&exporter);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let own = &status["sockets"][0];
    assert_eq!((own["works"].as_bool(), own["reading"]["source"].as_str()), (Some(true), Some("netlink")));
    let states = own["reading"]["states"].as_object().unwrap();
    assert_eq!(states.len(), 11);
    let listeners = own["reading"]["listeners"].as_array().unwrap();
    let watched = listeners.iter().find(|listener| listener["port"] == port);
    assert_eq!(watched.unwrap()["address"], "127.0.0.1");
}

#[test]
fn the_documentation_is_served_with_the_page() {
    let exporter = Exporter::start(&[]);
    for name in ["api.md", "metrics.md", "limits.md"] {
        let served = exporter.request("GET", &format!("/docs/{name}"));
        assert_eq!((served.status, &served.headers["content-type"][..10]), (200, "text/plain"), "{name}");
        assert_eq!(served.body, fs::read_to_string(format!("{ROOT}/docs/{name}")).unwrap());
    }
    assert_eq!(exporter.request("GET", "/docs/../Cargo.toml").status, 404);
}

/// The rules of `format.rs`, which a test beside it holds to the same cases.
#[test]
fn numbers_are_written_alike_in_the_browser() {
    if !skip::programs("numbers_are_written_alike_in_the_browser", &["node"]) {
        return;
    }
    let [rules, cases] = ["format.js", "format_cases.json"].map(|name| format!("{ROOT}/src/web/page/{name}"));
    let program = "const [rules, cases] = process.argv.slice(1).map((name) => require('fs').readFileSync(name, 'utf8'));
        const written = new Function(`${rules}; return { count, time, duration, share }`)();
        for (const [name, table] of Object.entries(JSON.parse(cases)))
          for (const [number, expected] of table)
            if (written[name](number) !== expected) throw `${name} ${number}: ${written[name](number)}`;";
    children::output(children::command("node").args(["-e", program, &rules, &cases]));
}

#[cfg(feature = "capture")]
mod browser {
    use std::{
        path::{Path, PathBuf},
        process::Stdio,
        time::Duration,
    };

    use tempfile::TempDir;

    use super::*;
    use crate::support::{
        children::{Running, tied},
        clients::SYSBENCH,
        exposition::Exposition,
        mariadb::{DATABASE, MariaDb, Options, PASSWORD, USER},
        wait,
    };

    const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/shop.lua");
    /// What `visit.js` ends with if there is no browser to visit with.
    const NO_BROWSER: i32 = 3;

    fn sysbench(program: &str) -> std::process::Command {
        let mut sysbench = tied(program);
        sysbench.arg(SHOP).arg(format!("--mysql-db={DATABASE}"));
        sysbench.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
        sysbench
    }

    /// Starts buying and selling; goes on until dropped.
    fn open_shop(server: &MariaDb) -> Running {
        let socket = format!("--mysql-socket={}", server.socket().display());
        children::output(sysbench("sysbench").arg(socket).arg("prepare"));
        let mut load = sysbench("sysbench");
        load.args(["--threads=4", "--rate=150", "--time=0", "--events=0", "--db-ps-mode=disable"]);
        load.args(["--mysql-ignore-errors=all", "--mysql-host=127.0.0.1"]);
        load.arg(format!("--mysql-port={}", server.port())).arg("run");
        Running::start(load.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// What a visitor saw; `None` where there is no browser, having said so.
    fn visit(test: &str, exporter: &Exporter) -> Option<Value> {
        let modules = PathBuf::from(format!("{ROOT}/target/clients/browser/node_modules"));
        let picture = std::env::var("DBWIRE_PICTURE").ok();
        let pictures = format!("{ROOT}/target/pictures");
        fs::create_dir_all(&pictures).unwrap();
        // The browser's profile, its caches and whatever else it writes.
        let home = TempDir::with_prefix("dbwire-browser-").unwrap();
        let mut node = tied("node");
        node.arg(format!("{ROOT}/tests/browser/visit.js")).arg(&modules);
        node.arg(format!("http://{}/", exporter.address()));
        node.args([if picture.is_some() { "57" } else { "3" }, &pictures]).args(&picture);
        for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            node.env(variable, home.path());
        }
        let output = node.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(NO_BROWSER) {
            skip::unavailable(test, &format!("Chromium does not start: {said}"));
            return None;
        }
        assert!(output.status.success(), "{}: {said}", output.status);
        Some(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// `12.3k`, `1.24 ms`, `–` as a number to compare.
    fn magnitude(text: &str) -> f64 {
        let digits = text.trim_start_matches(['≈', '\u{202f}']);
        let end = digits.find(|c: char| !matches!(c, '0'..='9' | '.' | ',')).unwrap_or(digits.len());
        let (number, unit) = digits.split_at(end);
        let unit = match unit.trim_start_matches('\u{202f}') {
            "µs" => 1e-6,
            "ms" => 1e-3,
            "k" => 1e3,
            "M" => 1e6,
            _ => 1.0,
        };
        number.replace(',', "").parse::<f64>().map_or(-1.0, |number| number * unit)
    }

    fn texts(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }

    fn assert_sorted(sorted: &Value) {
        let cells = texts(&sorted["cells"]);
        assert!(cells.len() > 5, "{sorted}");
        let ascending = sorted["direction"].as_str().unwrap().ends_with("ascending");
        let ordered = |one: &&str, next: &&str| match sorted["title"].as_str() {
            // Letters come before signs where they come from, so that only those are compared here.
            Some("statement") => {
                !one.starts_with(char::is_alphabetic) || one.as_bytes()[0] <= next.as_bytes()[0]
            }
            _ => magnitude(one) <= magnitude(next),
        };
        let in_order = cells.windows(2).all(|pair| {
            let [one, next] = pair else { return false };
            if ascending { ordered(one, next) } else { ordered(next, one) }
        });
        assert!(in_order, "{sorted}");
    }

    fn assert_usable(seen: &Value, url: &str) {
        assert_eq!(seen["complaints"], Value::Array(vec![]), "errors and warnings of the page");
        let elsewhere: Vec<_> = texts(&seen["requests"])
            .into_iter()
            .filter(|request| ![url, &format!("{url}api/v1/status")].contains(request))
            .collect();
        assert_eq!(elsewhere, [""; 0], "it asks nobody else, and for nothing else");
        for view in ["light", "dark", "phone"] {
            let barriers = &seen["barriers"][view];
            assert_eq!(barriers["found"], Value::Array(vec![]), "{view}");
            assert!(barriers["passed"].as_u64() > Some(20), "{view}: axe looked at next to nothing");
        }
        assert_eq!(seen["overflow"], 0, "on a phone nothing is wider than the screen");
    }

    #[test]
    fn under_a_live_load_the_page_moves_sorts_and_shuts_nobody_out() {
        let test = "under_a_live_load_the_page_moves_sorts_and_shuts_nobody_out";
        let programs = [MariaDb::PROGRAMS, SYSBENCH, &["node", "chromium"]].concat();
        if !skip::root(test) || !skip::programs(test, &programs) {
            return;
        }
        if !Path::new(ROOT).join("target/clients/browser/.key").exists() {
            skip::unavailable(test, "the driver of the browser is not prepared (make setup-test)");
            return;
        }
        let server = MariaDb::start(&Options::default());
        let exporter = Exporter::start(&["--mysql.interface=lo", "--mysql.port", &server.port().to_string()]);
        let mut shop = open_shop(&server);
        let Some(seen) = visit(test, &exporter) else { return };
        shop.stop();

        assert_usable(&seen, &format!("http://{}/", exporter.address()));
        assert!(
            seen["health"].as_str().unwrap().starts_with("Working. TCP sockets are counted by"),
            "{seen}"
        );
        for figure in texts(&seen["figures"]) {
            assert!(figure.contains(|c: char| c.is_ascii_digit() && c != '0'), "{figure}");
        }
        for chart in texts(&seen["charts"]) {
            assert!(chart.contains("in the last") && chart.contains("greatest"), "{chart}");
        }
        assert_eq!(seen["crosses"], 3, "the moment that is pointed at is marked in every chart");
        assert!(seen["pointed"].as_str().unwrap().starts_with("at "), "{seen}");
        seen["sorted"].as_array().unwrap().iter().for_each(assert_sorted);
        let statements = texts(&seen["texts"]);
        let hostile = statements.iter().any(|text| text.contains("<img src=x onerror=alert(?)>"));
        assert!(hostile && seen["images"] == 0, "a statement's text is shown as it is: {statements:#?}");
        assert_eq!((&seen["unwatched"], &seen["paused"]), (&Value::from(0), &Value::from(0)), "timers left");
        let plain: Vec<_> =
            seen["plain"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).collect();
        assert!(
            plain.len() == 6 && plain.iter().all(|rows| *rows > 1),
            "tables without JavaScript: {plain:?}"
        );
        assert_counts_agree(&exporter);
    }

    /// The JSON and the metrics of an exporter that sees nothing new any more.
    fn assert_counts_agree(exporter: &Exporter) {
        let (status, page) = wait::until(Duration::from_secs(30), "the last packets to be decoded", || {
            let packets = |page: &Exposition| page.value("dbwire_capture_packets_total", &[]);
            let (before, status, after) = (exporter.page(), status(exporter), exporter.page());
            (packets(&before) == packets(&after)).then_some((status, after))
        });
        let traffic = &status["mysql"]["traffic"];
        let sum = |name: &str| page.of(name).map(|sample| sample.value).sum::<f64>();
        for (kind, counted) in traffic["statements"].as_object().unwrap() {
            let metric = page.value("dbwire_mysql_statements_total", &[("statement", kind)]);
            assert_eq!(counted["count"].as_f64(), metric, "{kind}");
            let buckets = counted["durations"]["buckets"].as_array().unwrap();
            let durations: f64 = buckets.iter().map(|bucket| bucket[1].as_f64().unwrap()).sum();
            let zeros = counted["durations"]["zeros"].as_f64().unwrap();
            assert_eq!(counted["durations"]["count"].as_f64(), Some(durations + zeros), "{kind}");
        }
        let of_all = |list: &Value, field: &str| {
            list.as_array().unwrap().iter().map(|entry| entry[field].as_f64().unwrap()).sum::<f64>()
        };
        assert!(of_all(&traffic["errors"], "count") > 0.0, "the shop's load has errors");
        assert_eq!(of_all(&traffic["errors"], "count"), sum("dbwire_mysql_errors_total"));
        let other = traffic["other_digests"]["queries"].as_f64().unwrap();
        assert_eq!(of_all(&traffic["digests"], "queries") + other, sum("dbwire_mysql_digest_queries_total"));
        let dropped: u64 = ["kernel", "interface"]
            .iter()
            .map(|place| status["mysql"]["capture"]["dropped"][place].as_u64().unwrap())
            .sum();
        assert_eq!(dropped as f64, sum("dbwire_capture_dropped_packets_total"));
    }

    #[test]
    fn sampled_counts_are_told_to_be_estimates() {
        let exporter = Exporter::start(&["--mysql.sample-bits=3", "--mysql.port=9"]);
        let sampling = &status(&exporter)["mysql"]["sampling"];
        assert_eq!((&sampling["bits"], &sampling["multiplier"]), (&Value::from(3), &Value::from(8.0)));
        assert_eq!(sampling["measured_multiplier"], Value::Null);
        assert!(
            sampling["text"].as_str().unwrap().starts_with("One connection in 8 is decoded"),
            "{sampling}"
        );
    }
}
