//! Space-Saving with weights: the heaviest keys of a stream in bounded memory.
//!
//! Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams" (2005). A
//! key that comes when all entries are taken takes over the lightest entry with its weight, which is then its
//! *error*: its true weight since it came last is between `weight − error` and `weight`. A key whose true weight
//! is more than the total over the number of entries always has an entry.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// A key that is watched.
#[derive(Debug, Clone)]
pub(super) struct Entry<K, T> {
    pub(super) key: K,
    pub(super) weight: u64,
    /// How much of the weight may be others'; never more than it.
    pub(super) error: u64,
    pub(super) payload: T,
    /// Where in the heap it is.
    place: usize,
}

/// The entries, with a binary heap over them that has the lightest on top. See the module.
#[derive(Debug, Clone)]
pub(super) struct SpaceSaving<K, T> {
    capacity: usize,
    entries: Vec<Entry<K, T>>,
    slots: HashMap<K, usize, RandomState>,
    /// Indices into `entries`.
    heap: Vec<usize>,
}

impl<K: Copy + Eq + Hash, T> SpaceSaving<K, T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Vec::new(),
            slots: HashMap::with_hasher(RandomState::default()),
            heap: Vec::new(),
        }
    }

    /// Adds to the weight of `key`.
    pub(super) fn add(&mut self, key: K, weight: u64, payload: impl FnOnce() -> T) {
        if let Some(&slot) = self.slots.get(&key) {
            let entry = &mut self.entries[slot];
            entry.weight = entry.weight.saturating_add(weight);
            let place = entry.place;
            self.sink(place);
        } else if self.entries.len() < self.capacity {
            self.push(key, weight, 0, payload());
        } else if let Some(&slot) = self.heap.first() {
            let entry = &mut self.entries[slot];
            self.slots.remove(&entry.key);
            entry.key = key;
            entry.error = entry.weight;
            entry.weight = entry.weight.saturating_add(weight);
            entry.payload = payload();
            self.slots.insert(key, slot);
            self.sink(0);
        }
    }

    /// An entry for `key`, which has none, whose weight is known. It may push out the lightest.
    pub(super) fn insert(&mut self, key: K, weight: u64, payload: T) {
        if self.entries.len() == self.capacity
            && let Some(&slot) = self.heap.first()
        {
            let lightest = self.entries[slot].key;
            self.remove(&lightest);
        }
        self.push(key, weight, 0, payload);
    }

    /// Takes the entry of `key` out.
    pub(super) fn remove(&mut self, key: &K) -> Option<Entry<K, T>> {
        let slot = self.slots.remove(key)?;
        let place = self.entries[slot].place;
        let last = self.heap.len() - 1;
        self.exchange(place, last);
        self.heap.pop();
        if place < last {
            self.rise(place);
            self.sink(place);
        }
        let removed = self.entries.swap_remove(slot);
        if let Some(moved) = self.entries.get(slot) {
            self.heap[moved.place] = slot;
            self.slots.insert(moved.key, slot);
        }
        Some(removed)
    }

    /// The keys and the weights that are certain to be theirs, heaviest first.
    pub(super) fn ranked(&self) -> Vec<(K, u64)> {
        let mut ranked: Vec<_> =
            self.entries.iter().map(|entry| (entry.key, entry.weight - entry.error)).collect();
        ranked.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        ranked
    }

    /// Takes one part in `divisor` of each weight and error away. This keeps their order.
    pub(super) fn decay(&mut self, divisor: u64) {
        for entry in &mut self.entries {
            entry.weight -= entry.weight / divisor;
            entry.error -= entry.error / divisor;
        }
    }

    fn push(&mut self, key: K, weight: u64, error: u64, payload: T) {
        let (slot, place) = (self.entries.len(), self.heap.len());
        self.entries.push(Entry { key, weight, error, payload, place });
        self.slots.insert(key, slot);
        self.heap.push(slot);
        self.rise(place);
    }

    fn weight(&self, place: usize) -> u64 {
        self.entries[self.heap[place]].weight
    }

    fn exchange(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.entries[self.heap[one]].place = one;
        self.entries[self.heap[other]].place = other;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.weight(place) < self.weight((place - 1) / 2) {
            self.exchange(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..self.heap.len().min(2 * place + 3);
            match children.min_by_key(|&child| self.weight(child)) {
                Some(child) if self.weight(child) < self.weight(place) => {
                    self.exchange(place, child);
                    place = child;
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether heap, slots and entries agree.
    fn check<T>(sketch: &SpaceSaving<u32, T>) {
        assert_eq!(sketch.entries.len(), sketch.heap.len());
        assert_eq!(sketch.entries.len(), sketch.slots.len());
        for (place, &slot) in sketch.heap.iter().enumerate() {
            assert_eq!(sketch.entries[slot].place, place);
            assert_eq!(sketch.slots[&sketch.entries[slot].key], slot);
            assert!(place == 0 || sketch.weight((place - 1) / 2) <= sketch.weight(place));
            assert!(sketch.entries[slot].error <= sketch.entries[slot].weight);
        }
    }

    proptest! {
        #[test]
        fn weights_are_bounds_of_the_truth_and_the_parts_agree(
            events in prop::collection::vec((0u32..40, 1u64..100), 0..400),
            removed in prop::collection::vec(0u32..40, 0..5),
        ) {
            let mut sketch = SpaceSaving::new(8);
            let mut truth = [0u64; 40];
            for (key, weight) in events {
                sketch.add(key, weight, || ());
                truth[key as usize] += weight;
                check(&sketch);
            }
            let total: u64 = truth.iter().sum();
            for entry in &sketch.entries {
                let truth = truth[entry.key as usize];
                prop_assert!(entry.weight - entry.error <= truth && truth <= entry.weight);
            }
            for (key, truth) in truth.into_iter().enumerate() {
                prop_assert!(truth <= total / 8 || sketch.slots.contains_key(&(key as u32)));
            }
            sketch.decay(8);
            check(&sketch);
            for key in removed {
                let had = sketch.slots.contains_key(&key);
                prop_assert_eq!(sketch.remove(&key).is_some(), had);
                check(&sketch);
                sketch.insert(key, 50, ());
                check(&sketch);
            }
        }
    }

    #[test]
    fn a_sketch_of_no_capacity_watches_nothing() {
        let mut sketch = SpaceSaving::new(0);
        sketch.add(1, 1, || ());
        assert!(sketch.ranked().is_empty());
    }
}
