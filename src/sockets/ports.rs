//! The ports that get series of their own, and what is counted of each.

use super::{
    row::{Row, Timer},
    state::{State, StateCounts},
};

/// Most ports watched: each is 26 series and more.
pub const MAX_PORTS: usize = 32;

/// A set of ports with a place for each, looked up in constant time.
#[derive(Clone)]
pub struct WatchedPorts {
    /// By port: its place in `ports` plus one; 0 for a port that is not watched.
    places: Box<[u8; 1 << 16]>,
    ports: Vec<u16>,
    refused: usize,
}

impl std::fmt::Debug for WatchedPorts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WatchedPorts").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl WatchedPorts {
    /// Watches the lowest [`MAX_PORTS`] of `ports`, which may come in any order and more than once.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let mut ports: Vec<u16> = ports.into_iter().filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        let refused = ports.len().saturating_sub(MAX_PORTS);
        ports.truncate(MAX_PORTS);
        let mut places = Box::new([0; 1 << 16]);
        for (port, place) in ports.iter().zip(1..) {
            if let Some(slot) = places.get_mut(usize::from(*port)) {
                *slot = place;
            }
        }
        Self { places, ports, refused }
    }

    /// The ports, ascending.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// How many ports there was no place for.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Whether `port` is watched.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.place(port).is_some()
    }

    /// The place of the watched port `row` has, in the order of [`Self::ports`].
    #[inline]
    pub(super) fn place_of(&self, row: &Row) -> Option<usize> {
        self.find(row).map(|(place, _)| place)
    }

    /// The local port goes first: where both ends are watched, the row is one of a server.
    #[inline]
    fn find(&self, row: &Row) -> Option<(usize, Direction)> {
        let inbound = self.place(row.local.port).map(|place| (place, Direction::Inbound));
        inbound.or_else(|| Some((self.place(row.remote.port)?, Direction::Outbound)))
    }

    #[inline]
    fn place(&self, port: u16) -> Option<usize> {
        usize::from(*self.places.get(usize::from(port))?).checked_sub(1)
    }
}

/// Which end of a connection a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The port is local: this host serves it.
    Inbound,
    /// The port is the peer's: this host is the client.
    Outbound,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// Value of the `direction` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What is counted of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCounts {
    inbound: StateCounts,
    outbound: StateCounts,
    /// Established and not yet accepted: no file refers to the socket.
    pub not_accepted: u64,
    /// Waiting for an acknowledgment.
    pub retransmit: u64,
    /// Waiting to send a keepalive, or for FIN_WAIT2 to end.
    pub keepalive: u64,
    /// Probing a peer that takes nothing more.
    pub zero_window: u64,
}

impl PortCounts {
    /// Sockets by state, of one direction.
    pub fn states(&self, direction: Direction) -> &StateCounts {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// Sockets on each timer, by value of the `timer` label.
    pub fn timers(&self) -> [(&'static str, u64); 3] {
        [("retransmit", self.retransmit), ("keepalive", self.keepalive), ("zero_window", self.zero_window)]
    }

    #[inline]
    fn add(&mut self, direction: Direction, row: &Row) {
        match direction {
            Direction::Inbound => {
                self.inbound.add(row.state);
                self.not_accepted += u64::from(row.state == State::Established && row.inode == 0);
            }
            Direction::Outbound => self.outbound.add(row.state),
        }
        match row.timer {
            Timer::Retransmit => self.retransmit += 1,
            Timer::Keepalive => self.keepalive += 1,
            Timer::ZeroWindow => self.zero_window += 1,
            Timer::Off | Timer::TimeWait | Timer::Other => {}
        }
    }
}

/// Counts of the watched ports, in the order of [`WatchedPorts::ports`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortTable(Vec<PortCounts>);

impl PortTable {
    /// A table of zeros for `watched`.
    pub fn new(watched: &WatchedPorts) -> Self {
        Self(vec![PortCounts::default(); watched.ports.len()])
    }

    /// Counts `row` under the watched port it has; under the local one if both ends are watched.
    #[inline]
    pub fn add(&mut self, watched: &WatchedPorts, row: &Row) {
        let Some((place, direction)) = watched.find(row) else { return };
        if let Some(counts) = self.0.get_mut(place) {
            counts.add(direction, row);
        }
    }

    /// Each watched port with its counts.
    pub fn iter<'a>(&'a self, watched: &'a WatchedPorts) -> impl Iterator<Item = (u16, &'a PortCounts)> {
        watched.ports.iter().copied().zip(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::row::tests::row;

    #[test]
    fn ports_are_watched_once_and_in_order_up_to_the_cap() {
        let watched = WatchedPorts::new([3307, 3306, 3306, 0]);
        assert_eq!((watched.ports(), watched.refused()), (&[3306, 3307][..], 0));
        assert!(watched.contains(3306) && !watched.contains(3308) && !watched.contains(0));

        let watched = WatchedPorts::new(1..=100);
        assert_eq!((watched.ports().len(), watched.refused()), (MAX_PORTS, 100 - MAX_PORTS));
        assert!(watched.contains(32) && !watched.contains(33));
    }

    #[test]
    fn a_row_counts_under_its_watched_port_and_the_direction_it_has_there() {
        let watched = WatchedPorts::new([3306, 3307]);
        let mut table = PortTable::new(&watched);
        for (local, remote, state) in [
            (3306, 50000, State::Established),
            (50000, 3306, State::Established),
            (3306, 50001, State::TimeWait),
            (3306, 3307, State::CloseWait),
            (80, 50000, State::Established),
        ] {
            table.add(&watched, &row(state, local, remote));
        }
        let [(3306, first), (3307, second)] = table.iter(&watched).collect::<Vec<_>>()[..] else { panic!() };
        let inbound = first.states(Direction::Inbound);
        assert_eq!((inbound.get(State::Established), inbound.get(State::TimeWait)), (1, 1));
        assert_eq!((inbound.get(State::CloseWait), inbound.total()), (1, 3));
        assert_eq!(first.states(Direction::Outbound).get(State::Established), 1);
        assert_eq!(second, &PortCounts::default());
    }

    #[test]
    fn connections_not_yet_accepted_and_timers_are_counted() {
        let watched = WatchedPorts::new([3306]);
        let mut table = PortTable::new(&watched);
        let base = row(State::Established, 3306, 50000);
        table.add(&watched, &Row { inode: 0, ..base });
        // A client's socket always has a file; one without was closed, and is not waiting to be accepted.
        table.add(&watched, &Row { inode: 0, ..row(State::Established, 50000, 3306) });
        table.add(&watched, &Row { inode: 0, ..row(State::TimeWait, 3306, 50000) });
        for timer in
            [Timer::Retransmit, Timer::Keepalive, Timer::ZeroWindow, Timer::ZeroWindow, Timer::TimeWait]
        {
            table.add(&watched, &Row { timer, ..base });
        }
        let (_, counts) = table.iter(&watched).next().unwrap();
        assert_eq!(counts.not_accepted, 1);
        assert_eq!(counts.timers(), [("retransmit", 1), ("keepalive", 1), ("zero_window", 2)]);
    }
}
