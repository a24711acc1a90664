//! Lives of connections as their SYN, FIN and RST segments tell them, whatever their class: those of every connection
//! pass the filter. Hence connections opened and closed are exact however few are sampled, and so is what the client of
//! a short one has sent: what lies between the sequence numbers of its SYN and its FIN.
//!
//! Ends are used again, on loopback within a second: what a slice knows of a connection is kept under its opening, not
//! under its ends.

use std::{collections::VecDeque, hash::Hash};

use crate::slots::{Slots, Ticket};

/// Connections known at a time. Beyond it the one known longest is forgotten: its end may not be told.
pub const MOST_LIVES: usize = 32_768;
/// Ended ones that are remembered, so that a FIN sent again ends nothing twice.
const MOST_ENDED: usize = 8_192;
/// Nanoseconds that they are remembered for, in which what is sent again comes.
const REMEMBERED: u64 = 20_000_000_000;
/// Places in the order of age, for each known connection and some more, before those of forgotten ones are given back.
const SPARE_PLACES: usize = 1024;
/// Opened in one slice and remembered one by one, and so many ended. Further ones are left out of the estimate of new
/// connections, and estimated without what they told at their end.
pub const MOST_OPENINGS: usize = 32_768;

/// A segment without regard to its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// Whether the client sent it.
    pub from_client: bool,
    /// SYN.
    pub opens: bool,
    /// FIN.
    pub finishes: bool,
    /// RST.
    pub resets: bool,
    /// Its sequence number.
    pub sequence: u32,
    /// Bytes of its payload.
    pub length: u32,
    /// What it acknowledges, if it does.
    pub acknowledged: Option<u32>,
    /// The client's initial sequence number, if it is known from before lives were followed.
    pub initial: Option<u32>,
}

/// What a segment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened a connection.
    Opened,
    /// It opened a connection between the ends of one that nobody saw end.
    Replaced,
    /// It was the second FIN.
    Finished,
    /// It was a RST.
    Reset,
}

/// What the segments tell of how much the client of a connection has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: it has not ended.
    Alive,
    /// So many bytes, as the client says and the server has acknowledged.
    Acknowledged(u32),
    /// So many, as the client alone says, which may be anybody with a RST.
    Claimed(u32),
    /// Nothing, and it has ended.
    Unknown,
}

/// A connection opened in the slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opening<K> {
    /// Its ends.
    pub key: K,
    /// By its client.
    pub sent: Sent,
    /// What was decoded of it, by [`super::interval::MEASURES`]; nothing if it is not in the sample.
    pub decoded: [f64; 3],
}

/// What connections have come and gone in a slice.
#[derive(Debug, Clone)]
pub struct Turnover<K> {
    /// Every connection opened in it, sampled or not.
    pub opened: Vec<Opening<K>>,
    /// Those that were there when it began and have ended: bytes that the client had sent since it was opened, and the server
    /// acknowledged, modulo 2^32.
    pub ended: Vec<(K, u32)>,
}

impl<K> Default for Turnover<K> {
    fn default() -> Self {
        Self { opened: Vec::new(), ended: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    /// The client's initial sequence number.
    initial: Option<u32>,
    /// Where in that sequence the client ended, as it says itself, and as the server acknowledged.
    end: [Option<u32>; 2],
    /// Seen of the server, of the client.
    finished: [bool; 2],
    ended: bool,
    /// In which slice it was opened, and its place among the openings of that.
    opening: Option<(u32, u32)>,
}

/// See the module.
///
/// Call order: [`Self::segment`] for each such segment, with the turnover of the slice; [`Self::end_slice`] once that has
/// been taken away.
#[derive(Debug)]
pub struct Lives<K> {
    lives: Slots<K, Life>,
    /// By age; some are not known any more.
    known: VecDeque<Ticket>,
    /// And when they ended, in nanoseconds of packet time.
    ended: VecDeque<(Ticket, u64)>,
    /// Number of the slice.
    slice: u32,
    forgotten: u64,
    left_out: u64,
}

impl<K: Copy + Eq + Hash> Lives<K> {
    /// Nothing is known. The seed is that of [`Slots`].
    pub fn new(seed: u64) -> Self {
        Self {
            lives: Slots::new(MOST_LIVES, seed),
            known: VecDeque::new(),
            ended: VecDeque::new(),
            slice: 0,
            forgotten: 0,
            left_out: 0,
        }
    }

    /// Takes a segment with SYN, FIN or RST that came `at` so many nanoseconds of packet time.
    pub fn segment(
        &mut self,
        key: K,
        at: u64,
        control: Control,
        turnover: &mut Turnover<K>,
    ) -> Option<Change> {
        if control.opens {
            return self.open(key, control, &mut turnover.opened);
        }
        let slot = match self.lives.find(&key) {
            Some(slot) => slot,
            None if control.resets => return None,
            // It was under way when capture began: its FINs tell.
            None => self.remember(key, Life { initial: control.initial, ..Life::default() }),
        };
        let (ticket, _, life) = self.lives.get_mut(slot)?;
        if life.ended {
            return None;
        }
        life.finished[usize::from(control.from_client)] |= control.finishes;
        life.ended = control.resets || life.finished == [true; 2];
        if control.from_client {
            life.end[0] = Some(control.sequence.wrapping_add(control.length));
        } else {
            life.end[1] = control.acknowledged.or(life.end[1]);
        }
        if !life.ended {
            return None;
        }
        match (opening(life, self.slice, &mut turnover.opened), life.sent()) {
            (Some(opening), sent) => opening.sent = sent,
            (None, Sent::Acknowledged(bytes)) if turnover.ended.len() < MOST_OPENINGS => {
                turnover.ended.push((key, bytes));
            }
            (None, Sent::Acknowledged(_)) => self.left_out += 1,
            (None, _) => {}
        }
        self.ended.push_back((ticket, at));
        if self.ended.len() > MOST_ENDED {
            self.forget_ended();
        }
        Some(if control.resets { Change::Reset } else { Change::Finished })
    }

    fn open(&mut self, key: K, control: Control, opened: &mut Vec<Opening<K>>) -> Option<Change> {
        let initial = control.from_client.then_some(control.sequence);
        let mut change = Change::Opened;
        if let Some(slot) = self.lives.find(&key)
            && let Some((_, _, life)) = self.lives.get_mut(slot)
        {
            let again = life.initial.is_none() || initial.is_none() || life.initial == initial;
            if again && !life.ended {
                life.initial = life.initial.or(initial);
                return None;
            }
            if !life.ended {
                change = Change::Replaced;
                if let Some(opening) = opening(life, self.slice, opened) {
                    opening.sent = Sent::Unknown;
                }
            }
            self.lives.remove(slot);
        }
        let place = opened.len();
        let opening = (place < MOST_OPENINGS).then_some((self.slice, place as u32));
        if opening.is_some() {
            opened.push(Opening { key, sent: Sent::Alive, decoded: [0.0; 3] });
        } else {
            self.left_out += 1;
        }
        self.remember(key, Life { initial, opening, ..Life::default() });
        Some(change)
    }

    /// Its slot.
    fn remember(&mut self, key: K, life: Life) -> u32 {
        if self.lives.is_full() {
            self.forget_oldest();
        }
        if self.known.len() >= 2 * self.lives.len() + SPARE_PLACES {
            let lives = &self.lives;
            self.known.retain(|ticket| lives.at(*ticket).is_some());
        }
        let ticket = self.lives.insert(key, life);
        self.known.push_back(ticket);
        ticket.slot
    }

    fn forget_oldest(&mut self) {
        while let Some(ticket) = self.known.pop_front() {
            if self.lives.at(ticket).is_some() {
                self.lives.remove(ticket.slot);
                self.forgotten += 1;
                return;
            }
        }
    }

    fn forget_ended(&mut self) {
        // Between the same ends another may live, or have ended since.
        if let Some((ticket, _)) = self.ended.pop_front()
            && self.lives.at(ticket).is_some()
        {
            self.lives.remove(ticket.slot);
        }
    }

    /// Forgets all lives: their ends will not be followed.
    pub fn forget(&mut self) {
        self.lives.clear();
        (self.known, self.ended) = Default::default();
    }

    /// The place among the slice's openings of the connection that lives between these ends, if it was opened in it.
    pub fn place(&self, key: &K) -> Option<u32> {
        let (_, life) = self.lives.get(self.lives.find(key)?)?;
        let (slice, place) = life.opening?;
        (slice == self.slice).then_some(place)
    }

    /// How often a connection was forgotten for another ([`MOST_LIVES`]).
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// A slice has ended at `now`, and its turnover is taken away. How many connections are not in it ([`MOST_OPENINGS`]).
    pub fn end_slice(&mut self, now: u64) -> u64 {
        self.slice = self.slice.wrapping_add(1);
        while self.ended.front().is_some_and(|(_, at)| now.abs_diff(*at) > REMEMBERED) {
            self.forget_ended();
        }
        std::mem::take(&mut self.left_out)
    }
}

/// The opening of a connection, if it was in this slice.
fn opening<'a, K>(life: &Life, slice: u32, opened: &'a mut [Opening<K>]) -> Option<&'a mut Opening<K>> {
    let (opened_in, place) = life.opening?;
    opened.get_mut(place as usize).filter(|_| opened_in == slice)
}

impl Life {
    /// Of one that has ended. A server that has seen the client's FIN acknowledges one more than was sent.
    fn sent(&self) -> Sent {
        let Some(initial) = self.initial else { return Sent::Unknown };
        let bytes = |end: u32| end.wrapping_sub(initial).wrapping_sub(1);
        match self.end.map(|end| end.map(bytes)) {
            [Some(claimed), Some(acknowledged)] => Sent::Acknowledged(claimed.min(acknowledged)),
            [None, Some(acknowledged)] => Sent::Acknowledged(acknowledged),
            [Some(claimed), None] => Sent::Claimed(claimed),
            [None, None] => Sent::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
