//! Memory under attack: whatever clients and servers send, it stays within what `docs/limits.md` says, the limit's
//! counter tells, and the ordinary connections beside are still counted exactly.
#![cfg(feature = "capture")]

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/wire.rs"]
mod wire;

use std::sync::LazyLock;

use allocator::Since;
use dbwire_exporter::{
    digest::Statement,
    limits::{self, Bounds, Limit},
    packet::Endpoint,
    sample::{
        census::{Listing, MOST_SOCKETS, Socket},
        class::SampleClass,
        estimator::Slice,
        multiplier::Multiplier,
        openings::{Control, Lives, MOST_LIVES, Turnover},
        sampler::{Sampler, Settings},
    },
    stream::key::{Ends, FlowKey},
};
use wire::{Connection, MSS, OK, Wire, long_query, packet, query, zlib_block};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const MAX_FLOWS: usize = limits::MAX_FLOWS;

/// The table of connections, full: its slots, its index and its queues.
const TABLE: usize = MAX_FLOWS * limits::FLOW_BYTES;
/// What any connection may hold however short memory is, beyond its slot.
const EACH: usize = limits::FLOW_BYTES + limits::OWN_BYTES;

/// What the slots of so many connections take: there is room for twice as many before there is for more.
const fn slots(connections: usize) -> usize {
    connections.next_power_of_two() * limits::FLOW_BYTES
}

/// A compressed statement too long for one segment, and its OK. Made once: compressing takes memory too.
static BLOCKS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let letter = |n: u32| char::from(b'0' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 75);
    let incompressible: String = (0..3000).map(letter).collect();
    [zlib_block(0, &query(&format!("replace into t {incompressible}"))), zlib_block(1, OK)]
});

/// A server's ordinary clients: plain text, long text out of order, prepared statements, and compressed.
struct Ordinary {
    plain: Connection,
    prepared: Connection,
    compressed: Connection,
    rounds: u64,
}

impl Ordinary {
    /// Numbered from `first` on.
    fn new(first: u32, wire: &mut Wire) -> Self {
        let mut prepared = Connection::logged_in(first, wire);
        prepared.request(wire, &packet(0, b"\x16delete from t where id = ?"));
        prepared.reply(wire, b"\x0c\0\0\x01\0\x05\0\0\0\0\0\0\0\0\0\0");
        let plain = Connection::logged_in(first + 1, wire);
        let compressed = Connection::compressed(first + 2, wire, false);
        Self { plain, prepared, compressed, rounds: 0 }
    }

    /// One statement of each kind.
    fn round(&mut self, wire: &mut Wire) {
        self.rounds += 1;
        self.plain.ask(wire, &query("insert into t values (1)"));
        self.plain.request_reversed(wire, &long_query("update t set a =", 3 * MSS));
        self.plain.reply(wire, OK);
        self.prepared.ask(wire, &packet(0, b"\x17\x05\0\0\0\0\x01\0\0\0"));
        self.compressed.request(wire, &BLOCKS[0]);
        self.compressed.reply(wire, &BLOCKS[1]);
    }

    /// All of it was counted, and timed, and nothing else of its kinds.
    fn assert_exact(&self, wire: &mut Wire) {
        for (statement, stats) in wire.pipeline.stats().observed.statements() {
            use Statement::{Delete, Insert, Replace, Update};
            if [Insert, Update, Delete, Replace].contains(&statement) {
                let label = statement.label();
                assert_eq!(stats.count, self.rounds, "{label}");
                assert_eq!(stats.duration.count(), self.rounds, "{label}, timed");
            }
        }
    }
}

/// An attack: what it may take, the limits that must stop it and the steps it takes.
struct Attack {
    name: &'static str,
    most: usize,
    hits: &'static [Limit],
    steps: u32,
}

#[allow(clippy::print_stdout, reason = "the figures of docs/limits.md")]
impl Attack {
    /// Takes the steps, ordinary traffic all along, and checks what must hold. The peak is what the attack added to the
    /// ordinary connections' memory.
    fn run(&self, mut step: impl FnMut(u32, &mut Wire)) {
        LazyLock::force(&BLOCKS);
        let before = Since::now();
        let mut wire = Wire::new(MAX_FLOWS);
        let mut ordinary = Ordinary::new(2_000_000, &mut wire);
        ordinary.round(&mut wire);
        let own = before.bytes();
        for number in 0..self.steps {
            step(number, &mut wire);
            if number % (self.steps / 40).max(1) == 0 {
                ordinary.round(&mut wire);
            }
        }
        if !self.hits.contains(&Limit::Flows) {
            // Connections that open after the attack fare no worse.
            ordinary = Ordinary { rounds: ordinary.rounds, ..Ordinary::new(3_000_000, &mut wire) };
            ordinary.round(&mut wire);
        }
        let (now, peak) = (before.bytes() - own, before.peak() - own);
        ordinary.assert_exact(&mut wire);
        let stats = wire.pipeline.stats();
        let hits: Vec<_> = Limit::ALL
            .iter()
            .zip(stats.limit_hits)
            .filter(|(_, hits)| *hits > 0)
            .map(|(limit, _)| *limit)
            .collect();
        println!(
            "{}: peak {} KiB, then {} KiB, of {} KiB; {hits:?}",
            self.name,
            peak / KIB,
            now / KIB,
            self.most / KIB
        );
        assert!(peak <= self.most, "{}: {peak} bytes, more than {}", self.name, self.most);
        assert_eq!(hits, self.hits, "{}", self.name);
        drop(wire);
        assert!(before.bytes() < 64 * KIB, "{} bytes leaked", before.bytes());
    }
}

#[test]
fn all_tables_together_take_what_all_connections_may() {
    let attack = Attack {
        name: "60,000 connections that do all of it",
        most: Bounds::most(MAX_FLOWS) + 64 * KIB,
        hits: &[
            Limit::Flows,
            Limit::TotalBytes,
            Limit::MessageBytes,
            Limit::DecompressorBytes,
            Limit::Pipeline,
            Limit::PreparedStatements,
        ],
        steps: 60_000,
    };
    let block = zlib_block(0, &query(&"do 1 ".repeat(2_000)));
    attack.run(|number, wire| {
        let mut connection = if number % 4 == 0 {
            Connection::compressed(number, wire, false)
        } else {
            Connection::logged_in(number, wire)
        };
        if number % 4 == 0 {
            connection.request(wire, &block[..block.len() / 2]);
        } else {
            (1..=20).for_each(|id| prepare(&mut connection, wire, id));
            connection.request(wire, &packet(0, b"\x0e").repeat(10));
            // The start of a definition.
            connection.reply(wire, &[b"\xff\x03\0\x01", &[b'x'; 900][..]].concat());
            half_send(&mut connection, wire);
        }
        (1..4).for_each(|index| connection.early(wire, index * 2 * MSS, &[0; MSS]));
    });
}

#[test]
fn logins_that_are_not_answered_keep_two_names() {
    let attack = Attack {
        name: "20,000 logins with long names that wait for an answer",
        most: TABLE + 20_000 * limits::OWN_BYTES,
        hits: &[],
        steps: 20_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::asking(number, wire, &[b'u'; 128], &[b's'; 16_000]);
        // Neither side waits, and each is in the middle of a message.
        connection.request(wire, &[query("select 1"), query("select 2")].concat());
        connection.request(wire, &query(&"x".repeat(200))[..44]);
        connection.reply(wire, &packet(2, &[0x21; 200])[..44]);
    });
}

#[test]
fn logins_that_come_before_the_greeting_wait_in_what_each_connection_may_take() {
    let attack = Attack {
        name: "20,000 logins, with more behind them, whose server does not greet",
        most: TABLE + 20_000 * limits::OWN_BYTES,
        hits: &[],
        steps: 20_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::new(number);
        connection.open(wire);
        let login = packet(1, &[b'u'; 4_000]);
        login[..limits::EARLY_LOGIN].chunks(1 + number as usize % 60).for_each(|piece| {
            connection.request(wire, piece);
        });
    });
}

#[test]
fn half_open_connections_take_a_quarter_of_the_table() {
    let attack = Attack {
        name: "200,000 half-open connections",
        most: TABLE,
        hits: &[Limit::HalfOpenFlows],
        steps: 200_000,
    };
    attack.run(|number, wire| Connection::new(number).syn(wire));
}

#[test]
fn connections_beyond_the_table_are_refused() {
    let attack = Attack {
        name: "100,000 connections with traffic",
        most: MAX_FLOWS * EACH,
        hits: &[Limit::Flows, Limit::MessageBytes],
        steps: 100_000,
    };
    attack.run(|number, wire| Connection::new(number).ask(wire, &query("set @a = 1")));
}

#[test]
fn silent_connections_make_room_in_a_full_table() {
    let mut wire = Wire::new(5_000);
    for number in 0..9_000 {
        if number == 5_000 {
            // Longer than connections may be silent when their place is wanted.
            wire.wait(301_000_000_000);
        }
        if number % 100 == 0 {
            wire.wait(100_000_000);
        }
        Connection::logged_in(number, &mut wire).ask(&mut wire, &query("set @a = 1"));
    }
    let stats = wire.pipeline.stats();
    assert_eq!(stats.limit_hits[Limit::Flows as usize], 0);
    assert_eq!(stats.observed.commands().map(|(_, count)| count).sum::<u64>(), 9_000);
}

#[test]
fn opening_and_resetting_in_no_time_leaves_nothing_behind() {
    let attack = Attack {
        name: "one connection opened and reset 300,000 times within a second",
        most: TABLE,
        hits: &[],
        steps: 300_000,
    };
    attack.run(|number, wire| {
        wire.now -= 1_000;
        let mut connection = Connection::new(0);
        connection.lose(number * 10);
        connection.syn(wire);
        wire.now -= 1_000;
        connection.reset(wire);
    });
}

#[test]
fn prepared_statements_are_remembered_up_to_a_bound() {
    let attack = Attack {
        name: "10,000 connections with 100 prepared statements",
        most: slots(10_000) + 10_000 * limits::OWN_BYTES + limits::PREPARED_TOTAL * limits::PREPARED_BYTES,
        hits: &[Limit::PreparedStatements],
        steps: 10_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (1..=100).for_each(|id| prepare(&mut connection, wire, id));
    });
}

#[test]
fn the_oldest_prepared_statements_are_forgotten_first() {
    let attack = Attack {
        name: "1,000 connections with 5,000 prepared statements",
        most: 1_000 * EACH + limits::PREPARED_TOTAL * limits::PREPARED_BYTES,
        hits: &[Limit::PreparedStatements],
        steps: 1_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (1..=5_000).for_each(|id| prepare(&mut connection, wire, id));
        // The latest is known, whatever became of the others.
        connection.ask(wire, &execute(5_000));
        let unknown =
            wire.pipeline.stats().observed.statements().find(|(kind, _)| *kind == Statement::Unknown);
        assert_eq!(unknown.expect("a kind").1.count, 0, "connection {number}");
    });
}

#[test]
fn prepared_statements_that_are_closed_take_no_memory() {
    let attack = Attack {
        name: "1,000 connections that close 4,000 prepared statements",
        most: 1_000 * EACH + limits::PREPARED_PER_CONNECTION * limits::PREPARED_BYTES,
        hits: &[],
        steps: 1_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (1..=4_000).for_each(|id| prepare(&mut connection, wire, id));
        for id in 1..=4_000_u32 {
            connection.request(wire, &packet(0, &[&b"\x19"[..], &id.to_le_bytes()].concat()));
        }
    });
}

fn prepare(connection: &mut Connection, wire: &mut Wire, id: u32) {
    connection.request(wire, &packet(0, b"\x16do ?"));
    let [a, b, c, d] = id.to_le_bytes();
    connection.reply(wire, &[12, 0, 0, 1, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0]);
}

fn execute(id: u32) -> Vec<u8> {
    packet(0, &[&b"\x17"[..], &id.to_le_bytes(), b"\0\x01\0\0\0"].concat())
}

#[test]
fn half_sent_messages_keep_their_beginning_only() {
    let attack = Attack {
        name: "1,000 connections with a half-sent message of 16 MiB",
        most: 1_000 * EACH + limits::MESSAGE_BYTES,
        hits: &[Limit::MessageBytes],
        steps: 1_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        half_send(&mut connection, wire);
    });
}

#[test]
fn half_sent_messages_share_one_bound() {
    let attack = Attack {
        name: "20,000 connections with a half-sent message of 16 MiB",
        most: 20_000 * EACH + limits::MESSAGE_BYTES,
        hits: &[Limit::MessageBytes],
        steps: 20_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        half_send(&mut connection, wire);
    });
}

#[test]
fn a_message_that_cannot_be_decoded_any_more_keeps_nothing() {
    let attack = Attack {
        name: "10,000 connections that lose the middle of a message",
        most: 10_000 * EACH + limits::MESSAGE_BYTES,
        hits: &[],
        steps: 10_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        half_send(&mut connection, wire);
        // Nothing holds it up: what is lost was acknowledged long ago.
        connection.lose(1 << 24);
        for _ in 0..20 {
            connection.request(wire, b"more of it");
            connection.reply(wire, b"?");
        }
    });
}

/// The first 20 KiB of a statement of 16 MiB.
fn half_send(connection: &mut Connection, wire: &mut Wire) {
    let statement = long_query("set @a =", 20 * KIB);
    connection.request(wire, &[b"\xff\xff\xff\0", &statement[4..]].concat());
}

#[test]
fn holes_share_one_bound() {
    let attack = Attack {
        name: "1,000 connections with nearly 256 KiB behind a hole",
        most: 1_000 * EACH + limits::TOTAL_BYTES,
        hits: &[Limit::TotalBytes],
        steps: 1_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (0..160).for_each(|index| connection.early(wire, 1 + index * MSS, &[0; MSS]));
    });
}

#[test]
fn holes_behind_single_bytes_cost_what_they_take() {
    let attack = Attack {
        name: "2,000 connections with 1,000 single bytes behind holes",
        most: 2_000 * EACH + limits::TOTAL_BYTES,
        hits: &[Limit::TotalBytes],
        steps: 2_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (0..1_000).for_each(|index| connection.early(wire, 1 + 2 * index, b"x"));
    });
}

#[test]
fn of_a_long_statement_only_lengths_are_held_however_far_they_are_ahead() {
    let mut wire = Wire::new(16);
    let mut connection = Connection::logged_in(1, &mut wire);
    let statement = long_query("insert into t values", 900 * MSS);
    // Its start, then the last segment first.
    let (start, rest) = statement.split_at(20 * MSS);
    let before = Since::now();
    connection.request(&mut wire, start);
    connection.request_reversed(&mut wire, rest);
    connection.reply(&mut wire, OK);
    let stats = wire.pipeline.stats();
    let [insert] = stats.observed.statements().filter(|(_, stats)| stats.count > 0).collect::<Vec<_>>()[..]
    else {
        panic!("one kind of statement");
    };
    assert_eq!((insert.0, insert.1.count, insert.1.duration.count()), (Statement::Insert, 1, 1));
    assert_eq!((stats.gaps, stats.observed.request_bytes > statement.len() as u64), (0, true));
    assert_eq!(stats.limit_hits, [0; Limit::ALL.len()]);
    assert!(before.peak() < limits::DIRECTION_BYTES, "{} bytes", before.peak());
}

#[test]
fn filled_holes_leave_nothing_behind() {
    let attack = Attack {
        name: "5,000 connections whose 1,000 holes were filled",
        most: slots(5_000) + 5_000 * limits::OWN_BYTES + limits::DIRECTION_BYTES,
        hits: &[],
        steps: 5_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        let request = query(&format!("set @a = '{}'", "x".repeat(1_000)));
        (1..1_000).rev().for_each(|at| connection.early(wire, at, &request[at..=at]));
        let rest = [&request[..1], &request[1_000..]];
        connection.early(wire, 1_000, rest[1]);
        connection.early(wire, 0, rest[0]);
    });
}

#[test]
fn half_sent_blocks_share_the_decompressors() {
    let attack = Attack {
        name: "1,000 connections with a half-sent zlib block, and a bomb on each",
        most: 1_000 * EACH + limits::DECOMPRESSOR_BYTES + 64 * KIB,
        hits: &[Limit::DecompressorBytes],
        steps: 1_000,
    };
    let half = zlib_block(1, &query(&"do 1 ".repeat(2_000)));
    let bomb = zlib_block(0, &packet(0, &[&b"\x03set @a = '"[..], &vec![b'x'; 8 * MIB], b"'"].concat()));
    attack.run(|number, wire| {
        let mut connection = Connection::compressed(number, wire, false);
        if number % 20 == 0 {
            connection.request(wire, &bomb);
            connection.reply(wire, &zlib_block(1, OK));
        }
        connection.request(wire, &half[..half.len() / 2]);
    });
}

/// zstd's memory does not come from Rust's allocator: it says itself what it takes.
#[test]
fn half_sent_zstd_blocks_share_the_decompressors() {
    let attack = Attack {
        name: "100 connections with a half-sent zstd block of 4 MiB",
        most: 100 * EACH + 64 * KIB,
        hits: &[Limit::DecompressorBytes],
        steps: 100,
    };
    // A window of 4 MiB, and a block of raw bytes that is not complete.
    let half = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x60, 0x00, 0x00, 0x10][..], &[0; 1_000]].concat();
    let half = wire::block(0, 4 * MIB, &[&half[..], &vec![0; 2 * MIB]].concat());
    let mut most = 0;
    attack.run(|number, wire| {
        let mut connection = Connection::compressed(number, wire, true);
        connection.request(wire, &half[..1_000]);
        let taken = wire.pipeline.bounds().used(Limit::DecompressorBytes);
        assert!(taken <= limits::DECOMPRESSOR_BYTES, "{taken} bytes");
        most = most.max(taken);
    });
    println!("zstd: {} KiB at most", most / KIB);
}

#[test]
fn pipelines_share_one_bound() {
    let attack = Attack {
        name: "2,000 connections that send 2,000 pings and wait for no answer",
        most: 2_000 * EACH + limits::PIPELINE_TOTAL * limits::PIPELINE_BYTES,
        hits: &[Limit::Pipeline],
        steps: 2_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        (0..20).for_each(|_| connection.request(wire, &packet(0, b"\x0e").repeat(100)));
    });
}

#[test]
fn error_codes_beyond_the_bound_are_one_series() {
    let attack = Attack {
        name: "100,000 different errors",
        most: 64 * KIB,
        hits: &[Limit::ErrorCodes],
        steps: 100_000,
    };
    let mut connection = None;
    attack.run(|number, wire| {
        let connection = connection.get_or_insert_with(|| Connection::logged_in(0, wire));
        connection.request(wire, &query("set @a = 1"));
        let error = format!("#{:05}no", number >> 16);
        let [low, high, ..] = (number as u16).to_le_bytes();
        connection.reply(wire, &packet(1, &[&[0xff, low, high], error.as_bytes()].concat()));
    });
}

#[test]
fn unknown_commands_take_no_memory() {
    let attack = Attack {
        name: "1,000 connections with 100 unknown commands",
        most: 1_000 * EACH,
        hits: &[],
        steps: 1_000,
    };
    attack.run(|number, wire| {
        let mut connection = Connection::logged_in(number, wire);
        for code in 0x30..0x94 {
            connection.request(wire, &packet(0, &[code]));
            connection.request(wire, &query("do 1"));
        }
    });
}

#[test]
fn an_idle_connection_takes_its_slot_and_little_else() {
    // A full table, of sizes that no doubling hits.
    for connections in [10_000, 20_000, 33_000] {
        let before = Since::now();
        let mut wire = Wire::new(connections as usize);
        for number in 0..connections {
            Connection::logged_in(number, &mut wire).ask(&mut wire, &query("set @a = 1"));
        }
        let each = before.bytes() / connections as usize;
        println!("{each} bytes for each of {connections} idle connections");
        // Beside its slot it keeps room for a command that waits.
        assert!(each <= limits::FLOW_BYTES + limits::PIPELINE_OWN * limits::PIPELINE_BYTES, "{each} bytes");
    }
}

/// The last census, the one before, and what it takes to compare them.
#[test]
fn the_largest_censuses_take_no_more_than_16_mebibytes() {
    let keys = || {
        (0..MOST_SOCKETS as u32).map(|number| {
            let client = Endpoint { address: u128::from(number), port: 2 };
            Ends::of(&FlowKey { client, server: Endpoint { address: 1, port: 3306 } })
        })
    };
    let census = |segments: u32| {
        let mut listing = Listing::default();
        let (segments_in, segments_out) = (segments, segments);
        for key in keys() {
            let socket = Socket { cookie: 1, client_port: 2, segments_in, segments_out, client_bytes: 900 };
            listing.add(key, socket, true);
        }
        listing.census().expect("just as many as there may be")
    };
    // Every connection is sampled, so that it is weighed one by one.
    let class = SampleClass::new(1, 1, 1).expect("a class");
    let before = Since::now();
    let mut sampler = Sampler::new(Settings { class, multiplier: Multiplier::Measured, rotate: None });
    for segments in 1..=3 {
        let lasting = keys().map(|key| (key, [1.0; 3])).collect();
        let (slice, second) = (Slice { lasting, ..Slice::default() }, std::time::Duration::from_secs(1));
        sampler.census(census(segments), slice, second, class, Ends::client_port);
    }
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    let (kept, peak) = (before.bytes(), before.peak());
    println!("{MOST_SOCKETS} connections: {:.1} MiB, {:.1} at most", mib(kept), mib(peak));
    assert!(kept <= 5 * MIB && peak <= 16 * MIB, "{kept} {peak} bytes");
}

#[test]
fn lives_of_connections_and_openings_take_no_more_than_6_mebibytes() {
    let before = Since::now();
    let (mut lives, mut turnover) = (Lives::new(1), Turnover::default());
    let syn = Control {
        from_client: true,
        opens: true,
        finishes: false,
        resets: false,
        sequence: 1,
        length: 0,
        acknowledged: None,
        initial: None,
    };
    for number in 0..4 * MOST_LIVES as u32 {
        let client = Endpoint { address: u128::from(number), port: 1 };
        let key = FlowKey { client, server: Endpoint { address: 1, port: 3306 } };
        lives.segment(Ends::of(&key), 0, syn, &mut turnover);
    }
    let (peak, bound) = (before.peak(), 6 * MIB);
    println!("{:.1} MiB for {MOST_LIVES} lives", peak as f64 / MIB as f64);
    assert!(peak <= bound, "{peak} bytes");
}
