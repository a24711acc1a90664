//! The connections that are open: how many, how long each may take, and which gives way when there is no room.
//!
//! A client that has sent no whole request yet, or is between two, waits for nothing: when the table is full the one
//! that has been so for longest gives way to a new one. Clients that open connections and hold them can so not keep
//! others out, however many they are. A new one has a moment for its first request before it may have to: one who asks
//! at once is not turned away for another that came later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a connection may be in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From its start, TLS included, to the end of its first request's head.
    pub first: Duration,
    /// From the end of a response to the end of the next request's head.
    pub idle: Duration,
    /// From the end of a request's head until its response was taken by the client.
    pub answer: Duration,
    /// From its start, until it may have to give way.
    pub grace: Duration,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Answering,
    Idle,
}

#[derive(Debug)]
struct Connection<T> {
    phase: Phase,
    since: Instant,
    handle: T,
}

/// Whether there is room for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// A place is free.
    Free,
    /// One gives way.
    GivenWay,
    /// None, until one ends or is answered.
    None {
        /// When the first of those that are new may have to give way.
        until: Option<Instant>,
    },
}

/// Names a connection of a [`Connections`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// The open connections. `T` is what the caller needs to close one.
#[derive(Debug)]
pub struct Connections<T> {
    most: usize,
    patience: Patience,
    open: BTreeMap<ConnectionId, Connection<T>>,
    next: u64,
}

impl<T> Connections<T> {
    /// Room for `most`.
    pub fn new(most: usize, patience: Patience) -> Self {
        Self { most, patience, open: BTreeMap::new(), next: 0 }
    }

    /// Whether another one can be admitted now: there is a place, or one that gives way.
    pub fn room(&self, now: Instant) -> Room {
        if self.open.len() < self.most {
            return Room::Free;
        }
        match self.open.values().filter_map(|one| self.gives_way_from(one)).min() {
            Some(from) if from <= now => Room::GivenWay,
            from => Room::None { until: from },
        }
    }

    /// Takes in a new connection; also the handle of the one to be closed for it, if that is needed.
    pub fn admit(&mut self, handle: T, now: Instant) -> (ConnectionId, Option<T>) {
        let gives_way = (self.open.len() >= self.most).then(|| self.longest_waiting(now)).flatten();
        let closed = gives_way.and_then(|id| self.remove(id));
        let id = ConnectionId(self.next);
        self.next += 1;
        self.open.insert(id, Connection { phase: Phase::Fresh, since: now, handle });
        (id, closed)
    }

    /// From when on a connection may have to give way; `None` while it is answered.
    fn gives_way_from(&self, one: &Connection<T>) -> Option<Instant> {
        match one.phase {
            Phase::Fresh => Some(one.since + self.patience.grace),
            Phase::Answering => None,
            Phase::Idle => Some(one.since),
        }
    }

    fn longest_waiting(&self, now: Instant) -> Option<ConnectionId> {
        let may = |one: &Connection<T>| self.gives_way_from(one).is_some_and(|from| from <= now);
        let waiting = self.open.iter().filter(|(_, one)| may(one));
        waiting.min_by_key(|(_, one)| one.since).map(|(id, _)| *id)
    }

    /// A request has come.
    pub fn answering(&mut self, id: ConnectionId, now: Instant) {
        self.enter(id, Phase::Answering, now);
    }

    /// Its response has gone.
    pub fn idle(&mut self, id: ConnectionId, now: Instant) {
        self.enter(id, Phase::Idle, now);
    }

    fn enter(&mut self, id: ConnectionId, phase: Phase, now: Instant) {
        if let Some(one) = self.open.get_mut(&id) {
            one.phase = phase;
            one.since = now;
        }
    }

    /// Until when a connection may go on as it does; `None` if it is not open.
    pub fn deadline(&self, id: ConnectionId) -> Option<Instant> {
        let one = self.open.get(&id)?;
        Some(
            one.since
                + match one.phase {
                    Phase::Fresh => self.patience.first,
                    Phase::Idle => self.patience.idle,
                    Phase::Answering => self.patience.answer,
                },
        )
    }

    /// A connection has ended.
    pub fn remove(&mut self, id: ConnectionId) -> Option<T> {
        self.open.remove(&id).map(|one| one.handle)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience {
        first: SECOND,
        idle: Duration::from_secs(60),
        answer: Duration::from_secs(9),
        grace: Duration::from_millis(100),
    };

    #[test]
    fn the_one_that_waits_longest_gives_way() {
        let start = Instant::now();
        let mut connections = Connections::new(3, PATIENCE);
        let [a, b, c] = [("a", 0), ("b", 1), ("c", 2)].map(|(name, at)| {
            let (id, closed) = connections.admit(name, start + at * SECOND);
            assert_eq!(closed, None);
            id
        });
        connections.answering(a, start + 3 * SECOND);
        connections.answering(b, start + 3 * SECOND);
        connections.idle(b, start + 4 * SECOND);
        assert_eq!(connections.admit("d", start + 5 * SECOND).1, Some("c"));
        assert_eq!(connections.admit("e", start + 6 * SECOND).1, Some("b"));
        assert_eq!(connections.deadline(c), None);
        assert_eq!(connections.remove(a), Some("a"));
        assert_eq!(connections.admit("f", start + 7 * SECOND).1, None);
    }

    #[test]
    fn those_that_are_answered_do_not_give_way() {
        let start = Instant::now();
        let mut connections = Connections::new(2, PATIENCE);
        let (a, _) = connections.admit("a", start);
        assert_eq!(connections.room(start), Room::Free);
        let (b, _) = connections.admit("b", start);
        connections.answering(a, start);
        let now = start + PATIENCE.grace;
        assert_eq!(connections.room(now), Room::GivenWay);
        connections.answering(b, now);
        assert_eq!(connections.room(now), Room::None { until: None });
        connections.idle(a, now);
        assert_eq!(connections.room(now), Room::GivenWay);
        connections.remove(b);
        assert_eq!(connections.room(now), Room::Free);
    }

    #[test]
    fn a_new_one_has_a_moment_before_it_gives_way() {
        let start = Instant::now();
        let mut connections = Connections::new(2, PATIENCE);
        let (a, _) = connections.admit("a", start);
        let (_, _) = connections.admit("b", start + PATIENCE.grace / 2);
        let just_before = start + PATIENCE.grace - Duration::from_nanos(1);
        assert_eq!(connections.room(just_before), Room::None { until: Some(start + PATIENCE.grace) });
        assert_eq!(connections.room(start + PATIENCE.grace), Room::GivenWay);
        // One that was answered has had its request.
        connections.answering(a, just_before);
        let b_may = start + PATIENCE.grace / 2 + PATIENCE.grace;
        assert_eq!(connections.room(just_before), Room::None { until: Some(b_may) });
        connections.idle(a, just_before);
        assert_eq!(connections.room(just_before), Room::GivenWay);
        assert_eq!(connections.admit("c", just_before).1, Some("a"));
    }

    #[test]
    fn each_phase_has_its_time() {
        let start = Instant::now();
        let mut connections = Connections::new(1, PATIENCE);
        let (id, _) = connections.admit((), start);
        assert_eq!(connections.deadline(id), Some(start + SECOND));
        connections.answering(id, start + SECOND);
        assert_eq!(connections.deadline(id), Some(start + 10 * SECOND));
        connections.idle(id, start + 2 * SECOND);
        assert_eq!(connections.deadline(id), Some(start + 62 * SECOND));
    }
}
