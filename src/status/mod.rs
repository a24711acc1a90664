//! Aggregates → [`Status`]: what the page for people and `/api/v1/status` tell, as one plain value.
//!
//! The numbers are those of `/metrics`, cumulative since the start: whoever wants a rate takes two of them, so that
//! nothing is kept here for readers who may never come. What is not known is `None`, never a number made up.
//! `docs/api.md` describes the JSON for its users; `tests/data/status.json` holds it to its shape.

#![forbid(unsafe_code)]

mod health;
pub mod mysql;
pub mod sockets;

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::metrics::build;
pub use health::{Health, Level};
pub use mysql::Mysql;
pub use sockets::Sockets;

/// Everything there is to tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Of the program.
    pub version: &'static str,
    /// The commit it was built from, or `unknown`.
    pub revision: &'static str,
    /// Since the program started: the clock to take rates by.
    pub uptime_seconds: f64,
    /// Of both collectors.
    pub health: Health,
    /// For each network namespace, the program's own first; `None` if the collector is off.
    pub sockets: Option<Vec<Sockets>>,
    /// `None` if the collector is off.
    pub mysql: Option<Mysql>,
}

impl Status {
    /// What the collectors told `uptime` after the start.
    pub fn new(uptime: Duration, sockets: Option<Vec<Sockets>>, mysql: Option<Mysql>) -> Self {
        let health = Health::of(sockets.as_deref(), mysql.as_ref());
        let uptime_seconds = uptime.as_secs_f64();
        Self { version: build::VERSION, revision: build::REVISION, uptime_seconds, health, sockets, mysql }
    }

    /// As JSON.
    pub fn json(&self) -> Vec<u8> {
        // Fails for maps with keys that are no strings only, of which there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Values by label, in an order that means something: an object in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Labelled<T>(pub Vec<(&'static str, T)>);

impl<T> Labelled<T> {
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, T)> {
        self.0.iter()
    }

    /// The value of one label.
    pub fn get(&self, label: &str) -> Option<&T> {
        self.iter().find_map(|(name, value)| (*name == label).then_some(value))
    }
}

impl<T> FromIterator<(&'static str, T)> for Labelled<T> {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Labelled<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(label, value)| (label, value)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
