//! What capturing costs: reading files against others that read them, and a database's load with the exporter beside it
//! and without.
//!
//! ```text
//! make bench-capture                        everything
//! make bench-capture ONLY=files FILE=a.pcap PORT=3306
//! make bench-capture ONLY=live ROUNDS=5 SECONDS=5 LOAD='point selects'
//! make bench-capture ONLY=threads
//! ```
//!
//! Everything runs in turns, and the tables have medians; ratios are of one run. CPU time is that of whole processes, in
//! user space and in the kernel. Tables and plots are made from the same figures; `PLOTS` is the folder for these.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures them and prints"
)]

mod counting;
mod files;
mod live;
mod plot;
#[path = "../../tests/support/mod.rs"]
mod support;
mod threads;

use std::{collections::BTreeMap, error::Error, path::Path};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options: BTreeMap<&str, &str> = words.iter().filter_map(|word| word.split_once('=')).collect();
    let number = |name: &str, default: u64| options.get(name).map_or(Ok(default), |text| text.parse::<u64>());
    let rounds = number("ROUNDS", 3)?;
    let plots = Path::new(env!("CARGO_MANIFEST_DIR")).join(options.get("PLOTS").unwrap_or(&"target/bench"));
    let only = options.get("ONLY").copied();
    let wanted = |part| only.is_none_or(|only| only == part);
    if wanted("files") {
        let port = u16::try_from(number("PORT", 3306)?)?;
        files::run(options.get("FILE").copied(), port, rounds, &plots)?;
    }
    if wanted("live") {
        live::run(options.get("LOAD").copied(), rounds, number("SECONDS", 3)?, &plots)?;
    }
    if wanted("threads") {
        threads::run(rounds)?;
    }
    Ok(())
}

/// The middle one; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
