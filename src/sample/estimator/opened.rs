//! Connections opened in the slice: while they live the kernel tells X, less a login; of those that have ended it is what the
//! bytes their clients sent say of it ([`super::super::line`]).

use super::{
    super::{
        census::{Census, Socket},
        class::SampleClass,
        interval::Unit,
        line::Line,
        openings::{Opening, Sent},
    },
    Stratum, bytes_a_request,
};

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
        add(&mut stratum, opening, x, sampled(opening));
        stratum.segments += f64::from(socket.requests());
    }
    let ended: Vec<_> = openings.iter().filter(|opening| opening.sent != Sent::Alive).collect();
    let sockets: Vec<_> = alive.iter().map(|(_, socket)| *socket).collect();
    let requests = Requests::of(&ended, sampled, &sockets);
    for opening in ended {
        add(&mut stratum, opening, requests.at(opening.sent), sampled(opening));
        stratum.segments += 1.0;
    }
    stratum
}

/// A connection with so much of the auxiliary variable.
fn add<K>(stratum: &mut Stratum, opening: &Opening<K>, x: f64, sampled: bool) {
    stratum.all += x;
    if sampled {
        stratum.sampled += x;
        stratum.units.push(Unit { x, y: opening.decoded });
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
    /// Through bytes and requests of the sampled ones.
    line: Option<Line>,
    /// Requests that a byte is worth, of those that the line gives where there is one.
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
        requests.a_byte = if x > 0.0 && queries > 0.0 {
            queries / x
        } else if usual.is_finite() && usual > 0.0 {
            1.0 / usual
        } else if mean > 0.0 {
            // Nothing tells, but what is carried to the next slice is to be in its unit: one request each on the average.
            1.0 / mean
        } else {
            1.0
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
