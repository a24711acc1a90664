//! A hundred thousand digests at full speed: what is kept and shown is bounded, the sums are exact, and the heaviest
//! are found.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read clocks and files

mod support;

use std::{collections::HashMap, time::Instant};

use dbwire_exporter::{
    config::{Counting, PortSet},
    digest::DigestId,
    packet::{Frame, Timestamp, filter::Plan, link::LinkType},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
    stats::{Stats, digests::DigestStats},
};
use support::dialogue::{Conversation, OK, error};

const DIGESTS: usize = 100_000;
const STATEMENTS: usize = 400_000;
/// Packet time between two statements: all of them take about half an hour.
const PAUSE: u64 = 4_000_000;
/// Packet time between two scrapes.
const SCRAPE_EVERY: u64 = 60_000_000_000;

/// The statement of a rank; names differ in letters, since digits make no digest.
fn table(mut rank: usize) -> String {
    let mut name = String::from("t_");
    loop {
        name.push((b'g' + (rank % 16) as u8) as char);
        rank /= 16;
        if rank == 0 {
            return name;
        }
    }
}

/// Ranks in proportion to `1 / (rank + 1)`, after each rank once: pseudo-random, the same in every run.
fn ranks() -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let zipf = std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let unit = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64;
        ((DIGESTS as f64).powf(unit) - 1.0) as usize
    });
    (0..DIGESTS).rev().chain(zipf.take(STATEMENTS - DIGESTS))
}

/// What Prometheus' `increase()` makes of the counters, over all digests.
#[derive(Default)]
struct Scraper {
    last: HashMap<String, DigestStats>,
    increases: DigestStats,
}

impl Scraper {
    fn scrape(&mut self, stats: &Stats) {
        let shown = stats.digests.iter().map(|shown| (format!("{} {}", shown.id, shown.schema), shown.stats));
        for (series, now) in shown.chain([("other".to_owned(), stats.other_digests)]) {
            let now = whole(now);
            let before = self.last.insert(series, now).unwrap_or_default();
            self.increases = self.increases.plus(&increase(before, now));
        }
    }
}

/// Each event stands for itself here.
fn whole(stats: DigestStats<f64>) -> DigestStats {
    let of = |estimate: f64| {
        assert_eq!(estimate.fract(), 0.0);
        estimate as u64
    };
    DigestStats {
        queries: of(stats.queries),
        nanos: of(stats.nanos),
        errors: of(stats.errors),
        rows_returned: of(stats.rows_returned),
        rows_affected: of(stats.rows_affected),
    }
}

fn increase(before: DigestStats, now: DigestStats) -> DigestStats {
    // A value that fell is a counter that began again at 0.
    let of = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now);
    DigestStats {
        queries: of(before.queries, now.queries),
        nanos: of(before.nanos, now.nanos),
        errors: of(before.errors, now.errors),
        rows_returned: of(before.rows_returned, now.rows_returned),
        rows_affected: of(before.rows_affected, now.rows_affected),
    }
}

#[test]
fn a_hundred_thousand_digests_are_bounded_exact_in_sum_and_the_heaviest_are_found() {
    let mut pipeline = Pipeline::new(Options {
        plan: Plan::whole(PortSet::new(&[3306]).unwrap()),
        max_flows: 64,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    });
    let before = resident_bytes();
    let failed = error(1146, "42S02", "Table 'shop.t' doesn't exist");
    let mut truth: HashMap<DigestId, u64> = HashMap::new();
    let mut packets = 0_u64;
    let (mut scraper, mut next_scrape) = (Scraper::default(), 0);
    let started = Instant::now();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, bytes: &[u8]| {
            packets += 1;
            let frame = Frame { timestamp: Timestamp(at), wire_length: bytes.len() as u32, bytes };
            pipeline.frame(LinkType::Ethernet, &frame);
            if at >= next_scrape {
                next_scrape = at + SCRAPE_EVERY;
                scraper.scrape(pipeline.stats());
            }
        });
    for (number, rank) in ranks().enumerate() {
        let sql = format!("select a from {} where b={number}", table(rank));
        conversation.query(sql.as_bytes(), if number % 10 == 0 { &failed } else { OK });
        conversation.now += PAUSE;
        let id = DigestId::of(format!("select a from {} where b=?", table(rank)).as_bytes());
        *truth.entry(id).or_default() += 1;
    }
    conversation.close();
    pipeline.finish();
    println!("{packets} packets in {:?}, the test's own work included", started.elapsed());

    let stats = pipeline.stats();
    assert_eq!(truth.len(), DIGESTS);
    assert!(stats.digests.len() <= 110, "{}", stats.digests.len());
    scraper.scrape(stats);
    let total = scraper.increases;
    assert_eq!(total.queries, STATEMENTS as u64);
    assert_eq!(total.errors, STATEMENTS as u64 / 10);
    assert_eq!(total.rows_affected, STATEMENTS as u64 * 9 / 10);
    let [durations, kinds] =
        [total.nanos, stats.observed.statements().map(|(_, kind)| kind.duration.sum_nanos()).sum()];
    assert_eq!(durations, kinds);

    let mut ranked: Vec<_> = truth.into_iter().collect();
    ranked.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    for (place, (id, _)) in ranked.iter().take(20).enumerate() {
        let shown = stats.digests.iter().find(|shown| shown.id == *id);
        let shown = shown.unwrap_or_else(|| panic!("rank {place} is not shown"));
        assert!(shown.text.is_some(), "rank {place} has no text");
    }
    let grown = resident_bytes().saturating_sub(before);
    println!(
        "{} digests shown; {} MiB more, the test's own truth included",
        stats.digests.len(),
        grown >> 20
    );
    assert!(grown < 48 << 20, "{grown} bytes");
}

/// Of this process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
