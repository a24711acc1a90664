//! Decoding takes no more instructions than it did (`benches/instructions.rs`, built as a release is).
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods)] // tests start programs

#[path = "support/skip.rs"]
mod skip;

use std::process::Command;

use dbwire_exporter::metrics::build::RUSTC;

const TEST: &str = "decoding_takes_no_more_instructions_than_it_did";
const RECORDED: &str = include_str!("../benches/instructions.txt");

#[test]
fn decoding_takes_no_more_instructions_than_it_did() {
    if !skip::programs(TEST, &["valgrind"]) {
        return;
    }
    if !RECORDED.lines().any(|line| line.strip_prefix("rustc ") == Some(RUSTC)) {
        return skip::skipped(TEST, &format!("the figures are not those of rustc {RUSTC}"));
    }
    let bench = Command::new(env!("CARGO"))
        .args(["bench", "--locked", "--bench", "instructions"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    print!("{}", String::from_utf8_lossy(&bench.stdout));
    assert!(bench.status.success(), "{}", String::from_utf8_lossy(&bench.stderr));
}
