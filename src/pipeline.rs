//! `packet → stream → mysql → stats` joined: one value, used alike by live capture, replay, tests and benches.
//!
//! Call order: [`Pipeline::frame`] for each frame, [`Pipeline::tick`] now and then while frames may be missing (at
//! least once a second while capturing), [`Pipeline::finish`] once at the end of a file. [`Pipeline::stats`] may be
//! read at any time.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::{
    config::Counting,
    limits::{Bounds, Limit},
    mysql::{
        compress::Codecs,
        event::Visibility,
        session::{Session, Shared},
    },
    packet::{Endpoint, Frame, Segment, TcpFlags, Timestamp, filter::Plan, link::LinkType, segment},
    stats::{Closed, Recorder, Stats, askers::Asker, profile::Profile},
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
    /// Connections to decode; segments of others are passed over.
    pub plan: Plan,
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
    plan: Plan,
    /// The plan to come, and from when on.
    next_plan: Option<(Timestamp, Plan)>,
    flows: FlowTable<Connection>,
    bounds: Bounds,
    sink: Sink,
    next_tick: Timestamp,
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(options: Options) -> Self {
        Self {
            plan: options.plan,
            next_plan: None,
            flows: FlowTable::new(options.max_flows, options.seed),
            bounds: Bounds::new(options.max_flows),
            sink: Sink { recorder: Recorder::new(&options.counting), codecs: Codecs::default() },
            next_tick: Timestamp(0),
        }
    }

    /// Decodes one frame.
    #[inline]
    pub fn frame(&mut self, link: LinkType, frame: &Frame<'_>) {
        self.sink.recorder.stats.packets += 1;
        self.sink.recorder.stats.bytes += u64::from(frame.wire_length);
        self.sink.recorder.stats.ring_bytes += frame.bytes.len() as u64;
        if frame.timestamp >= self.next_tick {
            self.tick(frame.timestamp);
        }
        match segment::decode(link, frame) {
            Ok(segment) => self.segment(frame.timestamp, &segment),
            Err(layer) => self.sink.recorder.stats.undecoded(layer),
        }
    }

    /// Frames from `from` on are decoded by another plan. Connections that are not in it stay in the table until they are
    /// idle for too long, and go on where they come back into a later plan.
    pub fn set_plan(&mut self, plan: Plan, from: Timestamp) {
        if let Some((due, plan)) = self.next_plan.take()
            && due <= from
        {
            self.plan = plan;
        }
        self.next_plan = Some((from, plan));
        self.next_tick = self.next_tick.min(from);
    }

    /// Packet time has reached `now`: connections idle for too long are forgotten, holes that nothing will fill any
    /// more become gaps.
    pub fn tick(&mut self, now: Timestamp) {
        self.next_tick = Timestamp(now.0.saturating_add(TICK));
        match self.next_plan.take() {
            Some((from, plan)) if from <= now => self.plan = plan,
            Some((from, plan)) => {
                self.next_tick = self.next_tick.min(from);
                self.next_plan = Some((from, plan));
            }
            None => {}
        }
        self.flows.tick(now, &self.bounds, &mut self.sink);
        self.sink.recorder.tick(now);
    }

    /// The input has ended: everything still held back is delivered.
    pub fn finish(&mut self) {
        self.flows.finish(&self.bounds, &mut self.sink);
    }

    /// [`Self::finish`], and what was counted.
    pub fn finished(mut self) -> (Stats, Option<Profile>) {
        self.finish();
        (self.stats().clone(), self.sink.recorder.into_profile())
    }

    /// What has been counted so far.
    pub fn stats(&mut self) -> &Stats {
        let hits = self.bounds.hits();
        let stats = self.sink.recorder.publish();
        // The others are the counters' own.
        let own = |limit: &Limit| {
            matches!(limit, Limit::ErrorCodes | Limit::Schemas | Limit::Users | Limit::Clients)
        };
        for limit in Limit::ALL.into_iter().filter(|limit| !own(limit)) {
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

    /// Takes one segment, as [`Self::frame`] does once it has decoded it.
    #[inline]
    pub fn segment(&mut self, at: Timestamp, segment: &Segment<'_>) {
        let Some((key, direction)) = self.orient(segment) else { return };
        // The filter has done both for live capture, but for what was in the ring when the plan changed.
        if self.plan.class.contains(key.client.port) {
            let segment = match (self.plan.reply_bytes, direction) {
                (Some(most), Direction::ToClient) => &cut(segment, most),
                _ => segment,
            };
            self.flows.segment(&key, direction, at, segment, &self.bounds, &mut self.sink);
        }
    }

    /// Which end is the server; `None` if neither is.
    #[inline]
    fn orient(&self, segment: &Segment<'_>) -> Option<(FlowKey, Direction)> {
        let to_server = self.plan.ports.contains(segment.destination.port);
        let to_client = self.plan.ports.contains(segment.source.port);
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

/// A segment of which at most this many bytes of payload were captured.
#[inline]
fn cut<'a>(segment: &Segment<'a>, most: u16) -> Segment<'a> {
    match segment.payload.split_at_checked(usize::from(most)) {
        Some((payload, rest)) => {
            Segment { payload, cut: segment.cut.saturating_add(rest.len() as u32), ..*segment }
        }
        None => *segment,
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
    /// As which it is counted among the connections.
    visibility: Visibility,
    asker: Asker,
    /// Its end has been counted; what was held back may still be delivered.
    closed: bool,
}

#[derive(Debug)]
struct Sink {
    recorder: Recorder,
    codecs: Codecs,
}

impl Handler<Connection> for Sink {
    fn start(&mut self, start: Start) -> Connection {
        let session = Session::new(start);
        let visibility = session.visibility();
        self.recorder.stats.flow_appears(visibility);
        Connection { session, visibility, asker: Asker::default(), closed: false }
    }

    fn opened(&mut self) {
        self.recorder.stats.opened += 1;
    }

    #[inline]
    fn receiver<'a>(
        &'a mut self,
        key: &FlowKey,
        connection: &'a mut Connection,
        bounds: &'a Bounds,
    ) -> impl Receiver + 'a {
        let shared = Shared { bounds, codecs: &self.codecs };
        self.recorder.turn_to(connection.asker, key.client.address);
        Decoder { connection, shared, recorder: &mut self.recorder }
    }

    fn closed(&mut self, key: &FlowKey, connection: &mut Connection, ending: Ending) {
        connection.closed = true;
        self.recorder.turn_to(connection.asker, key.client.address);
        connection.session.closed(&mut self.recorder);
        self.recorder.stats.flow_disappears(connection.visibility);
        self.recorder.stats.closed(match ending {
            Ending::Fin | Ending::Reset if connection.session.has_quit() => Closed::Quit,
            Ending::Fin => Closed::Fin,
            Ending::Reset => Closed::Reset,
            Ending::Timeout => Closed::Timeout,
        });
    }

    fn left_open(&mut self, key: &FlowKey, connection: &mut Connection) {
        self.recorder.turn_to(connection.asker, key.client.address);
        connection.session.settle(&mut self.recorder);
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
        let Connection { session, visibility, asker, closed } = &mut *self.connection;
        feed(session, self.shared, self.recorder);
        *asker = self.recorder.asker();
        let now = session.visibility();
        if now != *visibility && !*closed {
            self.recorder.stats.flow_disappears(*visibility);
            self.recorder.stats.flow_appears(now);
            *visibility = now;
        }
    }

    fn count_bytes(&mut self, direction: Direction, count: u64) {
        match direction {
            Direction::ToServer => self.recorder.stats.request_bytes += count,
            Direction::ToClient => self.recorder.stats.response_bytes += count,
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
        if why != Missing::Lost {
            self.count_bytes(direction, u64::from(length));
        }
        // That replies are cut is no loss, nor is what nobody needed.
        if why != Missing::Needless && (direction, why) != (Direction::ToClient, Missing::Cut) {
            self.recorder.stats.gaps += 1;
        }
        self.feed(|session, shared, recorder| session.gap(direction, at, length, why, shared, recorder));
    }

    fn needless(&self, direction: Direction) -> Range<u32> {
        self.connection.session.needless(direction)
    }
}
