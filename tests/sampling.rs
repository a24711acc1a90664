//! Estimates over many drawings of the classes: of simulated loads, and of real traffic that was recorded.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests start programs")]

#[path = "support/loads.rs"]
mod loads;
#[path = "support/redraw.rs"]
mod redraw;
#[path = "support/trial.rs"]
mod trial;

use loads::LOADS;
use trial::{FIXED, NOMINAL, ROTATING, score};

/// Enough to tell 0.02 % from 1 %; `cargo bench --bench sampling` makes more of them.
const DRAWINGS: u64 = 40;

fn load(name: &str) -> loads::Load {
    *LOADS.iter().find(|load| load.name == name).expect("a load")
}

#[test]
fn queries_of_unlike_connections_are_estimated_to_a_percent_where_two_to_the_n_is_off_by_half() {
    for name in ["64 connections, Zipf", "200 connections, Zipf", "64, Zipf, inserts of 1 MB, a dump"] {
        let [nominal, measured, rotating] =
            [NOMINAL, FIXED, ROTATING].map(|way| score(&load(name), way, 3, 60, DRAWINGS));
        println!("{name}: {:.1} {:.3} {:.3}", nominal.rmse(0), measured.rmse(0), rotating.rmse(0));
        assert!(nominal.rmse(0) > 25.0, "{name}: {}", nominal.rmse(0));
        assert!(measured.rmse(0) <= 1.0, "{name}: {}", measured.rmse(0));
        assert!(rotating.rmse(0) <= 1.0, "{name}: {}", rotating.rmse(0));
    }
}

#[test]
fn queries_of_short_connections_are_estimated_to_a_percent_at_three_bits_and_to_five_at_eight() {
    let short = load("500 connections opened a second");
    for (bits, most) in [(3, 1.0), (8, 5.0)] {
        let score = score(&short, FIXED, bits, 10, DRAWINGS);
        println!("N = {bits}: {:.2} %", score.rmse(0));
        assert!(score.rmse(0) <= most, "N = {bits}: {}", score.rmse(0));
    }
}

/// Half of what they do is done in the slice that they end in, or are opened in.
#[test]
fn queries_of_connections_that_live_for_seconds_are_estimated_to_two_percent() {
    let load = load("100, Zipf, each for seven seconds");
    let [nominal, measured] = [NOMINAL, FIXED].map(|way| score(&load, way, 3, 60, DRAWINGS));
    println!("{:.1} {:.3} ({:+.3})", nominal.rmse(0), measured.rmse(0), measured.bias(0));
    assert!(nominal.rmse(0) > 10.0 && measured.rmse(0) <= 2.0, "{} {}", nominal.rmse(0), measured.rmse(0));
}

#[test]
fn rotation_sees_the_mix_of_digests_better_than_any_class() {
    for name in ["64 connections, Zipf", "200 connections, Zipf"] {
        let [fixed, rotating] = [FIXED, ROTATING].map(|way| score(&load(name), way, 3, 60, DRAWINGS));
        println!("{name}: {:.1} % fixed, {:.1} % rotating", fixed.rmse(3), rotating.rmse(3));
        assert!(rotating.rmse(3) < fixed.rmse(3) && rotating.rmse(3) <= 25.0, "{name}: {}", rotating.rmse(3));
    }
}
