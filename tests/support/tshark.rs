//! tshark's opinion of the same packets: an independent decoder to compare with, not a truth.

use std::{collections::BTreeMap, path::Path};

use super::children::{command, output};

/// Programs it needs.
pub const PROGRAMS: &[&str] = &["tshark", "tcpdump"];

/// Commands by name that tshark finds in a capture of the server at `port`.
///
/// # Panics
///
/// When tshark fails.
pub fn commands(capture: &Path, port: u16) -> BTreeMap<String, u64> {
    let mut tshark = command("tshark");
    tshark.arg("-r").arg(capture).args(["-d", &format!("tcp.port=={port},mysql")]);
    let printed = output(tshark.args(["-Y", "mysql.command", "-T", "fields", "-e", "mysql.command"]));
    let mut counts = BTreeMap::new();
    // A packet may hold several, separated by commas.
    for number in printed.lines().flat_map(|line| line.split(',')) {
        *counts.entry(name(number.trim())).or_default() += 1;
    }
    counts
}

/// The protocol's number of a command (MySQL source, `include/my_command.h`) as the exporter labels it.
fn name(number: &str) -> String {
    let known = match number {
        "1" => "quit",
        "2" => "init_db",
        "3" => "query",
        "14" => "ping",
        "22" => "stmt_prepare",
        "23" => "stmt_execute",
        "25" => "stmt_close",
        "26" => "stmt_reset",
        "28" => "stmt_fetch",
        other => return format!("command {other}"),
    };
    known.to_owned()
}
