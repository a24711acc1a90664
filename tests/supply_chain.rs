//! What the program is made of: every crate's licence is one that we may use, and comes from the registry.

#![allow(clippy::disallowed_methods, reason = "a test runs cargo")]

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Licences that allow what the project's own does.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Every package that `Cargo.lock` names, as `cargo metadata` describes it, without asking a network.
fn packages() -> Vec<Value> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path", manifest];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n`cargo fetch --locked` gets what is missing");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// SPDX, and the slash that older crates write for OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|licence| ALLOWED.contains(&licence.trim())))
}

#[test]
fn every_licence_is_allowed() {
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence), "{} {}: {licence:?}", package["name"], package["version"]);
    }
}

#[test]
fn every_crate_but_this_one_comes_from_the_registry() {
    for package in packages().iter().filter(|package| package["name"] != env!("CARGO_PKG_NAME")) {
        let source = package["source"].as_str().unwrap_or("a path");
        assert!(source.starts_with("registry+"), "{} comes from {source}", package["name"]);
    }
}

#[test]
fn every_direct_dependency_has_its_reason_in_the_documentation() {
    let packages = packages();
    let own = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME")).unwrap();
    let named = own["dependencies"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dependencies.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    // `flate2 (zlib-rs), zstd`
    let crates = rows.flat_map(|row| row.split(", ")).map(|name| name.split(" (").next().unwrap());
    let told: BTreeSet<_> = crates.filter(|name| *name != "crate").collect();
    assert_eq!(named.collect::<BTreeSet<_>>(), told);
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Unlicense/MIT", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
