//! One capture thread against two, over the very same packets at the same time.

use std::sync::Mutex;

use super::{
    Outcome, median,
    support::{many, skip},
};

pub(crate) fn run(rounds: u64) -> Outcome {
    let name = "bench-capture";
    if !skip::root(name) {
        return Ok(());
    }
    let taken = Mutex::new(Vec::new());
    for _ in 0..rounds.max(1) {
        many::compare(name, 2, |one, two| {
            taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((one, two));
        });
    }
    let taken = taken.into_inner()?;
    let nanos = |outcome: &many::Outcome| outcome.busiest() / outcome.packets * 1e9;
    let [one, two, gain] = [|one: f64, _: f64| one, |_: f64, two: f64| two, |one: f64, two: f64| one / two]
        .map(|of| median(taken.iter().map(|(one, two)| of(nanos(one), nanos(two))).collect()));
    println!("\n## Threads\n\n| | CPU of the busiest, ns for each packet of all | |\n|---|---:|---:|");
    println!("| one thread | {one:.0} | 1.00 |\n| two threads | {two:.0} | {gain:.2} |");
    Ok(())
}
