//! How long a page may wait for its collectors.

use std::time::Duration;

use hyper::HeaderMap;

/// Prometheus tells its `scrape_timeout` in this header (`scrape/scrape.go`, `scrapeTimeoutSeconds`).
const HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// Kept of the scraper's time for writing the page and carrying it: half a second, as the blackbox exporter's
/// `--timeout-offset`.
const MARGIN: Duration = Duration::from_millis(500);

/// Prometheus' default `scrape_timeout` less the margin: for those who tell nothing, and the most anybody gets.
pub const LONGEST: Duration = Duration::from_millis(9500);

/// The time that `headers` leave for collecting. Half of the scraper's time where the margin would take more.
pub fn within(headers: &HeaderMap) -> Duration {
    headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(LONGEST, |told| told.saturating_sub(MARGIN).max(told / 2).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrapers_timeout_less_a_margin_is_kept_to() {
        let cases = [
            (None, 9500),
            (Some("10"), 9500),
            (Some("10.000000"), 9500),
            (Some("5"), 4500),
            (Some("1"), 500),
            (Some("0.5"), 250),
            (Some("3600"), 9500),
            (Some("1e300"), 9500),
            (Some("0"), 9500),
            (Some("-1"), 9500),
            (Some("NaN"), 9500),
            (Some("inf"), 9500),
            (Some("soon"), 9500),
        ];
        for (told, expected) in cases {
            let headers = told.map(|told| (HEADER.parse().unwrap(), told.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            assert_eq!(within(&headers), Duration::from_millis(expected), "{told:?}");
        }
    }
}
