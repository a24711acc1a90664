//! Exporters that watch the same server through different classes, held to what was sent.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

use std::time::Duration;

use super::support::{exporter::Exporter, exposition::Exposition, wait};

/// An exporter that captures on loopback and measures its multiplier.
pub fn watch(port: u16, arguments: &[String]) -> Exporter {
    let mut all = vec![
        "--no-collector.sockets".to_owned(),
        "--mysql.interface=lo".to_owned(),
        "--mysql.buffer-size=64MiB".to_owned(),
        format!("--mysql.port={port}"),
        "--mysql.multiplier=measured".to_owned(),
    ];
    all.extend_from_slice(arguments);
    let exporter = Exporter::start(&all.iter().map(String::as_str).collect::<Vec<_>>());
    wait::until(Duration::from_secs(30), "the capture to be up", || {
        (exporter.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
    });
    exporter
}

pub fn value(page: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    page.value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

pub fn queries(page: &Exposition) -> f64 {
    value(page, "dbwire_mysql_commands_total", &[("command", "query")])
}

pub fn observed(page: &Exposition) -> f64 {
    value(page, "dbwire_mysql_observed_commands_total", &[("command", "query")])
}

/// One exporter for each of some classes.
pub struct Classes {
    bits: u32,
    exporters: Vec<(u32, Exporter)>,
    before: Vec<Exposition>,
}

/// Errors of estimates as shares of the truth.
#[derive(Debug, Default)]
pub struct Errors {
    pub measured: Vec<f64>,
    pub nominal: Vec<f64>,
}

impl Errors {
    pub fn rmse(errors: &[f64]) -> f64 {
        (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt()
    }

    pub fn worst(errors: &[f64]) -> f64 {
        errors.iter().fold(0.0, |worst, error| error.abs().max(worst))
    }
}

impl Classes {
    /// Those of `bits` bits; how many threads one has must not matter.
    pub fn watch(port: u16, bits: u32, classes: impl Iterator<Item = u32>, more: &[&str]) -> Self {
        let arguments = |class: u32| {
            let mut arguments = vec![
                format!("--mysql.sample-bits={bits}"),
                format!("--mysql.sample-class={class}"),
                format!("--mysql.threads={}", 1 + class % 3),
            ];
            arguments.extend(more.iter().map(|word| (*word).to_owned()));
            arguments
        };
        let exporters: Vec<_> = classes.map(|class| (class, watch(port, &arguments(class)))).collect();
        let before = exporters.iter().map(|(_, exporter)| exporter.page_of_a_new_census()).collect();
        Self { bits, exporters, before }
    }

    /// Each with its page at the start.
    pub fn pages(&self) -> impl Iterator<Item = (u32, Exposition, &Exposition)> {
        let pairs = self.exporters.iter().zip(&self.before);
        pairs.map(|((class, exporter), before)| (*class, exporter.page_of_a_new_census(), before))
    }

    /// Of the classes with traffic, since the start.
    pub fn errors(&self, truth: f64) -> Errors {
        let mut errors = Errors::default();
        for (class, page, before) in self.pages() {
            let seen = observed(&page) - observed(before);
            if seen == 0.0 {
                continue;
            }
            let measured = (queries(&page) - queries(before)) / truth - 1.0;
            let nominal = seen * f64::from(1 << self.bits) / truth - 1.0;
            println!("class {class}: measured {:+.3} %, nominal {:+.1} %", 100.0 * measured, 100.0 * nominal);
            errors.measured.push(measured);
            errors.nominal.push(nominal);
        }
        println!(
            "of {truth} queries, RMSE over {} classes of {} bits: measured {:.3} %, nominal {:.1} %",
            errors.measured.len(),
            self.bits,
            100.0 * Errors::rmse(&errors.measured),
            100.0 * Errors::rmse(&errors.nominal)
        );
        errors
    }
}
