//! Traffic whose connections are given other ports again and again: how good estimates are over all the ways in which the
//! connections could have fallen into classes.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use std::{collections::HashMap, time::Duration};

use dbwire_exporter::sample::{
    census::{Listing, Socket},
    class::SampleClass,
    estimator::Slice,
    multiplier::Multiplier,
    openings::{Opening, Sent},
    sampler::{Sampler, Settings},
};

/// Deterministic random numbers (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of events of which `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 50.0 {
            // By its normal approximation, from a sum of twelve uniform numbers.
            let normal: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as u32;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// An even port of the ephemeral range, as Linux hands them out.
    pub fn port(&mut self) -> u16 {
        32_768 + 2 * (self.next() % 14_000) as u16
    }
}

/// What a connection did in a slice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Activity {
    pub connection: u64,
    pub segments_in: u32,
    pub segments_out: u32,
    pub client_bytes: u32,
    /// Queries, errors, seconds, and queries of one digest.
    pub done: [f64; 4],
    /// In this slice.
    pub opened: bool,
    pub ended: bool,
}

impl Activity {
    fn add_to(&self, socket: &mut Socket) {
        socket.segments_in += self.segments_in;
        socket.segments_out += self.segments_out;
        socket.client_bytes += self.client_bytes;
    }
}

/// Slices, one after the other. A connection is in each slice from its opening to its end, busy or not; those of the first
/// slice that are not opened in it were there before.
pub struct Traffic {
    pub slices: Vec<Vec<Activity>>,
    pub slice: Duration,
}

/// How the sample is chosen and weighed.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub bits: u8,
    pub multiplier: Multiplier,
    pub rotate: Option<Duration>,
}

/// What came of one drawing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// By [`Activity::done`].
    pub truth: [f64; 4],
    pub estimate: [f64; 4],
    /// Of the first three.
    pub standard_errors: [f64; 3],
    pub effective_size: f64,
    pub unestimated: f64,
}

impl Traffic {
    /// Over all slices, with these ports.
    pub fn run(&self, way: Way, class: u16, ports: &HashMap<u64, u16>) -> Outcome {
        let asked_for = SampleClass::new(way.bits, 1, class).expect("a class");
        let settings = Settings { class: asked_for, multiplier: way.multiplier, rotate: way.rotate };
        let mut run = Run {
            sampler: Sampler::new(settings),
            ports,
            sockets: HashMap::new(),
            waiting: [[0.0; 4]; 2],
            outcome: Outcome::default(),
        };
        let before = self.slices.first().into_iter().flatten().filter(|activity| !activity.opened);
        // As if each had done as much before.
        run.sockets = before
            .map(|activity| {
                let mut socket = run.socket(activity.connection);
                activity.add_to(&mut socket);
                (activity.connection, socket)
            })
            .collect();
        run.census(Slice::default(), self.slice, asked_for);
        for slice in &self.slices {
            run.slice(slice, self.slice, asked_for);
        }
        if let Some(accuracy) = run.sampler.state().accuracy {
            run.outcome.standard_errors = accuracy.standard_errors;
            run.outcome.effective_size = accuracy.effective_size;
            run.outcome.unestimated = accuracy.unestimated;
        }
        run.outcome
    }
}

struct Run<'a> {
    sampler: Sampler<u64>,
    ports: &'a HashMap<u64, u16>,
    sockets: HashMap<u64, Socket>,
    /// Seen and not yet weighed, of lasting and new connections.
    waiting: [[f64; 4]; 2],
    outcome: Outcome,
}

impl Run<'_> {
    fn socket(&self, connection: u64) -> Socket {
        Socket {
            cookie: connection,
            client_port: self.ports[&connection],
            segments_in: 0,
            segments_out: 0,
            client_bytes: 0,
        }
    }

    fn slice(&mut self, activities: &[Activity], elapsed: Duration, asked_for: SampleClass) {
        let mut slice = Slice::default();
        for activity in activities {
            self.outcome.truth.iter_mut().zip(activity.done).for_each(|(sum, done)| *sum += done);
            let key = activity.connection;
            let mut socket = self.sockets.remove(&key).unwrap_or_else(|| self.socket(key));
            activity.add_to(&mut socket);
            let sampled = self.sampler.class().contains(socket.client_port);
            let [queries, errors, seconds, _] = activity.done;
            let decoded = if sampled { [queries, errors, seconds] } else { [0.0; 3] };
            if activity.opened {
                let sent =
                    if activity.ended { Sent::Acknowledged(activity.client_bytes) } else { Sent::Alive };
                slice.turnover.opened.push(Opening { key, sent, decoded });
            } else {
                slice.lasting.extend(sampled.then_some((key, decoded)));
                slice.turnover.ended.extend(activity.ended.then_some((key, socket.client_bytes)));
            }
            if sampled {
                let waiting = &mut self.waiting[usize::from(activity.opened)];
                waiting.iter_mut().zip(activity.done).for_each(|(sum, done)| *sum += done);
            }
            if !activity.ended {
                self.sockets.insert(key, socket);
            }
        }
        self.census(slice, elapsed, asked_for);
    }

    fn census(&mut self, slice: Slice<u64>, elapsed: Duration, asked_for: SampleClass) {
        let mut listing = Listing::default();
        self.sockets.iter().for_each(|(key, socket)| listing.add(*key, *socket, true));
        let census = listing.census().expect("few enough");
        let next = self.sampler.next_class(asked_for, asked_for.bits(), &census, elapsed);
        let ports = self.ports;
        let weights = self.sampler.census(census, slice, elapsed, next, |key| ports[key]);
        for (waiting, weight) in self.waiting.iter_mut().zip(weights) {
            let Some(weight) = weight else { continue };
            let seen = std::mem::take(waiting);
            self.outcome.estimate.iter_mut().zip(seen).for_each(|(sum, seen)| *sum += weight * seen);
        }
    }
}

/// Over many drawings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    drawings: f64,
    squares: [f64; 4],
    sums: [f64; 4],
    published: f64,
    covered: [f64; 3],
}

impl Score {
    pub fn add(&mut self, outcome: &Outcome) {
        self.drawings += 1.0;
        for measure in 0..4 {
            let error = outcome.estimate[measure] / outcome.truth[measure].max(1e-9) - 1.0;
            self.squares[measure] += error * error;
            self.sums[measure] += error;
        }
        // As the page does.
        if outcome.effective_size < 4.0 {
            return;
        }
        self.published += 1.0;
        for measure in 0..3 {
            let off = (outcome.estimate[measure] - outcome.truth[measure]).abs();
            let within = 1.96 * outcome.standard_errors[measure] + 1e-9 * outcome.truth[measure];
            self.covered[measure] += f64::from(u8::from(off <= within));
        }
    }

    /// In per cent, by [`Activity::done`].
    pub fn rmse(&self, measure: usize) -> f64 {
        100.0 * (self.squares[measure] / self.drawings).sqrt()
    }

    /// In per cent.
    pub fn bias(&self, measure: usize) -> f64 {
        100.0 * self.sums[measure] / self.drawings
    }

    /// Of the intervals that were published, those that held the truth, in per cent; `None` if there were none.
    pub fn coverage(&self, measure: usize) -> Option<f64> {
        (self.published > 0.0).then(|| 100.0 * self.covered[measure] / self.published)
    }

    /// How many intervals were published.
    pub fn published(&self) -> f64 {
        self.published
    }
}
