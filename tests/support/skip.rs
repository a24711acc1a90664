//! Tests that cannot run here say so by name.
//!
//! Lack of privileges is a reason to skip anywhere. A missing program is one on a person's machine, but where
//! `CI=true` everything is meant to be installed, so there it is a failure.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::disallowed_methods, reason = "tests look at their environment")]

use std::{
    env,
    fs::{self, OpenOptions},
    io::{Write, stderr},
    os::unix::fs::MetadataExt,
    process::Command,
};

/// Says that `test` did not run, and why: past libtest's capture, and into the file that `make test` shows last.
pub fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    // A whole line in one write: tests run side by side.
    let _ = stderr().write_all(line.as_bytes());
    if let Some(path) = env::var_os("DBWIRE_SKIPPED")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Whether `test` may go on: it needs root (network namespaces, packet capture).
pub fn root(test: &str) -> bool {
    let root = is_root();
    if !root {
        skipped(test, "needs root");
    }
    root
}

/// Whether `test` may go on: it needs these programs.
///
/// # Panics
///
/// Where one is missing and `CI=true`.
pub fn programs(test: &str, names: &[&str]) -> bool {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !installed(name)).collect();
    missing.is_empty() || unavailable(test, &format!("{} not installed", missing.join(", ")))
}

/// Something other than privileges is lacking: false, having said so.
///
/// # Panics
///
/// Where `CI=true`.
pub fn unavailable(test: &str, why: &str) -> bool {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{test}: {why}");
    skipped(test, why);
    false
}

fn installed(program: &str) -> bool {
    let search = format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}");
    Command::new("sh").args(["-c", &search]).output().is_ok_and(|found| found.status.success())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}
