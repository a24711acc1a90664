//! Prepared statements of one connection, by id.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::event::StatementRef;
use crate::limits::{Bounds, Limit, PREPARED_PER_CONNECTION};

/// Bounded by [`PREPARED_PER_CONNECTION`] and, over all connections, by [`crate::limits::PREPARED_TOTAL`].
#[derive(Debug, Default)]
pub struct PreparedStatements {
    /// Boxed: most connections prepare nothing.
    by_id: Option<Box<HashMap<u32, StatementRef, FixedState>>>,
    /// What was prepared last, for executions that name it by [`super::command::LAST_PREPARED`].
    last: Option<StatementRef>,
}

impl PreparedStatements {
    /// A prepare was sent; its id is not known yet.
    pub fn requested(&mut self, statement: StatementRef) {
        self.last = Some(statement);
    }

    /// A prepare has succeeded.
    pub fn insert(&mut self, id: u32, statement: StatementRef, bounds: &Bounds) {
        let map = self.by_id.get_or_insert_default();
        if let Some(known) = map.get_mut(&id) {
            *known = statement;
        } else if map.len() >= PREPARED_PER_CONNECTION {
            bounds.hit(Limit::PreparedStatements);
        } else if bounds.reserve_prepared() {
            map.insert(id, statement);
        }
    }

    /// The statement an id stands for.
    pub fn get(&self, id: u32) -> Option<StatementRef> {
        if id == super::command::LAST_PREPARED {
            return self.last;
        }
        self.by_id.as_ref()?.get(&id).copied()
    }

    /// The client has closed one.
    pub fn remove(&mut self, id: u32, bounds: &Bounds) {
        if self.by_id.as_mut().and_then(|map| map.remove(&id)).is_some() {
            bounds.release_prepared(1);
        }
    }

    /// The server has forgotten them all, or the connection has ended.
    pub fn clear(&mut self, bounds: &Bounds) {
        if let Some(map) = self.by_id.take() {
            bounds.release_prepared(map.len());
        }
        self.last = None;
    }
}
