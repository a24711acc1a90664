//! Bytes → messages.
//!
//! A packet is a 3-byte length, a sequence id and a payload; a payload of 0xffffff bytes is continued by the next
//! packet. One logical payload, over however many packets, is a [`Message`].
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>
//!
//! A message is handed out when its last byte has arrived. Its start is borrowed where it came in one piece, and
//! copied up to a bound where it was split; the rest is skipped, so that a message of any size costs no more.

use std::{fmt, ops::Range};

use crate::{
    limits::{Bounds, Limit, MESSAGE_BYTES, MESSAGE_KEPT, MESSAGE_OWN},
    packet::Timestamp,
    stream::Missing,
};

/// A packet of this length is continued.
const CONTINUED: u32 = 0xff_ffff;
/// Rows and definitions begin with less than this, an end (an EOF, or the OK in its place) or an error with no less. Only a
/// row of 16 MiB may, too.
pub(super) const END: u8 = 0xfe;

/// What a server's message says stands in so many bytes at most: of an OK the header, two lenenc integers, status and
/// warnings; of an error, a number of columns or `COM_STMT_PREPARE_OK` in fewer.
const ENOUGH: usize = 1 + 9 + 9 + 2 + 2;

/// One logical payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Sequence id of its first packet.
    pub sequence: u8,
    /// Sequence id of its last packet: the reply to a request goes on from there.
    pub last_sequence: u8,
    /// Payload bytes, all packets together.
    pub length: u64,
    /// The payload's first bytes: all of them if [`Self::is_whole`].
    pub head: &'a [u8],
    /// When its first byte arrived.
    pub first_at: Timestamp,
    /// When its last byte arrived.
    pub at: Timestamp,
    /// Whether `at` is not known but for being too late: the last byte was never captured.
    pub late: bool,
}

impl Message<'_> {
    /// Whether `head` is the whole payload.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.head.len() as u64 == self.length
    }
}

/// The next bytes cannot be framed any more: where packets begin is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// Sequence id and payload of the packet at the start of `bytes`, and what follows it; `None` unless it is there to its
/// end and not continued by another.
#[inline]
pub(super) fn whole(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<4>()?;
    let header = u32::from_le_bytes(*header);
    let length = header & CONTINUED;
    let (payload, rest) = rest.split_at_checked(length as usize).filter(|_| length != CONTINUED)?;
    Some(((header >> 24) as u8, payload, rest))
}

/// One direction's framing.
pub struct Framer {
    /// Most bytes kept of a split message.
    head_limit: u16,
    /// Whether only the first byte is, unless it says [`END`] or more.
    counting: bool,
    header: [u8; 4],
    header_length: u8,
    sequence: u8,
    last_sequence: u8,
    /// Whether a message is under way.
    begun: bool,
    /// Whether the packet under way is continued by another.
    continued: bool,
    /// Whether bytes of the head are missing: it must not grow any more.
    sealed: bool,
    /// Payload bytes of the packet under way still to come.
    remaining: u32,
    length: u64,
    first_at: Timestamp,
    /// Start of a split message. Room for [`MESSAGE_OWN`] bytes, or [`MESSAGE_KEPT`], is kept from one to the next.
    head: Vec<u8>,
    /// What was reserved of the shared bound for more: no more than the limit.
    reserved: u32,
}

/// Shows nothing of the bytes.
impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Framer");
        shown.field("begun", &self.begun).field("length", &self.length).field("remaining", &self.remaining);
        shown.finish_non_exhaustive()
    }
}

impl Framer {
    /// At a packet boundary; keeps at most `head_limit` bytes of a split message.
    pub fn new(head_limit: u16) -> Self {
        Self {
            head_limit,
            counting: false,
            header: [0; 4],
            header_length: 0,
            sequence: 0,
            last_sequence: 0,
            begun: false,
            continued: false,
            sealed: false,
            remaining: 0,
            length: 0,
            first_at: Timestamp(0),
            head: Vec::new(),
            reserved: 0,
        }
    }

    /// Whether the next byte begins a message.
    #[inline]
    pub fn is_at_boundary(&self) -> bool {
        !self.begun && self.header_length == 0
    }

    /// Payload bytes that the message under way has at least, as its headers say; 0 where none is known.
    pub fn announced(&self) -> u64 {
        if self.begun { self.length + u64::from(self.remaining) } else { 0 }
    }

    /// When the message under way began; `None` between messages.
    pub fn began_at(&self) -> Option<Timestamp> {
        (!self.is_at_boundary()).then_some(self.first_at)
    }

    /// Forgets a message under way: the next byte begins one.
    pub fn reset(&mut self, bounds: &Bounds) {
        self.give_back(bounds);
        *self = Self { head: std::mem::take(&mut self.head), ..Self::new(self.head_limit) };
    }

    /// Takes bytes up to the end of a message; `None` once `bytes` is empty and the message is not complete.
    ///
    /// The message's head borrows from `bytes` or from the framer, so it is done with before the next call.
    #[inline]
    pub fn next<'m, 'b: 'm>(
        &'m mut self,
        bytes: &mut &'b [u8],
        at: Timestamp,
        bounds: &Bounds,
    ) -> Option<Message<'m>> {
        self.next_among_rows(bytes, at, bounds, || false)
    }

    /// The same where `rows` tells, asked at a message's start, whether it is a row or a definition, or ends them: such
    /// are counted and not looked into, so of one that is split nothing is kept.
    #[inline]
    pub fn next_among_rows<'m, 'b: 'm>(
        &'m mut self,
        bytes: &mut &'b [u8],
        at: Timestamp,
        bounds: &Bounds,
        rows: impl FnOnce() -> bool,
    ) -> Option<Message<'m>> {
        if bytes.is_empty() && self.reserved == 0 {
            return None;
        }
        if self.is_at_boundary()
            && let Some((sequence, head, rest)) = whole(bytes)
        {
            *bytes = rest;
            return Some(Message {
                sequence,
                last_sequence: sequence,
                length: head.len() as u64,
                head,
                first_at: at,
                at,
                late: false,
            });
        }
        if self.is_at_boundary() {
            self.clear_head(bounds);
            self.counting = rows();
        }
        self.next_split(bytes, at, bounds)
    }

    #[inline(never)]
    fn next_split<'m, 'b: 'm>(
        &'m mut self,
        bytes: &mut &'b [u8],
        at: Timestamp,
        bounds: &Bounds,
    ) -> Option<Message<'m>> {
        while !bytes.is_empty() {
            if self.remaining == 0 && !self.take_header(bytes, at) {
                return None;
            }
            let here = bytes.len().min(self.remaining as usize);
            let (taken, rest) = bytes.split_at_checked(here)?;
            *bytes = rest;
            self.keep(taken, bounds);
            self.advance(here as u32);
            if self.is_complete() {
                return Some(self.complete(at, false));
            }
        }
        None
    }

    /// Bytes of the stream are missing.
    ///
    /// # Errors
    /// [`Lost`] unless all of them belong to the payload of the packet under way. `Ok(Some)` if they were the last
    /// of a message.
    pub fn skip(&mut self, length: u32, at: Timestamp, why: Missing) -> Result<Option<Message<'_>>, Lost> {
        if !self.holds(length) {
            return Err(Lost);
        }
        self.sealed = true;
        self.advance(length);
        Ok(self.is_complete().then(|| self.complete(at, matches!(why, Missing::Lost | Missing::Unselected))))
    }

    /// Whether `length` missing bytes are all of the packet under way, so that [`Self::skip`] steps over them.
    pub fn holds(&self, length: u32) -> bool {
        self.begun && self.remaining > 0 && length <= self.remaining
    }

    /// Whether enough is kept of the message under way to know what it means, and where the response stands behind it.
    pub fn tells(&self) -> bool {
        let first = self.head.first();
        first.is_some_and(|first| self.counting && *first < END || self.head.len() >= ENOUGH)
    }

    /// Which of the bytes to come, counted from the next one on, are neither kept nor looked at: they are of the packet
    /// under way, behind what is kept of its message.
    pub fn needless(&self) -> Range<u32> {
        if !self.begun || self.header_length > 0 {
            return 0..0;
        }
        let kept = self.most_kept(None).saturating_sub(self.head.len()) as u32;
        let start = if self.sealed { 0 } else { kept };
        start..self.remaining.max(start)
    }

    /// Forgets a message under way, and gives back all memory.
    pub fn release(&mut self, bounds: &Bounds) {
        self.give_back(bounds);
        *self = Self::new(self.head_limit);
    }

    /// Completes the header from `bytes`; `false` if there are too few.
    fn take_header(&mut self, bytes: &mut &[u8], at: Timestamp) -> bool {
        if self.is_at_boundary() {
            self.first_at = at;
        }
        while self.header_length < 4 {
            let Some((byte, rest)) = bytes.split_first() else { return false };
            if let Some(place) = self.header.get_mut(usize::from(self.header_length)) {
                *place = *byte;
            }
            self.header_length += 1;
            *bytes = rest;
        }
        let [a, b, c, sequence] = self.header;
        self.remaining = u32::from_le_bytes([a, b, c, 0]);
        self.continued = self.remaining == CONTINUED;
        self.header_length = 0;
        self.last_sequence = sequence;
        if !self.begun {
            self.begun = true;
            self.sequence = sequence;
            self.length = 0;
            self.sealed = false;
        }
        true
    }

    fn advance(&mut self, count: u32) {
        self.remaining = self.remaining.saturating_sub(count);
        self.length += u64::from(count);
        if self.remaining == 0 && self.continued {
            // Another header follows; until it does, `remaining` stays 0 and `begun` stays set.
            self.header_length = 0;
        }
    }

    fn is_complete(&self) -> bool {
        self.begun && self.remaining == 0 && !self.continued
    }

    fn complete(&mut self, at: Timestamp, late: bool) -> Message<'_> {
        self.begun = false;
        self.header_length = 0;
        Message {
            sequence: self.sequence,
            last_sequence: self.last_sequence,
            length: self.length,
            head: &self.head,
            first_at: self.first_at,
            at,
            late,
        }
    }

    fn keep(&mut self, bytes: &[u8], bounds: &Bounds) {
        let room = self.most_kept(bytes.first()).saturating_sub(self.head.len());
        if self.sealed || room == 0 {
            return;
        }
        let kept = bytes.get(..room).unwrap_or(bytes);
        let wanted = self.head.len() + kept.len();
        let capacity = self.make_room(wanted, bounds);
        let room = capacity.saturating_sub(self.head.len());
        self.head.reserve_exact(room);
        self.head.extend_from_slice(kept.get(..room).unwrap_or(kept));
        self.sealed = wanted > capacity;
    }

    /// How long the head may be as far as it matters; `next` is the first byte to come, if it is there.
    fn most_kept(&self, next: Option<&u8>) -> usize {
        let counts = self.counting && self.head.first().or(next).is_some_and(|first| *first < END);
        if counts { 1 } else { usize::from(self.head_limit) }
    }

    /// How long the head may be: `wanted` bytes and maybe more, or less if the shared bound has no room.
    fn make_room(&mut self, wanted: usize, bounds: &Bounds) -> usize {
        let limit = usize::from(self.head_limit);
        let own = MESSAGE_OWN.min(limit);
        let capacity = own + self.reserved as usize;
        if wanted <= capacity {
            return capacity;
        }
        // Grows by doubling, never beyond the limit nor beyond what has really arrived, doubled.
        let larger = wanted.next_power_of_two().min(limit).max(wanted);
        if !bounds.reserve(Limit::MessageBytes, larger - capacity) {
            return capacity;
        }
        self.reserved = (larger - own) as u32;
        larger
    }

    /// Forgets the head for the next message. A little room stays, so that split messages of usual length do not take
    /// and give back memory each time; while much of the shared bound is in use it goes back as well.
    fn clear_head(&mut self, bounds: &Bounds) {
        let crowded = bounds.used(Limit::MessageBytes) > MESSAGE_BYTES / 2;
        if crowded || MESSAGE_OWN + self.reserved as usize > MESSAGE_KEPT {
            self.give_back(bounds);
        } else {
            self.head.clear();
        }
    }

    fn give_back(&mut self, bounds: &Bounds) {
        self.head.clear();
        bounds.release(Limit::MessageBytes, self.reserved as usize);
        self.reserved = 0;
        self.head.shrink_to(MESSAGE_OWN);
    }
}

#[cfg(test)]
mod tests;
