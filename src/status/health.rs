//! Whether it works, in one line of plain words.

use serde::Serialize;

use super::{Mysql, Sockets, mysql::Capture};

/// Reads older than this are said to be.
const OLD_SECONDS: f64 = 5.0;

/// How well the program does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every collector that is on has current data.
    Working,
    /// Some have not.
    Impaired,
    /// None has.
    Failed,
}

impl Level {
    /// As JSON has it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Impaired => "impaired",
            Self::Failed => "failed",
        }
    }
}

/// How well the program does its work, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Of all collectors together.
    pub level: Level,
    /// A sentence for each collector.
    pub text: String,
}

impl Health {
    /// Of collectors that are on.
    pub(super) fn of(sockets: Option<&[Sockets]>, mysql: Option<&Mysql>) -> Self {
        let told = sockets.into_iter().flatten().map(|one| (one.works, of_sockets(one)));
        let told: Vec<_> = told.chain(mysql.map(|mysql| (mysql.works, of_mysql(mysql)))).collect();
        let level = match told.iter().filter(|(works, _)| *works).count() {
            working if working == told.len() => Level::Working,
            0 => Level::Failed,
            _ => Level::Impaired,
        };
        let sentences: Vec<_> = told.into_iter().map(|(_, sentence)| sentence).collect();
        Self { level, text: sentences.join(" ") }
    }
}

fn of_sockets(sockets: &Sockets) -> String {
    let which = match &sockets.namespace {
        Some(namespace) => format!("TCP sockets of network namespace {namespace}"),
        None => "TCP sockets".to_owned(),
    };
    match (&sockets.error, &sockets.reading) {
        (Some(error), _) => format!("{which} cannot be counted: {}.", error.trim_end_matches('.')),
        (None, None) => format!("{which} are not counted yet."),
        (None, Some(reading)) if reading.age_seconds < OLD_SECONDS => {
            format!("{which} are counted by {}.", reading.source)
        }
        (None, Some(reading)) => {
            let why = if sockets.works { "it rests to spare the CPU" } else { "the next read is overdue" };
            format!("{which} were counted by {} {} ago: {why}.", reading.source, about(reading.age_seconds))
        }
    }
}

/// Roughly: a line that is read aloud when it changes must not change every second.
fn about(seconds: f64) -> String {
    match seconds / 60.0 {
        ..1.0 => "some seconds".to_owned(),
        minutes => format!("{minutes:.0} min"),
    }
}

fn of_mysql(mysql: &Mysql) -> String {
    if let Some(error) = &mysql.error {
        return format!("MySQL is not captured: {}.", error.trim_end_matches('.'));
    }
    if let Some(note) = &mysql.note {
        return note.clone();
    }
    let interface = if mysql.interface == "any" { "all interfaces" } else { &mysql.interface };
    let loss = mysql.capture.as_ref().map_or_else(String::new, loss);
    format!("MySQL is decoded on {interface}{loss}.")
}

/// Drops raise none of the counts, so this is what was missed.
fn loss(capture: &Capture) -> String {
    match capture.all_dropped() {
        0 => ", nothing lost".to_owned(),
        dropped => {
            let share = 100.0 * dropped as f64 / (capture.packets + dropped) as f64;
            let share = if share < 0.1 { "less than 0.1".to_owned() } else { format!("{share:.1}") };
            format!("; {share}% of its packets were lost since the start, so counts are low")
        }
    }
}
