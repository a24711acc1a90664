//! Ephemeral ports in use, by source and destination.
//!
//! `connect()` needs a local port that no other connection from the same address to the same destination has: it
//! fails with `EADDRNOTAVAIL` when one pair has used up the range, however many ports other pairs leave free.

use std::{collections::HashMap, net::Ipv6Addr};

use super::row::{Endpoint, Row};

/// Most pairs told apart in one read; rows of others are counted as refused.
pub const MAX_PAIRS: usize = 4096;

/// Pairs exported: those nearest to running out.
pub const WORST: usize = 5;

/// A source address and a destination address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Local address.
    pub source: Ipv6Addr,
    /// The peer.
    pub destination: Endpoint,
}

/// Counts local ports in use by pair.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// First and last port of the range.
    range: (u16, u16),
    used: HashMap<Pair, u32, foldhash::fast::RandomState>,
    refused: u64,
}

impl Pairs {
    /// For the local ports of `range`, both ends included.
    pub fn new(range: (u16, u16)) -> Self {
        Self { range, used: HashMap::default(), refused: 0 }
    }

    /// Whether `row` holds a local port of the range. A port that something listens on belongs to a server, not
    /// to a `connect()`: the caller leaves those out.
    #[inline]
    pub fn concerns(&self, row: &Row) -> bool {
        (self.range.0..=self.range.1).contains(&row.local.port) && row.remote.port != 0
    }

    /// Counts the local port of `row`, which [`Self::concerns`].
    #[inline]
    pub fn add(&mut self, row: &Row) {
        let pair = Pair { source: row.local.address, destination: row.remote };
        if let Some(used) = self.used.get_mut(&pair) {
            *used += 1;
        } else if self.used.len() < MAX_PAIRS {
            self.used.insert(pair, 1);
        } else {
            self.refused += 1;
        }
    }

    /// The pairs that use the most ports, most first.
    pub fn worst(&self) -> Worst {
        let mut pairs: Vec<_> = self.used.iter().map(|(pair, used)| (*pair, *used)).collect();
        // By address too, so that equals come in the same order on every page.
        let key = |(pair, used): &(Pair, u32)| {
            (std::cmp::Reverse(*used), pair.source, pair.destination.address, pair.destination.port)
        };
        pairs.sort_unstable_by_key(key);
        pairs.truncate(WORST);
        let (low, high) = self.range;
        Worst { pairs, limit: u32::from(high - low) + 1, refused: self.refused }
    }
}

/// The pairs nearest to running out of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worst {
    /// With the ports in use, most first.
    pub pairs: Vec<(Pair, u32)>,
    /// Ports there are for each pair.
    pub limit: u32,
    /// Rows of pairs beyond [`MAX_PAIRS`].
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::{row::tests::row, state::State};

    #[test]
    fn the_pairs_with_the_most_ports_in_use_come_first() {
        let mut pairs = Pairs::new((32768, 60999));
        for (destination, count) in [(80, 1), (3306, 3), (443, 2), (1, 1), (2, 1), (3, 1)] {
            (0..count).for_each(|n| pairs.add(&row(State::TimeWait, 40000 + n, destination)));
        }
        let worst = pairs.worst();
        let ports: Vec<_> = worst.pairs.iter().map(|(pair, used)| (pair.destination.port, *used)).collect();
        assert_eq!(ports, [(3306, 3), (443, 2), (1, 1), (2, 1), (3, 1)]);
        assert_eq!((worst.limit, worst.refused), (28232, 0));
    }

    #[test]
    fn only_local_ports_of_the_range_that_have_a_peer_count() {
        let pairs = Pairs::new((100, 200));
        for (local, remote, concerns) in
            [(100, 1, true), (200, 1, true), (99, 1, false), (201, 1, false), (150, 0, false)]
        {
            assert_eq!(pairs.concerns(&row(State::Established, local, remote)), concerns, "{local} {remote}");
        }
    }

    #[test]
    fn pairs_beyond_the_cap_are_counted_as_refused() {
        let mut pairs = Pairs::new((1, 65535));
        for destination in 1..=MAX_PAIRS as u16 + 10 {
            pairs.add(&row(State::Established, 40000, destination));
        }
        pairs.add(&row(State::Established, 40001, 1));
        let worst = pairs.worst();
        assert_eq!(worst.refused, 10);
        assert_eq!((worst.pairs[0].0.destination.port, worst.pairs[0].1), (1, 2));
    }
}
