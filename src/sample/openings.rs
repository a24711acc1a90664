//! Lives of connections as their SYN, FIN and RST segments tell them, whatever their class: those of every connection
//! pass the filter. Hence connections opened and closed are exact however few are sampled, and so is what the client of
//! a short one has sent: what lies between the sequence numbers of its SYN and its FIN.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Connections known at a time. Beyond it the one known longest is forgotten: its end may not be told.
pub const MOST_LIVES: usize = 32_768;
/// Ended ones that are remembered, so that a FIN sent again ends nothing twice.
const MOST_ENDED: usize = 8_192;
/// Slices that they are remembered for: some seconds, in which what is sent again comes.
const ENDED_SLICES: u64 = 4;
/// Places in the order of age, for each known connection and some more, before those of forgotten ones are given back.
const SPARE_PLACES: usize = 1024;
/// Opened in one slice and remembered one by one. Further ones are left out of the estimate of new connections.
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

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    /// The client's initial sequence number.
    initial: Option<u32>,
    /// Bytes the client had sent when it finished.
    bytes: Option<u32>,
    /// Seen of the server, of the client.
    finished: [bool; 2],
    ended: bool,
    /// When it became known, in the order of all.
    serial: u64,
}

/// A connection opened in the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening<K> {
    /// Its ends.
    pub key: K,
    /// What its client sent, if it has finished.
    pub bytes: Option<u32>,
}

/// See the module.
#[derive(Debug)]
pub struct Openings<K> {
    lives: HashMap<K, Life>,
    /// By age, with their serials; some are not known any more.
    known: VecDeque<(K, u64)>,
    serial: u64,
    /// With their serials, and the number of the slice that they ended in.
    ended: VecDeque<(K, u64, u64)>,
    /// Number of the slice.
    slice: u64,
    opened: Vec<K>,
    forgotten: u64,
    left_out: u64,
}

impl<K> Default for Openings<K> {
    fn default() -> Self {
        Self {
            lives: HashMap::new(),
            known: VecDeque::new(),
            serial: 0,
            ended: VecDeque::new(),
            slice: 0,
            opened: Vec::new(),
            forgotten: 0,
            left_out: 0,
        }
    }
}

impl<K: Copy + Eq + Hash> Openings<K> {
    /// Takes a segment with SYN, FIN or RST.
    pub fn segment(&mut self, key: K, control: Control) -> Option<Change> {
        if control.opens {
            return self.open(key, control);
        }
        if !control.resets && !self.lives.contains_key(&key) {
            // It was under way when capture began: its FINs tell.
            self.remember(key, None);
        }
        let life = self.lives.get_mut(&key)?;
        if life.ended {
            return None;
        }
        if control.from_client {
            life.bytes = life.initial.map(|initial| {
                control.sequence.wrapping_add(control.length).wrapping_sub(initial).wrapping_sub(1)
            });
        }
        life.finished[usize::from(control.from_client)] |= control.finishes;
        life.ended = control.resets || life.finished == [true; 2];
        if !life.ended {
            return None;
        }
        self.ended.push_back((key, life.serial, self.slice));
        if self.ended.len() > MOST_ENDED {
            self.forget_ended();
        }
        Some(if control.resets { Change::Reset } else { Change::Finished })
    }

    fn open(&mut self, key: K, control: Control) -> Option<Change> {
        let initial = control.from_client.then_some(control.sequence);
        let mut change = Change::Opened;
        if let Some(life) = self.lives.get_mut(&key) {
            let again = life.initial.is_none() || initial.is_none() || life.initial == initial;
            if again && !life.ended {
                life.initial = life.initial.or(initial);
                return None;
            }
            if !life.ended {
                change = Change::Replaced;
            }
            self.lives.remove(&key);
        }
        self.remember(key, initial);
        if self.opened.len() < MOST_OPENINGS {
            self.opened.push(key);
        } else {
            self.left_out += 1;
        }
        Some(change)
    }

    fn remember(&mut self, key: K, initial: Option<u32>) {
        if self.lives.len() >= MOST_LIVES {
            self.forget_oldest();
        }
        if self.known.len() >= 2 * self.lives.len() + SPARE_PLACES {
            let lives = &self.lives;
            self.known.retain(|(key, serial)| lives.get(key).is_some_and(|life| life.serial == *serial));
        }
        self.serial += 1;
        self.known.push_back((key, self.serial));
        self.lives.insert(key, Life { initial, serial: self.serial, ..Life::default() });
    }

    fn forget_oldest(&mut self) {
        while let Some((key, serial)) = self.known.pop_front() {
            if self.lives.get(&key).is_some_and(|life| life.serial == serial) {
                self.lives.remove(&key);
                self.forgotten += 1;
                return;
            }
        }
    }

    fn forget_ended(&mut self) {
        // Between the same ends another may live, or have ended since.
        if let Some((key, serial, _)) = self.ended.pop_front()
            && self.lives.get(&key).is_some_and(|life| life.serial == serial)
        {
            self.lives.remove(&key);
        }
    }

    /// Forgets all lives: their ends will not be followed.
    pub fn forget(&mut self) {
        (self.lives, self.known, self.ended) = Default::default();
    }

    /// How often a connection was forgotten for another ([`MOST_LIVES`]).
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many will be left out of what [`Self::take`] returns ([`MOST_OPENINGS`]).
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// A slice ends: what was opened in it. Those that could not be remembered are not in it.
    pub fn take(&mut self) -> Vec<Opening<K>> {
        self.left_out = 0;
        let of = |key: K| Opening { key, bytes: self.lives.get(&key).and_then(|life| life.bytes) };
        let opened = std::mem::take(&mut self.opened).into_iter().map(of).collect();
        self.slice += 1;
        while self.ended.front().is_some_and(|(_, _, slice)| slice + ENDED_SLICES < self.slice) {
            self.forget_ended();
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Control =
        Control { from_client: true, opens: false, finishes: false, resets: false, sequence: 0, length: 0 };

    fn syn(sequence: u32) -> Control {
        Control { opens: true, sequence, ..QUIET }
    }

    fn fin(from_client: bool, sequence: u32, length: u32) -> Control {
        Control { from_client, finishes: true, sequence, length, ..QUIET }
    }

    #[test]
    fn a_life_is_opened_once_and_ended_once_and_its_bytes_lie_between_syn_and_fin() {
        let mut openings = Openings::default();
        let steps = [
            (syn(u32::MAX), Some(Change::Opened)),
            (syn(u32::MAX), None),
            (Control { from_client: false, ..syn(7) }, None),
            (fin(true, 95, 5), None),
            (fin(true, 95, 5), None),
            (fin(false, 900, 0), Some(Change::Finished)),
            (fin(false, 900, 0), None),
            (Control { resets: true, ..QUIET }, None),
        ];
        for (control, change) in steps {
            assert_eq!(openings.segment(1, control), change, "{control:?}");
        }
        assert_eq!(openings.take(), [Opening { key: 1, bytes: Some(100) }]);
        assert_eq!(openings.take(), []);
        assert_eq!(openings.segment(1, syn(5)), Some(Change::Opened), "the ports are used again");
        assert_eq!(openings.segment(1, syn(9)), Some(Change::Replaced), "and again, its end unseen");
    }

    #[test]
    fn what_was_under_way_ends_by_its_fins_and_a_stray_reset_ends_nothing() {
        let mut openings = Openings::default();
        assert_eq!(openings.segment(1, Control { resets: true, ..QUIET }), None);
        assert_eq!(openings.segment(1, fin(false, 3, 0)), None);
        assert_eq!(openings.segment(1, Control { resets: true, ..QUIET }), Some(Change::Reset));
    }

    #[test]
    fn what_has_come_and_gone_takes_no_memory_however_long_that_goes_on() {
        let mut openings = Openings::default();
        for slice in 0..10_000_u32 {
            for key in 10 * slice..10 * slice + 10 {
                openings.segment(key, syn(1));
                openings.segment(key, fin(true, 2, 5));
                assert_eq!(openings.segment(key, fin(false, 9, 0)), Some(Change::Finished));
                assert_eq!(openings.segment(key.saturating_sub(40), fin(false, 9, 0)), None, "again");
            }
            assert_eq!(openings.take().len(), 10);
            assert!(openings.lives.len() <= 10 * (1 + ENDED_SLICES as usize));
        }
        assert_eq!(openings.ended.len(), openings.lives.len());
        assert!(openings.known.len() <= SPARE_PLACES + 200);
    }

    #[test]
    fn whose_ends_are_used_again_is_remembered_for_as_long_as_any() {
        let mut openings = Openings::default();
        let live = |openings: &mut Openings<u32>, initial| {
            assert_eq!(openings.segment(1, syn(initial)), Some(Change::Opened));
            openings.segment(1, fin(true, initial + 1, 5));
            assert_eq!(openings.segment(1, fin(false, 9, 0)), Some(Change::Finished));
        };
        live(&mut openings, 100);
        (0..ENDED_SLICES).for_each(|_| drop(openings.take()));
        live(&mut openings, 200);
        // The first has been forgotten by the end of these, the second has not.
        for _ in 0..ENDED_SLICES {
            assert_eq!(openings.segment(1, fin(false, 9, 0)), None, "sent again");
            assert_eq!(openings.segment(1, fin(true, 201, 5)), None, "sent again");
            openings.take();
        }
        openings.take();
        assert!(openings.lives.is_empty() && openings.ended.is_empty());
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut openings = Openings::default();
        for key in 0..MOST_LIVES as u32 + 10 {
            assert_eq!(openings.segment(key, syn(1)), Some(Change::Opened));
        }
        assert_eq!(
            (openings.forgotten(), openings.left_out()),
            (10, (MOST_LIVES - MOST_OPENINGS) as u64 + 10)
        );
        assert_eq!((openings.lives.len(), openings.take().len()), (MOST_LIVES, MOST_OPENINGS));
        assert_eq!(openings.left_out(), 0);
    }

    #[test]
    fn behind_a_flood_that_nobody_ends_connections_are_followed_as_before() {
        let mut openings = Openings::default();
        for key in 0..3 * MOST_LIVES as u32 {
            openings.segment(key, syn(1));
        }
        openings.take();
        for key in 4 * MOST_LIVES as u32..5 * MOST_LIVES as u32 {
            assert_eq!(openings.segment(key, syn(1)), Some(Change::Opened));
            assert_eq!(openings.segment(key, fin(true, 2, 5)), None);
            assert_eq!(openings.segment(key, fin(false, 9, 0)), Some(Change::Finished), "{key}");
        }
        assert_eq!(openings.take()[0].bytes, None, "ended too long ago to be known");
        assert!(openings.known.len() <= 2 * MOST_LIVES + SPARE_PLACES);
    }
}
