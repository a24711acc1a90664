//! Digests from outside: a table of statements, pt-query-digest as an oracle, canaries, properties.

#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests may start programs and read clocks"
)]

mod canary;
mod forms;
mod grammar;
mod oracle;
mod properties;
mod statements;
#[path = "../support/mod.rs"]
mod support;
mod table;

use dbwire_exporter::digest::{Escapes, Normalizer};

/// The normalised text of a complete statement.
fn text(sql: &[u8]) -> Option<String> {
    let mut normalizer = Normalizer::new();
    normalizer.digest(sql, true, Escapes::Backslash).shape.map(|shape| shape.text.to_owned())
}
