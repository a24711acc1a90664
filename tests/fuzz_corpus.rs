//! The fuzz targets without a fuzzer: over their committed corpora, and over mutations of those.
//!
//! Deterministic: the same inputs each time. `make fuzz` goes on where this ends.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, reason = "a test reads files")]
#![allow(clippy::print_stdout, reason = "the input that a target failed on")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use proptest::{
    prelude::Rng as _,
    test_runner::{RngAlgorithm, TestRng},
};

/// Mutated inputs of each target.
const MUTATIONS: usize = 4000;
/// A mutated input is cut to this.
const LONGEST: usize = 4096;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

/// What a folder of the fuzz targets holds, without extensions.
fn listed(name: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(name)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut names: Vec<_> =
        entries.map(|path| path.file_stem().expect("a name").display().to_string()).collect();
    names.sort();
    names
}

/// The inputs of a target's corpus by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let inputs = inputs(&folder("corpus").join(target));
    assert!(!inputs.is_empty(), "{target} has no corpus");
    inputs
}

/// What a folder holds, if it is there.
fn inputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().display().to_string(), fs::read(entry.path()).expect("an input")))
        .collect();
    inputs.sort();
    inputs
}

/// One test for each target, by its name.
macro_rules! targets_hold {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name), targets::$name);
        })*

        #[test]
        fn every_target_has_a_corpus_and_a_program() {
            let mut names = [$(stringify!($name)),*];
            names.sort_unstable();
            assert_eq!(listed("corpus"), names);
            assert_eq!(listed("fuzz_targets"), names);
        }
    };
}

targets_hold!(
    segment filter stream session proxy_protocol compression tls pipeline digest inet_diag proc_net accept web_config
);

fn holds(name: &str, target: fn(&[u8])) {
    // What `make fuzz` has found so far, for `make coverage`.
    if let Ok(found) = env::var("DBWIRE_FUZZ_FOUND") {
        for (input, bytes) in inputs(&Path::new(&found).join(name)) {
            run(target, &input, &bytes);
        }
    }
    let inputs = corpus(name);
    for (input, bytes) in &inputs {
        run(target, input, bytes);
    }
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    for round in 0..MUTATIONS {
        let (input, bytes) = &inputs[round % inputs.len()];
        let other = &inputs[pick(&mut rng, inputs.len())].1;
        run(target, &format!("mutation {round} of {input}"), &mutate(&mut rng, bytes, other));
    }
}

/// Says which input it was, should the target fail.
fn run(target: fn(&[u8]), input: &str, bytes: &[u8]) {
    if let Err(failure) = std::panic::catch_unwind(|| target(bytes)) {
        println!("{input}: {bytes:02x?}");
        std::panic::resume_unwind(failure);
    }
}

fn pick(rng: &mut TestRng, below: usize) -> usize {
    rng.next_u32() as usize % below.max(1)
}

/// A few of what libFuzzer does: bytes changed, taken out, put in, repeated, and parts of another input.
fn mutate(rng: &mut TestRng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    const TELLING: [u8; 12] = [0x00, 0x01, 0x03, 0x16, 0x17, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
    let mut bytes = bytes.to_vec();
    for _ in 0..=pick(rng, 4) {
        let at = pick(rng, bytes.len());
        let length = pick(rng, 16);
        let end = (at + length).min(bytes.len());
        match pick(rng, 7) {
            0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << pick(rng, 8)),
            1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = TELLING[pick(rng, TELLING.len())]),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, (0..length).map(|_| rng.next_u32() as u8)).collect::<Vec<_>>()),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 => {
                let from = pick(rng, other.len());
                let part = other[from..(from + 4 * length).min(other.len())].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
