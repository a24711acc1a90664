//! The table of connections: finds the one a segment belongs to, and says when connections open and end.
//!
//! Bounded: at most `max_flows` connections, of which at most a quarter may be *half-open* (no payload yet), so
//! that a SYN flood cannot push out connections that carry traffic. An ended connection lingers for
//! [`LINGER`], so that duplicates and stragglers of its last segments are not taken for a new connection.

use std::{cell::Cell, collections::VecDeque};

use super::{
    Direction, Receiver,
    assembler::Assembler,
    key::{Ends, FlowKey},
};
use crate::{
    limits::{Bounds, Limit},
    packet::{Segment, TcpFlags, Timestamp},
    slots::{Slots, Ticket},
};

/// Nanoseconds an ended connection is remembered.
pub const LINGER: u64 = 2_000_000_000;
/// Nanoseconds without a segment after which a connection is forgotten: MySQL's default `wait_timeout` (8 h) and
/// a little more, so that the server is the one to end idle connections.
pub const IDLE: u64 = (8 * 3600 + 300) * 1_000_000_000;
/// Nanoseconds of idleness that make a connection the first to go when the table is full.
const STALE: u64 = 300 * 1_000_000_000;
/// Slots looked at for idle connections at each tick.
const SWEEP: usize = 256;
/// Slots looked at for stale connections between two ticks when the table is full, by all the segments that ask for
/// room together: to look for each would cost more than to decode it.
const STALE_SWEEP: usize = 4096;

/// Slots remembered of connections met lately.
const GUESSES: usize = 1024;

/// What ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Both sides sent a FIN.
    Fin,
    /// One side sent a RST.
    Reset,
    /// Nothing was seen of it for [`IDLE`], its place was needed, or its port was used again.
    Timeout,
}

/// How much of a connection was seen when its first segment came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From its SYN or SYN-ACK on.
    Opening,
    /// It was under way.
    MidStream,
}

/// Takes what the table finds out. `S` is what is kept for each connection.
pub trait Handler<S> {
    /// A connection appeared.
    fn start(&mut self, start: Start) -> S;
    /// Its opening was seen (once for each connection).
    fn opened(&mut self);
    /// Where its bytes go.
    fn receiver<'a>(
        &'a mut self,
        key: &FlowKey,
        session: &'a mut S,
        bounds: &'a Bounds,
    ) -> impl Receiver + 'a;
    /// It ended. Bytes that were held back may still follow.
    fn closed(&mut self, key: &FlowKey, session: &mut S, ending: Ending);
    /// The input has ended, and the connection has not: nothing more of it will follow.
    fn left_open(&mut self, key: &FlowKey, session: &mut S);
    /// It is being forgotten: gives back what it reserved.
    fn forget(&mut self, session: S, bounds: &Bounds);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    HalfOpen,
    Open,
    Ended,
}

#[derive(Debug)]
struct Flow<S> {
    assembler: Assembler,
    session: S,
    last_seen: Timestamp,
    /// The client's initial sequence number, where its SYN was seen.
    initial: Option<u32>,
    phase: Phase,
    opened: bool,
    /// Whether the flow stands in `FlowTable::stalled`.
    listed: bool,
    /// Of the last segment; see [`FlowTable::reselect`].
    selection: u32,
}

/// A segment: whose it is, which way it went, and when.
#[derive(Clone, Copy)]
struct Seen<'a> {
    key: &'a FlowKey,
    direction: Direction,
    at: Timestamp,
    segment: &'a Segment<'a>,
}

/// A flow, and when it came into a queue.
#[derive(Debug, Clone, Copy)]
struct Queued {
    ticket: Ticket,
    at: Timestamp,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct FlowTable<S> {
    max_flows: usize,
    flows: Slots<Ends, Flow<S>>,
    /// In which slot a connection may be, by its client's port: most segments are of connections that had another lately.
    guesses: Box<[Cell<u32>; GUESSES]>,
    half_open: VecDeque<Ticket>,
    ended: VecDeque<Queued>,
    /// Those that hold something back, and some that did; the one that has done so longest first.
    stalled: VecDeque<Ticket>,
    /// How often the connections to be captured were chosen anew.
    selection: u32,
    sweep: usize,
    /// Slots that may still be looked at for stale connections before the next tick.
    sweeps_left: usize,
}

impl<S> FlowTable<S> {
    /// An empty table for at most `max_flows` connections (at least 4).
    pub fn new(max_flows: usize, seed: u64) -> Self {
        let max_flows = max_flows.max(4);
        Self {
            max_flows,
            flows: Slots::new(max_flows, seed),
            guesses: Box::new([const { Cell::new(0) }; GUESSES]),
            half_open: VecDeque::new(),
            ended: VecDeque::new(),
            stalled: VecDeque::new(),
            selection: 0,
            sweep: 0,
            sweeps_left: STALE_SWEEP,
        }
    }

    /// Connections in the table, lingering ones included.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Whether there is a connection with these ends.
    pub fn contains(&self, key: &FlowKey) -> bool {
        self.find(key).is_some()
    }

    /// The client's initial sequence number, where its SYN was seen.
    pub fn initial(&self, key: &FlowKey) -> Option<u32> {
        let (_, flow) = self.flows.get(self.find(key)?)?;
        flow.initial
    }

    /// Takes a segment of the connection `key`.
    #[inline]
    pub fn segment(
        &mut self,
        key: FlowKey,
        direction: Direction,
        at: Timestamp,
        segment: Segment<'_>,
        bounds: &Bounds,
        handler: &mut impl Handler<S>,
    ) {
        let seen = Seen { key: &key, direction, at, segment: &segment };
        let slot = match self.find(&key) {
            Some(slot) if self.is_successor(slot, direction, &segment) => {
                self.remove(slot, bounds, handler);
                self.create(seen, bounds, handler)
            }
            Some(slot) => Some(slot),
            None => self.create(seen, bounds, handler),
        };
        if let Some(slot) = slot {
            self.advance(slot, seen, bounds, handler);
        }
        if bounds.is_crowded() {
            self.relieve(bounds, handler);
        }
    }

    /// From now on other connections may be captured: those that already were may have missed segments until they come
    /// into a selection again.
    pub fn reselect(&mut self) {
        self.selection = self.selection.wrapping_add(1);
    }

    /// Takes a segment of a connection that is not captured now, if the connection is known from when it was; else
    /// `false`.
    pub fn unselected_segment(
        &mut self,
        key: &FlowKey,
        direction: Direction,
        at: Timestamp,
        segment: &Segment<'_>,
        bounds: &Bounds,
        handler: &mut impl Handler<S>,
    ) -> bool {
        let Some(slot) = self.find(key).filter(|slot| !self.is_successor(*slot, direction, segment)) else {
            return false;
        };
        if let Some((_, _, flow)) = self.flows.get_mut(slot) {
            flow.selection = self.selection.wrapping_sub(1);
        }
        self.advance(slot, Seen { key, direction, at, segment }, bounds, handler);
        true
    }

    /// Packet time has reached `now`.
    pub fn tick(&mut self, now: Timestamp, bounds: &Bounds, handler: &mut impl Handler<S>) {
        self.sweeps_left = STALE_SWEEP;
        self.tick_stalled(now, bounds, handler);
        while let Some(ended) = self.ended.front().copied() {
            if now.abs_diff(ended.at) < LINGER {
                break;
            }
            self.ended.pop_front();
            self.remove_ticket(ended.ticket, bounds, handler);
        }
        for _ in 0..SWEEP.min(self.flows.places()) {
            let slot = self.next_swept();
            if self.is_silent(slot, IDLE, now) {
                self.remove(slot, bounds, handler);
            }
        }
    }

    /// The input has ended: everything held is delivered. Connections stay open: nobody saw them end.
    pub fn finish(&mut self, bounds: &Bounds, handler: &mut impl Handler<S>) {
        for (ends, flow) in self.flows.iter_mut() {
            let key = ends.key();
            flow.assembler.flush(bounds, &mut handler.receiver(&key, &mut flow.session, bounds));
            if flow.phase != Phase::Ended {
                handler.left_open(&key, &mut flow.session);
            }
        }
    }

    /// Gives an existing connection its segment, and follows its life.
    #[inline]
    fn advance(
        &mut self,
        slot: u32,
        Seen { key, direction, at, segment }: Seen<'_>,
        bounds: &Bounds,
        handler: &mut impl Handler<S>,
    ) {
        let Some((ticket, _, flow)) = self.flows.get_mut(slot) else { return };
        flow.last_seen = at;
        if flow.selection != self.selection {
            flow.selection = self.selection;
            flow.assembler.resume(
                direction,
                at,
                segment,
                bounds,
                &mut handler.receiver(key, &mut flow.session, bounds),
            );
        }
        if segment.flags.any(TcpFlags::SYN) {
            if direction == Direction::ToServer {
                flow.initial = Some(segment.sequence);
            }
            if !flow.opened {
                flow.opened = true;
                handler.opened();
            }
        }
        flow.assembler.segment(
            direction,
            at,
            segment,
            bounds,
            &mut handler.receiver(key, &mut flow.session, bounds),
        );
        if flow.phase == Phase::HalfOpen && !segment.payload.is_empty() {
            flow.phase = Phase::Open;
        }
        if flow.phase != Phase::Ended {
            let ending = if segment.flags.any(TcpFlags::RST) {
                Some(Ending::Reset)
            } else {
                flow.assembler.is_finished().then_some(Ending::Fin)
            };
            if let Some(ending) = ending {
                flow.phase = Phase::Ended;
                handler.closed(key, &mut flow.session, ending);
                self.ended.push_back(Queued { ticket, at });
            }
        }
        if flow.assembler.is_stalled() && !flow.listed {
            flow.listed = true;
            self.stalled.push_back(ticket);
        }
        self.trim_queues(bounds, handler);
    }

    /// Drops tickets of connections that are gone, should packet time stand still, so that no tick does it.
    #[inline]
    fn trim_queues(&mut self, bounds: &Bounds, handler: &mut impl Handler<S>) {
        if self.ended.len() >= self.max_flows
            && let Some(ended) = self.ended.pop_front()
        {
            self.remove_ticket(ended.ticket, bounds, handler);
        }
        if self.stalled.len() > self.max_flows + self.max_flows / 2 {
            let flows = &self.flows;
            self.stalled.retain(|ticket| flows.at(*ticket).is_some_and(|flow| flow.listed));
        }
    }

    /// Gives up the oldest holes, so that there is room for new ones.
    #[cold]
    fn relieve(&mut self, bounds: &Bounds, handler: &mut impl Handler<S>) {
        while bounds.is_crowded()
            && let Some(ticket) = self.stalled.pop_front()
        {
            let Some((ends, flow)) = self.flows.at_mut(ticket) else { continue };
            bounds.hit(Limit::TotalBytes);
            flow.assembler.flush(bounds, &mut handler.receiver(&ends.key(), &mut flow.session, bounds));
            flow.listed = false;
        }
    }

    /// Makes a connection for its first segment, if that segment is a reason to and there is room.
    #[cold]
    fn create(
        &mut self,
        Seen { key, direction, at, segment }: Seen<'_>,
        bounds: &Bounds,
        handler: &mut impl Handler<S>,
    ) -> Option<u32> {
        let opening = segment.flags.any(TcpFlags::SYN);
        let payload = !segment.payload.is_empty();
        let over = segment.flags.any(TcpFlags::RST);
        if over || !(opening || payload) {
            return None;
        }
        if !self.make_room(at, bounds, handler) {
            return None;
        }
        let start = if opening { Start::Opening } else { Start::MidStream };
        let flow = Flow {
            assembler: Assembler::default(),
            session: handler.start(start),
            last_seen: at,
            initial: (opening && direction == Direction::ToServer).then_some(segment.sequence),
            phase: if payload { Phase::Open } else { Phase::HalfOpen },
            opened: false,
            listed: false,
            selection: self.selection,
        };
        let ticket = self.flows.insert(Ends::of(key), flow);
        if !payload {
            self.half_open.push_back(ticket);
            self.trim_half_open(bounds, handler);
        }
        Some(ticket.slot)
    }

    /// Whether a SYN starts a new connection between the ends of the one in `slot`.
    fn is_successor(&self, slot: u32, direction: Direction, segment: &Segment<'_>) -> bool {
        let syn = segment.flags.any(TcpFlags::SYN) && !segment.flags.any(TcpFlags::ACK);
        if !syn || direction != Direction::ToServer {
            return false;
        }
        self.flows.get(slot).is_some_and(|(_, flow)| match flow.initial {
            Some(initial) => initial != segment.sequence,
            // The SYN-ACK may have been captured before its SYN: then the SYN fits what it acknowledged.
            None => flow.phase == Phase::Ended || !flow.assembler.begins_after(segment.sequence),
        })
    }

    /// Sees to it that one more connection fits; `false`, and a hit, if it does not.
    fn make_room(&mut self, now: Timestamp, bounds: &Bounds, handler: &mut impl Handler<S>) -> bool {
        while self.flows.is_full() || !bounds.admit(self.flows.needs_slot()) {
            if let Some(ended) = self.ended.pop_front() {
                self.remove_ticket(ended.ticket, bounds, handler);
                continue;
            }
            let stale = (0..std::mem::take(&mut self.sweeps_left)).rev().find_map(|left| {
                self.sweeps_left = left;
                let slot = self.next_swept();
                self.is_silent(slot, STALE, now).then_some(slot)
            });
            match stale {
                Some(slot) => self.remove(slot, bounds, handler),
                None => {
                    bounds.hit(Limit::Flows);
                    return false;
                }
            }
        }
        true
    }

    /// Forgets the oldest half-open connections beyond their share of the table.
    fn trim_half_open(&mut self, bounds: &Bounds, handler: &mut impl Handler<S>) {
        while self.half_open.len() > self.max_flows / 4 {
            let Some(ticket) = self.half_open.pop_front() else { return };
            if self.flows.at(ticket).is_some_and(|flow| flow.phase == Phase::HalfOpen) {
                bounds.hit(Limit::HalfOpenFlows);
                self.remove(ticket.slot, bounds, handler);
            }
        }
    }

    fn tick_stalled(&mut self, now: Timestamp, bounds: &Bounds, handler: &mut impl Handler<S>) {
        let flows = &mut self.flows;
        self.stalled.retain(|ticket| {
            let Some((ends, flow)) = flows.at_mut(*ticket) else { return false };
            let receiver = &mut handler.receiver(&ends.key(), &mut flow.session, bounds);
            flow.assembler.tick(now, bounds, receiver);
            flow.listed = flow.assembler.is_stalled();
            flow.listed
        });
    }

    fn remove_ticket(&mut self, ticket: Ticket, bounds: &Bounds, handler: &mut impl Handler<S>) {
        if self.flows.at(ticket).is_some() {
            self.remove(ticket.slot, bounds, handler);
        }
    }

    /// Delivers what a connection still held, and forgets it.
    fn remove(&mut self, slot: u32, bounds: &Bounds, handler: &mut impl Handler<S>) {
        let Some((ends, mut flow)) = self.flows.remove(slot) else { return };
        let key = ends.key();
        flow.assembler.flush(bounds, &mut handler.receiver(&key, &mut flow.session, bounds));
        if flow.phase != Phase::Ended {
            handler.closed(&key, &mut flow.session, Ending::Timeout);
        }
        handler.forget(flow.session, bounds);
        bounds.dismiss();
    }

    #[inline]
    fn find(&self, key: &FlowKey) -> Option<u32> {
        // Ports that Linux hands out to clients are even.
        let guess = self.guesses.get(usize::from(key.client.port / 2) % GUESSES)?;
        let ends = Ends::of(key);
        if self.flows.is_at(guess.get(), &ends) {
            return Some(guess.get());
        }
        let slot = self.look_up(&ends)?;
        guess.set(slot);
        Some(slot)
    }

    #[inline(never)]
    fn look_up(&self, ends: &Ends) -> Option<u32> {
        self.flows.find(ends)
    }

    /// Whether nothing has come of a connection for longer than that. What was last seen in what is now the future was
    /// seen before the clock was set back: from here on it counts as seen now.
    fn is_silent(&mut self, slot: u32, nanos: u64, now: Timestamp) -> bool {
        let Some((_, _, flow)) = self.flows.get_mut(slot) else { return false };
        flow.last_seen = flow.last_seen.min(now);
        now.nanos_since(flow.last_seen) > nanos
    }

    fn next_swept(&mut self) -> u32 {
        self.sweep = if self.sweep + 1 < self.flows.places() { self.sweep + 1 } else { 0 };
        self.sweep as u32
    }
}

#[cfg(test)]
mod tests;
