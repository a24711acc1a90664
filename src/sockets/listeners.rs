//! Listeners and their accept queues.

use super::row::{Endpoint, Row};

/// Most listeners kept: each is two series.
pub const MAX_LISTENERS: usize = 32;
/// Most of them on ports that are not watched.
pub const MAX_UNWATCHED: usize = 8;

/// An address and port that is listened on. Sockets that share it (`SO_REUSEPORT`, one for each device) are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// What it listens on.
    pub local: Endpoint,
    /// Connections that wait to be accepted.
    pub queue: u64,
    /// How many may wait; `None` where that is not told: procfs has 0 there, and so has a
    /// backlog of 0.
    pub limit: Option<u64>,
    /// Whether its port is watched.
    pub watched: bool,
}

impl Listener {
    /// What comes first is kept.
    fn rank(&self) -> impl Ord + use<> {
        (!self.watched, self.local.port, self.local.address)
    }
}

/// The listeners of a namespace, and every port with one. Kept are those on watched ports before others, then those with
/// the lowest ports: at most [`MAX_LISTENERS`], of which [`MAX_UNWATCHED`] on ports that are not watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    /// Ascending by [`Listener::rank`].
    list: Vec<Listener>,
    sockets: u64,
    refused: u64,
    ports: PortBits,
}

impl Listeners {
    /// Adds a LISTEN row, of a port that is watched or not.
    pub fn add(&mut self, row: &Row, watched: bool) {
        self.sockets += 1;
        self.ports.insert(row.local.port);
        let added = Listener {
            local: row.local,
            queue: u64::from(row.receive_queue),
            limit: (row.send_queue > 0).then_some(u64::from(row.send_queue)),
            watched,
        };
        match self.list.binary_search_by_key(&added.rank(), Listener::rank) {
            Ok(place) => {
                if let Some(listener) = self.list.get_mut(place) {
                    listener.queue += added.queue;
                    listener.limit = listener.limit.zip(added.limit).map(|(a, b)| a + b);
                }
            }
            Err(place) => {
                self.list.insert(place, added);
                if self.is_overfull() {
                    // The last: one on a port that is not watched, if there is any.
                    self.list.pop();
                    self.refused += 1;
                }
            }
        }
    }

    fn is_overfull(&self) -> bool {
        let unwatched = self.list.iter().rev().take_while(|listener| !listener.watched).count();
        self.list.len() > MAX_LISTENERS || unwatched > MAX_UNWATCHED
    }

    /// Those kept, those on watched ports first, then ascending by port.
    pub fn iter(&self) -> impl Iterator<Item = &Listener> {
        self.list.iter()
    }

    /// All sockets that listen.
    pub fn sockets(&self) -> u64 {
        self.sockets
    }

    /// How many were not kept.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether anything listens on `port`.
    #[inline]
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.contains(port)
    }

    /// Every port that is listened on, ascending.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        (1..=u16::MAX).filter(|port| self.has_port(*port))
    }
}

/// A bit for each port.
#[derive(Clone, PartialEq, Eq)]
struct PortBits(Box<[u64; 1 << 10]>);

impl Default for PortBits {
    fn default() -> Self {
        Self(Box::new([0; 1 << 10]))
    }
}

impl std::fmt::Debug for PortBits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries((0..=u16::MAX).filter(|port| self.contains(*port))).finish()
    }
}

impl PortBits {
    fn insert(&mut self, port: u16) {
        if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
            *word |= 1 << (port & 63);
        }
    }

    #[inline]
    fn contains(&self, port: u16) -> bool {
        self.0.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::{row::tests::row, state::State};

    fn listening(port: u16, queue: u32, limit: u32) -> Row {
        Row { receive_queue: queue, send_queue: limit, ..row(State::Listen, port, 0) }
    }

    #[test]
    fn sockets_that_share_an_address_and_port_are_one_listener() {
        let mut listeners = Listeners::default();
        for row in [listening(3306, 1, 80), listening(80, 0, 128), listening(3306, 2, 80)] {
            listeners.add(&row, true);
        }
        let kept: Vec<_> = listeners.iter().map(|l| (l.local.port, l.queue, l.limit)).collect();
        assert_eq!(kept, [(80, 0, Some(128)), (3306, 3, Some(160))]);
        assert_eq!((listeners.sockets(), listeners.refused()), (3, 0));
    }

    #[test]
    fn watched_ports_are_kept_and_then_the_lowest_in_whatever_order_they_come() {
        // (watched from this port on, kept): all watched; some, however high; none.
        let ranges =
            [(1, vec![1..=32]), (98, vec![98..=100, 1..=8]), (80, vec![80..=100, 1..=8]), (101, vec![1..=8])];
        for (first_watched, kept) in ranges {
            let ports = (1..=100_u16).map(|n| n * 37 % 101);
            let mut listeners = Listeners::default();
            ports.for_each(|port| listeners.add(&listening(port, 0, 1), port >= first_watched));
            let kept: Vec<u16> = kept.into_iter().flatten().collect();
            assert_eq!(listeners.iter().map(|listener| listener.local.port).collect::<Vec<_>>(), kept);
            assert_eq!((listeners.sockets(), listeners.refused()), (100, 100 - kept.len() as u64));
            assert_eq!(listeners.ports().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_port_has_a_bit_of_its_own() {
        for port in [1, 63, 64, 65, 3306, u16::MAX] {
            let mut listeners = Listeners::default();
            listeners.add(&listening(port, 0, 0), false);
            assert_eq!(listeners.ports().collect::<Vec<_>>(), [port]);
        }
    }
}
