//! Weights from two censuses and what was seen in between.
//!
//! Each event of a sampled connection stands for W events. Connections that were there when the slice began get
//! W = ΣX / ΣX of the sampled ones, X being nearly the number of requests; those opened since get the like with what the
//! bytes their clients sent say of it ([`super::line`]). Of a connection that ended in the slice the kernel has forgotten X:
//! the sampled ones' own requests stand in for it, weighted by how busy those that ended were before.

use super::{
    census::Census,
    class::SampleClass,
    interval::{self, Unit},
    line::Line,
    openings::Opening,
};

/// What was decoded of the sampled connections in a slice.
#[derive(Debug, Clone)]
pub struct Slice<K> {
    /// Of connections that were there when it began, by [`interval::MEASURES`].
    pub lasting: Vec<(K, [f64; 3])>,
    /// Of those opened in it.
    pub new: Vec<(K, [f64; 3])>,
    /// Every connection opened in it, sampled or not.
    pub openings: Vec<Opening<K>>,
}

impl<K> Default for Slice<K> {
    fn default() -> Self {
        Self { lasting: Vec::new(), new: Vec::new(), openings: Vec::new() }
    }
}

impl<K> Slice<K> {
    /// Adds what was decoded of others, or later.
    pub fn extend(&mut self, more: Self) {
        self.lasting.extend(more.lasting);
        self.new.extend(more.new);
        self.openings.extend(more.openings);
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

/// Those that were there `before`.
pub fn lasting<K: Copy + Ord>(
    before: &Census<K>,
    now: &Census<K>,
    decoded: &Decoded<K>,
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
    add_ended(&mut stratum, before, now, decoded, class);
    stratum
}

/// Those that ended: their requests instead of x, in x's unit.
fn add_ended<K: Copy + Ord>(
    stratum: &mut Stratum,
    before: &Census<K>,
    now: &Census<K>,
    decoded: &Decoded<K>,
    class: SampleClass,
) {
    let queries: f64 = stratum.units.iter().map(|unit| unit.y[0]).sum();
    // Pipelined requests share segments, never the other way round.
    let unit = if queries > 0.0 { (stratum.sampled / queries).min(1.0) } else { 1.0 };
    let (mut all, mut sampled, mut x_sampled) = (0.0, 0.0, 0.0);
    for (key, socket, activity) in now.ended(before) {
        let busy = 1.0 + activity;
        all += busy;
        if class.contains(socket.client_port) {
            sampled += busy;
            let y = decoded.of(key);
            let x = y[0] * unit;
            x_sampled += x;
            if x > 0.0 {
                stratum.units.push(Unit { x, y });
            }
        }
    }
    if sampled > 0.0 {
        stratum.sampled += x_sampled;
        stratum.all += x_sampled * all / sampled;
    }
}

/// Those opened since. The bytes of one that is neither finished nor listed are taken to be those of the others.
pub fn new<K: Copy + Ord>(
    now: &Census<K>,
    decoded: &Decoded<K>,
    openings: &[Opening<K>],
    class: SampleClass,
    client_port: impl Fn(&K) -> u16,
) -> Stratum {
    let bytes = |opening: &Opening<K>| {
        let alive = || now.get(&opening.key).map(|socket| socket.client_bytes);
        opening.bytes.or_else(alive).map(f64::from)
    };
    let (known, sum) =
        openings.iter().filter_map(bytes).fold((0.0, 0.0), |(n, sum), bytes| (n + 1.0, sum + bytes));
    let mean = if known > 0.0 { sum / known } else { 1.0 };
    let mut stratum = Stratum::default();
    for opening in openings {
        let x = bytes(opening).unwrap_or(mean);
        stratum.all += x;
        stratum.segments += now.get(&opening.key).map_or(1.0, |socket| f64::from(socket.requests()));
        if class.contains(client_port(&opening.key)) {
            stratum.sampled += x;
            stratum.units.push(Unit { x, y: decoded.of(&opening.key) });
        }
    }
    let Some(line) = Line::through(&stratum.units) else { return stratum };
    stratum.all = openings.iter().map(|opening| line.at(bytes(opening).unwrap_or(mean))).sum();
    stratum.units.iter_mut().for_each(|unit| unit.x = line.at(unit.x));
    stratum.sampled = stratum.units.iter().map(|unit| unit.x).sum();
    stratum
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

    use super::{
        super::census::{Listing, Socket},
        *,
    };

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
        lasting(before, &now, &decoded.into(), class())
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

    #[test]
    fn new_connections_count_by_their_bytes_finished_or_alive_and_else_by_their_number() {
        let now = census(&[(4, 2, 60)]);
        let opening = |key, bytes| Opening { key, bytes };
        let weight = |now: &Census<u16>, openings: &[_]| {
            new(now, &Vec::new().into(), openings, class(), |key| *key).weight(0.0)
        };
        assert_eq!(
            weight(&now, &[opening(2, Some(100)), opening(4, None), opening(6, Some(200))]),
            Some(3.0)
        );
        let unknown: Vec<_> = (1..=4).map(|n| opening(2 * n, None)).collect();
        assert_eq!(weight(&Census::default(), &unknown), Some(2.0));
    }

    /// What is estimated, and what is true, of connections with so many queries, which send `bytes` for them; every other
    /// one is sampled.
    fn estimate(queries: &[f64], bytes: impl Fn(f64) -> f64) -> (f64, f64) {
        let ports = || (1..).map(|n| 2 * n).zip(queries.iter().copied());
        let openings: Vec<_> = ports()
            .map(|(port, queries)| Opening { key: port, bytes: Some(bytes(queries) as u32) })
            .collect();
        let decoded: Vec<_> = ports()
            .filter(|(port, _)| class().contains(*port))
            .map(|(port, queries)| (port, [queries, 0.0, 0.0]))
            .collect();
        let stratum = new(&Census::default(), &decoded.into(), &openings, class(), |port| *port);
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
