//! A table whose values keep their places: found by key through an index, or at once by the slot they are in.
//!
//! A [`Ticket`] names a value however long it is kept: once that value is gone the ticket is of no more use, whoever has its
//! slot. So queues of tickets need not be searched when a value goes.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// A value's slot, and which of those that have been in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Where it is, if it still is.
    pub slot: u32,
    /// Wraps after four thousand million values: one that old holds no ticket any more.
    serial: u32,
}

#[derive(Debug)]
struct Slot<K, V> {
    serial: u32,
    entry: Option<(K, V)>,
}

/// See the module. Its memory grows by doubling, never beyond what `most` values take, and is kept.
#[derive(Debug)]
pub struct Slots<K, V> {
    most: usize,
    hasher: FixedState,
    index: HashTable<u32>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    serial: u32,
}

impl<K: Eq + Hash, V> Slots<K, V> {
    /// An empty one, for at most so many values. The seed makes the hash unpredictable.
    pub fn new(most: usize, seed: u64) -> Self {
        Self {
            most,
            hasher: FixedState::with_seed(seed),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            serial: 0,
        }
    }

    /// Values in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Slots that there are, empty ones included.
    #[inline]
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// Whether another value takes another slot.
    pub fn needs_slot(&self) -> bool {
        self.free.is_empty()
    }

    /// Where the value of a key is.
    pub fn find(&self, key: &K) -> Option<u32> {
        self.index.find(self.hasher.hash_one(key), |&slot| self.is_at(slot, key)).copied()
    }

    /// Whether it is here.
    #[inline]
    pub fn is_at(&self, slot: u32, key: &K) -> bool {
        self.get(slot).is_some_and(|(here, _)| here == key)
    }

    /// Of a slot.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&(K, V)> {
        self.slots.get(slot as usize)?.entry.as_ref()
    }

    /// Of a slot, with the ticket.
    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> Option<(Ticket, &K, &mut V)> {
        let Slot { serial, entry } = self.slots.get_mut(slot as usize)?;
        let (key, value) = entry.as_mut()?;
        Some((Ticket { slot, serial: *serial }, key, value))
    }

    /// The value that a ticket was written for, if it is still there.
    pub fn at(&self, ticket: Ticket) -> Option<&V> {
        let Slot { serial, entry } = self.slots.get(ticket.slot as usize)?;
        entry.as_ref().filter(|_| *serial == ticket.serial).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, ticket: Ticket) -> Option<(&K, &mut V)> {
        self.get_mut(ticket.slot).filter(|(there, ..)| *there == ticket).map(|(_, key, value)| (key, value))
    }

    /// All values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut().map(|(key, value)| (&*key, value)))
    }

    /// Puts down a value whose key has none yet. There is to be room.
    pub fn insert(&mut self, key: K, value: V) -> Ticket {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let hash = self.hasher.hash_one(&key);
        let filled = Slot { serial, entry: Some((key, value)) };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = filled;
                }
                slot
            }
            None => {
                let length = self.slots.len();
                if length == self.slots.capacity() {
                    self.slots.reserve_exact(length.max(16).min(self.most.saturating_sub(length)));
                }
                self.slots.push(filled);
                length as u32
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, slot, |&slot| match slots.get(slot as usize) {
            Some(Slot { entry: Some((key, _)), .. }) => hasher.hash_one(key),
            _ => 0,
        });
        Ticket { slot, serial }
    }

    /// Takes a value away. Its slot stays, for another.
    pub fn remove(&mut self, slot: u32) -> Option<(K, V)> {
        let entry = self.slots.get_mut(slot as usize)?.entry.take()?;
        let hash = self.hasher.hash_one(&entry.0);
        if let Ok(place) = self.index.find_entry(hash, |&other| other == slot) {
            place.remove();
        }
        self.free.push(slot);
        Some(entry)
    }

    /// Takes away all, and gives back the memory.
    pub fn clear(&mut self) {
        (self.index, self.slots, self.free) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_of_no_use_once_its_value_is_gone_whoever_has_the_slot() {
        let mut slots = Slots::new(2, 1);
        let [a, b] = ["a", "b"].map(|key| slots.insert(key, key.len()));
        assert_eq!((slots.is_full(), slots.needs_slot()), (true, true));
        assert_eq!(slots.remove(a.slot), Some(("a", 1)));
        assert_eq!((slots.at(a), slots.find(&"a")), (None, None));
        assert_eq!(slots.remove(a.slot), None);
        let c = slots.insert("c", 3);
        assert_eq!((c.slot, slots.find(&"c"), slots.is_at(c.slot, &"a")), (a.slot, Some(a.slot), false));
        assert_eq!(slots.at_mut(a), None);
        assert_eq!((slots.at(a), slots.at(c)), (None, Some(&3)));
        *slots.at_mut(b).unwrap().1 = 7;
        assert_eq!(
            slots.iter_mut().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(),
            [("c", 3), ("b", 7)]
        );
        assert_eq!((slots.len(), slots.places()), (2, 2));
    }

    #[test]
    fn serials_go_on_after_all_was_taken_away() {
        let mut slots = Slots::new(4, 1);
        let old = slots.insert(1, ());
        slots.clear();
        assert!(slots.is_empty());
        let new = slots.insert(1, ());
        assert_eq!((new.slot, slots.at(old), slots.at(new)), (old.slot, None, Some(&())));
    }

    #[test]
    fn memory_grows_by_doubling_and_not_beyond_what_there_may_be() {
        let mut slots = Slots::new(100, 1);
        for key in 0..100 {
            slots.insert(key, ());
            assert!(slots.slots.capacity() <= 100.min(16.max(2 * slots.len())), "{key}");
        }
    }
}
