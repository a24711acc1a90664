//! Asks the collectors for one page, at the same time and with a deadline.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use crate::{
    metrics::{build, scrape},
    web::landing::Source,
};

use super::process::Process;

/// All that a page is made of.
#[derive(Debug)]
pub struct Collector {
    process: Process,
}

impl Collector {
    /// Of the process alone.
    pub fn new(process: Process) -> Self {
        Self { process }
    }

    /// The families of one page. Takes at most `within`, and a little: a collector that has nothing by then has no
    /// families on it, and its `dbwire_scrape_collector_success` is 0.
    pub async fn families(&self, _within: Duration) -> Vec<MetricFamily> {
        let mut families = self.process.families();
        families.push(build::family());
        families.extend(scrape::families(&[]));
        families
    }

    /// What works, for people.
    pub async fn sources(&self, _within: Duration) -> Vec<Source> {
        Vec::new()
    }
}
