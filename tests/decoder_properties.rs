//! Properties of the decoder over captures of real clients: how the network cut, repeated or shuffled their bytes
//! makes no difference, and what it lost never raises a count.
#![cfg(feature = "capture")]

#[path = "support/segments.rs"]
mod segments;

use std::{collections::BTreeMap, sync::OnceLock};

use dbwire_exporter::{
    config::{Counting, PortSet},
    limits,
    packet::{TcpFlags, filter::Plan},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
    stats::Stats,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use segments::{SERVER_PORT, Sent, capture};

/// Captures whose conversations are complete and in order.
const CAPTURES: &[&str] = &[
    "sysbench_text_small",
    "sysbench_ps_small",
    "cmariadb_plain",
    "pymysql_load",
    "pymysql_multi",
    "pymysql_proc",
    "pymysql_denied",
    "java_text",
    "cli_text",
    "cli_tls",
    "cli_compress",
    "haproxy_proxy",
    "java_batch",
    "mariadb_replica",
    "node_mariadb_pipe",
    "node_mysql2_compress",
    "odbc_prep",
    "pymariadb_bulk",
    "pymysql_kill",
];

fn captures() -> &'static [(Vec<Sent>, Counts)] {
    static CACHE: OnceLock<Vec<(Vec<Sent>, Counts)>> = OnceLock::new();
    CACHE.get_or_init(|| {
        CAPTURES
            .iter()
            .map(|name| {
                let sent = capture(name);
                let counts = play(&sent);
                assert!(counts.values().sum::<u64>() > 0, "{name} is empty");
                (sent, counts)
            })
            .collect()
    })
}

type Counts = BTreeMap<String, u64>;

fn pipeline() -> Pipeline {
    Pipeline::new(Options {
        plan: Plan::whole(PortSet::new(&[SERVER_PORT]).expect("a port")),
        max_flows: 1024,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    })
}

fn play(sent: &[Sent]) -> Counts {
    let mut pipeline = pipeline();
    for sent in sent {
        sent.play(&mut pipeline);
        assert!(pipeline.bounds().bytes() <= limits::TOTAL_BYTES);
    }
    pipeline.finish();
    counts(pipeline.stats())
}

/// Everything that is counted from what clients and servers said.
fn counts(stats: &Stats) -> Counts {
    let mut counts = Counts::new();
    let mut put = |name: String, count: u64| {
        counts.insert(name, count);
    };
    for (command, count) in stats.observed.commands() {
        put(format!("command {}", command.label()), count);
    }
    for (statement, stats) in stats.observed.statements() {
        let label = statement.label();
        put(format!("statement {label}"), stats.count);
        put(format!("rows returned {label}"), stats.rows_returned);
        put(format!("rows affected {label}"), stats.rows_affected);
        put(format!("timed {label}"), stats.duration.count());
        put(format!("nanoseconds {label}"), stats.duration.sum_nanos());
        put(format!("nanoseconds to first {label}"), stats.first_response.sum_nanos());
    }
    for (error, count) in stats.errors(&stats.observed) {
        put(format!("error {}", error.code), count);
    }
    for (login, count) in stats.observed.logins() {
        put(format!("login {}", login.label()), count);
    }
    for (reason, count) in stats.connections_closed() {
        put(format!("closed {}", reason.label()), count);
    }
    put("opened".to_owned(), stats.opened);
    put("request bytes".to_owned(), stats.observed.request_bytes);
    put("response bytes".to_owned(), stats.observed.response_bytes);
    counts
}

/// Without times, which a segment that is early or late moves.
fn untimed(counts: &Counts) -> Counts {
    counts.iter().filter(|(name, _)| !name.starts_with("nanoseconds")).map(|(k, v)| (k.clone(), *v)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_segments_gives_the_same_events(
        which in any::<Index>(),
        ends in vec(vec(any::<Index>(), 0..4), 1..64),
    ) {
        let (sent, truth) = which.get(captures());
        let ends = |index: usize, length: usize| -> Vec<usize> {
            let ends = if length < 2 { &[] } else { &ends[index % ends.len()][..] };
            ends.iter().map(|end| end.index(length)).collect()
        };
        let pieces: Vec<_> =
            sent.iter().enumerate().flat_map(|(index, sent)| sent.split(ends(index, sent.payload.len()))).collect();
        assert_same(&play(&pieces), truth)?;
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_events(which in any::<Index>(), from in any::<Index>()) {
        let (sent, truth) = which.get(captures());
        let from = from.index(sent.len());
        let pieces: Vec<_> = sent
            .iter()
            .enumerate()
            .flat_map(|(index, sent)| {
                let whole = !(from..from + 40).contains(&index);
                let every = if whole { 1 << 30 } else { 1 };
                let mut pieces = Vec::new();
                for (at, bytes) in sent.payload.chunks(every).enumerate() {
                    pieces.push(Sent {
                        sequence: sent.sequence.wrapping_add((at * every) as u32),
                        payload: bytes.to_vec(),
                        flags: sent.flags & !TcpFlags::FIN,
                        ..sent.clone()
                    });
                }
                // The flags, SYN and FIN among them, in a segment of their own behind the bytes.
                let sequence = sent.sequence.wrapping_add(sent.payload.len() as u32);
                pieces.push(Sent { sequence, payload: Vec::new(), ..sent.clone() });
                pieces
            })
            .collect();
        assert_same(&play(&pieces), truth)?;
    }

    #[test]
    fn repeated_segments_count_once(which in any::<Index>(), again in vec((any::<Index>(), 0_usize..20), 0..200)) {
        let (sent, truth) = which.get(captures());
        let mut copies: Vec<Vec<&Sent>> = vec![Vec::new(); sent.len() + 20];
        for (index, later) in &again {
            let index = index.index(sent.len());
            copies[index + later].push(&sent[index]);
        }
        let mut noisy = Vec::new();
        for (index, original) in sent.iter().enumerate() {
            noisy.push(original.clone());
            noisy.extend(copies[index].iter().map(|copy| Sent { at: original.at, ..(*copy).clone() }));
        }
        assert_same(&play(&noisy), truth)?;
    }

    #[test]
    fn segments_a_few_places_late_give_the_same_counts(
        which in any::<Index>(),
        late in vec((any::<Index>(), 1_usize..=3), 0..100),
    ) {
        let (sent, truth) = which.get(captures());
        let mut places: Vec<_> = (0..sent.len()).map(|place| 2 * place).collect();
        for (index, by) in &late {
            let index = index.index(sent.len());
            // Of three neighbours at most two: else nothing of a connection's beginning is left in its place.
            if places[index.saturating_sub(2)..index].iter().all(|place| place % 2 == 0) {
                places[index] = 2 * (index + by) + 1;
            }
        }
        let mut order: Vec<_> = (0..sent.len()).collect();
        order.sort_by_key(|index| places[*index]);
        let shuffled: Vec<_> = order.into_iter().map(|index| sent[index].clone()).collect();
        assert_same(&untimed(&play(&shuffled)), &untimed(truth))?;
    }

    #[test]
    fn lost_segments_never_raise_a_count(which in any::<Index>(), lost in vec((any::<Index>(), 1_usize..6), 1..40)) {
        let (sent, truth) = which.get(captures());
        let mut keep = vec![true; sent.len()];
        for (from, count) in &lost {
            let from = from.index(sent.len());
            keep[from..(from + count).min(sent.len())].fill(false);
        }
        let survived: Vec<_> =
            sent.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(sent, _)| sent.clone()).collect();
        assert_no_more(&play(&survived), truth)?;
    }

    #[test]
    fn a_capture_that_starts_anywhere_never_counts_more(which in any::<Index>(), start in any::<Index>()) {
        let (sent, truth) = which.get(captures());
        assert_no_more(&play(&sent[start.index(sent.len())..]), truth)?;
    }

    #[test]
    fn swapped_directions_and_random_bytes_are_survived(
        which in any::<Index>(),
        noise in vec((any::<Index>(), vec(any::<u8>(), 0..64)), 0..50),
        swap in any::<bool>(),
    ) {
        let (sent, _) = which.get(captures());
        let mut sent = sent.clone();
        for (index, bytes) in noise {
            let index = index.index(sent.len());
            let at = bytes.len() % (sent[index].payload.len() + 1);
            sent[index].payload.splice(at..at, bytes);
        }
        if swap {
            for sent in &mut sent {
                std::mem::swap(&mut sent.source, &mut sent.destination);
                std::mem::swap(&mut sent.source.port, &mut sent.destination.port);
            }
        }
        play(&sent);
    }
}

fn assert_same(counts: &Counts, truth: &Counts) -> Result<(), TestCaseError> {
    let differing: Vec<_> = truth
        .iter()
        .filter(|(name, most)| counts.get(*name) != Some(most))
        .map(|(name, truth)| format!("{name}: {:?} instead of {truth}", counts.get(name)))
        .collect();
    prop_assert!(differing.is_empty(), "{}", differing.join("; "));
    prop_assert_eq!(counts.len(), truth.len());
    Ok(())
}

/// Every count at most the truth. What was lost may hide which statement a prepared one is: the total holds it.
fn assert_no_more(counts: &Counts, truth: &Counts) -> Result<(), TestCaseError> {
    for (name, count) in untimed(counts) {
        // A connection whose end was lost is closed by other means, or seen to be none.
        let unsure = name.ends_with(" unknown") || name.starts_with("closed ");
        let most = truth.get(&name).copied().unwrap_or_default();
        prop_assert!(unsure || count <= most, "{}: {} > {}", name, count, most);
    }
    for what in ["command ", "statement ", "rows returned ", "rows affected ", "timed ", "closed ", "error "]
    {
        let total = |counts: &Counts| -> u64 {
            counts.iter().filter(|(name, _)| name.starts_with(what)).map(|(_, count)| count).sum()
        };
        prop_assert!(total(counts) <= total(truth), "{}: {} > {}", what, total(counts), total(truth));
    }
    Ok(())
}
