//! Many drawings of one load.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use std::{collections::HashMap, time::Duration};

use dbwire_exporter::sample::multiplier::Multiplier;

use super::{
    loads::Load,
    redraw::{Random, Score, Traffic, Way},
};

pub const NOMINAL: Way = Way { bits: 3, multiplier: Multiplier::Auto, rotate: None };
pub const FIXED: Way = Way { bits: 3, multiplier: Multiplier::Measured, rotate: None };
pub const ROTATING: Way =
    Way { bits: 3, multiplier: Multiplier::Measured, rotate: Some(Duration::from_secs(10)) };

/// Over `drawings` of so many seconds, each with a seed of its own.
pub fn score(load: &Load, way: Way, bits: u8, seconds: u32, drawings: u64) -> Score {
    let mut score = Score::default();
    for seed in 0..drawings {
        redraw(&load.traffic(seconds, seed), Way { bits, ..way }, seed, &mut score);
    }
    score
}

/// One drawing. A class without traffic has no estimate, and is not one.
pub fn redraw(traffic: &Traffic, way: Way, seed: u64, score: &mut Score) {
    let mut random = Random(seed ^ 0x5eed);
    let mut ports = HashMap::new();
    for activity in traffic.slices.iter().flatten() {
        ports.entry(activity.connection).or_insert_with(|| random.port());
    }
    let mut numbers: Vec<u64> = ports.keys().copied().collect();
    numbers.sort_unstable();
    // The class of one of the connections.
    let chosen = ports[&numbers[(random.next() % numbers.len() as u64) as usize]];
    let class = (chosen >> 1) & ((1 << way.bits) - 1);
    score.add(&traffic.run(way, class, &ports));
}
