//! What is counted for each digest in each schema, of those that matter most; see [`super::top`].

use std::sync::Arc;

use super::{
    count::{self, Count},
    durations::{Coarse, Durations},
    latency::Scale,
    schemas::{Full, Schemas},
    tally::{Stratum, Weights},
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

/// What is counted for a digest: seen (`u64`) or estimated (`f64`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestStats<N = u64> {
    /// Statements sent.
    pub queries: N,
    /// Last byte of the request to the last byte of the response, of all that were answered.
    pub nanos: N,
    /// Error replies, those to prepares and fetches included.
    pub errors: N,
    /// Rows in result sets, fetched ones included.
    pub rows_returned: N,
    /// Rows that OKs said were affected.
    pub rows_affected: N,
}

impl<N: Copy> DigestStats<N> {
    fn zip<M: Copy>(&mut self, other: &DigestStats<M>, step: impl Fn(&mut N, M)) {
        step(&mut self.queries, other.queries);
        step(&mut self.nanos, other.nanos);
        step(&mut self.errors, other.errors);
        step(&mut self.rows_returned, other.rows_returned);
        step(&mut self.rows_affected, other.rows_affected);
    }
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
}

impl<N: Count> DigestStats<N> {
    /// The sum of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.zip(other, count::add);
        self
    }
}

/// A digest's counters: what was seen in this slice, in those before it that are not folded yet, and what all before
/// stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) seen: [DigestStats; Stratum::COUNT],
    cut: [DigestStats; Stratum::COUNT],
    pub(super) estimated: DigestStats<f64>,
}

impl Counters {
    pub(super) fn cut(&mut self) {
        for (cut, seen) in self.cut.iter_mut().zip(std::mem::take(&mut self.seen)) {
            *cut = cut.plus(&seen);
        }
    }

    pub(super) fn fold(&mut self, weights: Weights) {
        for (cut, weight) in self.cut.iter_mut().zip(weights) {
            if let Some(weight) = weight {
                self.estimated.zip(&std::mem::take(cut), count::weighted(weight));
            }
        }
    }
}

/// What is kept for a digest.
#[derive(Debug, Clone, Default)]
struct Counted {
    counters: Counters,
    durations: Durations,
}

impl top::Value for Counted {
    fn leave(&mut self) {
        self.durations.begin_anew();
    }
}

impl Counted {
    fn cut(&mut self) {
        self.counters.cut();
        self.durations.cut();
    }

    fn fold(&mut self, weights: Weights) {
        self.counters.fold(weights);
        self.durations.fold(weights);
    }
}

/// A digest in a schema, for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Of the statement.
    pub id: DigestId,
    /// Value of the `schema` label.
    pub schema: Arc<str>,
    /// At most [`super::texts::MAX_TEXT`] characters; `None` if it is not known any more, or not wanted.
    pub text: Option<Arc<str>>,
    /// What it is estimated to have done while it was shown.
    pub stats: DigestStats<f64>,
    /// How long its statements are estimated to have taken then.
    pub durations: Coarse<f64>,
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
    top: Top<Key, Counted, Option<Arc<str>>>,
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
    pub fn sent(&mut self, stratum: Stratum, statement: StatementRef) {
        self.weigh(statement, 0).counters.seen[stratum as usize].queries += 1;
    }

    /// A statement was answered, or a command about it. All durations are placed on one `scale`.
    #[inline]
    pub fn answered(&mut self, stratum: Stratum, statement: StatementRef, reply: &Reply, scale: &Scale) {
        let counted = if reply.command.runs_statement() {
            let counted = self.weigh(statement, reply.duration);
            counted.durations.observe(stratum, scale.place(reply.duration));
            counted
        } else {
            match Key::of(statement) {
                Some(key) => self.top.value_mut(&key),
                None => self.top.other_mut(),
            }
        };
        counted.counters.seen[stratum as usize].answered(reply);
    }

    /// The text of a digest, if it is known and wanted.
    pub fn text(&mut self, id: DigestId) -> Option<Arc<str>> {
        self.texts.as_mut()?.get(id)
    }

    /// A statement is one event when it is sent and one when it is answered: together they weigh its time and the mean
    /// time of a statement.
    #[inline]
    fn weigh(&mut self, statement: StatementRef, nanos: u64) -> &mut Counted {
        let Some(key) = Key::of(statement) else { return self.top.other_mut() };
        let texts = &mut self.texts;
        self.top.add(key, nanos, || texts.as_mut()?.get(key.id))
    }

    /// Whether the digests to show should be chosen anew: by the next [`Self::fold`], when nothing is left unfolded.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        // Further ahead than the interval, it was set before the clock was set back.
        now >= self.select_at || self.select_at.nanos_since(now) > SELECT_EVERY
    }

    /// A slice ends.
    pub fn cut(&mut self) {
        self.top.values_mut().for_each(Counted::cut);
    }

    /// Packet time has reached `now`, and what was seen in the slices that ended is worth `weights`.
    pub fn fold(&mut self, now: Timestamp, weights: Weights) {
        self.top.values_mut().for_each(|counted| counted.fold(weights));
        if self.is_due(now) {
            self.select_at = Timestamp(now.0.saturating_add(SELECT_EVERY));
            self.top.select();
        }
    }

    /// The shown digests, by id and schema.
    pub fn shown(&self) -> Vec<Shown> {
        let row = |(key, text, counted): (&Key, &Option<Arc<str>>, &Counted)| Shown {
            id: key.id,
            schema: self.schemas.label(key.schema),
            text: text.clone(),
            stats: counted.counters.estimated,
            durations: counted.durations.estimated(),
        };
        let mut shown: Vec<Shown> = self.top.shown().map(row).collect();
        shown.sort_unstable_by(|one, other| (one.id, &one.schema).cmp(&(other.id, &other.schema)));
        shown
    }

    /// All statements that are not in [`Self::shown`], and how long they took.
    pub fn other(&self) -> (DigestStats<f64>, Coarse<f64>) {
        let other = self.top.other();
        (other.counters.estimated, other.durations.estimated())
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

    fn scale() -> Scale {
        Scale::new(vec![1_000], vec![])
    }

    fn run(digests: &mut Digests, sql: &str, context: Context) {
        let statement = digests.identify(sql.as_bytes(), context);
        digests.sent(Stratum::Lasting, statement);
        digests.answered(Stratum::New, statement, &reply(Command::Query, statement), &scale());
    }

    #[test]
    fn a_digest_is_counted_by_schema_and_its_text_is_shown() {
        let mut digests = Digests::new(10, true);
        let shop = digests.schema(b"shop").unwrap();
        for (sql, schema) in [("select 1", SchemaId::NONE), ("select 2", shop), ("SELECT 'a'", shop)] {
            run(&mut digests, sql, Context { schema, ..CONTEXT });
        }
        let fetched = digests.identify(b"select 3", Context { schema: shop, ..CONTEXT });
        digests.answered(Stratum::New, fetched, &reply(Command::StmtFetch, fetched), &scale());
        digests.cut();
        digests.fold(Timestamp(0), [Some(1.0), Some(10.0)]);
        let [none, shop] = &digests.shown()[..] else { panic!("two schemas") };
        for (shown, schema, queries, rows_returned) in [(none, "", 1.0, 20.0), (shop, "shop", 2.0, 60.0)] {
            assert_eq!((shown.id, &*shown.schema), (DigestId::of(b"select ?"), schema));
            assert_eq!(shown.text.as_deref(), Some("select ?"));
            let (nanos, rows_affected) = (queries * 100.0, rows_returned * 1.5);
            assert_eq!(
                shown.stats,
                DigestStats { queries, nanos, errors: 0.0, rows_returned, rows_affected }
            );
            // A fetch is no execution.
            assert_eq!((shown.durations.count(), shown.durations.sum_nanos()), (queries * 10.0, nanos));
        }
        assert_eq!(digests.other(), Default::default());
    }

    #[test]
    fn the_digests_to_show_are_chosen_anew_when_the_clock_was_set_back() {
        const DAY: u64 = 86_400_000_000_000;
        let mut digests = Digests::new(10, true);
        for (now, later) in [(2 * DAY, 2 * DAY + SELECT_EVERY), (DAY, DAY + SELECT_EVERY)] {
            assert!(digests.is_due(Timestamp(now)));
            digests.fold(Timestamp(now), [None; Stratum::COUNT]);
            assert!(!digests.is_due(Timestamp(later - 1)));
            assert!(digests.is_due(Timestamp(later)));
        }
    }

    #[test]
    fn statements_without_a_digest_and_digests_without_a_place_are_other() {
        let mut digests = Digests::new(1, false);
        for sql in ["select 1", "select 'unterminated", "delete from t", "select 1"] {
            run(&mut digests, sql, CONTEXT);
        }
        digests.cut();
        digests.fold(Timestamp(0), [Some(1.0); 2]);
        let [shown] = &digests.shown()[..] else { panic!("one place") };
        assert_eq!((shown.stats.queries, shown.text.clone()), (2.0, None));
        let (other, durations) = digests.other();
        assert_eq!((other.queries, other.nanos, durations.count()), (2.0, 20.0, 2.0));
    }
}
