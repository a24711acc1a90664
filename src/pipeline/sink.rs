//! One connection's bytes → its session → the counters: what the connection table hands over to.

use std::ops::Range;

use crate::{
    limits::{Bounds, Limit},
    mysql::{
        compress::Codecs,
        event::Visibility,
        session::{Session, Shared},
    },
    packet::Timestamp,
    sample::{estimator::Slice, openings::Change},
    stats::{Closed, Recorder, askers::Asker, tally::Stratum},
    stream::{
        Direction, Missing, Receiver,
        flows::{Ending, Handler, Start},
        key::{Ends, FlowKey},
    },
};

/// What the pipeline keeps of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    session: Session,
    /// As which it is counted among the connections.
    visibility: Visibility,
    /// Who it has logged in as.
    asker: Asker,
    /// Its end has been counted; what was held back may still be delivered.
    closed: bool,
    /// The slice it was opened in; 0 if it was under way.
    opened_in: u32,
    /// The slice in which its own sums have a place, and the place: among the openings of the slice that it was opened in,
    /// later among the lasting ones.
    measured_in: (u32, u32),
}

/// Connections whose own numbers are kept for a slice.
const MOST_MEASURED: usize = 65_536;

#[derive(Debug)]
pub(super) struct Sink {
    pub(super) recorder: Recorder,
    pub(super) codecs: Codecs,
    /// What is known of connections in this slice.
    pub(super) slice: Slice<Ends>,
    /// The place among its openings of the connection whose SYN comes next.
    pub(super) opening: Option<u32>,
    /// Number of the slice; from 1.
    serial: u32,
}

impl Sink {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, codecs: Codecs::default(), slice: Slice::default(), opening: None, serial: 1 }
    }

    /// The slice ends, `left_out` openings not in it: what is known of its connections.
    pub(super) fn cut(&mut self, left_out: u64) -> Slice<Ends> {
        self.serial = self.serial.wrapping_add(1).max(1);
        self.recorder.cut();
        self.recorder.stats.limit_hits[Limit::SliceConnections as usize] += left_out;
        std::mem::take(&mut self.slice)
    }

    /// Something happened to a connection that is in no table.
    pub(super) fn unselected(&mut self, change: Option<Change>) {
        let stats = &mut self.recorder.stats;
        match change {
            Some(Change::Opened) => stats.opened += 1,
            Some(Change::Replaced) => {
                stats.opened += 1;
                stats.closed(Closed::Timeout);
            }
            Some(Change::Finished) => stats.finished_unseen(),
            Some(Change::Reset) => stats.closed(Closed::Reset),
            None => {}
        }
    }
}

impl Handler<Connection> for Sink {
    fn start(&mut self, start: Start) -> Connection {
        let session = Session::new(start);
        let visibility = session.visibility();
        self.recorder.stats.flow_appears(visibility);
        let (opened_in, opening) = match start {
            Start::Opening => (self.serial, self.opening.take()),
            Start::MidStream => (0, None),
        };
        Connection {
            session,
            visibility,
            asker: Asker::default(),
            closed: false,
            opened_in,
            measured_in: opening.map_or((0, 0), |place| (self.serial, place)),
        }
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
        let new = connection.opened_in == self.serial;
        self.recorder.stratum = if new { Stratum::New } else { Stratum::Lasting };
        self.recorder.turn_to(connection.asker, key.client.address);
        Decoder {
            // A copy that costs something, and is of use only then.
            key: self.recorder.measuring.then_some(*key),
            connection,
            shared,
            recorder: &mut self.recorder,
            slice: &mut self.slice,
            serial: self.serial,
        }
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
    slice: &'a mut Slice<Ends>,
    serial: u32,
    /// Its ends, while single connections are measured.
    key: Option<FlowKey>,
}

impl Decoder<'_> {
    /// Runs `feed` on the session and keeps the gauge of visibility right.
    #[inline]
    fn feed(&mut self, feed: impl FnOnce(&mut Session, Shared<'_>, &mut Recorder)) {
        let Connection { session, visibility, asker, closed, .. } = &mut *self.connection;
        feed(session, self.shared, self.recorder);
        *asker = self.recorder.asker();
        let now = session.visibility();
        if now != *visibility && !*closed {
            self.recorder.stats.flow_disappears(*visibility);
            self.recorder.stats.flow_appears(now);
            *visibility = now;
        }
        if self.recorder.measuring {
            self.measure();
        }
    }

    /// Keeps what was decoded for this connection's own sums.
    fn measure(&mut self) {
        let measured = self.recorder.take_measured();
        let Some(key) = self.key.filter(|_| measured != [0.0; 3]) else { return };
        let (slice, place) = self.connection.measured_in;
        let known = slice == self.serial;
        let sums = match self.recorder.stratum {
            // One without a place was counted when that was refused.
            Stratum::New if !known => return,
            Stratum::New => {
                self.slice.turnover.opened.get_mut(place as usize).map(|opening| &mut opening.decoded)
            }
            Stratum::Lasting if known => self.slice.lasting.get_mut(place as usize).map(|(_, sums)| sums),
            Stratum::Lasting if self.slice.lasting.len() < MOST_MEASURED => {
                self.connection.measured_in = (self.serial, self.slice.lasting.len() as u32);
                return self.slice.lasting.push((Ends::of(&key), measured));
            }
            Stratum::Lasting => {
                self.recorder.stats.limit_hits[Limit::SliceConnections as usize] += 1;
                return;
            }
        };
        if let Some(sums) = sums {
            sums.iter_mut().zip(measured).for_each(|(sum, more)| *sum += more);
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
        if matches!(why, Missing::Cut | Missing::Needless) {
            self.count_bytes(direction, u64::from(length));
        }
        // That replies are cut is no loss, nor what nobody needed, nor that a connection was not looked at.
        let whole = matches!(why, Missing::Needless | Missing::Unselected);
        if !whole && (direction, why) != (Direction::ToClient, Missing::Cut) {
            self.recorder.stats.gaps += 1;
        }
        self.feed(|session, shared, recorder| session.gap(direction, at, length, why, shared, recorder));
    }

    #[inline]
    fn hurried(&mut self) {
        self.connection.session.hurried();
    }

    fn needless(&self, direction: Direction) -> Range<u32> {
        self.connection.session.needless(direction)
    }
}
