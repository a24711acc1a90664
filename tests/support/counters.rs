//! What clients did, by two more witnesses: the server's own counters, and tshark.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    corpus::{Expected, Range, Row, table},
    exposition::{Exposition, Sample},
    mariadb::Status,
};

const COMMANDS: &str = "dbwire_mysql_commands_total";
const STATEMENTS: &str = "dbwire_mysql_statements_total";
const LOGINS: &str = "dbwire_mysql_logins_total";

/// Where tshark disagrees it is wrong: the clients, the server and the exporter agree. Shown, not judged.
pub fn compare_with_tshark(clients: &Expected, tshark: &BTreeMap<String, u64>) -> String {
    let rows = clients.commands.iter().map(|(command, range)| {
        let seen = tshark.get(command).copied().unwrap_or(0);
        Row::new(COMMANDS, command, *range, seen as f64, 1.0)
    });
    table("clients and tshark", &rows.collect::<Vec<_>>())
}

/// The value of one label of a family that has it as its only label.
pub fn value(page: &Exposition, family: &str, label: &str) -> f64 {
    let labelled = |sample: &&Sample| sample.labels.values().any(|value| value == label);
    page.of(family).filter(labelled).map(|sample| sample.value).sum()
}

/// The server's counters, and what `seen` says of the same thing: family and label in, number out.
pub fn compare_with_server(server: &Status, reports: &[Value], seen: impl Fn(&str, &str) -> f64) -> Vec<Row> {
    // The procedure runs one SELECT of its own.
    let calls: u64 = reports.iter().filter_map(|report| report["text_statements"]["call"].as_u64()).sum();
    let counters: &[(&str, u64, &str, &str)] = &[
        ("Com_select", calls, STATEMENTS, "select"),
        ("Com_insert", 0, STATEMENTS, "insert"),
        ("Com_update", 0, STATEMENTS, "update"),
        ("Com_delete", 0, STATEMENTS, "delete"),
        ("Com_replace", 0, STATEMENTS, "replace"),
        ("Com_begin", 0, STATEMENTS, "begin"),
        ("Com_commit", 0, STATEMENTS, "commit"),
        ("Com_rollback", 0, STATEMENTS, "rollback"),
        ("Com_set_option", 0, STATEMENTS, "set"),
        ("Com_call_procedure", 0, STATEMENTS, "call"),
        ("Com_stmt_prepare", 0, COMMANDS, "stmt_prepare"),
        ("Com_stmt_execute", 0, COMMANDS, "stmt_execute"),
        ("Com_stmt_close", 0, COMMANDS, "stmt_close"),
        ("Com_stmt_reset", 0, COMMANDS, "stmt_reset"),
        ("Com_stmt_fetch", 0, COMMANDS, "stmt_fetch"),
        ("Com_change_db", 0, COMMANDS, "init_db"),
        ("Com_admin_commands", 0, COMMANDS, "ping"),
    ];
    let counted = |name: &str| server.get(name).copied().unwrap_or(0).unsigned_abs();
    let rows = counters.iter().map(|(name, inside, family, label)| {
        let expected = Range::exactly(counted(name).saturating_sub(*inside));
        Row::new(name, label, expected, seen(family, label), 1.0)
    });
    let mut rows: Vec<Row> = rows.collect();
    // Commands that count as questions; the others are counted apart above.
    let questions = ["query", "stmt_execute", "stmt_fetch", "init_db", "quit"];
    let asked: f64 = questions.iter().map(|label| seen(COMMANDS, label)).sum();
    rows.push(Row::new("Questions", "", Range::exactly(counted("Questions")), asked, 1.0));
    rows.push(Row::new("Connections", "", Range::exactly(counted("Connections")), seen(LOGINS, "ok"), 1.0));
    rows
}
