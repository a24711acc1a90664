//! Weights from two censuses and what was seen in between.
//!
//! Each event of a sampled connection stands for W events. Connections that were there when the slice began get
//! W = ΣX / ΣX of the sampled ones, X being nearly the number of requests; those opened since get the like with the
//! bytes their clients sent. Of a connection that ended in the slice the kernel has forgotten X: the sampled ones' own
//! requests stand in for it, weighted by how busy those that ended were before.

use std::{collections::HashMap, hash::Hash};

use super::{
    census::Census,
    class::SampleClass,
    interval::{self, Unit},
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

/// Those that were there before. `activity` is each one's x in the slice before.
pub fn lasting<K: Copy + Eq + Hash>(
    before: &Census<K>,
    now: &Census<K>,
    slice: &Slice<K>,
    class: SampleClass,
    activity: &HashMap<K, u32>,
) -> Stratum {
    let decoded = by_key(&slice.lasting);
    let mut stratum = Stratum::default();
    for (key, socket, x) in now.lasting(before) {
        let x = f64::from(x);
        stratum.all += x;
        if class.contains(socket.client_port) {
            stratum.sampled += x;
            let y = decoded.get(key).copied().unwrap_or_default();
            if x > 0.0 || y != [0.0; 3] {
                stratum.units.push(Unit { x, y });
            }
        }
    }
    stratum.segments = stratum.all;
    add_ended(&mut stratum, before, now, &decoded, class, activity);
    stratum
}

/// Those that ended: their requests instead of x, in x's unit.
fn add_ended<K: Copy + Eq + Hash>(
    stratum: &mut Stratum,
    before: &Census<K>,
    now: &Census<K>,
    decoded: &HashMap<K, [f64; 3]>,
    class: SampleClass,
    activity: &HashMap<K, u32>,
) {
    let queries: f64 = stratum.units.iter().map(|unit| unit.y[0]).sum();
    // Pipelined requests share segments, never the other way round.
    let unit = if queries > 0.0 { (stratum.sampled / queries).min(1.0) } else { 1.0 };
    let (mut all, mut sampled, mut x_sampled) = (0.0, 0.0, 0.0);
    for (key, socket) in now.ended(before) {
        let busy = 1.0 + activity.get(key).map_or(0.0, |x| f64::from(*x));
        all += busy;
        if class.contains(socket.client_port) {
            sampled += busy;
            let y = decoded.get(key).copied().unwrap_or_default();
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
pub fn new<K: Copy + Eq + Hash>(
    now: &Census<K>,
    slice: &Slice<K>,
    class: SampleClass,
    client_port: impl Fn(&K) -> u16,
) -> Stratum {
    let decoded = by_key(&slice.new);
    let bytes = |opening: &Opening<K>| {
        let alive = || now.get(&opening.key).map(|socket| socket.client_bytes as f64);
        opening.bytes.map(f64::from).or_else(alive)
    };
    let known: Vec<f64> = slice.openings.iter().filter_map(bytes).collect();
    let mean = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
    let mut stratum = Stratum::default();
    for opening in &slice.openings {
        let x = bytes(opening).unwrap_or(mean);
        stratum.all += x;
        stratum.segments += now.get(&opening.key).map_or(1.0, |socket| f64::from(socket.requests()));
        if class.contains(client_port(&opening.key)) {
            stratum.sampled += x;
            let y = decoded.get(&opening.key).copied().unwrap_or_default();
            stratum.units.push(Unit { x, y });
        }
    }
    stratum
}

fn by_key<K: Copy + Eq + Hash>(decoded: &[(K, [f64; 3])]) -> HashMap<K, [f64; 3]> {
    decoded.iter().copied().collect()
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
    use super::{super::census::Socket, *};

    fn census(sockets: &[(u16, u64, u32)]) -> Census<u16> {
        let mut census = Census::default();
        for &(port, cookie, segments) in sockets {
            let socket = Socket {
                cookie,
                client_port: port,
                segments_in: segments,
                segments_out: segments,
                client_bytes: u64::from(segments) * 10,
            };
            census.add(port, socket, true);
        }
        census
    }

    /// Of ports 2, 4, 6, 8 those with bit 1 set: 2 and 6.
    fn class() -> SampleClass {
        SampleClass::new(1, 1, 1).unwrap()
    }

    #[test]
    fn the_weight_is_the_ratio_of_requests_not_of_connections() {
        let before = census(&[(2, 1, 0), (4, 2, 0), (6, 3, 0), (8, 4, 0)]);
        let now = census(&[(2, 1, 10), (4, 2, 300), (6, 3, 30), (8, 4, 60)]);
        let slice = Slice { lasting: vec![(2, [10.0, 0.0, 0.0]), (6, [30.0, 0.0, 0.0])], ..Slice::default() };
        let stratum = lasting(&before, &now, &slice, class(), &HashMap::new());
        assert_eq!(stratum.weight(0.0), Some(10.0));
        assert_eq!(stratum.queries(10.0), 400.0);
        assert_eq!(stratum.weight(40.0), Some(11.0));
    }

    #[test]
    fn nothing_sampled_tells_nothing() {
        let (before, now) = (census(&[(4, 2, 0)]), census(&[(4, 2, 300)]));
        let stratum = lasting(&before, &now, &Slice::default(), class(), &HashMap::new());
        assert_eq!((stratum.weight(0.0), stratum.all), (None, 300.0));
    }

    #[test]
    fn connections_that_ended_do_not_lend_their_requests_the_weight_of_the_rest() {
        // The pool of 2 and 4 has gone; 6 is nearly idle, 8 is busy.
        let before = census(&[(2, 1, 0), (4, 2, 0), (6, 3, 0), (8, 4, 0)]);
        let now = census(&[(6, 3, 1), (8, 4, 5000)]);
        let slice =
            Slice { lasting: vec![(2, [9999.0, 0.0, 0.0]), (6, [1.0, 0.0, 0.0])], ..Slice::default() };
        let activity = HashMap::from_iter([(2, 99), (4, 299)]);
        let stratum = lasting(&before, &now, &slice, class(), &activity);
        let weight = stratum.weight(0.0).unwrap();
        assert!((weight - (1.0 + 5000.0 + 4.0 * 9999.0) / 10_000.0).abs() < 1e-9, "{weight}");
    }

    #[test]
    fn new_connections_count_by_their_bytes_finished_or_alive_and_else_by_their_number() {
        let now = census(&[(4, 2, 60)]);
        let opening = |key, bytes| Opening { key, bytes };
        let port = |key: &u16| *key;
        let slice = Slice {
            openings: vec![opening(2, Some(100)), opening(4, None), opening(6, Some(200))],
            ..Slice::default()
        };
        assert_eq!(new(&now, &slice, class(), port).weight(0.0), Some(3.0));
        let unknown = Slice { openings: (1..=4).map(|n| opening(2 * n, None)).collect(), ..Slice::default() };
        assert_eq!(new(&Census::default(), &unknown, class(), port).weight(0.0), Some(2.0));
    }
}
