//! The commands of one connection that wait for their response, in the order they were sent.

use std::collections::VecDeque;

use super::{command::Command, event::StatementRef, schema::SchemaId};
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
    /// The default schema once the server has said OK, if the command changes it.
    pub schema: Option<SchemaId>,
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

    /// The default schema once all of them are answered, if any changes it.
    pub fn schema(&self) -> Option<SchemaId> {
        self.commands.iter().rev().find_map(|pending| pending.schema)
    }

    /// The default schema once the first of them is answered, if it changes it and that was not taken before.
    pub fn take_schema(&mut self) -> Option<SchemaId> {
        self.commands.front_mut()?.schema.take()
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

    /// The first was answered.
    #[inline]
    pub fn pop(&mut self, bounds: &Bounds) {
        self.commands.pop_front();
        if self.commands.is_empty() && self.commands.capacity() > KEPT {
            self.release(bounds);
        }
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
        schema: None,
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
