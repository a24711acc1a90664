//! Weights from two censuses and what was seen in between.
//!
//! Each event of a sampled connection stands for W events, W = ΣX of all / ΣX of the sampled ones. X is nearly the number of
//! requests: the kernel counts it while a connection lives; of one that has [`ended`] something else stands in for it, and one
//! that was [`opened`] since the last census needs its login taken off. Both kinds, those that were there and those that were
//! not, have a W of their own.

mod ended;
mod opened;

pub use opened::new;

use super::{
    census::{Census, Socket},
    class::SampleClass,
    interval::{self, Unit},
    openings::Turnover,
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

/// What a request of these took, logins included.
fn bytes_a_request<'a>(sockets: impl Iterator<Item = &'a Socket>) -> f64 {
    let (bytes, requests) = sockets.fold((0.0, 0.0), |(bytes, requests), socket| {
        (bytes + f64::from(socket.client_bytes), requests + f64::from(socket.requests()))
    });
    if requests > 0.0 { bytes / requests } else { f64::INFINITY }
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
    ended::add(&mut stratum, before, now, decoded, ended, class);
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
mod tests;
