//! What a load was made of, as pt-query-digest's profile tells it: digests by the time they took.
//!
//! Numbers are what was seen, unscaled.

#![forbid(unsafe_code)]

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::stats::{
    digests::DigestStats,
    profile::{Profile, Row, Subject},
};

/// Rows of the table; the others are added up in its last line.
const MOST_ROWS: usize = 50;

/// For people: a table of the digests that took longest.
pub fn table(profile: &Profile) -> String {
    let rows = profile.ranked();
    let total = total(&rows);
    let mut table = String::new();
    // Writing to a String cannot fail.
    let _ = write_table(&mut table, &rows, &total);
    table
}

fn write_table(out: &mut String, rows: &[(Subject, &Row)], total: &DigestStats) -> fmt::Result {
    let DigestStats { queries, nanos, errors, rows_returned, rows_affected } = total;
    writeln!(
        out,
        "{queries} statements of {} kinds took {}, returned {rows_returned} rows, affected {rows_affected}, and \
         failed {errors} times.\n",
        rows.len(),
        Time(Some(*nanos)),
    )?;
    writeln!(
        out,
        "{:>4}  {:16}  {:>6}  {:>10}  {:>8}  {:>8}  {:>8}  {:>8}  {:>10}  {:>10}  {:>8}  statement",
        "rank", "digest", "time", "count", "total", "p50", "p95", "p99", "returned", "affected", "errors"
    )?;
    for (rank, (subject, row)) in rows.iter().take(MOST_ROWS).enumerate() {
        let stats = &row.stats;
        let [p50, p95, p99] = quantiles(row).map(Time);
        writeln!(
            out,
            "{:>4}  {:16}  {:>5.1}%  {:>10}  {:>8}  {p50:>8}  {p95:>8}  {p99:>8}  {:>10}  {:>10}  {:>8}  {}",
            rank + 1,
            id(subject).unwrap_or_else(|| "-".to_owned()),
            share(stats, total) * 100.0,
            stats.queries,
            Time(Some(stats.nanos)),
            stats.rows_returned,
            stats.rows_affected,
            stats.errors,
            text(subject, row),
        )?;
    }
    if let Some(rest) = rows.get(MOST_ROWS..).filter(|rest| !rest.is_empty()) {
        let rest_total = self::total(rest);
        writeln!(
            out,
            "\n{} more took {}, {:.1}%.",
            rest.len(),
            Time(Some(rest_total.nanos)),
            share(&rest_total, total) * 100.0
        )?;
    }
    Ok(())
}

/// For programs: the same with every row, times in seconds.
pub fn json(profile: &Profile) -> Value {
    let rows = profile.ranked();
    let total = total(&rows);
    let digests: Vec<Value> = rows.iter().map(|(subject, row)| json_row(subject, row, &total)).collect();
    json!({ "total": json_stats(&total), "digests": digests })
}

fn json_row(subject: &Subject, row: &Row, total: &DigestStats) -> Value {
    let [p50, p95, p99] = quantiles(row).map(|nanos| nanos.map(seconds));
    let mut value = json_stats(&row.stats);
    if let Value::Object(fields) = &mut value {
        fields.extend([
            ("digest".to_owned(), json!(id(subject))),
            ("text".to_owned(), json!(text(subject, row))),
            ("share".to_owned(), json!(share(&row.stats, total))),
            ("p50_seconds".to_owned(), json!(p50)),
            ("p95_seconds".to_owned(), json!(p95)),
            ("p99_seconds".to_owned(), json!(p99)),
        ]);
    }
    value
}

fn json_stats(stats: &DigestStats) -> Value {
    json!({
        "count": stats.queries,
        "seconds": seconds(stats.nanos),
        "errors": stats.errors,
        "rows_returned": stats.rows_returned,
        "rows_affected": stats.rows_affected,
    })
}

fn total(rows: &[(Subject, &Row)]) -> DigestStats {
    rows.iter().fold(DigestStats::default(), |total, (_, row)| total.plus(&row.stats))
}

/// The part of all time that these statements took.
fn share(stats: &DigestStats, total: &DigestStats) -> f64 {
    if total.nanos == 0 { 0.0 } else { stats.nanos as f64 / total.nanos as f64 }
}

fn quantiles(row: &Row) -> [Option<u64>; 3] {
    [0.5, 0.95, 0.99].map(|share| row.durations.quantile(share))
}

fn id(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Digest(id) => Some(id.to_string()),
        Subject::Kind(_) | Subject::Other => None,
    }
}

fn text<'a>(subject: &Subject, row: &'a Row) -> &'a str {
    match subject {
        Subject::Digest(_) => row.text.as_deref().unwrap_or(""),
        Subject::Kind(kind) => kind.label(),
        Subject::Other => "other",
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Nanoseconds in three digits and a unit; a dash if there are none.
struct Time(Option<u64>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(nanos) = self.0 else { return f.pad("-") };
        let nanos = nanos as f64;
        let (value, unit) = match nanos {
            ..1e6 => (nanos / 1e3, "us"),
            ..1e9 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let digits = match value {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.digits$}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::{DigestId, Statement},
        mysql::{
            command::Command,
            event::{Reply, StatementRef},
            schema::SchemaId,
        },
    };

    fn profile() -> Profile {
        let mut profile = Profile::default();
        let select = StatementRef::new(Statement::Select, Some(DigestId::of(b"abc")), SchemaId::UNKNOWN);
        for (statement, duration) in
            [(select, 2_000_000), (select, 1_000_000), (StatementRef::unseen(Statement::Unknown), 1_000_000)]
        {
            profile.sent(statement, || Some("select ?".into()));
            let reply = Reply {
                command: Command::Query,
                statement: Some(statement),
                first_response: 1,
                duration,
                rows_returned: 2,
                rows_affected: 0,
                error: None,
            };
            profile.answered(statement, &reply);
        }
        profile
    }

    #[test]
    fn the_table_ranks_digests_by_their_time() {
        let expected = "\
3 statements of 2 kinds took 4.00ms, returned 6 rows, affected 0, and failed 0 times.

rank  digest              time       count     total       p50       p95       p99    returned    affected    errors  statement
   1  D6963F7D28E17F72   75.0%           2    3.00ms     998us    2.00ms    2.00ms           4           0         0  select ?
   2  -                  25.0%           1    1.00ms     998us     998us     998us           2           0         0  unknown
";
        assert_eq!(table(&profile()), expected);
    }

    #[test]
    fn the_json_has_the_same_in_seconds() {
        let json = json(&profile());
        assert_eq!(json["total"]["count"], 3);
        assert_eq!(json["total"]["seconds"], 0.004);
        assert_eq!(json["digests"][0]["digest"], "D6963F7D28E17F72");
        assert_eq!(json["digests"][0]["share"], 0.75);
        assert_eq!(json["digests"][1]["digest"], Value::Null);
        assert_eq!(json["digests"][1]["text"], "unknown");
    }
}
