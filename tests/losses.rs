//! Captures of real clients with packets missing: whatever is lost, what is told was told without the loss too, at the
//! same time and with the same latency, and none of it twice.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods)] // how many cases is asked of the environment

#[path = "support/segments.rs"]
mod segments;
#[path = "support/told.rs"]
mod told;

use std::{collections::HashMap, sync::OnceLock};

use dbwire_exporter::{
    digest::Statement,
    mysql::event::{Event, Reply, StatementRef},
    packet::{Endpoint, TcpFlags, Timestamp},
};
use segments::{SERVER_PORT, Sent, capture};
use told::{Listener, Told};

/// Captures without losses of their own.
const CAPTURES: &[&str] = &[
    "cli_compress",
    "cli_text",
    "cli_tls",
    "cmariadb_plain",
    "go_prep",
    "haproxy_check",
    "haproxy_proxy",
    "java_batch",
    "java_text",
    "mariadb_binlog",
    "mariadb_replica",
    "midstream_live",
    "node_mariadb_pipe",
    "node_mysql2_compress",
    "node_mysql2_prep",
    "odbc_prep",
    "pymariadb_bulk",
    "pymysql_denied",
    "pymysql_ipv6",
    "pymysql_kill",
    "pymysql_load",
    "pymysql_multi",
    "pymysql_proc",
    "pymysql_text",
    "sysbench_ps_small",
    "sysbench_text_small",
];

/// A capture and what is told of it when nothing is missing.
struct Whole {
    name: &'static str,
    sent: Vec<Sent>,
    /// By connection, in order.
    truth: HashMap<Endpoint, Vec<Told>>,
}

fn captures() -> &'static [Whole] {
    static CAPTURED: OnceLock<Vec<Whole>> = OnceLock::new();
    CAPTURED.get_or_init(|| {
        CAPTURES
            .iter()
            .map(|name| {
                let sent = capture(name);
                let mut truth: HashMap<_, Vec<_>> = HashMap::new();
                for told in listen(sent.iter()) {
                    truth.entry(told.client).or_default().push(told);
                }
                assert!(!truth.is_empty(), "{name} is empty");
                Whole { name, sent, truth }
            })
            .collect()
    })
}

fn listen<'a>(sent: impl Iterator<Item = &'a Sent>) -> Vec<Told> {
    let mut listener = Listener::new(SERVER_PORT);
    sent.for_each(|sent| listener.segment(Timestamp(sent.at), &sent.segment()));
    listener.finish()
}

/// The first thing told of `sent` that the whole capture does not tell, if any.
fn false_witness<'a>(whole: &Whole, sent: impl Iterator<Item = &'a Sent>) -> Option<String> {
    let mut used: HashMap<Endpoint, Vec<bool>> = HashMap::new();
    for told in listen(sent) {
        if matches!(told.event, Event::Desync | Event::Resync | Event::TlsHandshake { .. }) {
            continue;
        }
        let truth = whole.truth.get(&told.client).map_or(&[][..], Vec::as_slice);
        let used = used.entry(told.client).or_insert_with(|| vec![false; truth.len()]);
        // Replies may be told later than they came, encrypted requests when the rest of their answer is seen, and what
        // ends in a gap when that was given up.
        let encrypted = |statement: &StatementRef| statement.kind() == Statement::Encrypted;
        let late = match &told.event {
            Event::Reply(_) => true,
            Event::Statement(statement) => told.gap || encrypted(statement),
            _ => told.gap,
        };
        let is_it = |true_one: &Told| {
            (true_one.at == told.at || late && true_one.at < told.at || told.at == 0)
                && vouches(&true_one.event, &told.event)
        };
        let Some(index) = (0..truth.len()).find(|index| !used[*index] && is_it(&truth[*index])) else {
            let there: Vec<_> =
                truth.iter().filter(|event| event.at == told.at).map(|told| told.event).collect();
            return Some(format!("{:?} at {}, where there is {there:?}", told.event, told.at));
        };
        used[index] = true;
    }
    None
}

/// Whether what was told without a loss bears out what is told with one.
fn vouches(truth: &Event, told: &Event) -> bool {
    match (truth, told) {
        (Event::Statement(truth), Event::Statement(told)) => is_kind(*truth, *told),
        (Event::Reply(truth), Event::Reply(told)) => is_reply(truth, told),
        // The request it answers may be lost.
        (Event::Reply(truth), Event::Error(told)) => truth.error == Some(*told),
        _ => truth == told,
    }
}

/// What was lost may hide which statement it is, but never make it another.
fn is_kind(truth: StatementRef, told: StatementRef) -> bool {
    truth.kind() == told.kind() || matches!(told.kind(), Statement::Unknown | Statement::Unparsed)
}

/// Rows may be lost.
fn is_reply(truth: &Reply, told: &Reply) -> bool {
    let statement = match (truth.statement, told.statement) {
        (Some(truth), Some(told)) => is_kind(truth, told),
        (truth, told) => truth.is_none() && told.is_none(),
    };
    statement
        && truth.command == told.command
        && (truth.first_response, truth.duration, truth.error)
            == (told.first_response, told.duration, told.error)
        && told.rows_returned <= truth.rows_returned
        && told.rows_affected <= truth.rows_affected
}

/// Marsaglia's xorshift: any case is made again from its number alone.
struct Dice(u64);

impl Dice {
    fn new(case: u64) -> Self {
        let mut dice = Self((case + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.below(2);
        dice
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end.max(1)
    }

    fn one_of(&mut self, numbers: &[usize]) -> usize {
        numbers[self.below(numbers.len())]
    }
}

/// Takes segments away: `true` are kept.
type Shape = fn(&mut Dice, &[Sent], &mut [bool]);

const SHAPES: &[(&str, Shape)] = &[
    ("a few segments here and there", |dice, _, keep| {
        for _ in 0..=dice.below(40) {
            lose(keep, dice.below(keep.len()), 1 + dice.below(5));
        }
    }),
    ("long bursts", |dice, _, keep| {
        for _ in 0..=dice.below(3) {
            let most = dice.one_of(&[20, 100, 400]);
            lose(keep, dice.below(keep.len()), 5 + dice.below(most));
        }
    }),
    ("a share of all", |dice, _, keep| {
        let per_mille = dice.one_of(&[1, 10, 50, 300, 700]);
        keep.iter_mut().for_each(|keep| *keep = dice.below(1000) >= per_mille);
    }),
    ("a share of one direction", |dice, sent, keep| {
        let (to_server, per_mille) = (dice.below(2) == 0, dice.one_of(&[10, 100, 500, 1000]));
        for (sent, keep) in sent.iter().zip(keep) {
            *keep = sent.is_to_server() != to_server || dice.below(1000) >= per_mille;
        }
    }),
    ("beginnings of connections", |dice, sent, keep| {
        for (index, _) in sent.iter().enumerate().filter(|(_, sent)| sent.flags & TcpFlags::SYN != 0) {
            if dice.below(2) == 0 {
                let from = index + dice.below(8);
                lose(keep, from, 1 + dice.below(6));
            }
        }
    }),
    ("the start of the capture", |dice, _, keep| {
        lose(keep, 0, dice.below(keep.len()));
        for _ in 0..dice.below(10) {
            lose(keep, dice.below(keep.len()), 1 + dice.below(3));
        }
    }),
];

fn lose(keep: &mut [bool], from: usize, count: usize) {
    let end = (from + count).min(keep.len());
    keep[from.min(end)..end].fill(false);
}

/// Plays the case of this number; what it tells falsely, if anything.
fn case(number: u64) -> Option<String> {
    let mut dice = Dice::new(number);
    let whole = &captures()[dice.below(CAPTURES.len())];
    let (shape, lose) = SHAPES[dice.below(SHAPES.len())];
    // Of a long capture a part is enough, and others have their turn.
    let from = if whole.sent.len() > 400 { dice.below(whole.sent.len() - 200) } else { 0 };
    let sent = &whole.sent[from..whole.sent.len().min(from + 400)];
    let mut keep = vec![true; sent.len()];
    lose(&mut dice, sent, &mut keep);
    let kept = sent.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(sent, _)| sent);
    let found = false_witness(whole, kept)?;
    let lost: Vec<_> = keep.iter().enumerate().filter(|(_, keep)| !**keep).map(|(at, _)| at + from).collect();
    Some(format!("case {number}, {}, {shape}, from {from}, without {lost:?}: {found}", whole.name))
}

/// `DBWIRE_LOSSES` makes it as many cases as you like.
#[test]
fn losses_of_any_shape_tell_nothing_that_is_not_so() {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let cases: u64 = number("DBWIRE_LOSSES").unwrap_or(20_000);
    let first: u64 = number("DBWIRE_LOSSES_FROM").unwrap_or(0);
    let wrong: Vec<_> = (first..first + cases).filter_map(case).take(10).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{cases} cases");
}

#[test]
fn a_capture_that_starts_at_any_segment_tells_nothing_that_is_not_so() {
    for whole in captures() {
        for start in 0..whole.sent.len() {
            let end = whole.sent.len().min(start + 300);
            let found = false_witness(whole, whole.sent[start..end].iter());
            assert!(found.is_none(), "{} from {start}: {found:?}", whole.name);
        }
    }
}
