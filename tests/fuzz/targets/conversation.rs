//! One connection's two streams, with gaps; and whole connections.

use dbwire_exporter::{
    config::{Counting, PortSet},
    digest::{Statement, statement_kind},
    limits::{self, Bounds, Limit},
    mysql::{
        command,
        compress::Codecs,
        event::{Context, Event, Observer, StatementRef},
        schema::SchemaId,
        session::{Session, Shared},
        tls::Tls,
    },
    packet::{Endpoint, Segment, TcpFlags, Timestamp, filter::Plan},
    pipeline::{Options, Pipeline},
    sample::{class::SampleClass, multiplier::Multiplier},
    stream::{Direction, Missing, flows::Start},
};

use super::input::{Input, direction};

/// Counts what must never outnumber what caused it.
#[derive(Default)]
struct Ledger {
    commands: u64,
    statements: u64,
    replies: u64,
    timed: u64,
    /// Largest moment there was.
    now: u64,
}

impl Observer for Ledger {
    fn statement(&mut self, sql: &[u8], context: Context) -> StatementRef {
        StatementRef::new(statement_kind(sql, context.complete), None, context.schema)
    }

    fn schema(&mut self, name: &[u8]) -> SchemaId {
        if name.is_empty() { SchemaId::NONE } else { SchemaId::OTHER }
    }

    fn user(&mut self, name: Option<&[u8]>) {
        assert!(name.is_none_or(|name| name.len() <= limits::USER_NAME));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Command(command) => self.commands += u64::from(command.reply() != command::Reply::None),
            Event::Statement(_) => self.statements += 1,
            Event::Reply(reply) => {
                assert!(reply.first_response <= reply.duration && reply.duration <= self.now);
                let encrypted = reply.statement.is_some_and(|at| at.kind() == Statement::Encrypted);
                self.replies += u64::from(!encrypted);
                self.timed += u64::from(reply.command.runs_statement());
            }
            _ => {}
        }
        assert!(self.replies <= self.commands, "{} replies to {} commands", self.replies, self.commands);
        assert!(self.timed <= self.statements, "{} of {} statements timed", self.timed, self.statements);
    }
}

/// What comes next in a connection.
enum Step<'a> {
    /// And whether the client sent them before it had received what was fed before.
    Bytes(&'a [u8], bool),
    Gap(u32),
    /// What the server said was not captured.
    Cut(u32),
}

/// Direction, length and bytes, or a gap of that length, or a cut; and the time that has passed.
fn step<'a>(input: &mut Input<'a>, now: &mut u64) -> (Direction, Timestamp, Step<'a>) {
    let kind = input.u8();
    *now += u64::from(kind >> 4) << 20;
    let length = if kind & 4 == 0 { u32::from(input.u8()) } else { u32::from(input.u16()) };
    let next = match kind & 0xb {
        kind if kind & 2 == 0 => Step::Bytes(input.bytes(length as usize), kind & 9 == 8),
        0xb => Step::Cut(length.max(1)),
        _ => Step::Gap(length.max(1)),
    };
    (direction(kind), Timestamp(*now), next)
}

/// Whether its opening was seen, then steps. Nothing is answered that was not asked, and everything reserved is returned.
pub fn session(data: &[u8]) {
    let mut input = Input(data);
    let start = if input.u8() & 1 == 0 { Start::Opening } else { Start::MidStream };
    let mut session = Session::new(start);
    let (bounds, codecs, mut ledger) = (Bounds::default(), Codecs::default(), Ledger::default());
    let shared = Shared { bounds: &bounds, codecs: &codecs };
    while !input.is_empty() {
        let (direction, at, step) = step(&mut input, &mut ledger.now);
        match step {
            Step::Bytes(bytes, hurried) => {
                if hurried {
                    session.hurried();
                }
                session.data(direction, at, bytes, shared, &mut ledger);
            }
            Step::Gap(length) => session.gap(direction, at, length, Missing::Lost, shared, &mut ledger),
            Step::Cut(length) => session.gap(direction, at, length, Missing::Cut, shared, &mut ledger),
        }
        let _ = session.visibility();
    }
    session.closed(&mut ledger);
    session.release(shared);
    // Idle decompressors are kept for other sessions.
    for limit in Limit::ALL.into_iter().filter(|limit| *limit != Limit::DecompressorBytes) {
        assert_eq!(bounds.used(limit), 0, "{limit:?}");
    }
}

/// Steps, inside TLS.
pub fn tls(data: &[u8]) {
    let mut input = Input(data);
    let mut tls = if input.u8() & 1 == 0 { Tls::new() } else { Tls::mid_stream() };
    let mut ledger = Ledger::default();
    while !input.is_empty() {
        let (direction, at, step) = step(&mut input, &mut ledger.now);
        match step {
            Step::Bytes(bytes, _) => tls.data(direction, at, bytes, &mut ledger),
            Step::Gap(length) => tls.gap(direction, at, length, &mut ledger),
            Step::Cut(length) => tls.cut(at, length, &mut ledger),
        }
    }
    tls.closed(&mut ledger);
}

/// Segments of a handful of connections with any flags, numbers and times, in a table that is too small for them; now and
/// then other connections are captured.
pub fn pipeline(data: &[u8]) {
    let whole = Plan::whole(PortSet::new(&[3306, 3307]).expect("ports"));
    let mut pipeline = Pipeline::new(Options {
        plan: whole.clone(),
        max_flows: 4,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    });
    let mut input = Input(data);
    let mut at = 1_000_000_000;
    // Where each of 8 connections has got to in each direction.
    let mut next = [[0_u32; 2]; 8];
    while !input.is_empty() {
        let kind = input.u8();
        let (connection, direction) = (usize::from(kind >> 1 & 7), direction(kind));
        at = u64::wrapping_add(at, (1 << (kind >> 4 << 2 & 0x3f)) - 1);
        let flags = input.u8();
        // Most segments are the next ones; some are a few bytes early or late.
        let early = i32::from((flags >> 6) as i8 - 1) * i32::from(flags >> 5 & 1);
        let length = usize::from(input.u8());
        let payload = input.bytes(length);
        let client = Endpoint { address: 0, port: [40000, 40001, 40002, 3307][connection % 4] };
        let server = Endpoint { address: connection as u128 / 4, port: 3306 };
        let [own, other] = match direction {
            Direction::ToServer => [0, 1],
            Direction::ToClient => [1, 0],
        };
        let (source, destination) = if own == 0 { (client, server) } else { (server, client) };
        let segment = Segment {
            source,
            destination,
            sequence: next[connection][own].wrapping_add_signed(early),
            acknowledgment: next[connection][other],
            flags: TcpFlags(flags & 0x17),
            payload,
            cut: if kind == 0xff { 10 } else { 0 },
        };
        next[connection][own] = next[connection][own].wrapping_add(payload.len() as u32);
        pipeline.segment(Timestamp(at), &segment);
        if flags & 0x28 == 0x28 {
            let class = SampleClass::new(1, u8::from(early == 0), u16::from(kind >> 7)).expect("a class");
            pipeline.set_plan(Plan { class, ..whole.clone() }, Timestamp(at));
        }
        if flags & 8 != 0 {
            pipeline.tick(Timestamp(at));
        }
        assert!(pipeline.bounds().bytes() <= limits::TOTAL_BYTES);
    }
    pipeline.finish();
    let stats = pipeline.stats();
    let flows: u64 = stats.flows().map(|(_, count)| count).sum();
    assert!(flows <= 4, "{flows} connections in a table of 4");
}
