//! Kinds of load, simulated: what connections do that are alike and unlike, lasting and short.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use std::time::Duration;

use super::redraw::{Activity, Random, Traffic};

/// As the exporter's own.
pub const SLICE: Duration = Duration::from_secs(5);

/// A kind of load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub name: &'static str,
    pub connections: u32,
    /// Queries a second of all of them.
    pub rate: f64,
    /// The k-th busiest has `1/k^skew` of the busiest's queries.
    pub skew: f64,
    /// Whether some of the connections insert megabytes, and one is a dump.
    pub bulk: bool,
    /// Connections opened in a second, each with one to three queries.
    pub opened: f64,
    /// Seconds that each of the `connections` lives on the average, another one coming for it; 0 for ever.
    pub life: f64,
}

pub const LOADS: [Load; 7] = [
    Load { name: "16 connections alike", connections: 16, skew: 0.0, ..EVEN },
    Load { name: "200 connections alike", connections: 200, skew: 0.0, ..EVEN },
    Load { name: "64 connections, Zipf", connections: 64, ..EVEN },
    Load { name: "200 connections, Zipf", connections: 200, ..EVEN },
    Load { name: "64, Zipf, inserts of 1 MB, a dump", connections: 64, bulk: true, ..EVEN },
    Load { name: "500 connections opened a second", connections: 0, opened: 500.0, ..EVEN },
    Load { name: "100, Zipf, each for seven seconds", connections: 100, life: 7.0, ..EVEN },
];

const EVEN: Load =
    Load { name: "", connections: 0, rate: 5000.0, skew: 1.0, bulk: false, opened: 0.0, life: 0.0 };

/// What a lasting connection is like.
struct Kind {
    rate: f64,
    /// Of its queries, those of the digest, and errors.
    digest: f64,
    errors: f64,
    seconds: f64,
    inserts: bool,
    dumps: bool,
}

impl Load {
    pub fn traffic(&self, seconds: u32, seed: u64) -> Traffic {
        let mut random = Random(seed);
        let weight = |rank: u32| f64::from(rank + 1).powf(-self.skew);
        let all: f64 = (0..self.connections).map(weight).sum();
        let kinds: Vec<Kind> = (0..self.connections)
            .map(|rank| Kind {
                rate: self.rate * weight(rank) / all,
                // A quarter of the queries on the whole, of some connections nearly all and of others none.
                digest: random.uniform().powi(3),
                errors: if random.uniform() < 0.2 { 0.05 } else { 0.001 },
                seconds: 0.0002 + 0.004 * random.uniform().powi(4),
                inserts: self.bulk && rank % 8 == 5,
                dumps: self.bulk && rank == 20,
            })
            .collect();
        let slices = u64::from(seconds) / SLICE.as_secs();
        let mut slices: Vec<_> = (0..slices).map(|slice| self.slice(slice, &kinds, &mut random)).collect();
        if self.life > 0.0 {
            self.replace(&mut slices, &kinds, &mut random);
        }
        Traffic { slices, slice: SLICE }
    }

    /// Has each connection end by and by, and another one of its kind come for it.
    fn replace(&self, slices: &mut [Vec<Activity>], kinds: &[Kind], random: &mut Random) {
        let slice_seconds = SLICE.as_secs_f64();
        slices.iter_mut().for_each(Vec::clear);
        let end = slices.len() as f64 * slice_seconds;
        let mut number = 0;
        for kind in kinds {
            let mut opened = -self.life;
            while opened < end {
                let closed = opened - self.life * (1.0 - random.uniform()).ln();
                for (index, slice) in slices.iter_mut().enumerate() {
                    let begins = index as f64 * slice_seconds;
                    let (from, to) = (opened.max(begins), closed.min(begins + slice_seconds));
                    if from < to {
                        let within = |time: f64| (begins..begins + slice_seconds).contains(&time);
                        let is_opened = within(opened);
                        let activity = kind.activity(number, to - from, random);
                        // A login, and a goodbye.
                        let more = if is_opened { 90 } else { 0 } + if within(closed) { 5 } else { 0 };
                        let client_bytes = activity.client_bytes + more;
                        let (opened, ended) = (is_opened, within(closed));
                        slice.push(Activity { client_bytes, opened, ended, ..activity });
                    }
                }
                (opened, number) = (closed, number + 1);
            }
        }
    }

    fn slice(&self, slice: u64, kinds: &[Kind], random: &mut Random) -> Vec<Activity> {
        let lasting = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| kind.activity(index as u64, SLICE.as_secs_f64(), random));
        let mut activities: Vec<Activity> = lasting.collect();
        let opened = random.poisson(self.opened * SLICE.as_secs_f64());
        activities.extend((0..opened).map(|number| {
            let queries = 1 + (random.next() % 3) as u32;
            Activity {
                connection: 1 << 32 | slice << 16 | u64::from(number),
                segments_in: queries + 2,
                segments_out: queries + 2,
                // A login of some length, and statements.
                client_bytes: 90 + (random.next() % 20) as u32 + 60 * queries,
                done: [f64::from(queries), 0.0, 0.001 * f64::from(queries), random.uniform().round()],
                opened: true,
                ended: true,
            }
        }));
        activities
    }
}

impl Kind {
    fn activity(&self, connection: u64, seconds: f64, random: &mut Random) -> Activity {
        let queries = random.poisson(self.rate * seconds);
        // A retransmission, or a statement and its reply in two segments each: seldom.
        let extra = random.poisson(f64::from(queries) * 0.002);
        let many = |often: bool, most: f64| if often { random_segments(queries, most) } else { 0 };
        let errors = random.poisson(f64::from(queries) * self.errors).min(queries);
        let digest = random.poisson(f64::from(queries) * self.digest).min(queries);
        Activity {
            connection,
            segments_in: queries + extra + many(self.inserts, 40.0),
            segments_out: queries + extra + many(self.dumps, 700.0),
            client_bytes: queries * 60,
            done: [
                f64::from(queries),
                f64::from(errors),
                f64::from(queries) * self.seconds * (0.5 + random.uniform()),
                f64::from(digest),
            ],
            opened: false,
            ended: false,
        }
    }
}

fn random_segments(queries: u32, each: f64) -> u32 {
    (f64::from(queries) * each) as u32
}
