//! How far estimates are off, simulated, and what a census costs: `cargo bench --bench sampling` prints the tables of
//! `docs/sampling.md`.
//!
//! Each drawing is a minute of a load whose connections get random ports, seen through a random class. Seeded: two runs
//! print the same. The census is one of real connections, on loopback, by this thread's CPU clock.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

#[path = "../tests/support/loads.rs"]
mod loads;
#[path = "../tests/support/redraw.rs"]
mod redraw;
#[path = "../tests/support/trial.rs"]
mod trial;

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use dbwire_exporter::{
    config::PortSet,
    io::{capture::census::CensusTaker, clock::thread_cpu_time, netlink::Dumper},
    sample::{
        class::SampleClass,
        estimator::Slice,
        multiplier::Multiplier,
        sampler::{Sampler, Settings},
    },
    stream::key::Ends,
};
use loads::LOADS;
use trial::{FIXED, NOMINAL, ROTATING, score};

const DRAWINGS: u64 = 400;
const MEASURES: [&str; 4] = ["queries", "errors", "seconds", "one digest"];

/// Sockets of which a census is measured: here two for each connection, on a database's host one.
const CENSUSES: [usize; 4] = [100, 2000, 4000, 12_000];
/// Each is measured so often; the median counts.
const ROUNDS: usize = 41;
/// How often a census is made, and the share of a CPU that it may take then of 2,000 sockets.
const EVERY: Duration = Duration::from_secs(5);
const MOST: f64 = 0.001;

fn main() {
    errors();
    println!("\nCPU time of a census of sockets to the server ports, and its share of a CPU every 5 s\n");
    println!("| sockets | list, ms | weigh, ms | share |\n|---:|---:|---:|---:|");
    for sockets in CENSUSES {
        let costs = census_costs(sockets / 2);
        let share = (costs[0] + costs[1]).as_secs_f64() / EVERY.as_secs_f64();
        let [list, weigh] = costs.map(|cost| cost.as_secs_f64() * 1e3);
        println!("| {sockets} | {list:.2} | {weigh:.2} | {:.3} % |", 100.0 * share);
        assert!(sockets > 2000 || share <= MOST, "{sockets} sockets: {share}");
    }
}

/// CPU time to list connections, and to make weights of the list.
fn census_costs(connections: usize) -> [Duration; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let open = |_| {
        let client = TcpStream::connect(address).expect("a connection");
        (client, listener.accept().expect("its other end").0)
    };
    let open: Vec<_> = (0..connections).map(open).collect();
    let ports = PortSet::new(&[address.port()]).expect("a port");
    let mut taker = CensusTaker::new(ports, Dumper::of_kernel());
    let class = SampleClass::new(3, 1, 0).expect("a class");
    let mut sampler = Sampler::new(Settings { class, multiplier: Multiplier::Measured, rotate: None });
    let costs = (0..ROUNDS).map(|_| {
        let begun = thread_cpu_time();
        let census = taker.take().expect("a census");
        let listed = thread_cpu_time();
        assert_eq!(census.len(), connections);
        let sampled = census.iter().filter(|(_, socket)| class.contains(socket.client_port));
        let slice = Slice { lasting: sampled.map(|(key, _)| (*key, [1.0; 3])).collect(), ..Slice::default() };
        let weighs = thread_cpu_time();
        sampler.census(census, slice, EVERY, class, Ends::client_port);
        [listed - begun, thread_cpu_time() - weighs]
    });
    let costs: Vec<_> = costs.collect();
    drop(open);
    [0, 1].map(|step| {
        let mut costs: Vec<_> = costs.iter().map(|cost| cost[step]).collect();
        costs.sort_unstable();
        costs[ROUNDS / 2]
    })
}

fn errors() {
    for bits in [3, 8] {
        println!("\nN = {bits}, 60 s, {DRAWINGS} drawings: RMSE (bias) of the number of queries, %\n");
        println!("| load | nominal 2^N | measured | measured, rotating |\n|---|---:|---:|---:|");
        for load in LOADS {
            let cells = [NOMINAL, FIXED, ROTATING].map(|way| {
                let score = score(&load, way, bits, 60, DRAWINGS);
                format!("{:.2} ({:+.2})", score.rmse(0), score.bias(0))
            });
            println!("| {} | {} |", load.name, cells.join(" | "));
        }
    }
    println!("\nN = 3, measured: RMSE, %, by what is estimated; a class that stays, and rotation\n");
    println!("| load | {} |\n|---|{}", MEASURES.join(" | "), "---:|".repeat(MEASURES.len()));
    for load in LOADS {
        let [fixed, rotating] = [FIXED, ROTATING].map(|way| score(&load, way, 3, 60, DRAWINGS));
        let cell = |measure| format!("{:.1} → {:.1}", fixed.rmse(measure), rotating.rmse(measure));
        println!("| {} | {} |", load.name, [0, 1, 2, 3].map(cell).join(" | "));
    }
    println!("\nN = 3: 95 % intervals that hold the truth, % of those published (n_eff ≥ 4)\n");
    println!("| load | way | published | queries | errors | seconds |\n|---|---|---:|---:|---:|---:|");
    for load in LOADS {
        for (name, way) in [("fixed", FIXED), ("rotating", ROTATING)] {
            let score = score(&load, way, 3, 60, DRAWINGS);
            let share = 100.0 * score.published() / DRAWINGS as f64;
            let cell =
                |measure| score.coverage(measure).map_or("–".to_owned(), |share| format!("{share:.0}"));
            println!("| {} | {name} | {share:.0} % | {} |", load.name, [0, 1, 2].map(cell).join(" | "));
        }
    }
}
