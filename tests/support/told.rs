//! What the decoder tells of each connection, event by event, with the time of the bytes that brought it about.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::ops::Range;

use dbwire_exporter::{
    digest::statement_kind,
    limits::Bounds,
    mysql::{
        compress::Codecs,
        event::{Context, Event, Observer, StatementRef},
        schema::SchemaId,
        session::{Session, Shared},
    },
    packet::{Endpoint, Segment, Timestamp},
    stream::{
        Direction, Missing, Receiver,
        flows::{Ending, FlowTable, Handler, Start},
        key::FlowKey,
    },
};

/// An event of the connection of `client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub client: Endpoint,
    pub at: u64,
    /// Whether missing bytes brought it about: their time is not known.
    pub gap: bool,
    pub event: Event,
}

/// Decodes segments as a pipeline does, but keeps every event.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    flows: FlowTable<Session>,
    bounds: Bounds,
    sink: Sink,
}

impl Listener {
    /// For servers on `port`.
    pub fn new(port: u16) -> Self {
        Self { port, flows: FlowTable::new(1024, 1), bounds: Bounds::default(), sink: Sink::default() }
    }

    /// The next segment.
    pub fn segment(&mut self, at: Timestamp, segment: &Segment<'_>) {
        let (direction, client, server) = if segment.destination.port == self.port {
            (Direction::ToServer, segment.source, segment.destination)
        } else {
            (Direction::ToClient, segment.destination, segment.source)
        };
        let key = FlowKey { client, server };
        self.flows.segment(key, direction, at, *segment, &self.bounds, &mut self.sink);
    }

    /// Everything it was told, once all is delivered.
    pub fn finish(mut self) -> Vec<Told> {
        self.flows.finish(&self.bounds, &mut self.sink);
        self.sink.told
    }
}

#[derive(Debug, Default)]
struct Sink {
    told: Vec<Told>,
    codecs: Codecs,
}

impl Sink {
    fn log(&mut self, key: &FlowKey) -> Log<'_> {
        Log { client: key.client, at: 0, gap: false, told: &mut self.told }
    }
}

impl Handler<Session> for Sink {
    fn start(&mut self, start: Start) -> Session {
        Session::new(start)
    }

    fn opened(&mut self) {}

    fn receiver<'b>(
        &'b mut self,
        key: &FlowKey,
        session: &'b mut Session,
        bounds: &'b Bounds,
    ) -> impl Receiver + 'b {
        let log = Log { client: key.client, at: 0, gap: false, told: &mut self.told };
        Decoder { session, shared: Shared { bounds, codecs: &self.codecs }, log }
    }

    fn closed(&mut self, key: &FlowKey, session: &mut Session, _: Ending) {
        session.closed(&mut self.log(key));
    }

    fn left_open(&mut self, key: &FlowKey, session: &mut Session) {
        session.settle(&mut self.log(key));
    }

    fn forget(&mut self, mut session: Session, bounds: &Bounds) {
        session.release(Shared { bounds, codecs: &self.codecs });
    }
}

struct Log<'a> {
    client: Endpoint,
    at: u64,
    gap: bool,
    told: &'a mut Vec<Told>,
}

impl Observer for Log<'_> {
    fn statement(&mut self, sql: &[u8], context: Context) -> StatementRef {
        StatementRef::unseen(statement_kind(sql, context.complete))
    }

    fn schema(&mut self, _: &[u8]) -> SchemaId {
        SchemaId::UNKNOWN
    }

    fn user(&mut self, _: Option<&[u8]>) {}

    fn event(&mut self, event: &Event) {
        self.told.push(Told { client: self.client, at: self.at, gap: self.gap, event: *event });
    }
}

struct Decoder<'a> {
    session: &'a mut Session,
    shared: Shared<'a>,
    log: Log<'a>,
}

impl Receiver for Decoder<'_> {
    fn data(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]) {
        (self.log.at, self.log.gap) = (at.0, false);
        self.session.data(direction, at, bytes, self.shared, &mut self.log);
    }

    fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, why: Missing) {
        (self.log.at, self.log.gap) = (at.0, why != Missing::Needless);
        self.session.gap(direction, at, length, why, self.shared, &mut self.log);
    }

    fn hurried(&mut self) {
        self.session.hurried();
    }

    fn needless(&self, direction: Direction) -> Range<u32> {
        self.session.needless(direction)
    }
}
