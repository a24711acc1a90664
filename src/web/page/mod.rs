//! The page for people at `/`: one document with its style and its script inside, which refers to nothing else.
//!
//! Without JavaScript it shows the counts since the start. With it, the script asks `/api/v1/status` once a second
//! while somebody looks, and shows rates and their last five minutes.

mod format;

use std::sync::LazyLock;

use askama::Template;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::header::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::{Routes, docs::Doc};
use crate::status::{
    Level, Sockets, Status,
    mysql::{Digest, Errors, Statements, Traffic},
    sockets::Reading,
};
use format::{DASH, Number, count, duration, time};

const STYLE: &str = include_str!("page.css");

/// In the order in which the parts need each other.
const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("format.js"),
    include_str!("history.js"),
    include_str!("chart.js"),
    include_str!("table.js"),
    include_str!("panels.js"),
    include_str!("digests.js"),
    include_str!("page.js"),
    "})();\n",
);

/// What the page may do (<https://www.w3.org/TR/CSP3/>): run this style and this script, ask its own server, show the
/// icon that it holds, and nothing else.
pub static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    // It is ASCII; without the right policy the page still reads as it does without JavaScript.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Rows of the small tables.
const ROWS: usize = 5;

/// The page as HTML.
pub fn html(routes: &Routes, status: &Status) -> String {
    let metrics = routes.telemetry_path().trim_start_matches('/');
    let page = Page { status, metrics, docs: Doc::ALL, style: STYLE, script: SCRIPT };
    // Writing to a String does not fail, and nothing else here does.
    page.render().unwrap_or_default()
}

#[derive(Template)]
#[template(path = "index.html")]
struct Page<'a> {
    status: &'a Status,
    /// Relative to the page, so that it may be below some other path at a proxy.
    metrics: &'a str,
    docs: &'static [Doc],
    style: &'static str,
    script: &'static str,
}

impl Page<'_> {
    fn level_word(&self) -> &'static str {
        match self.status.health.level {
            Level::Working => "Working",
            Level::Impaired => "Impaired",
            Level::Failed => "Not working",
        }
    }

    /// What was decoded, if anything was.
    fn traffic(&self) -> Option<&Traffic> {
        self.status.mysql.as_ref()?.traffic.as_ref().filter(|traffic| traffic.all_statements() > 0.0)
    }

    fn sampled(&self) -> bool {
        self.status.mysql.as_ref().is_some_and(|mysql| mysql.sampling.estimates())
    }

    /// What stands before an estimate.
    fn approximately(&self) -> &'static str {
        if self.sampled() { "≈\u{202f}" } else { "" }
    }

    fn why_no_traffic(&self) -> String {
        let Some(mysql) = &self.status.mysql else {
            return "MySQL is not captured: --no-collector.mysql.".to_owned();
        };
        match (&mysql.error, &mysql.note) {
            (Some(error), _) => format!("MySQL is not captured: {error}."),
            (None, Some(note)) => note.clone(),
            (None, None) => "No statement yet.".to_owned(),
        }
    }
}

/// Where nothing but TLS is seen, say.
const NO_DIGESTS: &str = "No statement could be told apart: those inside TLS cannot be read.";

/// Why there are dashes where the 95th percentile would be.
const NO_P95: &str = "The 95th percentile is known of kinds of statements only, not of each.";

fn has_no_p95(digest: &Digest) -> bool {
    digest.p95_seconds.is_none()
}

/// The kinds seen most often.
fn kinds(traffic: &Traffic) -> Vec<&(&'static str, Statements)> {
    let mut kinds: Vec<_> = traffic.statements.iter().collect();
    kinds.sort_by(|(_, one), (_, other)| other.count.total_cmp(&one.count));
    kinds.truncate(ROWS);
    kinds
}

/// The commonest errors.
fn codes(traffic: &Traffic) -> Vec<&Errors> {
    let mut errors: Vec<_> = traffic.errors.iter().filter(|errors| errors.count > 0.0).collect();
    errors.sort_by(|one, other| other.count.total_cmp(&one.count));
    errors.truncate(ROWS);
    errors
}

/// What was counted in each namespace.
fn readings(sockets: &[Sockets]) -> impl Iterator<Item = &Reading> {
    sockets.iter().filter_map(|one| one.reading.as_ref())
}

fn mean(seconds: impl Number, count: impl Number) -> String {
    if count.number() > 0.0 { time(seconds.number() / count.number()) } else { DASH.to_owned() }
}

fn known(seconds: &Option<f64>) -> String {
    seconds.map_or_else(|| DASH.to_owned(), time)
}

fn part(share: impl Number, of: impl Number) -> String {
    if of.number() > 0.0 { format::share(share.number() / of.number()) } else { DASH.to_owned() }
}

/// A label as words.
fn words(label: &str) -> String {
    label.replace('_', " ")
}

/// As in a URL (RFC 3986 section 3.2.2).
fn endpoint(address: &str, port: &u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests;
