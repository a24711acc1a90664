//! How each collector did for one page.

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
