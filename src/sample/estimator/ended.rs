//! Lasting connections that ended in the slice: the kernel has forgotten what they did since the last census.
//!
//! Where its FINs tell how much its client had sent in all, what it sent since then stands in for X, at as many bytes a request
//! as it took before; otherwise the sampled ones' own requests do, weighted by how busy they were before.

use super::{
    super::{
        census::{Census, Socket},
        class::SampleClass,
        interval::Unit,
    },
    Decoded, Stratum, bytes_a_request,
};

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
pub(super) fn add<K: Copy + Ord>(
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
