//! What happened, as the client that did it tells, against what an exposition counts.
//!
//! Clients report JSON objects (those of `tests/data/corpus/*.expected.json` and the lines that the programs of
//! `tests/clients` print): `com` counts commands by protocol name, `text_statements` and `prepared_executes`
//! count statements by first keyword, `errors` by code. A server's own `SHOW GLOBAL STATUS` differences stand in
//! where the client knows less.

use std::{collections::BTreeMap, fmt, fs};

use serde_json::Value;

use super::exposition::Exposition;

/// The first and last number that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Lowest.
    pub least: u64,
    /// Highest; `u64::MAX` if unknown.
    pub most: u64,
}

impl Range {
    /// Exactly `count`.
    pub fn exactly(count: u64) -> Self {
        Self { least: count, most: count }
    }

    /// `count` or more.
    pub fn at_least(count: u64) -> Self {
        Self { least: count, most: u64::MAX }
    }

    fn add(&mut self, other: Self) {
        self.least = self.least.saturating_add(other.least);
        self.most = self.most.saturating_add(other.most);
    }

    fn holds(self, seen: f64, scale: f64) -> bool {
        seen >= self.least as f64 * scale && (self.most == u64::MAX || seen <= self.most as f64 * scale)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if least == most => write!(formatter, "{least}"),
            (least, u64::MAX) => write!(formatter, "≥ {least}"),
            (least, most) => write!(formatter, "{least}–{most}"),
        }
    }
}

/// Right numbers by label value; what is not named must not be counted.
pub type Ranges = BTreeMap<String, Range>;

/// What an exposition must say.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// By command label (`query`, `stmt_execute`, …).
    pub commands: Ranges,
    /// By first keyword, in lower case.
    pub statements: Ranges,
    /// By error code.
    pub errors: Ranges,
    /// By login result.
    pub logins: Ranges,
    /// Rows in result sets, if known.
    pub rows_returned: Option<Range>,
}

impl Expected {
    /// Adds one client's report, and what the server counted meanwhile where the report is not complete.
    pub fn add(&mut self, report: &Value, server: &Value) {
        if let Some(queries) = report["queries"].as_object() {
            self.add_sysbench(queries["total"].as_u64().expect("a total"), report, server);
        } else {
            self.add_commands(report);
            self.add_statements(report, server);
        }
        self.add_errors(report);
        self.add_logins(report);
        if let Some(rows) = report["rows_returned"].as_u64() {
            let range = if partial(report) { Range::at_least(rows) } else { Range::exactly(rows) };
            self.rows_returned.get_or_insert_default().add(range);
        }
    }

    /// The lower bound of one number, by family and label value.
    pub fn count(&self, family: &str, label: &str) -> f64 {
        let ranges = match family {
            "dbwire_mysql_commands_total" => &self.commands,
            "dbwire_mysql_statements_total" => &self.statements,
            "dbwire_mysql_errors_total" => &self.errors,
            _ => &self.logins,
        };
        ranges.get(label).map_or(0.0, |range| range.least as f64)
    }

    /// The same with every lower bound 0: what may be left of it after packets were lost.
    pub fn at_most(mut self) -> Self {
        let all = [&mut self.commands, &mut self.statements, &mut self.errors, &mut self.logins];
        for range in all.into_iter().flat_map(BTreeMap::values_mut).chain(&mut self.rows_returned) {
            range.least = 0;
        }
        self
    }

    /// Every number of `page` that is, or should be, there: times `scale` where it is an estimate.
    pub fn compare(&self, page: &Exposition, scale: f64) -> Vec<Row> {
        let statements = known_statements(&self.statements, page);
        let mut rows = Vec::new();
        for (family, label, expected) in [
            ("dbwire_mysql_commands_total", "command", &self.commands),
            ("dbwire_mysql_statements_total", "statement", &statements),
            ("dbwire_mysql_errors_total", "code", &self.errors),
            ("dbwire_mysql_logins_total", "result", &self.logins),
        ] {
            compare_family(&mut rows, page.by(family, label), expected, family, scale);
        }
        compare_family(
            &mut rows,
            page.by("dbwire_mysql_observed_commands_total", "command"),
            &self.commands,
            "dbwire_mysql_observed_commands_total",
            1.0,
        );
        if let Some(expected) = self.rows_returned {
            let family = "dbwire_mysql_rows_returned_total";
            let seen = page.value(family, &[]).unwrap_or(0.0);
            rows.push(Row::new(family, "", expected, seen, scale));
        }
        rows
    }

    /// `oltp_*` scripts report totals only; the kinds come from the server's counters.
    fn add_sysbench(&mut self, total: u64, report: &Value, server: &Value) {
        let connections = report["connections"].as_u64().expect("connections");
        let prepared = server["Com_stmt_execute"].as_u64().unwrap_or(0);
        for (command, count) in [
            ("stmt_execute", prepared),
            ("stmt_prepare", server["Com_stmt_prepare"].as_u64().unwrap_or(0)),
            ("stmt_close", server["Com_stmt_close"].as_u64().unwrap_or(0)),
            ("query", total - prepared),
            ("quit", connections),
        ] {
            add(&mut self.commands, command, Range::exactly(count));
        }
        for (keyword, counter) in SERVER_COUNTERS {
            let count = server[counter].as_u64().unwrap_or(0);
            add(&mut self.statements, keyword, Range::exactly(count));
        }
    }

    fn add_commands(&mut self, report: &Value) {
        for (name, count) in counts(&report["com"]) {
            let name = name.trim_start_matches("COM_").to_lowercase();
            let (command, range) = if let Some(command) = name.strip_suffix("_explicit") {
                (command, Range::at_least(count))
            } else if let Some(command) = name.strip_suffix("_min") {
                (command, Range::at_least(count))
            } else {
                (name.trim_end_matches("_failed"), Range::exactly(count))
            };
            add(&mut self.commands, command, range);
        }
    }

    fn add_statements(&mut self, report: &Value, server: &Value) {
        let mut known = 0;
        for kind in ["text_statements", "prepared_executes", "explicit_text"] {
            for (keyword, count) in counts(&report[kind]) {
                add(&mut self.statements, &keyword, Range::exactly(count));
                known += count;
            }
        }
        if !partial(report) {
            return;
        }
        // The client does not know what its library sends by itself: the server's counters are the upper bounds.
        self.commands.entry("query".to_owned()).or_insert(Range::at_least(known));
        if let Some(blocks) = server["Com_stmt_fetch"].as_u64() {
            self.commands.insert("stmt_fetch".to_owned(), Range::exactly(blocks));
        }
        for (keyword, counter) in SERVER_COUNTERS {
            let range = self.statements.entry((*keyword).to_owned()).or_default();
            range.most = range.most.max(server[counter].as_u64().unwrap_or(0));
        }
        add(&mut self.statements, OTHER, Range { least: 0, most: u64::MAX });
    }

    fn add_errors(&mut self, report: &Value) {
        for (code, count) in counts(&report["errors"]) {
            add(&mut self.errors, &code, Range::exactly(count));
        }
        for code in report["errors_in_order"].as_array().into_iter().flatten() {
            add(&mut self.errors, &code.to_string(), Range::exactly(1));
        }
    }

    fn add_logins(&mut self, report: &Value) {
        let Some(connections) = report["connections"].as_u64() else { return };
        add(&mut self.logins, "ok", Range::exactly(connections));
        // Access denied is 1045; a schema that does not exist refuses a login that was right: an error.
        let denied = report["errors"]["1045"].as_u64().unwrap_or(0);
        let failed = report["failed_logins"].as_u64().unwrap_or(0);
        add(&mut self.logins, "denied", Range::exactly(denied.min(failed)));
        add(&mut self.logins, "error", Range::exactly(failed.saturating_sub(denied)));
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Family and label value.
    pub what: String,
    /// What is right, before scaling.
    pub expected: Range,
    /// What the page says.
    pub seen: f64,
    /// Whether that is right.
    pub right: bool,
}

impl Row {
    /// Judges `seen` against `expected` times `scale`.
    pub fn new(family: &str, label: &str, expected: Range, seen: f64, scale: f64) -> Self {
        Self { what: format!("{family}{{{label}}}"), expected, seen, right: expected.holds(seen, scale) }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.right { "" } else { "  <-- WRONG" };
        let expected = self.expected.to_string();
        write!(formatter, "{:62} {expected:>10} {:>10}{verdict}", self.what, self.seen)
    }
}

/// The rows as a table with a heading.
pub fn table(title: &str, rows: &[Row]) -> String {
    let heading = format!("{title:62} {:>10} {:>10}\n", "expected", "seen");
    rows.iter().fold(heading, |table, row| table + &row.to_string() + "\n")
}

/// Prints `text` and keeps it as `target/tables/NAME.txt`: the harness hides what tests that pass print.
#[allow(clippy::print_stdout)]
pub fn publish(name: &str, text: &str) {
    println!("{text}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tables");
    let _ = fs::create_dir_all(folder).and_then(|()| fs::write(format!("{folder}/{name}.txt"), text));
}

/// Keywords that the server has a counter of its own for.
const SERVER_COUNTERS: &[(&str, &str)] = &[
    ("select", "Com_select"),
    ("insert", "Com_insert"),
    ("update", "Com_update"),
    ("delete", "Com_delete"),
    ("replace", "Com_replace"),
    ("begin", "Com_begin"),
    ("commit", "Com_commit"),
    ("rollback", "Com_rollback"),
    ("set", "Com_set_option"),
    ("call", "Com_call_procedure"),
    ("load", "Com_load"),
];

/// The label of a statement whose keyword has no label of its own.
const OTHER: &str = "other";

/// Whether the report leaves out texts: those that the client's library sends by itself, or all.
fn partial(report: &Value) -> bool {
    let com = &report["com"];
    let complete = report["text_statements"].is_object() || report["encrypted"].is_boolean();
    com["COM_QUERY_explicit"].is_u64() || com["COM_QUERY_min"].is_u64() || !complete
}

/// Keywords as the page labels them: `START TRANSACTION` is a begin, one without a label of its own is other.
fn known_statements(statements: &Ranges, page: &Exposition) -> Ranges {
    let labels = page.by("dbwire_mysql_statements_total", "statement");
    let mut known = Ranges::new();
    for (keyword, range) in statements {
        let label = match keyword.as_str() {
            "start" => "begin",
            keyword if labels.contains_key(keyword) => keyword,
            _ => OTHER,
        };
        add(&mut known, label, *range);
    }
    known
}

fn compare_family(
    rows: &mut Vec<Row>,
    seen: BTreeMap<String, f64>,
    expected: &Ranges,
    family: &str,
    scale: f64,
) {
    let mut labels: Vec<&String> = seen.keys().chain(expected.keys()).collect();
    labels.sort();
    labels.dedup();
    for label in labels {
        let right = expected.get(label).copied().unwrap_or_default();
        let count = seen.get(label).copied().unwrap_or(0.0);
        if right != Range::default() || count != 0.0 {
            rows.push(Row::new(family, label, right, count, scale));
        }
    }
}

fn add(ranges: &mut Ranges, label: &str, range: Range) {
    ranges.entry(label.to_owned()).or_default().add(range);
}

fn counts(object: &Value) -> Vec<(String, u64)> {
    let entries = object.as_object().into_iter().flatten();
    entries.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect()
}
