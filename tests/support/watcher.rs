//! An exporter that captures one server's traffic, compared with what the clients report.

use std::time::Duration;

use serde_json::Value;

use super::{
    corpus::{Expected, Range, Row},
    exporter::Exporter,
    exposition::Exposition,
    wait,
};

/// Longest wait for packets that were sent to be counted.
const LIMIT: Duration = Duration::from_secs(30);

/// An exporter that watches one server, and what it has been told to sample.
#[allow(missing_debug_implementations)]
pub struct Watcher {
    exporter: Exporter,
    /// N.
    pub bits: u32,
    /// The class.
    pub class: u16,
}

impl Watcher {
    /// Starts one that captures `port` on `interface`, and returns when it does.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn start(interface: &str, port: u16, bits: u32, class: u16) -> Self {
        let arguments = [
            "--no-collector.sockets".to_owned(),
            // Room for all that a test sends at once: the machine may have better things to do than to capture.
            "--mysql.buffer-size=64MiB".to_owned(),
            format!("--mysql.interface={interface}"),
            format!("--mysql.port={port}"),
            format!("--mysql.sample-bits={bits}"),
            format!("--mysql.sample-class={class}"),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let watcher = Self { exporter: Exporter::start(&arguments), bits, class };
        wait::until(LIMIT, "the capture to be up", || {
            (watcher.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
        });
        watcher
    }

    /// Its page now.
    pub fn page(&self) -> Exposition {
        Exposition::parse(&self.exporter.request("GET", "/metrics").body)
    }

    /// What one connection stands for.
    pub fn scale(&self) -> f64 {
        f64::from(1 << self.bits)
    }

    /// Whether it samples the connection of this report.
    pub fn samples(&self, report: &Value) -> bool {
        let port = report["port"].as_u64().expect("a port") as u16;
        (port >> 1) & ((1 << self.bits) - 1) == self.class
    }

    /// The page once every one of so many connections, sampled or not, has been seen to end, and nothing more can come.
    pub fn final_page(&self, connections: usize) -> Exposition {
        let wanted = connections as f64;
        wait::until(LIMIT, &format!("{wanted} connections to be closed"), || {
            let closed = self.page().value("dbwire_mysql_connections_closed_total", &[]).unwrap_or(0.0);
            (closed >= wanted).then_some(())
        });
        self.exporter.page_of_a_new_census()
    }

    /// Compares the final page with the reports of the connections that it samples.
    pub fn compare(&self, reports: &[Value], deadlocks: u64) -> Vec<Row> {
        let sampled: Vec<&Value> = reports.iter().filter(|report| self.samples(report)).collect();
        let page = self.final_page(reports.len());
        let mut expected = expected_of(sampled.iter().copied());
        if deadlocks > 0 {
            // Which connections met them nobody tells.
            let least = if self.bits == 0 { deadlocks } else { 0 };
            expected.errors.insert("1213".to_owned(), Range { least, most: deadlocks });
        }
        let mut rows = expected.compare(&page, self.scale());
        for (family, count) in [
            // Exact whatever is sampled.
            ("dbwire_mysql_connections_opened_total", reports.len() as u64),
            ("dbwire_mysql_connections_closed_total", reports.len() as u64),
            ("dbwire_capture_dropped_packets_total", 0),
            ("dbwire_mysql_gaps_total", 0),
            ("dbwire_mysql_desyncs_total", 0),
        ] {
            rows.push(Row::new(
                family,
                "",
                Range::exactly(count),
                page.value(family, &[]).unwrap_or(0.0),
                1.0,
            ));
        }
        rows
    }
}

/// What these reports add up to.
pub fn expected_of<'a>(reports: impl IntoIterator<Item = &'a Value>) -> Expected {
    let mut expected = Expected::default();
    for report in reports {
        expected.add(report, &Value::Null);
    }
    expected
}
