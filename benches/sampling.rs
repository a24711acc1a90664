//! How far estimates are off, simulated: `cargo bench --bench sampling` prints the tables of `docs/sampling.md`.
//!
//! Each drawing is a minute of a load whose connections get random ports, seen through a random class. Seeded: two runs
//! print the same.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../tests/support/loads.rs"]
mod loads;
#[path = "../tests/support/redraw.rs"]
mod redraw;
#[path = "../tests/support/trial.rs"]
mod trial;

use loads::LOADS;
use trial::{FIXED, NOMINAL, ROTATING, score};

const DRAWINGS: u64 = 400;
const MEASURES: [&str; 4] = ["queries", "errors", "seconds", "one digest"];

fn main() {
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
