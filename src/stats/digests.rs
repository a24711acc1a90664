//! What is counted for each digest in each schema, of those that matter most; see [`super::top`].

use std::sync::Arc;

use super::{
    schemas::{Full, Schemas},
    texts::Texts,
    top::{self, Top},
};
use crate::{
    digest::{DigestCache, DigestId},
    mysql::{
        event::{Context, Reply, StatementRef},
        schema::SchemaId,
    },
    packet::Timestamp,
};

/// Packet time between two choices of the digests to show, in nanoseconds: more than the interval of any scraper, so
/// that each sees the last value of a digest that leaves.
const SELECT_EVERY: u64 = 90_000_000_000;

/// What is counted for a digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestStats {
    /// Statements sent.
    pub queries: u64,
    /// Last byte of the request to the last byte of the response, of all that were answered.
    pub nanos: u64,
    /// Error replies, those to prepares and fetches included.
    pub errors: u64,
    /// Rows in result sets, fetched ones included.
    pub rows_returned: u64,
    /// Rows that OKs said were affected.
    pub rows_affected: u64,
}

impl DigestStats {
    /// Adds what a response tells.
    #[inline]
    pub fn answered(&mut self, reply: &Reply) {
        if reply.command.runs_statement() {
            self.nanos = self.nanos.saturating_add(reply.duration);
        }
        self.errors += u64::from(reply.error.is_some());
        self.rows_returned += reply.rows_returned;
        self.rows_affected = self.rows_affected.saturating_add(reply.rows_affected);
    }

    /// The sum of both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            queries: self.queries + other.queries,
            nanos: self.nanos.saturating_add(other.nanos),
            errors: self.errors + other.errors,
            rows_returned: self.rows_returned + other.rows_returned,
            rows_affected: self.rows_affected.saturating_add(other.rows_affected),
        }
    }
}

/// A digest in a schema, for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Of the statement.
    pub id: DigestId,
    /// Value of the `schema` label.
    pub schema: Arc<str>,
    /// At most [`super::texts::MAX_TEXT`] characters; `None` if it is not known any more, or not wanted.
    pub text: Option<Arc<str>>,
    /// What it did while it was shown.
    pub stats: DigestStats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    id: DigestId,
    schema: SchemaId,
}

impl top::Key for Key {
    #[inline]
    fn spread(&self) -> u64 {
        self.id.number() ^ u64::from(self.schema.0)
    }
}

impl Key {
    #[inline]
    fn of(statement: StatementRef) -> Option<Self> {
        statement.digest().map(|id| Self { id, schema: statement.schema() })
    }
}

/// Knows statements and counts them by digest. Its sums, *other* included, are those of all statements.
#[derive(Debug)]
pub struct Digests {
    cache: DigestCache,
    /// `None` if texts are not wanted.
    texts: Option<Texts>,
    schemas: Schemas,
    top: Top<Key, DigestStats, Option<Arc<str>>>,
    select_at: Timestamp,
}

impl Digests {
    /// Shows `max` digests at most (see [`Top::new`]), with their texts or without.
    pub fn new(max: usize, texts: bool) -> Self {
        Self {
            cache: DigestCache::new(),
            texts: texts.then(Texts::default),
            schemas: Schemas::default(),
            top: Top::new(max),
            select_at: Timestamp(0),
        }
    }

    /// See [`crate::mysql::event::Observer::statement`].
    #[inline]
    pub fn identify(&mut self, sql: &[u8], Context { complete, escapes, schema }: Context) -> StatementRef {
        let digest = self.cache.digest(sql, complete, escapes);
        if let (Some(texts), Some(shape)) = (&mut self.texts, digest.shape) {
            texts.met(shape.id, shape.text);
        }
        StatementRef::new(digest.kind, digest.shape.map(|shape| shape.id), schema)
    }

    /// See [`crate::mysql::event::Observer::schema`].
    ///
    /// # Errors
    /// If there are too many names.
    pub fn schema(&mut self, name: &[u8]) -> Result<SchemaId, Full> {
        self.schemas.intern(name)
    }

    /// A statement was sent.
    #[inline]
    pub fn sent(&mut self, statement: StatementRef) {
        self.weigh(statement, 0).queries += 1;
    }

    /// A statement was answered, or a command about it.
    #[inline]
    pub fn answered(&mut self, statement: StatementRef, reply: &Reply) {
        let stats = if reply.command.runs_statement() {
            self.weigh(statement, reply.duration)
        } else {
            match Key::of(statement) {
                Some(key) => self.top.value_mut(&key),
                None => self.top.other_mut(),
            }
        };
        stats.answered(reply);
    }

    /// The text of a digest, if it is known and wanted.
    pub fn text(&mut self, id: DigestId) -> Option<Arc<str>> {
        self.texts.as_mut()?.get(id)
    }

    /// A statement is one event when it is sent and one when it is answered: together they weigh its time and the mean
    /// time of a statement.
    #[inline]
    fn weigh(&mut self, statement: StatementRef, nanos: u64) -> &mut DigestStats {
        let Some(key) = Key::of(statement) else { return self.top.other_mut() };
        let texts = &mut self.texts;
        self.top.add(key, nanos, || texts.as_mut()?.get(key.id))
    }

    /// Packet time has reached `now`: the digests to show may change.
    pub fn tick(&mut self, now: Timestamp) {
        if now >= self.select_at {
            self.select_at = Timestamp(now.0.saturating_add(SELECT_EVERY));
            self.top.select();
        }
    }

    /// The shown digests, by id and schema.
    pub fn shown(&self) -> Vec<Shown> {
        let row = |(key, text, stats): (&Key, &Option<Arc<str>>, &DigestStats)| Shown {
            id: key.id,
            schema: self.schemas.label(key.schema),
            text: text.clone(),
            stats: *stats,
        };
        let mut shown: Vec<Shown> = self.top.shown().map(row).collect();
        shown.sort_unstable_by(|one, other| (one.id, &one.schema).cmp(&(other.id, &other.schema)));
        shown
    }

    /// All statements that are not in [`Self::shown`].
    pub fn other(&self) -> DigestStats {
        *self.top.other()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Escapes, mysql::command::Command};

    const CONTEXT: Context = Context { complete: true, escapes: Escapes::Backslash, schema: SchemaId::NONE };

    fn reply(command: Command, statement: StatementRef) -> Reply {
        Reply {
            command,
            statement: Some(statement),
            first_response: 5,
            duration: 10,
            rows_returned: 2,
            rows_affected: 3,
            error: None,
        }
    }

    fn run(digests: &mut Digests, sql: &str, context: Context) {
        let statement = digests.identify(sql.as_bytes(), context);
        digests.sent(statement);
        digests.answered(statement, &reply(Command::Query, statement));
    }

    #[test]
    fn a_digest_is_counted_by_schema_and_its_text_is_shown() {
        let mut digests = Digests::new(10, true);
        let shop = digests.schema(b"shop").unwrap();
        for (sql, schema) in [("select 1", SchemaId::NONE), ("select 2", shop), ("SELECT 'a'", shop)] {
            run(&mut digests, sql, Context { schema, ..CONTEXT });
        }
        let fetched = digests.identify(b"select 3", Context { schema: shop, ..CONTEXT });
        digests.answered(fetched, &reply(Command::StmtFetch, fetched));
        let row = |schema: &str, queries, rows_returned| Shown {
            id: DigestId::of(b"select ?"),
            schema: schema.into(),
            text: Some("select ?".into()),
            stats: DigestStats {
                queries,
                nanos: queries * 10,
                errors: 0,
                rows_returned,
                rows_affected: rows_returned / 2 * 3,
            },
        };
        assert_eq!(digests.shown(), [row("", 1, 2), row("shop", 2, 6)]);
        assert_eq!(digests.other(), DigestStats::default());
    }

    #[test]
    fn statements_without_a_digest_and_digests_without_a_place_are_other() {
        let mut digests = Digests::new(1, false);
        for sql in ["select 1", "select 'unterminated", "delete from t", "select 1"] {
            run(&mut digests, sql, CONTEXT);
        }
        let [shown] = &digests.shown()[..] else { panic!("one place") };
        assert_eq!((shown.stats.queries, shown.text.clone()), (2, None));
        assert_eq!((digests.other().queries, digests.other().nanos), (2, 20));
    }
}
