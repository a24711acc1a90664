//! How each collector did for one page, and how the web configuration was read again.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{family::Family, names};

/// One collector's part in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Value of the `collector` label.
    pub collector: &'static str,
    /// Whether it had current data.
    pub success: bool,
    /// How long the page waited for it.
    pub waited: Duration,
    /// How often it has panicked.
    pub panics: u64,
}

/// `dbwire_scrape_collector_*` and `dbwire_collector_panics_total`: a sample for each collector that is switched on.
pub fn families(outcomes: &[Outcome]) -> [MetricFamily; 3] {
    let mut success = Family::new(&names::SCRAPE_COLLECTOR_SUCCESS);
    let mut duration = Family::new(&names::SCRAPE_COLLECTOR_DURATION);
    let mut panics = Family::new(&names::COLLECTOR_PANICS);
    for outcome in outcomes {
        panics = panics.sample(&[outcome.collector], outcome.panics as f64);
        success = success.sample(&[outcome.collector], f64::from(u8::from(outcome.success)));
        duration = duration.sample(&[outcome.collector], outcome.waited.as_secs_f64());
    }
    [success.build(), duration.build(), panics.build()]
}

/// How often the web configuration was read again since the start, and how it went the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloads {
    successes: u64,
    failures: u64,
    failed_last: bool,
}

impl Reloads {
    /// It could be used.
    pub fn succeeded(&mut self) {
        self.successes += 1;
        self.failed_last = false;
    }

    /// It could not.
    pub fn failed(&mut self) {
        self.failures += 1;
        self.failed_last = true;
    }
}

/// `dbwire_web_config_*`.
pub fn reloads(reloads: &Reloads) -> [MetricFamily; 2] {
    let counts = Family::new(&names::WEB_CONFIG_RELOADS)
        .sample(&["success"], reloads.successes as f64)
        .sample(&["failure"], reloads.failures as f64);
    let last = f64::from(u8::from(!reloads.failed_last));
    [counts.build(), Family::single(&names::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL, last)]
}
