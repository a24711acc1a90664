//! Intervals held to real traffic: a recording of many connections, whose ports are drawn anew again and again. Needs root.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests start programs")]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/redraw.rs"]
mod redraw;
mod support;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use dbwire_exporter::{
    config::{Counting, PortSet},
    io::replay::for_each_frame,
    packet::{Frame, TcpFlags, Timestamp, filter::Plan, link::LinkType, segment},
    pipeline::{Options as Decoding, Pipeline},
    sample::multiplier::Multiplier,
};
use pool::{CREATE_PLAIN_USER, Connection};
use redraw::{Activity, Random, Score, Traffic, Way};
use support::{
    mariadb::{MariaDb, Options},
    skip,
    tcpdump::Capture,
};

/// Connections of the recording; the k-th busiest has `1/√k` of the busiest's queries.
const POOL: usize = 64;
const BUSIEST: usize = 400;
/// Slices that it is cut into.
const SLICES: usize = 8;
const DRAWINGS: u64 = 1000;
const BITS: u8 = 2;

/// Queries of many kinds, so that connections differ in what they do, not only in how much.
fn load(pool: &mut [Connection]) {
    let (rows, text) =
        (format!("SELECT REPEAT('x', {})", 100_000), format!("SELECT '{}'", "y".repeat(5_000)));
    for round in 1..=BUSIEST {
        for (rank, connection) in pool.iter_mut().enumerate() {
            // As often as `1/√k` of the rounds.
            let share = 1.0 / ((rank + 1) as f64).sqrt();
            if (round as f64 * share).floor() == ((round - 1) as f64 * share).floor() {
                continue;
            }
            connection.query(match (rank * 7 % 5, round % 10) {
                (1, 0) => &rows,
                (2, 0 | 5) => &text,
                (3, 3) => "SELECT no_such_column",
                (4, _) => "SELECT BENCHMARK(2000, MD5('a'))",
                _ => "SELECT 1",
            });
        }
    }
}

struct Recorded {
    link: LinkType,
    at: Timestamp,
    wire_length: u32,
    bytes: Vec<u8>,
}

/// The frames of each connection, by the client's port.
fn by_connection(file: &Path, server: u16) -> BTreeMap<u16, Vec<Recorded>> {
    let mut connections = BTreeMap::<u16, Vec<Recorded>>::new();
    for_each_frame(file, |link, frame| {
        let Ok(segment) = segment::decode(link, frame) else { return };
        let (one, other) = (segment.source.port, segment.destination.port);
        let client = if one == server { other } else { one };
        let bytes = frame.bytes.to_vec();
        let recorded = Recorded { link, at: frame.timestamp, wire_length: frame.wire_length, bytes };
        connections.entry(client).or_default().push(recorded);
    })
    .expect("what was recorded");
    connections
}

/// Queries, errors and seconds up to now.
fn done(pipeline: &mut Pipeline) -> [f64; 4] {
    let stats = pipeline.stats();
    let queries: u64 = stats.observed.statements().map(|(_, kind)| kind.count).sum();
    let nanos: u64 = stats.observed.statements().map(|(_, kind)| kind.duration.sum_nanos()).sum();
    let errors: u64 = stats.errors(&stats.observed).iter().map(|(_, count)| count).sum();
    [queries as f64, errors as f64, nanos as f64 / 1e9, 0.0]
}

/// What a connection did, slice by slice: the kernel's numbers counted from its packets, the others decoded from them.
fn activities(server: u16, client: u16, frames: &[Recorded], ends: &[u64]) -> Vec<Activity> {
    let mut pipeline = Pipeline::new(Decoding {
        plan: Plan::whole(PortSet::new(&[server]).expect("a port")),
        max_flows: 64,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    });
    let (mut frames, mut before) = (frames.iter().peekable(), [0.0; 4]);
    let slice = |end: &u64| {
        let mut activity = Activity { connection: u64::from(client), ..Activity::default() };
        while let Some(recorded) = frames.next_if(|recorded| recorded.at.0 < *end) {
            let Recorded { link, at, wire_length, bytes } = recorded;
            let frame = Frame { timestamp: *at, wire_length: *wire_length, bytes };
            let segment = segment::decode(*link, &frame).expect("decoded before");
            if !segment.payload.is_empty() && !segment.flags.any(TcpFlags::SYN) {
                let to_server = segment.destination.port == server;
                activity.segments_in += u32::from(to_server);
                activity.segments_out += u32::from(!to_server);
            }
            pipeline.frame(*link, &frame);
        }
        let now = done(&mut pipeline);
        activity.done = std::array::from_fn(|measure| now[measure] - before[measure]);
        before = now;
        activity
    };
    ends.iter().map(slice).collect()
}

fn recorded_traffic() -> Traffic {
    let server = MariaDb::start(&Options::default());
    server.admin(CREATE_PLAIN_USER);
    let mut pool: Vec<_> = (0..POOL).map(|_| Connection::open(server.port())).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recorded.pcap");
    let capture = Capture::start("lo", &format!("tcp port {}", server.port()), &file);
    load(&mut pool);
    capture.stop();
    let connections = by_connection(&file, server.port());
    assert_eq!(connections.len(), POOL);
    let times = || connections.values().flatten().map(|recorded| recorded.at.0);
    let (first, last) = (times().min().expect("frames"), times().max().expect("frames"));
    let ends: Vec<u64> =
        (1..=SLICES as u64).map(|n| first + (last + 1 - first) * n / SLICES as u64).collect();
    let of: Vec<_> = connections
        .iter()
        .map(|(client, frames)| activities(server.port(), *client, frames, &ends))
        .collect();
    let slices = (0..SLICES).map(|slice| of.iter().map(|activities| activities[slice]).collect()).collect();
    Traffic { slices, slice: Duration::from_secs(5) }
}

#[test]
fn published_intervals_hold_the_truth_of_real_traffic_however_its_connections_fall_into_classes() {
    let test = "published_intervals_hold_the_truth_of_real_traffic_however_its_connections_fall_into_classes";
    if !(skip::root(test) && skip::programs(test, &[MariaDb::PROGRAMS, &["tcpdump"]].concat())) {
        return;
    }
    let traffic = recorded_traffic();
    for (name, rotate) in [("fixed", None), ("rotating", Some(Duration::from_secs(10)))] {
        let mut score = Score::default();
        for seed in 0..DRAWINGS {
            let mut random = Random(seed);
            let first = traffic.slices[0].iter();
            let ports: HashMap<u64, u16> =
                first.map(|activity| (activity.connection, random.port())).collect();
            let class = (random.next() % (1 << BITS)) as u16;
            let way = Way { bits: BITS, multiplier: Multiplier::Measured, rotate };
            score.add(&traffic.run(way, class, &ports));
        }
        let coverage = [0, 1, 2].map(|measure| score.coverage(measure).expect("intervals"));
        println!(
            "{name}: {} of {DRAWINGS} drawings have an interval; queries {:.1} %, errors {:.1} %, seconds {:.1} % \
             of them hold the truth; RMSE {:.2} %, {:.0} %, {:.0} %",
            score.published(),
            coverage[0],
            coverage[1],
            coverage[2],
            score.rmse(0),
            score.rmse(1),
            score.rmse(2)
        );
        assert!(score.published() >= 200.0, "{name}: {}", score.published());
        assert!(coverage.iter().all(|share| *share >= 88.0), "{name}: {coverage:?}");
    }
}
