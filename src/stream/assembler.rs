//! One connection's two byte streams, put in order.
//!
//! [`Assembler::segment`] takes segments as captured; the [`Receiver`] gets bytes in stream order. The common
//! case, a segment that is next in both senses, is handed on without a copy. Anything early is held until
//! what comes before it has arrived, or until it is given up:
//!
//! * *early in its own stream*: a hole lies before it;
//! * *early against the other stream*: it acknowledges bytes of the other direction that have not been seen
//!   yet, so the capture delivered cause after effect.
//!
//! A hole is given up, and becomes a gap, when the receiving host has acknowledged what is missing (so it will
//! not be sent again) and [`PATIENCE_SEGMENTS`] more segments have passed; after [`PATIENCE`]; when a byte or segment limit is reached; or when the connection ends.
//!
//! First copy wins: bytes already delivered or held are never replaced (overlaps, retransmissions).

mod arrival;
mod half;

use std::num::NonZeroU16;

use arrival::Arrival;
use half::{Half, Held, cost};

use super::{Direction, Missing, Receiver, seq};
use crate::{
    limits::{self, Bounds, Limit},
    packet::{Segment, TcpFlags, Timestamp},
};

/// Segments with payload that may still arrive before an acknowledged hole is given up: captures reorder by a
/// few positions, not by more.
pub const PATIENCE_SEGMENTS: u16 = 16;
/// Nanoseconds of packet time after which any hole is given up: a retransmission comes after 200 ms, its own after
/// 400 ms and 800 ms more (RFC 6298 section 5, with Linux' minimum of 200 ms).
pub const PATIENCE: u64 = 3_000_000_000;

/// Bytes of the client's that may be seen before their SYN: a first window, unscaled.
const LATE_SYN: u32 = 0xffff;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub struct Assembler {
    halves: [Half; 2],
    /// When, and how many segments ago, something was first held back; `None` while nothing is.
    stalled: Option<Stall>,
}

#[derive(Debug, Clone, Copy)]
struct Stall {
    since: Timestamp,
    /// And one.
    segments: NonZeroU16,
}

impl Assembler {
    /// Takes one segment and delivers what has become ready.
    #[inline]
    pub fn segment(
        &mut self,
        direction: Direction,
        at: Timestamp,
        segment: &Segment<'_>,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) {
        let syn = segment.flags.any(TcpFlags::SYN);
        let first = segment.sequence.wrapping_add(u32::from(syn));
        let acknowledges = segment.flags.any(TcpFlags::ACK).then_some(segment.acknowledgment);
        self.half(direction).start(first);
        if syn {
            self.half(direction).restart(first);
        }
        if let Some(acknowledgment) = acknowledges {
            let other = self.half(direction.reverse());
            other.start(acknowledgment);
            other.acknowledged =
                if other.acked { seq::latest(acknowledgment, other.acknowledged) } else { acknowledgment };
            other.acked = true;
        }
        let length = (segment.payload.len() as u32).wrapping_add(segment.cut);
        if segment.flags.any(TcpFlags::FIN) {
            let half = self.half(direction);
            half.fin = Some(first.wrapping_add(length));
            if length == 0 {
                half.pass_fin();
            }
        }
        if length == 0 && self.stalled.is_none() {
            return;
        }
        self.half(direction).follow_clock(at);
        let arrival =
            Arrival { acknowledges, at, bytes: segment.payload, cut: segment.cut, why: Missing::Cut };
        if self.stalled.is_none() && self.ready(direction, first, acknowledges) {
            self.deliver(direction, arrival, receiver);
            return;
        }
        if length > 0 {
            self.accept(direction, first, arrival, bounds, receiver);
        }
        self.settle(at, u16::from(length > 0), bounds, receiver);
    }

    /// What was captured before `segment` is not what came before it: the streams go on with it, behind a gap each.
    pub fn resume(
        &mut self,
        direction: Direction,
        at: Timestamp,
        segment: &Segment<'_>,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) {
        self.flush(bounds, receiver);
        let acknowledged = segment.flags.any(TcpFlags::ACK).then_some(segment.acknowledgment);
        for (direction, next) in [(direction, Some(segment.sequence)), (direction.reverse(), acknowledged)] {
            let half = self.half(direction);
            if let Some(next) =
                next.filter(|next| half.started && !half.finished && seq::after(*next, half.next))
            {
                let length = next.wrapping_sub(half.next);
                half.next = next;
                receiver.gap(direction, at.max(half.clock), length, Missing::Unselected);
            }
        }
    }

    /// Packet time has reached `now`: gives up holes that have waited long enough.
    pub fn tick(&mut self, now: Timestamp, bounds: &Bounds, receiver: &mut impl Receiver) {
        if self.stalled.is_some() {
            self.settle(now, 0, bounds, receiver);
        }
    }

    /// The connection has ended, or its input has: delivers everything held, with gaps where holes were.
    pub fn flush(&mut self, bounds: &Bounds, receiver: &mut impl Receiver) {
        while self.release_earliest(bounds, receiver) {}
        self.stalled = None;
    }

    /// Whether something is held back.
    #[inline]
    pub fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether both directions have delivered everything up to their FIN.
    #[inline]
    pub fn is_finished(&self) -> bool {
        let [a, b] = &self.halves;
        a.finished && b.finished
    }

    /// Whether the client's stream may have begun right after a SYN with this sequence number: no more of it has been
    /// delivered since than may be under way when the SYN is seen late. The SYN of another connection between these ends
    /// has a number above (RFC 6528).
    pub fn begins_after(&self, syn: u32) -> bool {
        let [to_server, _] = &self.halves;
        to_server.started && to_server.next.wrapping_sub(syn.wrapping_add(1)) <= LATE_SYN
    }

    #[inline]
    fn half(&mut self, direction: Direction) -> &mut Half {
        let [to_server, to_client] = &mut self.halves;
        match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        }
    }

    /// Whether a segment at `first` is next in its own stream and not early against the other.
    #[inline]
    fn ready(&mut self, direction: Direction, first: u32, acknowledges: Option<u32>) -> bool {
        let other_next = self.half(direction.reverse()).next;
        self.half(direction).next == first && !acknowledges.is_some_and(|ack| seq::after(ack, other_next))
    }

    /// Whether the client acknowledges less than was handed on of the server's stream.
    #[inline]
    fn is_behind(&self, acknowledges: Option<u32>) -> bool {
        let [_, to_client] = &self.halves;
        acknowledges.is_some_and(|ack| seq::after(to_client.next, ack))
    }

    #[inline]
    fn deliver(&mut self, direction: Direction, arrival: Arrival<'_>, receiver: &mut impl Receiver) {
        let half = self.half(direction);
        let at = half.reach(arrival.at);
        half.next = half.next.wrapping_add(arrival.bytes.len() as u32).wrapping_add(arrival.cut);
        half.pass_fin();
        if direction == Direction::ToServer && self.is_behind(arrival.acknowledges) {
            receiver.hurried();
        }
        if !arrival.bytes.is_empty() {
            receiver.data(direction, at, arrival.bytes);
        }
        if arrival.cut > 0 {
            receiver.gap(direction, at, arrival.cut, arrival.why);
        }
    }

    /// Delivers the new part of a segment, or holds it.
    fn accept(
        &mut self,
        direction: Direction,
        first: u32,
        arrival: Arrival<'_>,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) {
        let next = self.half(direction).next;
        let Some((first, arrival)) = skip_to(next, first, arrival) else { return };
        if self.half(direction).held.is_empty() && self.ready(direction, first, arrival.acknowledges) {
            self.deliver(direction, arrival, receiver);
        } else {
            self.hold_needed(direction, first, arrival, bounds, receiver);
        }
    }

    /// Keeps an early segment, but only the length of the part of it that is needless: where one CPU's softirq overtakes
    /// another's, loopback has been seen to delay a part of a large transfer by more than may be held back.
    fn hold_needed(
        &mut self,
        direction: Direction,
        first: u32,
        arrival: Arrival<'_>,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) {
        let needless = receiver.needless(direction);
        let ahead = seq::distance(self.half(direction).next, first).max(0) as u32;
        let within = |place: u32| (place.saturating_sub(ahead) as usize).min(arrival.bytes.len());
        let (start, end) = (within(needless.start), within(needless.end));
        if start >= end {
            return self.hold(direction, first, arrival, bounds, receiver);
        }
        let (head, rest) = arrival.split_at(start);
        let (middle, tail) = rest.split_at(end - start);
        for (from, part) in [(0, head), (start, middle.without_bytes()), (end, tail)] {
            if !part.bytes.is_empty() || part.cut > 0 {
                self.hold(direction, first.wrapping_add(from as u32), part, bounds, receiver);
            }
        }
    }

    /// Keeps the parts of an early segment that are not held already.
    fn hold(
        &mut self,
        direction: Direction,
        mut first: u32,
        mut arrival: Arrival<'_>,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) {
        loop {
            let held = &self.half(direction).held;
            // The first held segment that ends after `first` is the only one that can overlap its start.
            let index = held.partition_point(|piece| !seq::after(piece.end(), first));
            let mut piece_end = first.wrapping_add(arrival.bytes.len() as u32).wrapping_add(arrival.cut);
            let mut rest_from = None;
            if let Some(piece) = held.get(index) {
                if !seq::after(piece.sequence, first) {
                    match skip_to(piece.end(), first, arrival) {
                        Some((later, rest)) => (first, arrival) = (later, rest),
                        None => return,
                    }
                    continue;
                }
                if seq::after(piece_end, piece.sequence) {
                    rest_from = Some(piece.end());
                    piece_end = piece.sequence;
                }
            }
            let room = seq::distance(first, piece_end).max(0) as usize;
            let kept = arrival.bytes.get(..room).unwrap_or(arrival.bytes);
            let cut = (room - kept.len()) as u32;
            if !self.make_room(direction, cost(kept.len()), bounds, receiver) {
                return;
            }
            // Making room may have delivered up to here, or past it.
            let next = self.half(direction).next;
            let piece = Arrival { bytes: kept, cut, ..arrival };
            let reserved = cost(kept.len());
            match skip_to(next, first, piece) {
                Some((first, piece)) => {
                    bounds.release(Limit::TotalBytes, reserved - cost(piece.bytes.len()));
                    self.insert(direction, first, &piece);
                }
                None => bounds.release(Limit::TotalBytes, reserved),
            }
            let Some(rest_from) = rest_from else { return };
            match skip_to(rest_from, first, arrival) {
                Some((later, rest)) => (first, arrival) = (later, rest),
                None => return,
            }
        }
    }

    fn insert(&mut self, direction: Direction, sequence: u32, piece: &Arrival<'_>) {
        let held = &mut self.half(direction).held;
        let index = held.partition_point(|other| seq::after(sequence, other.sequence));
        held.insert(
            index,
            Held {
                sequence,
                acknowledges: piece.acknowledges,
                at: piece.at,
                bytes: piece.bytes.into(),
                cut: piece.cut,
                why: piece.why,
            },
        );
        self.stalled.get_or_insert(Stall { since: piece.at, segments: NonZeroU16::MIN });
    }

    /// Reserves `count` bytes, giving up the oldest holes of this connection where that is needed; `false` if the
    /// segment has to be refused.
    fn make_room(
        &mut self,
        direction: Direction,
        count: usize,
        bounds: &Bounds,
        receiver: &mut impl Receiver,
    ) -> bool {
        loop {
            let half = self.half(direction);
            let full = half.held_bytes() + count > limits::DIRECTION_BYTES
                || half.held.len() >= limits::DIRECTION_SEGMENTS;
            if !full {
                break;
            }
            bounds.hit(Limit::DirectionBytes);
            if !self.release_earliest(bounds, receiver) {
                return false;
            }
        }
        loop {
            if bounds.reserve(Limit::TotalBytes, count) {
                return true;
            }
            if !self.release_earliest(bounds, receiver) {
                return false;
            }
        }
    }

    /// Delivers what is ready, then gives up holes whose time has come.
    fn settle(&mut self, now: Timestamp, segments: u16, bounds: &Bounds, receiver: &mut impl Receiver) {
        self.drain(bounds, receiver);
        while let Some(stall) = &mut self.stalled {
            stall.segments = stall.segments.saturating_add(segments);
            let stall = *stall;
            let waited = now.abs_diff(stall.since);
            let over = waited > PATIENCE || (stall.segments.get() > PATIENCE_SEGMENTS + 1 && self.is_lost());
            if !over || !self.release_earliest(bounds, receiver) {
                return;
            }
            self.drain(bounds, receiver);
        }
    }

    /// Whether what holds up the earliest held segment was acknowledged by its receiver: then it arrived there,
    /// and it is the capture that missed it.
    fn is_lost(&self) -> bool {
        self.halves.iter().any(|half| half.acked && seq::after(half.acknowledged, half.next))
    }

    /// Delivers held segments while one of either direction is ready.
    fn drain(&mut self, bounds: &Bounds, receiver: &mut impl Receiver) {
        loop {
            let a = self.deliver_ready(Direction::ToServer, bounds, receiver);
            let b = self.deliver_ready(Direction::ToClient, bounds, receiver);
            if !a && !b {
                break;
            }
        }
        if self.halves.iter().all(|half| half.held.is_empty()) {
            self.stalled = None;
        }
    }

    /// Delivers the first held segment of a direction if it is ready.
    fn deliver_ready(&mut self, direction: Direction, bounds: &Bounds, receiver: &mut impl Receiver) -> bool {
        let half = self.half(direction);
        let next = half.next;
        let Some((sequence, acknowledges)) = half.held.front().map(|held| (held.sequence, held.acknowledges))
        else {
            return false;
        };
        // A held segment may start before `next` after a gap was declared up to an acknowledgment within it.
        let early = seq::after(sequence, next);
        let other_next = self.half(direction.reverse()).next;
        if early || acknowledges.is_some_and(|ack| seq::after(ack, other_next)) {
            return false;
        }
        let Some(held) = self.half(direction).take_held(bounds) else { return false };
        let Held { acknowledges, at, ref bytes, cut, why, .. } = held;
        let arrival = Arrival { acknowledges, at, bytes, cut, why };
        if let Some((_, arrival)) = skip_to(next, held.sequence, arrival) {
            self.deliver(direction, arrival, receiver);
        }
        true
    }

    /// Gives up whatever keeps the held segment that was captured first, and delivers it. `false` if none is held.
    fn release_earliest(&mut self, bounds: &Bounds, receiver: &mut impl Receiver) -> bool {
        let [a, b] = &self.halves;
        let direction = match (a.held.front(), b.held.front()) {
            (None, None) => return false,
            (Some(a), Some(b)) if b.at < a.at => Direction::ToClient,
            (Some(_), _) => Direction::ToServer,
            (None, Some(_)) => Direction::ToClient,
        };
        let Some((sequence, acknowledges, at)) =
            self.half(direction).held.front().map(|held| (held.sequence, held.acknowledges, held.at))
        else {
            return false;
        };
        self.skip(direction, sequence, at, receiver);
        if let Some(acknowledgment) = acknowledges {
            // Bytes of the other direction that are held are not missing: the gap ends before them, and those that
            // the sender of this segment had received go first.
            let other = direction.reverse();
            while seq::after(acknowledgment, self.half(other).next) {
                let held = self.half(other).held.front().map_or(acknowledgment, |held| held.sequence);
                if seq::after(held, self.half(other).next) {
                    self.skip(other, seq::earliest(held, acknowledgment), at, receiver);
                } else {
                    self.deliver_regardless(other, bounds, receiver);
                }
            }
        }
        self.deliver_ready(direction, bounds, receiver);
        true
    }

    /// Delivers the first held segment of a direction whatever it acknowledges.
    fn deliver_regardless(&mut self, direction: Direction, bounds: &Bounds, receiver: &mut impl Receiver) {
        if let Some(held) = self.half(direction).held.front_mut() {
            held.acknowledges = None;
        }
        self.deliver_ready(direction, bounds, receiver);
    }

    /// Declares everything before `sequence` missing.
    fn skip(&mut self, direction: Direction, sequence: u32, at: Timestamp, receiver: &mut impl Receiver) {
        let half = self.half(direction);
        let missing = seq::distance(half.next, sequence);
        if missing > 0 {
            half.next = sequence;
            half.pass_fin();
            let at = half.reach(at);
            receiver.gap(direction, at, missing as u32, Missing::Lost);
        }
    }
}

/// The part of an arrival that starts at `first` from sequence number `from` on; `None` if nothing of it is left.
fn skip_to<'a>(from: u32, first: u32, arrival: Arrival<'a>) -> Option<(u32, Arrival<'a>)> {
    let old = seq::distance(first, from);
    if old <= 0 {
        return Some((first, arrival));
    }
    let old = old as usize;
    if let Some(bytes) = arrival.bytes.get(old..)
        && (!bytes.is_empty() || arrival.cut > 0)
    {
        return Some((from, Arrival { bytes, ..arrival }));
    }
    let cut = (arrival.cut as usize).checked_sub(old.saturating_sub(arrival.bytes.len()))?;
    (cut > 0).then_some((from, Arrival { bytes: &[], cut: cut as u32, ..arrival }))
}

#[cfg(test)]
mod tests;
