//! The connections that are open: how many, how long each may take, and which gives way when there is no room.
//!
//! A client that has sent no whole request yet, or is between two, waits for nothing: when the table is full the one
//! that has been so for longest gives way to a new one. Clients that open connections and hold them can so not keep
//! others out, however many they are.

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
    pub fn has_room(&self) -> bool {
        self.open.len() < self.most || self.open.values().any(|one| one.phase != Phase::Answering)
    }

    /// Takes in a new connection; also the handle of the one to be closed for it, if that is needed.
    pub fn admit(&mut self, handle: T, now: Instant) -> (ConnectionId, Option<T>) {
        let gives_way = (self.open.len() >= self.most).then(|| self.longest_waiting()).flatten();
        let closed = gives_way.and_then(|id| self.remove(id));
        let id = ConnectionId(self.next);
        self.next += 1;
        self.open.insert(id, Connection { phase: Phase::Fresh, since: now, handle });
        (id, closed)
    }

    fn longest_waiting(&self) -> Option<ConnectionId> {
        let waiting = self.open.iter().filter(|(_, one)| one.phase != Phase::Answering);
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
    const PATIENCE: Patience =
        Patience { first: SECOND, idle: Duration::from_secs(60), answer: Duration::from_secs(9) };

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
        let now = Instant::now();
        let mut connections = Connections::new(2, PATIENCE);
        let (a, _) = connections.admit("a", now);
        assert!(connections.has_room());
        let (b, _) = connections.admit("b", now);
        connections.answering(a, now);
        assert!(connections.has_room());
        connections.answering(b, now);
        assert!(!connections.has_room());
        connections.idle(a, now);
        assert!(connections.has_room());
        connections.remove(b);
        assert!(connections.has_room());
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
