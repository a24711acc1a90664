//! A real Prometheus scrapes the exporter, and its HTTP API gives the numbers back.

mod support;

use std::time::Duration;

use support::{exporter::Exporter, prometheus::Prometheus, skip, wait};

/// Longest wait for a scrape; they come once a second.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn prometheus_scrapes_every_family_with_its_type() {
    let test = "prometheus_scrapes_every_family_with_its_type";
    if !skip::programs(test, Prometheus::PROGRAMS) {
        return;
    }
    let exporter = Exporter::start(&[]);
    let prometheus = Prometheus::scraping(exporter.address());
    for (query, expected) in [
        ("up", 1.0),
        ("dbwire_build_info", 1.0),
        ("count(dbwire_tcp_connection_states)", 11.0),
        ("dbwire_scrape_collector_success{collector=\"sockets\"}", 1.0),
        ("sum(dbwire_tcp_connection_states{state=\"listen\"} > bool 0)", 1.0),
    ] {
        let answer = wait::until(LIMIT, query, || prometheus.value(query));
        assert_eq!(answer, expected, "{query}");
    }
}

#[cfg(feature = "capture")]
mod queries {
    use super::{Exporter, LIMIT, Prometheus, skip, wait};
    use crate::support::{
        clients::{SYSBENCH, prepare_sysbench, sysbench},
        mariadb::{MariaDb, Options},
        prometheus::promtool_check,
    };

    #[test]
    fn prometheus_gives_back_what_sysbench_did() {
        let test = "prometheus_gives_back_what_sysbench_did";
        let programs = [Prometheus::PROGRAMS, MariaDb::PROGRAMS, SYSBENCH, &["promtool"]].concat();
        if !skip::root(test) || !skip::programs(test, &programs) {
            return;
        }
        let server = MariaDb::start(&Options::default());
        prepare_sysbench(&server);
        let port = server.port().to_string();
        let exporter = Exporter::start(&["--mysql.interface=lo", "--mysql.port", &port]);
        let prometheus = Prometheus::scraping(exporter.address());
        wait::until(LIMIT, "the capture to be up", || {
            prometheus.value("dbwire_capture_up").filter(|up| *up == 1.0)
        });

        let events = 50;
        let (_, delta) = server.status_delta(|| sysbench(&server, "127.0.0.1", 4, events, false));

        // Each event of oltp_read_write is one transaction with 14 SELECTs and four changes.
        let begun = delta["Com_begin"];
        assert!(begun >= i64::from(events), "{begun}");
        for (query, expected) in [
            ("dbwire_mysql_statements_total{statement=\"begin\"}", begun),
            ("dbwire_mysql_statements_total{statement=\"select\"}", delta["Com_select"]),
            ("dbwire_mysql_statements_total{statement=\"update\"}", delta["Com_update"]),
            ("dbwire_mysql_commands_total{command=\"quit\"}", 4),
            ("dbwire_mysql_logins_total{result=\"ok\"}", 4),
            ("sum(dbwire_capture_dropped_packets_total)", 0),
        ] {
            wait::until(LIMIT, &format!("{query} = {expected}"), || {
                prometheus.value(query).filter(|value| *value == expected as f64)
            });
        }
        promtool_check(&exporter.request("GET", "/metrics").body);
    }
}
