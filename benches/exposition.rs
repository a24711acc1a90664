//! What a page of a thousand series costs, by format: CPU time from what was counted to the last byte.
//!
//! The series are those of a host that shows all it can (`tests/series.rs`): `cargo bench --bench exposition`.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../tests/support/busy_host.rs"]
mod busy_host;
#[path = "../tests/support/counted.rs"]
mod counted;
#[path = "../tests/support/dialogue.rs"]
#[allow(dead_code, unreachable_pub)]
mod dialogue;

use std::time::Duration;

use dbwire_exporter::{
    io::clock::thread_cpu_time,
    metrics::{family::Family, format::Format, mysql::families, names},
};
use prometheus::proto::MetricFamily;

const ROUNDS: usize = 31;
/// Pages of a round.
const PAGES: u32 = 50;
/// Series of a page.
const SERIES: usize = 1000;

fn main() {
    let stats = counted::busy_host();
    let decoder = series(families(&stats));
    // What the page of a host has besides, in its simplest form.
    let page = || {
        let mut families = families(&stats);
        let mut rest = Family::new(&names::TCP_PORT_CONNECTION_STATES);
        (decoder..SERIES)
            .for_each(|number| rest.push(&["3306", "inbound", OTHERS[number % OTHERS.len()]], 1.0));
        families.push(rest.build());
        families
    };
    println!("{} series; medians of {ROUNDS} rounds of {PAGES} pages, CPU time", series(page()));
    for format in [Format::ALL[0], Format::ALL[2], Format::Protobuf] {
        let (mut written, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = thread_cpu_time();
            for _ in 0..PAGES {
                written.clear();
                format.encode(page(), None, &mut written).expect("writing to memory");
            }
            costs.push((thread_cpu_time() - before) / PAGES);
        }
        println!(
            "{:<34} {:>6.3} ms, {} bytes",
            format.media_type(),
            millis(median(&mut costs)),
            written.len()
        );
    }
}

const OTHERS: [&str; 3] = ["established", "time_wait", "listen"];

/// As text has them.
fn series(families: Vec<MetricFamily>) -> usize {
    let mut page = Vec::new();
    Format::ALL[0].encode(families, None, &mut page).expect("writing to memory");
    page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).count()
}

fn median(costs: &mut [Duration]) -> Duration {
    costs.sort_unstable();
    costs[costs.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
