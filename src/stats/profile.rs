//! Everything about each digest of a finite load: what a report is made of.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    digests::DigestStats,
    exponential::{Exponential, Place},
};
use crate::{
    digest::{DigestId, Statement},
    limits::PROFILE_DIGESTS,
    mysql::event::{Reply, StatementRef},
};

/// What was counted for statements of one digest, or of one kind without a digest.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// At most [`super::texts::MAX_TEXT`] characters; `None` if there is none, or it is not known any more.
    pub text: Option<Arc<str>>,
    /// Counters.
    pub stats: DigestStats,
    /// Last byte of the request to the last byte of the response.
    pub durations: Exponential,
}

/// A digest, or a kind for the statements that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Statements of one shape.
    Digest(DigestId),
    /// Statements without a digest.
    Kind(Statement),
    /// Those of digests beyond [`PROFILE_DIGESTS`].
    Other,
}

impl Subject {
    fn of(statement: StatementRef) -> Self {
        statement.digest().map_or(Self::Kind(statement.kind()), Self::Digest)
    }
}

/// Rows by subject, at most [`PROFILE_DIGESTS`] and one.
#[derive(Debug, Default)]
pub struct Profile {
    rows: HashMap<Subject, Row, FixedState>,
}

impl Profile {
    /// Adds what another one counted, of other connections.
    pub fn add(&mut self, other: Self) {
        for (subject, row) in other.rows {
            let own = self.rows.entry(subject).or_default();
            own.text = own.text.take().or(row.text);
            own.stats = own.stats.plus(&row.stats);
            own.durations.add(&row.durations);
        }
    }

    /// A statement was sent. `text` is asked for once for each subject.
    pub fn sent(&mut self, statement: StatementRef, text: impl FnOnce() -> Option<Arc<str>>) {
        let full = self.rows.len() >= PROFILE_DIGESTS;
        let subject = Subject::of(statement);
        let row = if full && !self.rows.contains_key(&subject) {
            self.rows.entry(Subject::Other).or_default()
        } else {
            self.rows.entry(subject).or_insert_with(|| Row { text: text(), ..Row::default() })
        };
        row.stats.queries += 1;
    }

    /// A statement was answered, or a command about it.
    pub fn answered(&mut self, statement: StatementRef, reply: &Reply) {
        let subject = Subject::of(statement);
        let known = if self.rows.contains_key(&subject) { subject } else { Subject::Other };
        let Some(row) = self.rows.get_mut(&known) else { return };
        row.stats.answered(reply);
        if reply.command.runs_statement() {
            row.durations.observe(Place::of(reply.duration));
        }
    }

    /// The rows, those that took longest first.
    pub fn ranked(&self) -> Vec<(Subject, &Row)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(subject, row)| (*subject, row)).collect();
        rows.sort_unstable_by_key(|(subject, row)| (std::cmp::Reverse(row.stats.nanos), *subject));
        rows
    }
}
