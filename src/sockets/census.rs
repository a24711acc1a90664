//! Everything one read counts, in one pass over its rows.

use super::{
    listeners::Listeners,
    pairs::Pairs,
    ports::{PortTable, WatchedPorts},
    row::{Family, Row, Timer},
    state::{State, StateCounts},
    tcp_info::{Quantiles, TcpInfo},
};

/// Sockets by state and family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    ipv4: StateCounts,
    ipv6: StateCounts,
    /// FIN_WAIT2 rows that stand in for a socket already freed: the kernel counts them among its TIME_WAITs.
    pub stand_ins: u64,
}

impl Tally {
    /// Counts a row.
    #[inline]
    pub fn add(&mut self, row: &Row) {
        match row.family {
            Family::Ipv4 => self.ipv4.add(row.state),
            Family::Ipv6 => self.ipv6.add(row.state),
        }
        self.stand_ins += u64::from(row.state == State::FinWait2 && row.timer == Timer::TimeWait);
    }

    /// Sockets of one family.
    pub fn family(&self, family: Family) -> &StateCounts {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// Sockets of both families.
    pub fn states(&self) -> StateCounts {
        self.ipv4 + self.ipv6
    }
}

/// Round-trip times and retransmissions of the watched ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortInfo {
    /// Microseconds, of connections that have been measured.
    pub rtt: Quantiles,
    /// Segments sent again, of each connection.
    pub retransmits: Quantiles,
}

/// Of which connections ephemeral ports are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairScope {
    /// Those to a watched port.
    Watched,
    /// All.
    All,
}

/// Counts rows. Rows of listeners should come first: a port that is listened on is nobody's ephemeral port.
#[derive(Debug, Clone)]
pub struct Census<'a> {
    watched: &'a WatchedPorts,
    pairs_of: PairScope,
    /// By state and family.
    pub tally: Tally,
    /// Those that listen.
    pub listeners: Listeners,
    /// By watched port.
    pub ports: PortTable,
    /// By source and destination; `None` where the range of ephemeral ports is not known.
    pub pairs: Option<Pairs>,
    /// By watched port, in its order; empty unless asked for.
    pub info: Vec<PortInfo>,
}

impl<'a> Census<'a> {
    /// An empty census.
    pub fn new(watched: &'a WatchedPorts, pairs: Option<Pairs>, pairs_of: PairScope) -> Self {
        Self {
            watched,
            pairs_of,
            tally: Tally::default(),
            listeners: Listeners::default(),
            ports: PortTable::new(watched),
            pairs,
            info: Vec::new(),
        }
    }

    /// Makes room for [`Self::add_info`].
    #[must_use]
    pub fn with_info(mut self) -> Self {
        self.info.resize_with(self.watched.ports().len(), PortInfo::default);
        self
    }

    /// Counts a row in everything it belongs to.
    #[inline]
    pub fn add(&mut self, row: &Row) {
        self.tally.add(row);
        if row.state == State::Listen {
            self.listeners.add(row, self.watched.contains(row.local.port));
        }
        self.add_to_ports(row);
    }

    /// Counts a row by port and by pair only: it was, or will be, counted by state elsewhere.
    #[inline]
    pub fn add_to_ports(&mut self, row: &Row) {
        self.ports.add(self.watched, row);
        if let Some(pairs) = &mut self.pairs {
            let wanted = self.pairs_of == PairScope::All || self.watched.contains(row.remote.port);
            if wanted && pairs.concerns(row) && !self.listeners.has_port(row.local.port) {
                pairs.add(row);
            }
        }
    }

    /// Takes what the row's attributes say of the connection.
    pub fn add_info(&mut self, row: &Row, attributes: &[u8]) {
        let Some(place) = self.watched.place_of(row) else { return };
        if let (Some(port), Some(info)) = (self.info.get_mut(place), TcpInfo::find(attributes)) {
            if info.rtt_micros > 0 {
                port.rtt.add(info.rtt_micros);
            }
            port.retransmits.add(info.retransmits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::row::tests::row;

    fn census(watched: &WatchedPorts, pairs_of: PairScope) -> Census<'_> {
        Census::new(watched, Some(Pairs::new((32768, 60999))), pairs_of)
    }

    #[test]
    fn states_are_counted_by_family_and_together() {
        let mut tally = Tally::default();
        let established = row(State::Established, 1, 2);
        tally.add(&established);
        tally.add(&Row { family: Family::Ipv6, ..established });
        tally.add(&row(State::Listen, 1, 0));
        assert_eq!(tally.family(Family::Ipv4).total(), 2);
        assert_eq!(tally.family(Family::Ipv6).get(State::Established), 1);
        assert_eq!(tally.states().get(State::Established), 2);
    }

    #[test]
    fn only_fin_wait2_on_the_timer_of_time_wait_stands_in_for_a_freed_socket() {
        let mut tally = Tally::default();
        for (state, timer) in [
            (State::FinWait2, Timer::TimeWait),
            (State::FinWait2, Timer::Keepalive),
            (State::TimeWait, Timer::TimeWait),
        ] {
            tally.add(&Row { timer, ..row(state, 1, 2) });
        }
        assert_eq!((tally.stand_ins, tally.states().get(State::FinWait2)), (1, 2));
    }

    #[test]
    fn a_port_that_is_listened_on_is_nobodys_ephemeral_port() {
        let watched = WatchedPorts::new([3306]);
        let mut census = census(&watched, PairScope::All);
        census.add(&row(State::Listen, 33060, 0));
        census.add(&row(State::Established, 33060, 50000));
        census.add(&row(State::Established, 50000, 33060));
        let worst = census.pairs.unwrap().worst();
        assert_eq!(worst.pairs.len(), 1);
        assert_eq!((worst.pairs[0].0.destination.port, worst.pairs[0].1), (33060, 1));
    }

    #[test]
    fn pairs_can_be_limited_to_watched_ports() {
        let watched = WatchedPorts::new([3306]);
        let mut census = census(&watched, PairScope::Watched);
        census.add(&row(State::Established, 50000, 3306));
        census.add(&row(State::Established, 50001, 80));
        assert_eq!(census.pairs.unwrap().worst().pairs.len(), 1);
        assert_eq!(census.tally.states().total(), 2);
    }
}
