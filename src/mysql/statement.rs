//! A statement as the observer knows it.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
};

use super::schema::SchemaId;
use crate::digest::{DigestId, Statement};

/// A statement as the observer knows it: found once for a text, then carried with each execution.
///
/// It is carried with every request and every reply, so it is two words, which travel in registers: what is written to
/// memory in small parts and read again in large ones stalls a processor for longer than counting takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatementRef {
    digest: Option<DigestId>,
    /// From the low end: 1 in 8 bits, so that an `Option` of this takes no more room; its kind in 8; its schema in 16; the
    /// number of its trace, or 0, in 32.
    rest: NonZeroU64,
}

const KIND: u32 = 8;
const SCHEMA: u32 = 16;
const TRACE: u32 = 32;

/// Names a trace that the observer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRef(pub NonZeroU32);

impl StatementRef {
    /// A statement of this kind and digest; no digest where that is not certain. `schema` is the default one when its
    /// text was sent.
    #[inline]
    pub const fn new(kind: Statement, digest: Option<DigestId>, schema: SchemaId) -> Self {
        Self {
            digest,
            rest: NonZeroU64::MIN.saturating_add((kind as u64) << KIND | (schema.0 as u64) << SCHEMA),
        }
    }

    /// A statement whose text is not to be seen.
    pub const fn unseen(kind: Statement) -> Self {
        Self::new(kind, None, SchemaId::UNKNOWN)
    }

    /// The same, of this trace or of none.
    #[inline]
    #[must_use]
    pub fn with_trace(self, trace: Option<TraceRef>) -> Self {
        let number = trace.map_or(0, |TraceRef(number)| u64::from(number.get()));
        let others = self.rest.get() & ((1 << TRACE) - 1);
        Self { rest: NonZeroU64::MIN | others | number << TRACE, ..self }
    }

    /// Its kind.
    #[inline]
    pub fn kind(self) -> Statement {
        let number = usize::from((self.rest.get() >> KIND) as u8);
        Statement::ALL.get(number).copied().unwrap_or(Statement::Unparsed)
    }

    /// Its digest; `None` where that is not certain.
    #[inline]
    pub const fn digest(self) -> Option<DigestId> {
        self.digest
    }

    /// The default schema when its text was sent. A prepared statement keeps the one it was prepared in, as it does on
    /// the server.
    #[inline]
    pub const fn schema(self) -> SchemaId {
        SchemaId((self.rest.get() >> SCHEMA) as u16)
    }

    /// The trace that its text tells of; a prepared statement has none, as its executions are of many.
    #[inline]
    pub fn trace(self) -> Option<TraceRef> {
        NonZeroU32::new((self.rest.get() >> TRACE) as u32).map(TraceRef)
    }
}

impl fmt::Debug for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementRef")
            .field("kind", &self.kind())
            .field("digest", &self.digest)
            .field("schema", &self.schema())
            .field("trace", &self.trace())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_what_they_were_and_an_option_takes_no_more_room() {
        let (trace, digest) = (TraceRef(NonZeroU32::MAX), Some(DigestId::of(b"select ?")));
        for kind in Statement::ALL {
            for schema in [SchemaId::NONE, SchemaId(u16::MAX)] {
                let statement = StatementRef::new(kind, digest, schema);
                for told in [statement, statement.with_trace(Some(trace)).with_trace(None)] {
                    assert_eq!((told.kind(), told.digest(), told.schema()), (kind, digest, schema));
                    assert_eq!(told.trace(), None);
                    assert_eq!(told, statement);
                }
                let traced = statement.with_trace(Some(trace));
                assert_eq!((traced.kind(), traced.schema(), traced.trace()), (kind, schema, Some(trace)));
            }
        }
        assert_eq!(size_of::<Option<StatementRef>>(), 16);
    }
}
