//! What capturing costs: reading files against others that read them, and a database's load with the exporter beside it
//! and without.
//!
//! ```text
//! make bench-capture                        both
//! make bench-capture ONLY=files FILE=a.pcap PORT=3306
//! make bench-capture ONLY=live ROUNDS=5 SECONDS=5
//! ```
//!
//! Everything runs in turns, and the tables have medians; ratios are of one run. CPU time is that of whole processes, in
//! user space and in the kernel. Tables and plots (`target/bench/*.svg`) are made from the same figures.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures them and prints"
)]

mod files;
mod live;
mod plot;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, error::Error};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options: BTreeMap<&str, &str> = words.iter().filter_map(|word| word.split_once('=')).collect();
    let number = |name: &str, default: u64| options.get(name).map_or(Ok(default), |text| text.parse::<u64>());
    let only = options.get("ONLY").copied();
    if only != Some("live") {
        let port = number("PORT", 3306)?;
        files::run(options.get("FILE").copied(), u16::try_from(port)?, number("ROUNDS", 3)?)?;
    }
    if only != Some("files") {
        live::run(number("ROUNDS", 3)?, number("SECONDS", 3)?)?;
    }
    Ok(())
}

/// The middle one; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
