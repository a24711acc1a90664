//! All connections to the server ports at one moment, and what happened between two of them.
//!
//! The auxiliary variable is `x = min(Δdata segments in, Δdata segments out)`, which is very nearly a connection's
//! number of requests: a large request inflates only the first, a large reply only the second.

use std::{collections::HashMap, hash::Hash};

/// A connection as the kernel describes it (`struct tcp_info`, include/uapi/linux/tcp.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Tells it from an earlier one between the same ends.
    pub cookie: u64,
    /// Port of the client, by which it is sampled or not.
    pub client_port: u16,
    /// `tcpi_data_segs_in`, modulo 2^32.
    pub segments_in: u32,
    /// `tcpi_data_segs_out`, modulo 2^32.
    pub segments_out: u32,
    /// Bytes the client has sent.
    pub client_bytes: u64,
}

impl Socket {
    /// x since an earlier moment.
    fn requests_since(&self, earlier: &Self) -> u32 {
        let received = self.segments_in.wrapping_sub(earlier.segments_in);
        received.min(self.segments_out.wrapping_sub(earlier.segments_out))
    }

    /// x since it was opened.
    pub fn requests(&self) -> u32 {
        self.segments_in.min(self.segments_out)
    }
}

/// Connections by their ends.
#[derive(Debug, Clone)]
pub struct Census<K> {
    sockets: HashMap<K, Socket>,
}

impl<K> Default for Census<K> {
    fn default() -> Self {
        Self { sockets: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Census<K> {
    /// Adds a socket. On a host that is both client and server a connection has two: `server` ones take precedence.
    pub fn add(&mut self, key: K, socket: Socket, server: bool) {
        if server {
            self.sockets.insert(key, socket);
        } else {
            self.sockets.entry(key).or_insert(socket);
        }
    }

    /// The connection between these ends.
    pub fn get(&self, key: &K) -> Option<&Socket> {
        self.sockets.get(key)
    }

    /// Every connection.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Socket)> {
        self.sockets.iter()
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Connections there were before and are now, with x in between.
    pub fn lasting<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a Socket, u32)> {
        self.sockets.iter().filter_map(|(key, now)| {
            let earlier = before.sockets.get(key).filter(|earlier| earlier.cookie == now.cookie)?;
            Some((key, now, now.requests_since(earlier)))
        })
    }

    /// Connections there were before and are not now.
    pub fn ended<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a Socket)> {
        before
            .sockets
            .iter()
            .filter(|(key, earlier)| self.sockets.get(*key).is_none_or(|now| now.cookie != earlier.cookie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(cookie: u64, segments_in: u32, segments_out: u32) -> Socket {
        Socket { cookie, client_port: 2, segments_in, segments_out, client_bytes: 0 }
    }

    #[test]
    fn requests_are_the_lesser_of_both_ways_and_survive_a_wrap() {
        let table = [((0, 0), (7, 5), 5), ((10, 10), (500, 12), 2), ((u32::MAX, 1), (4, 9), 5)];
        for ((i0, o0), (i1, o1), expected) in table {
            assert_eq!(socket(1, i1, o1).requests_since(&socket(1, i0, o0)), expected);
        }
    }

    #[test]
    fn another_cookie_is_another_connection() {
        let (mut before, mut now) = (Census::default(), Census::default());
        for (key, cookie) in [(1, 1), (2, 2), (3, 3)] {
            before.add(key, socket(cookie, 5, 5), true);
        }
        for (key, cookie) in [(1, 1), (2, 9), (4, 4)] {
            now.add(key, socket(cookie, 8, 7), true);
        }
        assert_eq!(now.lasting(&before).map(|(key, _, x)| (*key, x)).collect::<Vec<_>>(), [(1, 2)]);
        let mut ended: Vec<i32> = now.ended(&before).map(|(key, _)| *key).collect();
        ended.sort_unstable();
        assert_eq!(ended, [2, 3]);
    }

    #[test]
    fn of_two_ends_on_one_host_the_servers_counts() {
        for order in [[true, false], [false, true]] {
            let mut census = Census::default();
            for server in order {
                census.add(1, socket(u64::from(server), 0, 0), server);
            }
            assert_eq!((census.len(), census.get(&1).unwrap().cookie), (1, 1));
        }
    }
}
