//! Weights from two censuses and what was seen in between.
//!
//! Each event of a sampled connection stands for W events. Connections that were there when the slice began get
//! W = ΣX / ΣX of the sampled ones, X being nearly the number of requests; of those opened since, and ended, it is what the
//! bytes their clients sent say of it ([`super::line`]). Of a connection that ended in the slice the kernel has forgotten X.
//! Where its FINs tell how much its client had sent in all, what it sent since the last census stands in for X, at as many
//! bytes a request as it took before; otherwise the sampled ones' own requests do, weighted by how busy they were before.

use super::{
    census::{Census, Socket},
    class::SampleClass,
    interval::{self, Unit},
    line::Line,
    openings::{Opening, Sent, Turnover},
};

/// What is known of connections in a slice.
#[derive(Debug, Clone)]
pub struct Slice<K> {
    /// What was decoded of sampled connections that were there when it began, by [`interval::MEASURES`].
    pub lasting: Vec<(K, [f64; 3])>,
    /// Of all connections, sampled or not.
    pub turnover: Turnover<K>,
}

impl<K> Default for Slice<K> {
    fn default() -> Self {
        Self { lasting: Vec::new(), turnover: Turnover::default() }
    }
}

impl<K> Slice<K> {
    /// Adds what is known of others, or later.
    pub fn extend(&mut self, more: Self) {
        join(&mut self.lasting, more.lasting);
        join(&mut self.turnover.opened, more.turnover.opened);
        join(&mut self.turnover.ended, more.turnover.ended);
    }

    /// Queries decoded.
    pub fn queries(&self) -> f64 {
        let lasting = self.lasting.iter().map(|(_, [queries, ..])| queries);
        lasting.chain(self.turnover.opened.iter().map(|opening| &opening.decoded[0])).sum()
    }
}

/// Nothing is copied where there was nothing, which is the rule.
fn join<T>(all: &mut Vec<T>, more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend(more);
    }
}

/// Of each connection what was decoded, by [`interval::MEASURES`].
#[derive(Debug, Clone)]
pub struct Decoded<K>(Vec<(K, [f64; 3])>);

impl<K: Copy + Ord> From<Vec<(K, [f64; 3])>> for Decoded<K> {
    fn from(mut decoded: Vec<(K, [f64; 3])>) -> Self {
        decoded.sort_unstable_by_key(|(key, _)| *key);
        decoded.dedup_by(|(key, more), (same, sums)| {
            let again = key == same;
            if again {
                sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += *more);
            }
            again
        });
        Self(decoded)
    }
}

impl<K: Copy + Ord> Decoded<K> {
    fn of(&self, key: &K) -> [f64; 3] {
        let place = self.0.binary_search_by_key(key, |(key, _)| *key);
        place.ok().and_then(|place| self.0.get(place)).map_or([0.0; 3], |(_, y)| *y)
    }
}

/// One stratum's outcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stratum {
    /// The auxiliary variable over all connections.
    pub all: f64,
    /// And over the sampled ones.
    pub sampled: f64,
    /// Data segments of all, for what cannot be estimated.
    pub segments: f64,
    /// The sampled connections.
    pub units: Vec<Unit>,
}

impl Stratum {
    /// What an event stands for, `carry` of the auxiliary variable included; `None` if nothing tells.
    pub fn weight(&self, carry: f64) -> Option<f64> {
        (self.sampled > 0.0).then(|| ((self.all + carry) / self.sampled).max(1.0))
    }

    /// Estimated number of queries.
    pub fn queries(&self, weight: f64) -> f64 {
        weight * self.units.iter().map(|unit| unit.y[0]).sum::<f64>()
    }
}

/// Those that were there `before`; those that have `ended` may tell what their clients sent in all.
pub fn lasting<K: Copy + Ord>(
    before: &Census<K>,
    now: &Census<K>,
    decoded: &Decoded<K>,
    ended: &mut [(K, u32)],
    class: SampleClass,
) -> Stratum {
    let mut stratum = Stratum::default();
    for (key, socket, x) in now.lasting(before) {
        let x = f64::from(x);
        stratum.all += x;
        if class.contains(socket.client_port) {
            stratum.sampled += x;
            let y = decoded.of(key);
            if x > 0.0 || y != [0.0; 3] {
                stratum.units.push(Unit { x, y });
            }
        }
    }
    stratum.segments = stratum.all;
    ended.sort_unstable();
    add_ended(&mut stratum, before, now, decoded, ended, class);
    stratum
}

/// Connections that ended, and how much they did, by one of two measures.
#[derive(Default)]
struct Gone {
    all: f64,
    /// The sampled ones, by that measure.
    units: Vec<Unit>,
}

impl Gone {
    fn sampled(&self) -> f64 {
        self.units.iter().map(|unit| unit.x).sum()
    }

    fn queries(&self) -> f64 {
        self.units.iter().map(|unit| unit.y[0]).sum()
    }
}

/// What one did since the last census is at most so many times what it did of late before: bytes may be those of one large
/// request.
const MOST_OF_ACTIVITY: f64 = 8.0;
/// Requests by which what bytes say of sampled connections is held against what was decoded, at the least.
const LEAST_TO_CALIBRATE: f64 = 10.0;

/// Those that ended: the sampled ones' requests instead of x, in x's unit, and what may be known of the others.
fn add_ended<K: Copy + Ord>(
    stratum: &mut Stratum,
    before: &Census<K>,
    now: &Census<K>,
    decoded: &Decoded<K>,
    ended: &[(K, u32)],
    class: SampleClass,
) {
    let queries: f64 = stratum.units.iter().map(|unit| unit.y[0]).sum();
    // Pipelined requests share segments, never the other way round.
    let unit = if queries > 0.0 { (stratum.sampled / queries).min(1.0) } else { 1.0 };
    let usual = bytes_a_request(now.ended(before).map(|(_, socket, _)| socket));
    let (mut by_bytes, mut by_activity) = (Gone::default(), Gone::default());
    for (key, socket, activity) in now.ended(before) {
        let busy = 1.0 + activity;
        let (group, amount) = match last_requests(key, socket, ended, usual) {
            Some(requests) => (&mut by_bytes, requests.min(MOST_OF_ACTIVITY * busy)),
            None => (&mut by_activity, busy),
        };
        group.all += amount;
        if class.contains(socket.client_port) {
            group.units.push(Unit { x: amount, y: decoded.of(key) });
        }
    }
    let decoded = |group: &Gone| unit * group.queries();
    let right = (decoded(&by_bytes) + LEAST_TO_CALIBRATE) / (by_bytes.sampled() + LEAST_TO_CALIBRATE);
    stratum.all += by_bytes.all * right;
    stratum.sampled += by_bytes.sampled() * right;
    stratum.units.extend(by_bytes.units.iter().map(|gone| Unit { x: gone.x * right, ..*gone }));
    if by_activity.sampled() > 0.0 {
        stratum.all += decoded(&by_activity) * by_activity.all / by_activity.sampled();
        stratum.sampled += decoded(&by_activity);
        let units = by_activity.units.iter().filter(|gone| gone.y[0] > 0.0);
        stratum.units.extend(units.map(|gone| Unit { x: gone.y[0] * unit, ..*gone }));
    }
}

/// What a request of these took, logins included.
fn bytes_a_request<'a>(sockets: impl Iterator<Item = &'a Socket>) -> f64 {
    let (bytes, requests) = sockets.fold((0.0, 0.0), |(bytes, requests), socket| {
        (bytes + f64::from(socket.client_bytes), requests + f64::from(socket.requests()))
    });
    if requests > 0.0 { bytes / requests } else { f64::INFINITY }
}

/// Requests since the last census of one that told its end, as its bytes say: at what a request took before, the `usual` one
/// of all where it had few.
fn last_requests<K: Copy + Ord>(key: &K, socket: &Socket, ended: &[(K, u32)], usual: f64) -> Option<f64> {
    let place = ended.binary_search_by_key(key, |(key, _)| *key).ok()?;
    let (_, sent) = ended.get(place)?;
    // One that had sent 4 GiB is told as that, whatever it had.
    let since = sent.checked_sub(socket.client_bytes)?;
    let request = (f64::from(socket.client_bytes) + usual) / (f64::from(socket.requests()) + 1.0);
    // Where nobody has had a request nothing tells.
    (request > 0.0 && request.is_finite()).then(|| f64::from(since) / request)
}

/// Those opened since: by their requests, as the kernel counts them while they live, and otherwise by what their clients have
/// sent.
pub fn new<K: Copy + Ord>(
    now: &Census<K>,
    openings: &[Opening<K>],
    class: SampleClass,
    client_port: impl Fn(&K) -> u16,
) -> Stratum {
    let sampled = |opening: &Opening<K>| class.contains(client_port(&opening.key));
    let mut stratum = Stratum::default();
    let alive = openings.iter().filter(|opening| opening.sent == Sent::Alive);
    // One that is not listed has not come to be open, or only after the census.
    let alive: Vec<_> = alive.filter_map(|opening| Some((opening, now.get(&opening.key)?))).collect();
    let login = login(alive.iter().copied().filter(|(opening, _)| sampled(opening)));
    for (opening, socket) in &alive {
        let x = (f64::from(socket.requests()) - login).max(0.0);
        stratum.add(opening, x, sampled(opening));
        stratum.segments += f64::from(socket.requests());
    }
    let ended: Vec<_> = openings.iter().filter(|opening| opening.sent != Sent::Alive).collect();
    let sockets: Vec<_> = alive.iter().map(|(_, socket)| *socket).collect();
    let requests = Requests::of(&ended, sampled, &sockets);
    for opening in ended {
        stratum.add(opening, requests.at(opening.sent), sampled(opening));
        stratum.segments += 1.0;
    }
    stratum
}

impl Stratum {
    /// A new connection with so much of the auxiliary variable.
    fn add<K>(&mut self, opening: &Opening<K>, x: f64, sampled: bool) {
        self.all += x;
        if sampled {
            self.sampled += x;
            self.units.push(Unit { x, y: opening.decoded });
        }
    }
}

/// Requests that the kernel has counted, and nobody has decoded: those of a login.
fn login<'a, K: 'a>(sampled: impl Iterator<Item = (&'a Opening<K>, &'a Socket)>) -> f64 {
    let more = sampled.map(|(opening, socket)| f64::from(socket.requests()) - opening.decoded[0]);
    let (count, sum) = more.fold((0.0, 0.0), |(count, sum), more| (count + 1.0, sum + more));
    if count > 0.0 { (sum / count).clamp(0.0, MOST_OF_A_LOGIN) } else { 1.0 }
}

/// Requests that a login may take: the client's answer to the greeting, and a few exchanges of a plugin.
const MOST_OF_A_LOGIN: f64 = 4.0;

/// What the bytes of connections that were opened and have ended say of their requests.
struct Requests {
    /// Bytes of those of which they are known. Of the others there is no more than of these: strangers may open as many
    /// connections as they like, and claim what they like.
    mean: f64,
    most: f64,
    line: Option<Line>,
    a_byte: f64,
}

impl Requests {
    /// Beside those that are `alive`.
    fn of<K>(ended: &[&Opening<K>], sampled: impl Fn(&Opening<K>) -> bool, alive: &[&Socket]) -> Self {
        let acknowledged = ended.iter().filter_map(|opening| match opening.sent {
            Sent::Acknowledged(bytes) => Some(bytes),
            _ => None,
        });
        let known: Vec<_> = acknowledged.chain(alive.iter().map(|socket| socket.client_bytes)).collect();
        let (mut mean, mut most) = (1.0, f64::INFINITY);
        if let Some(largest) = known.iter().max() {
            mean = known.iter().map(|bytes| f64::from(*bytes)).sum::<f64>() / known.len() as f64;
            most = f64::from(*largest);
        }
        let mut requests = Self { mean, most, line: None, a_byte: 1.0 };
        let sampled = ended.iter().filter(|opening| sampled(opening));
        let units: Vec<_> = sampled.map(|opening| requests.unit(opening)).collect();
        requests.line = Line::through(&units);
        let (x, queries) = units.iter().fold((0.0, 0.0), |(x, queries), unit| {
            (x + requests.line.map_or(unit.x, |line| line.at(unit.x)), queries + unit.y[0])
        });
        let usual = bytes_a_request(alive.iter().copied());
        requests.a_byte = match () {
            () if x > 0.0 && queries > 0.0 => queries / x,
            () if usual.is_finite() && usual > 0.0 => 1.0 / usual,
            () => 1.0,
        };
        requests
    }

    fn unit<K>(&self, opening: &Opening<K>) -> Unit {
        Unit { x: self.bytes(opening.sent), y: opening.decoded }
    }

    fn bytes(&self, sent: Sent) -> f64 {
        match sent {
            Sent::Acknowledged(bytes) => f64::from(bytes),
            Sent::Claimed(bytes) => f64::from(bytes).min(self.most),
            Sent::Unknown | Sent::Alive => self.mean,
        }
    }

    fn at(&self, sent: Sent) -> f64 {
        let bytes = self.bytes(sent);
        self.a_byte * self.line.map_or(bytes, |line| line.at(bytes))
    }
}

/// Variances of both strata together, by [`interval::MEASURES`].
pub fn variances(strata: [(&Stratum, Option<f64>); 2]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for (stratum, weight) in strata {
        let own = interval::variances(&stratum.units, weight.unwrap_or(1.0));
        sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::census::Listing, *};

    fn census(sockets: &[(u16, u64, u32)]) -> Census<u16> {
        let mut listing = Listing::default();
        for &(port, cookie, segments) in sockets {
            let socket = Socket {
                cookie,
                client_port: port,
                segments_in: segments,
                segments_out: segments,
                client_bytes: segments * 10,
            };
            listing.add(port, socket, true);
        }
        listing.census().unwrap()
    }

    /// The stratum between two censuses, the second of which has so many queries decoded.
    fn between(before: &Census<u16>, now: &[(u16, u64, u32)], queries: &[(u16, f64)]) -> Stratum {
        let now = census(now);
        let decoded: Vec<_> = queries.iter().map(|(port, queries)| (*port, [*queries, 0.0, 0.0])).collect();
        lasting(before, &now, &decoded.into(), &mut [], class())
    }

    /// Of ports 2, 4, 6, 8 those with bit 1 set: 2 and 6.
    fn class() -> SampleClass {
        SampleClass::new(1, 1, 1).unwrap()
    }

    #[test]
    fn the_weight_is_the_ratio_of_requests_not_of_connections() {
        let before = census(&[(2, 1, 0), (4, 2, 0), (6, 3, 0), (8, 4, 0)]);
        let now = [(2, 1, 10), (4, 2, 300), (6, 3, 30), (8, 4, 60)];
        let stratum = between(&before, &now, &[(6, 10.0), (2, 10.0), (6, 20.0)]);
        assert_eq!(stratum.weight(0.0), Some(10.0));
        assert_eq!(stratum.queries(10.0), 400.0);
        assert_eq!(stratum.weight(40.0), Some(11.0));
    }

    #[test]
    fn nothing_sampled_tells_nothing() {
        let stratum = between(&census(&[(4, 2, 0)]), &[(4, 2, 300)], &[]);
        assert_eq!((stratum.weight(0.0), stratum.all), (None, 300.0));
    }

    #[test]
    fn connections_that_ended_do_not_lend_their_requests_the_weight_of_the_rest() {
        // The pool of 2 and 4 has gone; 6 is nearly idle, 8 is busy.
        let mut before = census(&[(2, 1, 99), (4, 2, 299), (6, 3, 0), (8, 4, 0)]);
        before.compare(&census(&[(2, 1, 0), (4, 2, 0)]), Duration::ZERO);
        let stratum = between(&before, &[(6, 3, 1), (8, 4, 5000)], &[(2, 9999.0), (6, 1.0)]);
        let weight = stratum.weight(0.0).unwrap();
        assert!((weight - (1.0 + 5000.0 + 4.0 * 9999.0) / 10_000.0).abs() < 1e-9, "{weight}");
    }

    #[test]
    fn what_connections_that_ended_did_in_a_moment_before_does_not_tell_how_busy_they_were() {
        let at = |sampled, other| census(&[(2, 1, sampled), (4, 2, other), (6, 3, sampled), (8, 4, other)]);
        let (first, mut second, mut third) = (at(0, 0), at(5000, 5000), at(5001, 5200));
        second.compare(&first, Duration::from_secs(5));
        third.compare(&second, Duration::from_millis(50));
        let stratum = between(&third, &[], &[(2, 5000.0), (6, 5000.0)]);
        let weight = stratum.weight(0.0).unwrap();
        assert!((2.0..2.1).contains(&weight), "{weight}");
    }

    /// 2 of them is sampled. A request takes 10 bytes.
    #[test]
    fn bytes_at_the_end_tell_what_was_done_last_however_busy_it_was_before() {
        let start = census(&[(2, 1, 0), (4, 2, 0), (8, 3, 0)]);
        let mut before = census(&[(2, 1, 1000), (4, 2, 1000), (8, 3, 1000)]);
        before.compare(&start, Duration::ZERO);
        let weight = |ended: &mut [(u16, u32)], decoded: f64| {
            let decoded = vec![(2, [decoded, 0.0, 0.0])].into();
            lasting(&before, &census(&[]), &decoded, ended, class()).weight(0.0).unwrap()
        };
        assert_eq!(weight(&mut [], 500.0), 3.0, "as busy as the sampled one");
        let near = |weight: f64, expected: f64| {
            assert!((weight - expected).abs() < 0.01 * expected, "{weight} instead of {expected}");
        };
        near(weight(&mut [(8, 10_000), (4, 12_000), (2, 15_000)], 500.0), 700.0 / 500.0);
        // Of 8 nothing is known; were it like 2, it would have as many.
        near(weight(&mut [(4, 12_000)], 500.0), (500.0 + 500.0 + 200.0) / 500.0);
        // What a byte is worth is held against what was decoded.
        near(weight(&mut [(2, 15_000), (4, 12_000), (8, 10_000)], 250.0), 350.0 / 250.0);
        // A large request, and more than 4 GiB.
        near(weight(&mut [(2, 15_000), (4, 80_000_000), (8, 10_000)], 500.0), 8508.0 / 500.0);
        assert!(weight(&mut [(4, 5)], 500.0) > 2.0, "what cannot be is not believed");
    }

    fn opening(key: u16, sent: Sent) -> Opening<u16> {
        Opening { key, sent, decoded: [0.0; 3] }
    }

    fn weight_of_new(now: &Census<u16>, openings: &[Opening<u16>]) -> Option<f64> {
        new(now, openings, class(), |key| *key).weight(0.0)
    }

    #[test]
    fn new_connections_count_by_their_requests_or_bytes_and_else_by_their_number() {
        // Its login is one of its requests.
        let now = census(&[(4, 2, 61)]);
        let known = [(2, Sent::Acknowledged(100)), (4, Sent::Alive), (6, Sent::Acknowledged(200))];
        assert_eq!(weight_of_new(&now, &known.map(|(key, sent)| opening(key, sent))), Some(3.0));
        let unknown = [2, 4, 6, 8].map(|key| opening(key, Sent::Unknown));
        assert_eq!(weight_of_new(&Census::default(), &unknown), Some(2.0));
    }

    /// Strangers need not log in, nor finish a handshake, to send segments that open and end connections.
    #[test]
    fn connections_that_never_came_to_be_and_claims_that_nobody_confirms_raise_no_weight() {
        let now = census(&[(2, 1, 60), (4, 2, 60)]);
        let real = [2, 4].map(|key| opening(key, Sent::Alive));
        assert_eq!(weight_of_new(&now, &real), Some(2.0));
        let half_open = |n: u16| opening(8 + 4 * n, Sent::Alive);
        let flood: Vec<_> = real.into_iter().chain((0..1000).map(half_open)).collect();
        assert_eq!(weight_of_new(&now, &flood), Some(2.0));
        let refused = |n: u16| opening(8 + 4 * n, Sent::Acknowledged(0));
        let refusals: Vec<_> = real.into_iter().chain((0..1000).map(refused)).collect();
        assert_eq!(weight_of_new(&now, &refusals), Some(2.0));
        let liar = [real[0], real[1], opening(8, Sent::Claimed(u32::MAX))];
        let weight = weight_of_new(&now, &liar).unwrap();
        assert!((2.9..3.1).contains(&weight), "{weight}: as one of the others, at most");
    }

    /// What is estimated, and what is true, of connections with so many queries, which send `bytes` for them; every other
    /// one is sampled.
    fn estimate(queries: &[f64], bytes: impl Fn(f64) -> f64) -> (f64, f64) {
        let openings: Vec<_> = (1..)
            .map(|n| 2 * n)
            .zip(queries.iter().copied())
            .map(|(key, queries)| Opening {
                key,
                sent: Sent::Acknowledged(bytes(queries) as u32),
                decoded: if class().contains(key) { [queries, 0.0, 0.0] } else { [0.0; 3] },
            })
            .collect();
        let stratum = new(&Census::default(), &openings, class(), |port| *port);
        (stratum.queries(stratum.weight(0.0).unwrap()), queries.iter().sum())
    }

    #[test]
    fn the_bytes_of_logins_do_not_count_as_requests() {
        // The sampled ones have 1 to 3, the others 3.
        let queries: Vec<_> =
            (0..20).map(|n| if n % 2 == 0 { 1.0 + f64::from(n / 2 % 3) } else { 3.0 }).collect();
        let (estimated, truth) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
        assert!((estimated / truth - 1.0).abs() < 1e-9, "{estimated}, in truth {truth}");
    }

    #[test]
    fn one_that_sends_far_more_than_any_sampled_one_weighs_no_more_than_its_bytes() {
        let mut queries: Vec<_> = (0..20).map(|n| 1.0 + f64::from(n / 2 % 3)).collect();
        let (small, _) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
        queries[1] = 1000.0;
        let (large, _) = estimate(&queries, |queries| 100.0 + 13.0 * queries);
        // A byte of the sampled ones is worth 2 / 126 of a query.
        let by_bytes = 13_000.0 * 2.0 / 126.0;
        assert!((0.9..1.1).contains(&((large - small) / by_bytes)), "{small} {large}");
    }
}
