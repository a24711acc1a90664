//! Prepared statements of one connection, by id.

use std::collections::VecDeque;

use super::event::StatementRef;
use crate::limits::{Bounds, Limit, PREPARED_OWN, PREPARED_PER_CONNECTION};

/// Bounded by [`PREPARED_PER_CONNECTION`] and, over all connections, by [`crate::limits::PREPARED_TOTAL`]; each
/// connection may keep [`PREPARED_OWN`] in any case.
///
/// Where there is no room for another, the oldest is forgotten: servers number upwards, and what was prepared last is
/// the likeliest to be executed.
#[derive(Debug, Default)]
pub struct PreparedStatements {
    /// In the order of their ids, which is that of their age.
    by_id: VecDeque<(u32, StatementRef)>,
    /// Room beyond [`PREPARED_OWN`].
    reserved: usize,
    /// What was prepared last, for executions that name it by [`super::command::LAST_PREPARED`].
    last: Option<StatementRef>,
}

impl PreparedStatements {
    /// A prepare was sent; its id is not known yet.
    pub fn requested(&mut self, statement: StatementRef) {
        self.last = Some(statement.with_trace(None));
    }

    /// Another may have been sent that was not seen.
    pub fn forget_last(&mut self) {
        self.last = None;
    }

    /// A prepare has succeeded.
    pub fn insert(&mut self, id: u32, statement: StatementRef, bounds: &Bounds) {
        let statement = statement.with_trace(None);
        match self.find(id) {
            Ok(place) => {
                if let Some((_, known)) = self.by_id.get_mut(place) {
                    *known = statement;
                }
            }
            Err(mut place) => {
                if !self.make_room(bounds) && self.by_id.pop_front().is_some() {
                    place = place.saturating_sub(1);
                }
                self.by_id.insert(place, (id, statement));
            }
        }
    }

    /// Where an id stands, or would stand.
    #[inline]
    fn find(&self, id: u32) -> Result<usize, usize> {
        // Servers number without gaps: while nothing between was closed an id is as far from the first as its place.
        let guess = match self.by_id.front() {
            Some((first, _)) => id.wrapping_sub(*first) as usize,
            None => return Err(0),
        };
        match self.by_id.get(guess) {
            Some((known, _)) if *known == id => Ok(guess),
            _ => self.by_id.binary_search_by_key(&id, |(known, _)| *known),
        }
    }

    /// Whether there is room for one more.
    fn make_room(&mut self, bounds: &Bounds) -> bool {
        let length = self.by_id.len();
        if length < self.by_id.capacity() {
            return true;
        }
        if length >= PREPARED_PER_CONNECTION {
            bounds.hit(Limit::PreparedStatements);
            return false;
        }
        let room = (length + length / 2).clamp(PREPARED_OWN, PREPARED_PER_CONNECTION);
        let more = room - PREPARED_OWN - self.reserved;
        let fits = bounds.reserve(Limit::PreparedStatements, more);
        if fits {
            self.reserved += more;
            self.by_id.reserve_exact(room - length);
        }
        fits
    }

    /// The statement an id stands for.
    #[inline]
    pub fn get(&self, id: u32) -> Option<StatementRef> {
        if id == super::command::LAST_PREPARED {
            return self.last;
        }
        self.by_id.get(self.find(id).ok()?).map(|(_, statement)| *statement)
    }

    /// The client has closed one.
    pub fn remove(&mut self, id: u32, bounds: &Bounds) {
        let Ok(place) = self.find(id) else { return };
        self.by_id.remove(place);
        let room = (2 * self.by_id.len()).max(PREPARED_OWN);
        if self.by_id.capacity() > 2 * room {
            self.by_id.shrink_to(room);
            bounds.release(Limit::PreparedStatements, self.reserved - (room - PREPARED_OWN));
            self.reserved = room - PREPARED_OWN;
        }
    }

    /// The server has forgotten them all, or the connection has ended.
    pub fn clear(&mut self, bounds: &Bounds) {
        bounds.release(Limit::PreparedStatements, self.reserved);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Statement;

    const SELECT: StatementRef = StatementRef::unseen(Statement::Select);

    #[test]
    fn the_oldest_goes_when_a_connection_has_too_many() {
        let (mut prepared, bounds) = (PreparedStatements::default(), Bounds::default());
        let most = PREPARED_PER_CONNECTION as u32;
        (1..=most).for_each(|id| prepared.insert(id, SELECT, &bounds));
        assert_eq!(bounds.hits()[Limit::PreparedStatements as usize], 0);
        prepared.insert(most + 1, SELECT, &bounds);
        assert_eq!(
            (prepared.get(1), prepared.get(2), prepared.get(most + 1)),
            (None, Some(SELECT), Some(SELECT))
        );
        assert_eq!(bounds.hits()[Limit::PreparedStatements as usize], 1);
        assert_eq!(bounds.prepared(), PREPARED_PER_CONNECTION - PREPARED_OWN);
        (1..=most - 10).for_each(|id| prepared.remove(id, &bounds));
        assert!(bounds.prepared() < 50, "{} for 11", bounds.prepared());
        prepared.clear(&bounds);
        assert_eq!((bounds.prepared(), prepared.get(2)), (0, None));
    }

    #[test]
    fn a_statement_takes_what_the_limits_say() {
        assert!(size_of::<(u32, StatementRef)>() <= crate::limits::PREPARED_BYTES);
    }

    #[test]
    fn a_few_are_kept_however_many_others_have() {
        let (mut prepared, bounds) = (PreparedStatements::default(), Bounds::default());
        assert!(bounds.reserve(Limit::PreparedStatements, crate::limits::PREPARED_TOTAL));
        let own = PREPARED_OWN as u32;
        (1..=own + 1).for_each(|id| prepared.insert(id, SELECT, &bounds));
        assert_eq!(
            (prepared.get(1), prepared.get(2), prepared.get(own + 1)),
            (None, Some(SELECT), Some(SELECT))
        );
        (1..=own + 1).for_each(|id| prepared.remove(id, &bounds));
        assert_eq!(bounds.prepared(), crate::limits::PREPARED_TOTAL);
    }
}
