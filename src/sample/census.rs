//! All connections to the server ports at one moment, and what happened between two of them.
//!
//! The auxiliary variable is `x = min(Δdata segments in, Δdata segments out)`, which is very nearly a connection's
//! number of requests: a large request inflates only the first, a large reply only the second.

use std::time::Duration;

use thiserror::Error;

/// Sockets of a census. With more there is none: a part of them would make wrong weights.
pub const MOST_SOCKETS: usize = 1 << 16;

/// Half of what a connection did so long ago counts as its activity. The last slice alone would not tell: it may have been
/// short, and who was just waiting in it is not idle.
const HALF_FORGOTTEN: Duration = Duration::from_secs(10);

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
    /// Bytes the client has sent, 4 GiB at most.
    pub client_bytes: u32,
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

/// One of a census.
#[derive(Debug, Clone, Copy)]
struct Entry<K> {
    key: K,
    socket: Socket,
    /// Its x of late, up to here: what is longer ago counts for less. 0 where it was not compared with a census before.
    activity: f32,
    /// Whether it is the server's end.
    server: bool,
}

/// Sockets as they come from the kernel, of which a [`Census`] is made.
#[derive(Debug, Clone)]
pub struct Listing<K> {
    entries: Vec<Entry<K>>,
    sockets: usize,
}

/// Why there is no census.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there are {0} sockets of the server ports, and {MOST_SOCKETS} can be compared")]
pub struct TooMany(usize);

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), sockets: 0 }
    }
}

impl<K: Copy + Ord> Listing<K> {
    /// Adds a socket: the server's end, or the client's.
    pub fn add(&mut self, key: K, socket: Socket, server: bool) {
        self.sockets += 1;
        if self.entries.len() < MOST_SOCKETS {
            self.entries.push(Entry { key, socket, activity: 0.0, server });
        }
    }

    /// The connections. On a host that is both client and server a connection has two sockets: the server's tells.
    ///
    /// # Errors
    /// If there were more than [`MOST_SOCKETS`].
    pub fn census(self) -> Result<Census<K>, TooMany> {
        let Self { mut entries, sockets } = self;
        if sockets > MOST_SOCKETS {
            return Err(TooMany(sockets));
        }
        entries.sort_unstable_by_key(|entry| (entry.key, !entry.server));
        entries.dedup_by_key(|entry| entry.key);
        entries.shrink_to_fit();
        Ok(Census { entries })
    }
}

/// Connections by their ends.
#[derive(Debug)]
pub struct Census<K> {
    /// Sorted by key: two censuses are compared in one walk, and nothing but the entries takes memory.
    entries: Vec<Entry<K>>,
}

impl<K> Default for Census<K> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Copy + Ord> Census<K> {
    /// The connection between these ends.
    pub fn get(&self, key: &K) -> Option<&Socket> {
        let place = self.entries.binary_search_by_key(key, |entry| entry.key).ok()?;
        self.entries.get(place).map(|entry| &entry.socket)
    }

    /// Every connection.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Socket)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.socket))
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Finds out how active each connection has been of late, the census `before` being so long ago.
    pub fn compare(&mut self, before: &Self, elapsed: Duration) {
        let kept = 0.5_f32.powf(elapsed.as_secs_f32() / HALF_FORGOTTEN.as_secs_f32());
        let mut earlier = Walk::new(before);
        for now in &mut self.entries {
            now.activity = match earlier.find(now) {
                Some(twin) => now.socket.requests_since(&twin.socket) as f32 + kept * twin.activity,
                None => now.socket.requests() as f32,
            };
        }
    }

    /// Connections there were `before`, with x since.
    pub fn lasting<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a Socket, u32)> {
        let mut earlier = Walk::new(before);
        self.entries.iter().filter_map(move |now| {
            let twin = earlier.find(now)?;
            Some((&now.key, &now.socket, now.socket.requests_since(&twin.socket)))
        })
    }

    /// Connections there were `before` and are not now, with how active they were up to then.
    pub fn ended<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a Socket, f64)> {
        let mut now = Walk::new(self);
        before.entries.iter().filter_map(move |earlier| {
            let ended = now.find(earlier).is_none();
            ended.then_some((&earlier.key, &earlier.socket, f64::from(earlier.activity)))
        })
    }
}

/// Goes through a census beside another one.
struct Walk<'a, K>(std::iter::Peekable<std::slice::Iter<'a, Entry<K>>>);

impl<'a, K: Copy + Ord> Walk<'a, K> {
    fn new(census: &'a Census<K>) -> Self {
        Self(census.entries.iter().peekable())
    }

    /// The same connection here. Asked for in the order of keys.
    fn find(&mut self, other: &Entry<K>) -> Option<&'a Entry<K>> {
        while self.0.next_if(|entry| entry.key < other.key).is_some() {}
        let found = *self.0.peek()?;
        (found.key == other.key && found.socket.cookie == other.socket.cookie).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(cookie: u64, segments_in: u32, segments_out: u32) -> Socket {
        Socket { cookie, client_port: 2, segments_in, segments_out, client_bytes: 0 }
    }

    fn census<const N: usize>(sockets: [(i32, Socket, bool); N]) -> Census<i32> {
        let mut listing = Listing::default();
        sockets.into_iter().for_each(|(key, socket, server)| listing.add(key, socket, server));
        listing.census().unwrap()
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
        let mut first =
            census([(3, 3), (1, 1), (2, 2)].map(|(key, cookie)| (key, socket(cookie, 5, 5), true)));
        first.compare(&census([(3, socket(3, 1, 1), true)]), Duration::ZERO);
        let now = census([(4, 4), (2, 9), (1, 1)].map(|(key, cookie)| (key, socket(cookie, 8, 7), true)));
        assert_eq!(now.lasting(&first).map(|(key, _, x)| (*key, x)).collect::<Vec<_>>(), [(1, 2)]);
        let ended: Vec<_> = now.ended(&first).map(|(key, _, activity)| (*key, activity)).collect();
        assert_eq!(ended, [(2, 5.0), (3, 4.0)], "since it was opened, and since the census before");
        assert_eq!((now.get(&2).unwrap().cookie, now.get(&3)), (9, None));
    }

    #[test]
    fn what_a_connection_did_is_forgotten_by_and_by_not_with_each_census() {
        let mut before = census([(1, socket(1, 0, 0), true)]);
        for (requests, elapsed, activity) in
            [(800, 0, 800.0), (800, 1, 746.4), (900, 10, 473.2), (900, 600, 0.0)]
        {
            let mut now = census([(1, socket(1, requests, requests), true)]);
            now.compare(&before, Duration::from_secs(elapsed));
            let ended = census([]);
            let (_, _, of_late) = ended.ended(&now).next().unwrap();
            assert!((of_late - activity).abs() < 0.1, "{of_late}");
            before = now;
        }
    }

    #[test]
    fn of_two_ends_on_one_host_the_servers_counts() {
        for order in [[true, false], [false, true]] {
            let census = census(order.map(|server| (1, socket(u64::from(server), 0, 0), server)));
            assert_eq!((census.len(), census.get(&1).unwrap().cookie), (1, 1));
        }
    }

    #[test]
    fn of_more_sockets_than_can_be_compared_there_is_no_census() {
        let mut listing = Listing::default();
        (0..MOST_SOCKETS as i32).for_each(|key| listing.add(key, socket(1, 0, 0), true));
        assert_eq!(listing.clone().census().unwrap().len(), MOST_SOCKETS);
        listing.add(-1, socket(1, 0, 0), true);
        let error = listing.census().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there are 65537 sockets of the server ports, and 65536 can be compared"
        );
    }
}
