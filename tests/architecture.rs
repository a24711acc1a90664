//! The rules in the documentation of `src/lib.rs`, as far as a program can check them.
//!
//! `clippy.toml` bans single functions; this reads every path in `src/` and checks who uses what: I/O only in `io/`
//! and `main.rs`, and stages that know only the stages before them.

#![allow(clippy::disallowed_methods, reason = "a test reads the sources")]

#[path = "support/source.rs"]
mod source;

use std::{collections::BTreeSet, fs, path::Path};

use source::{Source, sources};

/// What each module of the library may use of the others. Reads as the data flow: packets become segments, become
/// streams, events, aggregates, families, a page. `io` and `main.rs` may use everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("packet", &["config", "sample"]),
    ("slots", &[]),
    ("stream", &["limits", "packet", "slots"]),
    ("digest", &[]),
    ("mysql", &["digest", "limits", "packet", "stream"]),
    ("sample", &["slots"]),
    ("stats", &["config", "digest", "limits", "mysql", "packet", "sample"]),
    ("pipeline", &["config", "digest", "limits", "mysql", "packet", "sample", "stats", "stream"]),
    ("sockets", &[]),
    ("metrics", &["digest", "limits", "mysql", "sample", "sockets", "stats"]),
    ("status", &["digest", "limits", "metrics", "mysql", "sample", "sockets", "stats"]),
    ("report", &["stats"]),
    ("web", &["metrics", "status"]),
    ("check", &["sample"]),
    ("cli", &["sample"]),
    ("config", &["cli", "sample"]),
];

/// Modules that read bytes from the network or the kernel.
const UNTRUSTED: &[&str] = &["packet", "slots", "stream", "mysql", "digest", "sockets"];

/// Crates and parts of `std` that do I/O, start threads or read clocks.
const IO_ONLY: &[&str] = &[
    "libc",
    "neli::router",
    "neli::socket",
    "pcap",
    "socket2",
    "tokio",
    "hyper_util",
    "std::env",
    "std::fs",
    "std::os",
    "std::process",
    "std::thread",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
];

/// Ends of paths that read a clock, however their type was imported.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "UNIX_EPOCH::elapsed"];

fn outside_io() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| !["io", "main"].contains(&source.stage()))
}

#[test]
fn only_io_and_main_touch_sockets_files_threads_and_clocks() {
    for source in outside_io() {
        for path in source.paths() {
            let banned = IO_ONLY.iter().find(|banned| path.strip_prefix(**banned).is_some_and(is_path_end));
            // Error numbers are values.
            let banned = banned.filter(|_| !path.starts_with("libc::E"));
            let clock = CLOCKS.iter().find(|clock| path.ends_with(**clock));
            assert_eq!(banned.or(clock), None, "{} uses {path}", source.name);
        }
    }
}

fn is_path_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with("::")
}

#[test]
fn each_stage_uses_only_the_stages_before_it() {
    let stages: BTreeSet<_> = MAY_USE.iter().map(|(stage, _)| *stage).collect();
    for source in outside_io().filter(|source| source.stage() != "lib") {
        let stage = source.stage();
        let (_, may_use) = MAY_USE
            .iter()
            .find(|(name, _)| *name == stage)
            .unwrap_or_else(|| panic!("{stage} has no row in MAY_USE: where in the data flow is it?"));
        for path in source.paths() {
            let Some(used) = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next()) else {
                continue;
            };
            let known = stages.contains(used) || used == "io";
            let allowed = used == stage || may_use.contains(&used) || !known;
            assert!(allowed, "{} uses {path}: {stage} must not know {used}", source.name);
        }
    }
}

#[test]
fn the_stages_form_no_circle() {
    // Taking away, again and again, the stages that need none of those left must leave none.
    let mut left: Vec<_> = MAY_USE.to_vec();
    while let Some(free) =
        left.iter().position(|(_, uses)| !left.iter().any(|(stage, _)| uses.contains(stage)))
    {
        left.remove(free);
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn unsafe_is_forbidden_outside_io() {
    for source in sources().iter().filter(|source| source.is_stage_root() && source.stage() != "io") {
        assert!(source.code.contains("#![forbid(unsafe_code)]"), "{} lacks it", source.name);
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_safe() {
    for source in sources() {
        let text: Vec<_> = source.text.lines().collect();
        for (number, _) in source.code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
            let above = text[..number].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
            let explained = above.into_iter().any(|line| line.contains("SAFETY:"));
            assert!(explained, "{}:{} has no SAFETY line above", source.name, number + 1);
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[test]
fn modules_that_read_untrusted_bytes_deny_what_can_panic() {
    for source in
        sources().iter().filter(|source| source.is_stage_root() && UNTRUSTED.contains(&source.stage()))
    {
        let code: String = source.code.split_whitespace().collect();
        for lint in ["indexing_slicing", "unwrap_used", "expect_used", "panic"] {
            assert!(
                code.contains(&format!("clippy::{lint}")),
                "{} does not deny clippy::{lint}",
                source.name
            );
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for source in sources() {
        for word in ["todo", "unimplemented", "TODO", "FIXME", "XXX"] {
            let line = source.text.lines().position(|line| has_word(line, word));
            assert_eq!(line, None, "{}: {word}", source.name);
        }
    }
}

#[test]
fn the_table_names_modules_that_exist() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (stage, _) in MAY_USE {
        let exists = fs::exists(src.join(format!("{stage}.rs"))).unwrap() || src.join(stage).is_dir();
        assert!(exists, "{stage}");
    }
}
