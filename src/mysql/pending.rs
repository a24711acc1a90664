//! The commands of one connection that wait for their response, in the order they were sent.

use std::collections::VecDeque;

use super::{
    command::Command,
    event::StatementRef,
    schema::{SchemaChange, SchemaId},
};
use crate::{
    limits::{Bounds, Limit, PIPELINE, PIPELINE_OWN},
    packet::Timestamp,
};

/// Room that is kept when the queue has run empty, so that a client that pipelines does not allocate again.
const KEPT: usize = 64;

/// A command that waits for its response.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// What was sent.
    pub command: Command,
    /// The statement it runs, prepares or fetches from.
    pub statement: Option<StatementRef>,
    /// When the last byte of the request was seen.
    pub requested_at: Timestamp,
    /// Whether that is not known.
    pub late: bool,
    /// Sequence id that the first packet of the response must have.
    pub sequence: u8,
    /// What it does to the default schema.
    pub schema: SchemaChange,
}

/// Bounded by [`PIPELINE`] and, over all connections, by [`crate::limits::PIPELINE_TOTAL`]; each connection has room for
/// [`PIPELINE_OWN`] in any case.
#[derive(Debug, Default)]
pub struct Queue {
    commands: VecDeque<Pending>,
    /// Room beyond [`PIPELINE_OWN`].
    reserved: usize,
}

impl Queue {
    /// The one that is answered next.
    #[inline]
    pub fn front(&self) -> Option<&Pending> {
        self.commands.front()
    }

    /// How many wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The default schema once all of them are done, if any is certain to change it.
    pub fn schema(&self) -> Option<SchemaId> {
        self.commands.iter().rev().find_map(|pending| match pending.schema {
            SchemaChange::To(schema) => Some(schema),
            SchemaChange::None | SchemaChange::IfSeveral => None,
        })
    }

    /// What the first of them does to the default schema has come to be known, or not to be.
    pub fn set_schema(&mut self, schema: SchemaChange) {
        if let Some(first) = self.commands.front_mut() {
            first.schema = schema;
        }
    }

    /// One more was sent; `false`, and a hit, if there is no room for it.
    #[must_use]
    #[inline]
    pub fn push(&mut self, pending: Pending, bounds: &Bounds) -> bool {
        let fits = self.commands.len() < self.commands.capacity() || self.grow(bounds);
        if fits {
            self.commands.push_back(pending);
        }
        fits
    }

    #[cold]
    fn grow(&mut self, bounds: &Bounds) -> bool {
        let length = self.commands.len();
        if length >= PIPELINE {
            bounds.hit(Limit::Pipeline);
            return false;
        }
        let capacity = (2 * length).clamp(2, PIPELINE);
        let reserved = capacity.saturating_sub(PIPELINE_OWN);
        let more = reserved.saturating_sub(self.reserved);
        if !bounds.reserve(Limit::Pipeline, more) {
            return false;
        }
        self.reserved += more;
        self.commands.reserve_exact(capacity - length);
        true
    }

    /// The first was answered: what it does to the default schema.
    #[inline]
    pub fn pop(&mut self, bounds: &Bounds) -> SchemaChange {
        let change = self.commands.pop_front().map(|first| first.schema).unwrap_or_default();
        if self.commands.is_empty() && self.commands.capacity() > KEPT {
            self.release(bounds);
        }
        change
    }

    /// None of them will be answered. The room stays reserved until the queue runs empty again or is released.
    pub fn clear(&mut self) {
        self.commands.clear();
    }

    /// Forgets them, and gives back all memory.
    pub fn release(&mut self, bounds: &Bounds) {
        bounds.release(Limit::Pipeline, self.reserved);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PIPELINE_TOTAL;

    const PING: Pending = Pending {
        command: Command::Ping,
        statement: None,
        requested_at: Timestamp(0),
        late: false,
        sequence: 1,
        schema: SchemaChange::None,
    };

    #[test]
    fn a_queue_takes_so_many_and_gives_back_its_room() {
        let (mut queue, bounds) = (Queue::default(), Bounds::default());
        for _ in 0..PIPELINE {
            assert!(queue.push(PING, &bounds));
        }
        assert!(!queue.push(PING, &bounds));
        assert_eq!(bounds.hits()[Limit::Pipeline as usize], 1);
        assert_eq!(bounds.used(Limit::Pipeline), PIPELINE - PIPELINE_OWN);
        for _ in 0..PIPELINE {
            assert!(queue.front().is_some());
            queue.pop(&bounds);
        }
        assert!(queue.is_empty());
        assert_eq!(bounds.used(Limit::Pipeline), 0);
    }

    #[test]
    fn a_few_fit_however_many_others_have() {
        let (mut queue, bounds) = (Queue::default(), Bounds::default());
        assert!(bounds.reserve(Limit::Pipeline, PIPELINE_TOTAL));
        let fitting = (0..PIPELINE).take_while(|_| queue.push(PING, &bounds)).count();
        assert_eq!(fitting, PIPELINE_OWN);
        queue.release(&bounds);
        assert_eq!(bounds.used(Limit::Pipeline), PIPELINE_TOTAL);
    }

    #[test]
    fn a_waiting_command_takes_what_the_limits_say() {
        assert!(size_of::<Pending>() <= crate::limits::PIPELINE_BYTES);
    }
}
