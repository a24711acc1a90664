//! Faults and attacks, each made to happen for real, with the reaction that is required.
//!
//! A row of the table is a function that injects its fault into a network namespace of its own, asserts the reaction, and
//! returns the figure it saw. The table is printed, and written to `target/tables/faults.md`. Needs root; without, the
//! test prints `SKIPPED`.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

mod bystander;
mod http;
mod interfaces;
mod lab;
mod memory;
mod process;
#[path = "../support/scripted.rs"]
#[allow(dead_code)]
mod scripted;
#[path = "../support/seccomp.rs"]
mod seccomp;
mod secured;
mod server;
mod server_soak;
mod soak;
mod sockets;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
#[path = "../support/unshare.rs"]
#[allow(dead_code)]
mod unshare;
mod vitals;
#[path = "../support/wire.rs"]
mod wire;

use support::{clients::SYSBENCH, mariadb::MariaDb, skip};

use std::{
    any::Any,
    fmt::Write as _,
    fs,
    io::Write as _,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// One row.
struct Fault {
    /// What happens.
    injection: &'static str,
    /// What the exporter has to do.
    reaction: &'static str,
    /// Makes it happen, asserts the reaction, and tells what it saw.
    run: fn() -> String,
}

const fn fault(injection: &'static str, reaction: &'static str, run: fn() -> String) -> Fault {
    Fault { injection, reaction, run }
}

/// Rows that run side by side: most of a row is waiting.
const LANES: usize = 4;

#[test]
fn every_fault_has_the_required_reaction() {
    let test = "every_fault_has_the_required_reaction";
    if !skip::root(test) || !skip::programs(test, &["ip", "prlimit", "setpriv"]) {
        return;
    }
    let only = std::env::var("FAULT").unwrap_or_default();
    let faults: Vec<_> = [
        interfaces::FAULTS,
        traffic::FAULTS,
        http::FAULTS,
        secured::FAULTS,
        process::FAULTS,
        memory::FAULTS,
        server::FAULTS,
        sockets::FAULTS,
    ]
    .concat_rows()
    .into_iter()
    .filter(|fault| fault.injection.contains(&only))
    .collect();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = in_namespace(fault.run);
                    outcomes.lock().unwrap().push((fault.injection, fault.reaction, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    let place = |injection| faults.iter().position(|fault| fault.injection == injection);
    outcomes.sort_by_key(|(injection, ..)| place(*injection));
    let failed = outcomes.iter().filter(|(.., outcome)| outcome.is_err()).count();
    print(&outcomes);
    assert_eq!(failed, 0, "of {} faults", outcomes.len());
    assert!(outcomes.len() >= 40 || !only.is_empty(), "{} faults", outcomes.len());
}

#[test]
fn under_load_and_faults_nothing_grows_and_nothing_is_lost() {
    let test = "under_load_and_faults_nothing_grows_and_nothing_is_lost";
    if !skip::root(test) || !skip::programs(test, &["ip", "prlimit"]) {
        return;
    }
    let line = in_namespace(soak::run).unwrap_or_else(|message| panic!("{message}"));
    let _ = writeln!(std::io::stderr(), "soak: {line}");
}

#[test]
fn under_load_of_a_real_server_counts_stay_true_and_estimates_as_near_as_they_say() {
    let test = "under_load_of_a_real_server_counts_stay_true_and_estimates_as_near_as_they_say";
    let programs = [MariaDb::PROGRAMS, SYSBENCH, &["ip", "prlimit"]].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let line = in_namespace(server_soak::run).unwrap_or_else(|message| panic!("{message}"));
    let _ = writeln!(std::io::stderr(), "soak: {line}");
}

#[test]
fn the_database_works_on_whatever_becomes_of_the_exporter() {
    let test = "the_database_works_on_whatever_becomes_of_the_exporter";
    let programs = [MariaDb::PROGRAMS, SYSBENCH, &["ip", "chrt"]].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let line = in_namespace(bystander::run).unwrap_or_else(|message| panic!("{message}"));
    let _ = writeln!(std::io::stderr(), "bystander: {line}");
}

/// Runs a row on a thread with a network namespace of its own.
fn in_namespace(run: fn() -> String) -> Result<String, String> {
    let thread = thread::spawn(move || {
        unshare::enter_new().expect("unshare(CLONE_NEWNET) and lo up");
        panic::catch_unwind(AssertUnwindSafe(run)).map_err(|panic| message(&*panic))
    });
    thread.join().expect("panics are caught")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

fn print(outcomes: &[(&str, &str, Result<String, String>)]) {
    let mut table = String::from("| fault | required | seen |\n|---|---|---|\n");
    for (injection, reaction, outcome) in outcomes {
        let seen = match outcome {
            Ok(figure) => figure.clone(),
            Err(message) => format!("**FAILED** {}", message.replace('\n', " ")),
        };
        let _ = writeln!(table, "| {injection} | {reaction} | {seen} |");
    }
    // libtest would show it of a failed test only.
    let _ = std::io::stderr().write_all(table.as_bytes());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tables");
    fs::create_dir_all(folder).and_then(|()| fs::write(format!("{folder}/faults.md"), &table)).unwrap();
}

/// All rows of several tables.
trait ConcatRows {
    fn concat_rows(self) -> Vec<&'static Fault>;
}

impl<const N: usize> ConcatRows for [&'static [Fault]; N] {
    fn concat_rows(self) -> Vec<&'static Fault> {
        self.into_iter().flatten().collect()
    }
}
