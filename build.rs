//! Fails early, and in words, where the MySQL half is wanted and libpcap is not installed (the linker's own
//! message, "cannot find -lpcap", names no package); and tells the program what it was built from.

#![allow(clippy::disallowed_methods, reason = "a build script asks git and rustc")]

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    tell_origin();
    require_libpcap();
}

/// Sets `DBWIRE_BUILD_REVISION` and `DBWIRE_BUILD_RUSTC` for `metrics::build`. A packager who builds outside git
/// sets the former in the environment.
fn tell_origin() {
    println!("cargo::rerun-if-env-changed=DBWIRE_BUILD_REVISION");
    let revision = env::var("DBWIRE_BUILD_REVISION")
        .ok()
        .filter(|given| !given.is_empty())
        .or_else(git_revision)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=DBWIRE_BUILD_REVISION={revision}");

    let rustc = env::var_os("RUSTC").and_then(|rustc| first_line(Command::new(rustc).arg("--version")));
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let version = rustc.as_deref().and_then(|line| line.split(' ').nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=DBWIRE_BUILD_RUSTC={version}");
}

/// The commit of the sources; `None` outside a repository and without git.
fn git_revision() -> Option<String> {
    let revision = first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))?;
    // Every commit and checkout appends to the reflog, whichever files it changes.
    if let Some(log) = first_line(Command::new("git").args(["rev-parse", "--git-path", "logs/HEAD"]))
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    Some(revision)
}

/// The first line a command prints, if it succeeds and prints any.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}

fn require_libpcap() {
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    let capture = env::var_os("CARGO_FEATURE_CAPTURE").is_some();
    // LIBPCAP_LIBDIR is the `pcap` crate's own override for a libpcap outside the usual places.
    if !capture || env::var_os("LIBPCAP_LIBDIR").is_some() {
        return;
    }
    if pkg_config::Config::new().cargo_metadata(false).probe("libpcap").is_err() {
        println!(
            "cargo::error=libpcap was not found. Install its development package \
             (Debian, Ubuntu: apt-get install libpcap-dev pkg-config; Fedora, RHEL: dnf install libpcap-devel; \
             Alpine: apk add libpcap-dev), set LIBPCAP_LIBDIR, or build the sockets-only binary with \
             --no-default-features."
        );
    }
}
