//! Properties of the decoder over generated conversations: any mix of commands and replies, pipelined up to eight deep
//! and cut anywhere, plain or compressed, is counted and timed exactly as it was generated.
#![cfg(feature = "capture")]

#[path = "support/conversation.rs"]
mod conversation;

use std::collections::BTreeMap;

use conversation::{Coding, Conversation, block, packet, pipeline, play};
use dbwire_exporter::{
    packet::TcpFlags,
    stats::Stats,
    stream::Direction::{self, ToClient, ToServer},
};
use proptest::{collection::vec, prelude::*};

const GREETING: &[u8] =
    b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0\
    caching_sha2_password\0";
const COLUMN: &[u8] =
    b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\x00\x0b\x00\x00\x00\x03\x03\x50\x00\x00\x00";
/// `SERVER_MORE_RESULTS_EXISTS`.
const MORE: u8 = 0x08;

/// What both ends agreed on.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    coding: Coding,
    deprecate_eof: bool,
    attributes: bool,
    optional_metadata: bool,
}

impl Agreed {
    fn flags(self) -> u32 {
        let coding = match self.coding {
            Coding::Plain => 0,
            Coding::Zlib => 1 << 5,
            Coding::Zstd => 1 << 26,
        };
        let flag = |on: bool, bit: u32| u32::from(on) << bit;
        1 | 1 << 9
            | 1 << 15
            | coding
            | flag(self.deprecate_eof, 24)
            | flag(self.optional_metadata, 25)
            | flag(self.attributes, 27)
    }

    fn query(self, text: &str) -> Vec<u8> {
        let attributes: &[u8] = if self.attributes { b"\x01\x01\x00\x01\xfe\x00\x01a\x03xyz" } else { b"" };
        [b"\x03", attributes, text.as_bytes()].concat()
    }

    /// The end of rows or definitions.
    fn end(self, status: u8) -> Vec<u8> {
        if self.deprecate_eof { vec![0xfe, 0, 0, status, 0, 0, 0] } else { vec![0xfe, 0, 0, status, 0] }
    }

    /// A result set of one column.
    fn result(self, rows: usize, binary: bool, described: bool, status: u8) -> Vec<Vec<u8>> {
        let described = described || !self.optional_metadata;
        let mut packets = vec![if self.optional_metadata { vec![described.into(), 1] } else { vec![1] }];
        packets.extend(described.then(|| COLUMN.to_vec()));
        packets.extend((!self.deprecate_eof).then(|| self.end(0)));
        let text: [&[u8]; 4] = [b"\x0242", b"\xfb", b"\x00", b"\xfc\x04\x01"];
        for row in 0..rows {
            packets.push(match (binary, text[row % 4]) {
                (true, _) => vec![0, 0, row as u8, 0, 0, 0],
                (_, long @ [0xfc, ..]) => [long, &[b'x'; 260]].concat(),
                (_, short) => short.to_vec(),
            });
        }
        packets.push(self.end(status));
        packets
    }
}

/// One command and what becomes of it. Numbers choose variants; what they mean depends on `what`.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: What,
    rows: usize,
    affected: u8,
    fails: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Select,
    Insert,
    LongInsert,
    Several,
    Prepare,
    Execute,
    ExecuteLast,
    Fetch,
    Close,
    LongData,
    Ping,
    InitDb,
    Statistics,
    FieldList,
    SetOption,
    Reset,
    /// A file from the client. Cannot be pipelined: it is a round of its own.
    Load,
}

const PIPELINED: [What; 16] = [
    What::Select,
    What::Insert,
    What::LongInsert,
    What::Several,
    What::Prepare,
    What::Execute,
    What::ExecuteLast,
    What::Fetch,
    What::Close,
    What::LongData,
    What::Ping,
    What::InitDb,
    What::Statistics,
    What::FieldList,
    What::SetOption,
    What::Reset,
];

type Counts = BTreeMap<String, u64>;

/// A request with the packets that answer it.
#[derive(Debug, Default)]
struct Exchange {
    request: Vec<u8>,
    reply: Vec<u8>,
    /// The statement that is counted and timed.
    statement: Option<&'static str>,
}

/// The server's side, and what is true.
struct World {
    agreed: Agreed,
    prepared: BTreeMap<u32, &'static str>,
    /// Those of this round: the client does not know their ids yet.
    fresh: Vec<(u32, &'static str)>,
    last: Option<&'static str>,
    next_id: u32,
    truth: Counts,
    talk: Conversation,
    cuts: std::iter::Cycle<std::vec::IntoIter<(usize, u64, bool)>>,
}

impl World {
    fn new(agreed: Agreed, cuts: Vec<(usize, u64, bool)>) -> Self {
        let fixed = [&agreed.flags().to_le_bytes()[..], b"\0\0\0\x01\xff", &[0; 23], b"app\0\0"].concat();
        let mut talk = Conversation::open();
        talk.server(GREETING).client(&fixed).server(&[0, 0, 0, 2, 0, 0, 0]);
        Self {
            agreed,
            prepared: BTreeMap::new(),
            fresh: Vec::new(),
            last: None,
            next_id: 1,
            truth: [("login ok".to_owned(), 1)].into(),
            talk,
            cuts: cuts.into_iter().cycle(),
        }
    }

    fn count(&mut self, what: &str, of: &str, count: u64) {
        if count > 0 {
            *self.truth.entry(format!("{what} {of}")).or_default() += count;
        }
    }

    fn error(&mut self, code: u16) -> Vec<Vec<u8>> {
        self.count("error", &code.to_string(), 1);
        vec![[b"\xff", &code.to_le_bytes()[..], b"#42000failed"].concat()]
    }

    fn ok(&mut self, statement: &str, affected: u8, status: u8) -> Vec<u8> {
        self.count("affected", statement, affected.into());
        vec![0, affected, 0, status, 0, 0, 0]
    }

    /// One of the statements whose ids the client knows; 0, which never is one, if there is none.
    fn known(&self, number: u8) -> (u32, &'static str) {
        let count = self.prepared.len().max(1);
        let known = self.prepared.iter().nth(usize::from(number) % count);
        known.map_or((0, "unknown"), |(id, kind)| (*id, *kind))
    }

    fn exchange(&mut self, step: &Step) -> Exchange {
        let Step { what, rows, affected, fails } = *step;
        let agreed = self.agreed;
        let (command, request) = self.request(step);
        self.count("command", command, 1);
        let statement = match what {
            What::Select => Some("select"),
            What::Insert | What::LongInsert => Some("insert"),
            What::Several => Some("update"),
            What::Execute => Some(self.known(affected).1),
            What::ExecuteLast => Some(self.last.unwrap_or("unknown")),
            _ => None,
        };
        let owner = if what == What::Fetch { self.known(affected).1 } else { statement.unwrap_or_default() };
        let reply = match what {
            What::Close | What::LongData => Vec::new(),
            What::Execute | What::ExecuteLast | What::Fetch if owner == "unknown" => self.error(1243),
            // An error behind the first results.
            What::Several if fails => {
                self.count("rows", owner, rows as u64);
                let mut reply = vec![self.ok(owner, affected, MORE)];
                reply.extend(agreed.result(rows, false, true, MORE));
                reply.extend(self.error(1146));
                reply
            }
            _ if fails => self.failed(step),
            What::Several => {
                self.count("rows", owner, 2 * rows as u64);
                let mut reply = agreed.result(rows, false, rows % 2 == 0, MORE);
                reply.push(self.ok(owner, affected, MORE));
                reply.extend(agreed.result(rows, false, true, 0));
                reply
            }
            What::Insert | What::LongInsert => vec![self.ok(owner, affected, 0)],
            What::Execute | What::ExecuteLast if owner == "insert" => vec![self.ok(owner, affected, 0)],
            What::Select | What::Execute | What::ExecuteLast => {
                self.count("rows", owner, rows as u64);
                agreed.result(rows, what != What::Select, affected % 2 == 0, 0)
            }
            What::Fetch => {
                self.count("rows", owner, rows as u64);
                let mut reply = agreed.result(rows, true, false, 0x40);
                reply.drain(..reply.len() - rows - 1);
                reply
            }
            What::Prepare => self.prepare(step),
            What::Statistics => vec![b"Uptime: 1".to_vec()],
            What::FieldList => [vec![COLUMN.to_vec(); rows], vec![agreed.end(0)]].concat(),
            What::SetOption => vec![agreed.end(0)],
            What::Reset => {
                self.prepared.clear();
                self.fresh.clear();
                self.last = None;
                vec![vec![0, 0, 0, 0, 0, 0, 0]]
            }
            _ => vec![vec![0, 0, 0, 0, 0, 0, 0]],
        };
        if what == What::Close {
            self.prepared.remove(&self.known(affected).0);
        }
        let reply = reply.iter().zip(1..).flat_map(|(payload, sequence)| packet(sequence, payload)).collect();
        Exchange { request: packet(0, &request), reply, statement }
    }

    /// An error at once, or behind some rows.
    fn failed(&mut self, step: &Step) -> Vec<Vec<u8>> {
        let mut reply = Vec::new();
        if step.what == What::Prepare {
            self.last = Some(prepared_kind(step));
        }
        if step.what == What::Select && step.rows > 2 {
            self.count("rows", "select", step.rows as u64);
            reply = self.agreed.result(step.rows, false, true, 0);
            reply.pop();
        }
        reply.extend(self.error(1064 + u16::from(step.affected % 4)));
        reply
    }

    fn prepare(&mut self, step: &Step) -> Vec<Vec<u8>> {
        let id = self.next_id;
        self.next_id += 1;
        self.last = Some(prepared_kind(step));
        self.fresh.push((id, prepared_kind(step)));
        let (columns, parameters) = (step.rows as u8, step.affected % 3);
        let described = !self.agreed.optional_metadata || step.affected.is_multiple_of(2);
        let ok =
            [&[0][..], &id.to_le_bytes(), &[columns, 0, parameters, 0, 0, 0, 0, described.into()]].concat();
        let mut reply = vec![ok[..if self.agreed.optional_metadata { 13 } else { 12 }].to_vec()];
        for count in [parameters, columns].into_iter().filter(|count| described && *count > 0) {
            reply.extend(vec![COLUMN.to_vec(); count.into()]);
            reply.extend((!self.agreed.deprecate_eof).then(|| self.agreed.end(0)));
        }
        reply
    }

    fn request(&self, step: &Step) -> (&'static str, Vec<u8>) {
        let query = |text: &str| ("query", self.agreed.query(text));
        let id = match step.what {
            What::ExecuteLast => u32::MAX,
            _ => self.known(step.affected).0,
        }
        .to_le_bytes();
        let with_id = |code: u8, rest: &[u8]| [&[code][..], &id, rest].concat();
        match step.what {
            What::Select => query("select a from t"),
            What::Insert => query("insert into t values (1)"),
            What::LongInsert => query(&format!("insert into t values ('{}')", "x".repeat(300 * step.rows))),
            What::Several => query("update t set a=1; select a from t"),
            What::Prepare => ("stmt_prepare", format!("\x16{} ?", prepared_kind(step)).into_bytes()),
            What::Execute | What::ExecuteLast => ("stmt_execute", with_id(0x17, &[0, 1, 0, 0, 0])),
            What::Fetch => ("stmt_fetch", with_id(0x1c, &[9, 0, 0, 0])),
            What::Close => ("stmt_close", with_id(0x19, b"")),
            What::LongData => ("stmt_send_long_data", with_id(0x18, b"\0\0data")),
            What::Ping => ("ping", vec![0x0e]),
            What::InitDb => ("init_db", b"\x02shop".to_vec()),
            What::Statistics => ("statistics", vec![0x09]),
            What::FieldList => ("field_list", b"\x04t\0".to_vec()),
            What::SetOption => ("set_option", vec![0x1b, 0, 0]),
            What::Reset => ("reset_connection", vec![0x1f]),
            What::Load => query("load data local infile 'x' into table t"),
        }
    }

    /// Requests pipelined, and their replies in order, each as early or late as it may.
    fn round(&mut self, steps: &[Step]) {
        let mut exchanges: Vec<_> = steps.iter().map(|step| self.exchange(step)).collect();
        self.prepared.extend(self.fresh.drain(..));
        let requests: Vec<_> =
            exchanges.iter_mut().map(|exchange| std::mem::take(&mut exchange.request)).collect();
        let replies: Vec<_> =
            exchanges.iter_mut().map(|exchange| std::mem::take(&mut exchange.reply)).collect();
        let (asked, answered) = self.transfer(&requests, &replies);
        for (index, statement) in exchanges.iter().enumerate() {
            if let Some(statement) = statement.statement {
                let (_, requested_at) = asked[index];
                let (first, last) = answered[index];
                self.timed(statement, first - requested_at, last - requested_at);
            }
        }
    }

    fn timed(&mut self, statement: &str, first: u64, last: u64) {
        self.count("statement", statement, 1);
        self.count("timed", statement, 1);
        self.count("first", statement, first);
        self.count("last", statement, last);
    }

    /// Sends both directions in pieces; returns when the first and the last byte of each message was sent.
    fn transfer(&mut self, requests: &[Vec<u8>], replies: &[Vec<u8>]) -> (Times, Times) {
        let (to_server, to_client) = (requests.concat(), replies.concat());
        let (mut asked, mut answered) = (Clock::new(requests), Clock::new(replies));
        while asked.sent < to_server.len() || answered.sent < to_client.len() {
            let (size, pause, server_first) = self.cuts.next().expect("cuts");
            // A reply is sent only behind its request, if that is among these.
            let ready = asked.complete() + replies.len().saturating_sub(requests.len());
            let ready: usize = replies.iter().take(ready).map(Vec::len).sum();
            let server = answered.sent < ready && (server_first || asked.sent == to_server.len());
            self.talk.now += pause;
            let (direction, bytes, clock, end) = if server {
                (ToClient, &to_client, &mut answered, ready)
            } else {
                (ToServer, &to_server, &mut asked, to_server.len())
            };
            let piece = &bytes[clock.sent..end.min(clock.sent.saturating_add(size))];
            clock.advance(piece.len(), self.talk.now);
            send(&mut self.talk, direction, self.agreed.coding, piece, size);
        }
        (asked.times, answered.times)
    }

    fn load(&mut self, step: &Step) {
        self.count("command", "query", 1);
        let (_, request) = self.request(step);
        let (asked, _) = self.transfer(&[packet(0, &request)], &[]);
        let (_, wants) = self.transfer(&[], &[packet(1, b"\xfbx")]);
        let mut file: Vec<_> =
            (2..).zip(0..100 * step.rows).map(|(n, _)| packet(n as u8, b"\x03select 1")).collect();
        file.push(packet(0, b""));
        self.transfer(&file, &[]);
        let reply = if step.fails { self.error(1062).remove(0) } else { self.ok("load", step.affected, 0) };
        let (_, answered) = self.transfer(&[], &[packet(1, &reply)]);
        self.timed("load", wants[0].0 - asked[0].1, answered[0].1 - asked[0].1);
    }
}

fn prepared_kind(step: &Step) -> &'static str {
    if step.affected.is_multiple_of(3) { "insert" } else { "select" }
}

/// When each message's first and last byte was sent.
type Times = Vec<(u64, u64)>;

/// The messages of one direction, as they are sent.
struct Clock {
    ends: Vec<usize>,
    times: Times,
    sent: usize,
}

impl Clock {
    fn new(messages: &[Vec<u8>]) -> Self {
        let ends = messages
            .iter()
            .scan(0, |end, message| {
                *end += message.len();
                Some(*end)
            })
            .collect();
        Self { ends, times: vec![(0, 0); messages.len()], sent: 0 }
    }

    fn complete(&self) -> usize {
        self.ends.iter().filter(|end| **end <= self.sent).count()
    }

    fn advance(&mut self, count: usize, now: u64) {
        let (from, to) = (self.sent, self.sent + count);
        let mut start = 0;
        for (end, times) in self.ends.iter().zip(&mut self.times) {
            // Commands without a reply have an empty one.
            if (from..to).contains(&start) && start < *end {
                times.0 = now;
            }
            if (from + 1..=to).contains(end) && start < *end {
                times.1 = now;
            }
            start = *end;
        }
        self.sent = to;
    }
}

/// One piece: a segment, or a block whose segments all come at once.
fn send(talk: &mut Conversation, direction: Direction, coding: Coding, piece: &[u8], size: usize) {
    for piece in piece.chunks(60_000) {
        match coding {
            Coding::Plain => talk.segment(direction, TcpFlags::ACK, piece),
            _ => {
                let sequence = u8::from(direction == ToClient);
                for part in block(coding, sequence, piece).chunks(size.clamp(3, 60_000)) {
                    talk.segment(direction, TcpFlags::ACK, part);
                }
            }
        }
    }
}

/// What was counted, but bytes; what is 0 is left out.
fn counts(stats: &Stats) -> Counts {
    let mut counts = Counts::new();
    let mut put = |what: &str, of: &str, count: u64| {
        if count > 0 {
            counts.insert(format!("{what} {of}"), count);
        }
    };
    for (command, count) in stats.observed.commands() {
        put("command", command.label(), count);
    }
    for (login, count) in stats.observed.logins() {
        put("login", login.label(), count);
    }
    for (error, count) in stats.errors(&stats.observed) {
        put("error", &error.code.to_string(), count);
    }
    for (statement, stats) in stats.observed.statements() {
        for (what, count) in [
            ("statement", stats.count),
            ("timed", stats.duration.count()),
            ("first", stats.first_response.sum_nanos()),
            ("last", stats.duration.sum_nanos()),
            ("rows", stats.rows_returned),
            ("affected", stats.rows_affected),
        ] {
            put(what, statement.label(), count);
        }
    }
    for (what, count) in [("desyncs", stats.desyncs), ("resyncs", stats.resyncs), ("gaps", stats.gaps)] {
        put(what, "", count);
    }
    put("limits", "", stats.limit_hits.iter().sum());
    counts
}

fn agreed() -> impl Strategy<Value = Agreed> {
    let coding = prop_oneof![3 => Just(Coding::Plain), 1 => Just(Coding::Zlib), 1 => Just(Coding::Zstd)];
    (coding, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(coding, deprecate_eof, attributes, optional_metadata)| Agreed {
            coding,
            deprecate_eof,
            attributes,
            optional_metadata,
        },
    )
}

fn step(what: impl Strategy<Value = What>) -> impl Strategy<Value = Step> {
    (what, 0_usize..6, 0_u8..250, prop::bool::weighted(0.2)).prop_map(|(what, rows, affected, fails)| Step {
        what,
        rows,
        affected,
        fails,
    })
}

fn round() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        9 => vec(step(prop::sample::select(&PIPELINED[..])), 1..=8),
        1 => vec(step(Just(What::Load)), 1),
    ]
}

/// (bytes of a piece, nanoseconds before it, whether the server goes first where both may)
fn cuts() -> impl Strategy<Value = Vec<(usize, u64, bool)>> {
    let size = prop_oneof![1_usize..8, 8_usize..400, 400_usize..4000, Just(usize::MAX)];
    vec((size, 1_u64..5_000_000, any::<bool>()), 1..32)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mix_of_commands_pipelined_and_cut_anywhere_gives_exactly_what_was_said(
        agreed in agreed(),
        rounds in vec(round(), 1..12),
        cuts in cuts(),
    ) {
        let mut world = World::new(agreed, cuts);
        for steps in rounds {
            match &steps[..] {
                [step] if step.what == What::Load => world.load(step),
                // What a reset forgets depends on when it is answered: nothing is pipelined behind one.
                steps => steps.split_inclusive(|step| step.what == What::Reset).for_each(|steps| world.round(steps)),
            }
        }
        let mut pipeline = pipeline();
        play(&mut pipeline, &world.talk.sent);
        pipeline.finish();
        prop_assert_eq!(counts(pipeline.stats()), world.truth);
    }
}
