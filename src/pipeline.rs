//! `packet → stream → mysql → stats` joined: one value, used alike by live capture, replay, tests and benches.
//!
//! Call order: [`Pipeline::frame`] for each frame, [`Pipeline::tick`] now and then while frames may be missing (at
//! least once a second while capturing), [`Pipeline::finish`] once at the end of a file. [`Pipeline::stats`] may be
//! read at any time.

#![forbid(unsafe_code)]

use crate::{
    config::{Counting, PortSet},
    limits::{Bounds, Limit},
    mysql::{
        compress::Codecs,
        session::{Session, Shared},
    },
    packet::{Endpoint, Frame, Segment, TcpFlags, Timestamp, link::LinkType, segment},
    sample::class::SampleClass,
    stats::{Closed, Recorder, Stats, profile::Profile},
    stream::{
        Direction, Missing, Receiver,
        flows::{Ending, FlowKey, FlowTable, Handler, Start},
    },
};

/// Nanoseconds of packet time between two ticks.
const TICK: u64 = 100_000_000;

/// What a pipeline needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Ports the servers listen on.
    pub ports: PortSet,
    /// Connections to decode; segments of others are passed over.
    pub class: SampleClass,
    /// Most connections tracked at once.
    pub max_flows: usize,
    /// Makes the connection table's hash unpredictable; any number will do for a replay.
    pub seed: u64,
    /// What to count, and how finely.
    pub counting: Counting,
}

/// Decodes frames into [`Stats`].
#[derive(Debug)]
pub struct Pipeline {
    ports: PortSet,
    class: SampleClass,
    flows: FlowTable<Connection>,
    bounds: Bounds,
    sink: Sink,
    next_tick: Timestamp,
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(options: Options) -> Self {
        Self {
            ports: options.ports,
            class: options.class,
            flows: FlowTable::new(options.max_flows, options.seed),
            bounds: Bounds::default(),
            sink: Sink { recorder: Recorder::new(&options.counting), codecs: Codecs::default() },
            next_tick: Timestamp(0),
        }
    }

    /// Decodes one frame.
    #[inline]
    pub fn frame(&mut self, link: LinkType, frame: &Frame<'_>) {
        self.sink.recorder.stats.packets += 1;
        self.sink.recorder.stats.bytes += u64::from(frame.wire_length);
        if frame.timestamp >= self.next_tick {
            self.tick(frame.timestamp);
        }
        match segment::decode(link, frame) {
            Ok(segment) => self.segment(frame.timestamp, &segment),
            Err(layer) => self.sink.recorder.stats.undecoded(layer),
        }
    }

    /// Packet time has reached `now`: connections idle for too long are forgotten, holes that nothing will fill any
    /// more become gaps.
    pub fn tick(&mut self, now: Timestamp) {
        self.next_tick = Timestamp(now.0.saturating_add(TICK));
        self.flows.tick(now, &self.bounds, &mut self.sink);
        self.sink.recorder.tick(now);
    }

    /// The input has ended: everything still held back is delivered.
    pub fn finish(&mut self) {
        self.flows.finish(&self.bounds, &mut self.sink);
    }

    /// What has been counted so far.
    pub fn stats(&mut self) -> &Stats {
        let hits = self.bounds.hits();
        let stats = self.sink.recorder.publish();
        // The others are the counters' own.
        let shared = |limit: &Limit| !matches!(limit, Limit::ErrorCodes | Limit::Schemas);
        for limit in Limit::ALL.into_iter().filter(shared) {
            stats.limit_hits[limit as usize] = hits[limit as usize];
        }
        stats
    }

    /// What a report is made of, if [`Counting::profile`] asked for it.
    pub fn profile(&self) -> Option<&Profile> {
        self.sink.recorder.profile()
    }

    /// What is in use of the shared bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Bytes that decompressors take.
    pub fn decompressor_bytes(&self) -> usize {
        self.sink.codecs.bytes()
    }

    /// Takes one segment, as [`Self::frame`] does once it has decoded it.
    #[inline]
    pub fn segment(&mut self, at: Timestamp, segment: &Segment<'_>) {
        let Some((key, direction)) = self.orient(segment) else { return };
        // The filter has done this for live capture, but for what was in the ring when the class changed.
        if self.class.contains(key.client.port) {
            self.flows.segment(&key, direction, at, segment, &self.bounds, &mut self.sink);
        }
    }

    /// Which end is the server; `None` if neither is.
    #[inline]
    fn orient(&self, segment: &Segment<'_>) -> Option<(FlowKey, Direction)> {
        let to_server = self.ports.contains(segment.destination.port);
        let to_client = self.ports.contains(segment.source.port);
        let direction = match (to_server, to_client) {
            (true, false) => Direction::ToServer,
            (false, true) => Direction::ToClient,
            (true, true) => self.orient_between_servers(segment),
            (false, false) => return None,
        };
        Some((key(segment, direction), direction))
    }

    /// Both ports are server ports: a SYN tells, or the connection is known one way, or the lower port is the server's.
    fn orient_between_servers(&self, segment: &Segment<'_>) -> Direction {
        if segment.flags.any(TcpFlags::SYN) {
            return if segment.flags.any(TcpFlags::ACK) { Direction::ToClient } else { Direction::ToServer };
        }
        if self.flows.contains(&key(segment, Direction::ToServer)) {
            Direction::ToServer
        } else if self.flows.contains(&key(segment, Direction::ToClient))
            || segment.source.port < segment.destination.port
        {
            Direction::ToClient
        } else {
            Direction::ToServer
        }
    }
}

#[inline]
fn key(segment: &Segment<'_>, direction: Direction) -> FlowKey {
    let (client, server): (Endpoint, Endpoint) = match direction {
        Direction::ToServer => (segment.source, segment.destination),
        Direction::ToClient => (segment.destination, segment.source),
    };
    FlowKey { client, server }
}

/// What the pipeline keeps of a connection.
#[derive(Debug)]
struct Connection {
    session: Session,
    /// Its end has been counted; what was held back may still be delivered.
    closed: bool,
}

#[derive(Debug)]
struct Sink {
    recorder: Recorder,
    codecs: Codecs,
}

impl Handler<Connection> for Sink {
    fn start(&mut self, _key: &FlowKey, start: Start) -> Connection {
        let session = Session::new(start);
        self.recorder.stats.flow_appears(session.visibility());
        Connection { session, closed: false }
    }

    fn opened(&mut self) {
        self.recorder.stats.opened += 1;
    }

    #[inline]
    fn receiver<'a>(&'a mut self, connection: &'a mut Connection, bounds: &'a Bounds) -> impl Receiver + 'a {
        let shared = Shared { bounds, codecs: &self.codecs };
        Decoder { connection, shared, recorder: &mut self.recorder }
    }

    fn closed(&mut self, connection: &mut Connection, ending: Ending) {
        connection.closed = true;
        connection.session.closed(&mut self.recorder);
        self.recorder.stats.flow_disappears(connection.session.visibility());
        self.recorder.stats.closed(match ending {
            Ending::Fin | Ending::Reset if connection.session.has_quit() => Closed::Quit,
            Ending::Fin => Closed::Fin,
            Ending::Reset => Closed::Reset,
            Ending::Timeout => Closed::Timeout,
        });
    }

    fn forget(&mut self, mut connection: Connection, bounds: &Bounds) {
        connection.session.release(Shared { bounds, codecs: &self.codecs });
    }
}

/// One connection's bytes → its session → the counters.
struct Decoder<'a> {
    connection: &'a mut Connection,
    shared: Shared<'a>,
    recorder: &'a mut Recorder,
}

impl Decoder<'_> {
    /// Runs `feed` on the session and keeps the gauge of visibility right.
    #[inline]
    fn feed(&mut self, feed: impl FnOnce(&mut Session, Shared<'_>, &mut Recorder)) {
        let Connection { session, closed } = &mut *self.connection;
        let before = session.visibility();
        feed(session, self.shared, self.recorder);
        let after = session.visibility();
        if before != after && !*closed {
            self.recorder.stats.flow_disappears(before);
            self.recorder.stats.flow_appears(after);
        }
    }

    fn count_bytes(&mut self, direction: Direction, count: u64) {
        match direction {
            Direction::ToServer => self.recorder.tally().request_bytes += count,
            Direction::ToClient => self.recorder.tally().response_bytes += count,
        }
    }
}

impl Receiver for Decoder<'_> {
    #[inline]
    fn data(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]) {
        self.count_bytes(direction, bytes.len() as u64);
        self.feed(|session, shared, recorder| session.data(direction, at, bytes, shared, recorder));
    }

    fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, why: Missing) {
        self.recorder.stats.gaps += 1;
        if why == Missing::Cut {
            self.count_bytes(direction, u64::from(length));
        }
        self.feed(|session, shared, recorder| session.gap(direction, at, length, shared, recorder));
    }
}
