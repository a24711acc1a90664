//! The keys that matter most, of any number of keys, with their counters.
//!
//! A key matters by the time it takes and by how often it comes: each event weighs its time plus the mean time of
//! an event, so that a key's share of the weight is the mean of its share of the time and its share of the events.
//! Weights decay, so that what matters now is what mattered lately.
//!
//! At most `max` keys are *shown*, each with a value of its own; the values of all others are added up in
//! *other*. What this means for counters that Prometheus reads:
//!
//! * Each event is counted in exactly one value, which only grows while it is shown. So the sum of all increases
//!   is exact, whoever comes and goes.
//! * While places are free, a key takes one when it first comes: on a host with fewer keys than places each is
//!   exact from its first event on.
//! * A key that takes another's place begins at 0; what it did before stays in other.
//! * A key that leaves is shown with its last value until the next [`Top::select`], so that a scrape between the
//!   two misses nothing. If it returns soon it goes on from that value; if not it begins at 0 again. `rate()` is
//!   right in both cases: the value did not rise meanwhile, or it fell, which is a counter's reset.
//! * So that series do not flap, a key must outweigh the weakest one that is shown by a quarter to take its place,
//!   and one place in ten (at least one) changes hands at a time.
//!
//! Call order: [`Top::add`] for each event; [`Top::select`] at an interval that is longer than that of the slowest
//! scraper; [`Top::shown`] and [`Top::other`] at any time.

mod space_saving;

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use space_saving::{Entry, SpaceSaving};

/// Candidates watched for each place. With a Zipf-like load, a key that belongs among the shown ones is missed
/// only if the others of the load weigh more than `CANDIDATES_PER_PLACE` times as much as it does.
const CANDIDATES_PER_PLACE: usize = 16;

/// The part of a weight that is gone after each selection: half of it after five.
const DECAY: u64 = 8;

/// Places remembered of keys met lately.
const GUESSES: usize = 512;

/// What a [`Top`] keeps for a key.
pub trait Value: Default {
    /// Its key is not shown any more, though it may return: gives back what is of use to shown ones only.
    fn leave(&mut self) {}
}

/// What a [`Top`] counts by.
pub trait Key: Copy + Eq + Hash {
    /// Bits of it in which few keys agree.
    fn spread(&self) -> u64;
}

/// See the module. `V` is a key's value, `L` what is known of a key (its text, say).
#[derive(Debug, Clone)]
pub struct Top<K, V, L> {
    max: usize,
    shown: Vec<Shown<K, V, L>>,
    /// Where in `shown` a key is, if it is and does not leave.
    places: HashMap<K, usize, RandomState>,
    /// Where in `shown` a key may be, by its [`Key::spread`]: most events are of keys that have just had another.
    guesses: Box<[u32; GUESSES]>,
    candidates: SpaceSaving<K, Candidate<V, L>>,
    other: V,
    window: Window,
    /// The mean time of an event in the last window that had any, in nanoseconds.
    mean: u64,
}

#[derive(Debug, Clone)]
struct Shown<K, V, L> {
    key: K,
    label: L,
    value: V,
    weight: u64,
    leaves: bool,
}

#[derive(Debug, Clone)]
struct Candidate<V, L> {
    label: L,
    /// What it left with.
    value: V,
}

/// Events since the last selection.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    events: u64,
    nanos: u64,
}

impl<K: Key, V: Value, L> Top<K, V, L> {
    /// Shows `max` keys at most, and those that are leaving: a tenth more.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            shown: Vec::with_capacity(max + Self::changes(max)),
            places: HashMap::with_capacity_and_hasher(max, RandomState::default()),
            guesses: Box::new([0; GUESSES]),
            candidates: SpaceSaving::new(max.saturating_mul(CANDIDATES_PER_PLACE)),
            other: V::default(),
            window: Window::default(),
            mean: 1,
        }
    }

    /// An event of `key` that took `nanos`: the value that it is to be added to. `label` is asked for once when a
    /// key becomes known, and again if it was forgotten.
    #[inline]
    pub fn add(&mut self, key: K, nanos: u64, label: impl FnOnce() -> L) -> &mut V {
        self.window.events += 1;
        self.window.nanos = self.window.nanos.saturating_add(nanos);
        let weight = nanos.saturating_add(self.mean);
        let place = match self.place(&key) {
            Some(place) => place,
            None if self.shown.len() < self.max => self.take_free_place(key, label()),
            None => {
                self.candidates.add(key, weight, || Candidate { label: label(), value: V::default() });
                return &mut self.other;
            }
        };
        let shown = &mut self.shown[place];
        shown.weight = shown.weight.saturating_add(weight);
        &mut shown.value
    }

    /// The value that belongs to `key` now: to add what is no event.
    #[inline]
    pub fn value_mut(&mut self, key: &K) -> &mut V {
        match self.place(key).and_then(|place| self.shown.get_mut(place)) {
            Some(shown) => &mut shown.value,
            None => &mut self.other,
        }
    }

    /// The shown keys with their labels and values, those that leave with the last of them.
    pub fn shown(&self) -> impl Iterator<Item = (&K, &L, &V)> {
        self.shown.iter().map(|shown| (&shown.key, &shown.label, &shown.value))
    }

    /// Every value that is shown, *other* included.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.shown.iter_mut().map(|shown| &mut shown.value).chain([&mut self.other])
    }

    /// What was added for all keys while they were not shown.
    pub fn other(&self) -> &V {
        &self.other
    }

    /// What was added for no key, as for an event that has none.
    pub fn other_mut(&mut self) -> &mut V {
        &mut self.other
    }

    /// Chooses the keys to show, by what was added up to now.
    pub fn select(&mut self) {
        self.dismiss_leaving();
        let mut ranked = self.candidates.ranked().into_iter().peekable();
        let mut weakest: Vec<usize> = (0..self.shown.len()).collect();
        weakest.sort_by_key(|&place| self.shown[place].weight);
        for place in weakest.into_iter().take(Self::changes(self.max)) {
            let enough = self.shown[place].weight.saturating_add(self.shown[place].weight / 4);
            let Some((key, _)) = ranked.next_if(|&(_, weight)| weight > enough) else { break };
            self.shown[place].leaves = true;
            self.places.remove(&self.shown[place].key);
            self.show(key);
        }
        self.decay();
    }

    /// Where in `shown` a key is, if it is and does not leave.
    #[inline]
    fn place(&mut self, key: &K) -> Option<usize> {
        let guess = &mut self.guesses[key.spread() as usize % GUESSES];
        match self.shown.get(*guess as usize) {
            Some(shown) if shown.key == *key && !shown.leaves => Some(*guess as usize),
            _ => {
                let place = *self.places.get(key)?;
                *guess = place as u32;
                Some(place)
            }
        }
    }

    /// Places that change hands in one selection at most.
    fn changes(max: usize) -> usize {
        max.div_ceil(10)
    }

    fn dismiss_leaving(&mut self) {
        let mut place = 0;
        while place < self.shown.len() {
            if !self.shown[place].leaves {
                place += 1;
                continue;
            }
            let Shown { key, label, mut value, weight, .. } = self.shown.swap_remove(place);
            value.leave();
            // It may have become a candidate again while it left.
            let since = self.candidates.remove(&key).map_or(0, |entry| entry.weight - entry.error);
            self.candidates.insert(key, weight.saturating_add(since), Candidate { label, value });
            if let Some(moved) = self.shown.get(place)
                && let Some(moved_place) = self.places.get_mut(&moved.key)
            {
                *moved_place = place;
            }
        }
    }

    fn show(&mut self, key: K) {
        let Some(Entry { weight, error, payload: Candidate { label, value }, .. }) =
            self.candidates.remove(&key)
        else {
            return;
        };
        self.places.insert(key, self.shown.len());
        self.shown.push(Shown { key, label, value, weight: weight - error, leaves: false });
    }

    #[cold]
    fn take_free_place(&mut self, key: K, label: L) -> usize {
        let place = self.shown.len();
        self.places.insert(key, place);
        self.shown.push(Shown { key, label, value: V::default(), weight: 0, leaves: false });
        place
    }

    fn decay(&mut self) {
        for shown in &mut self.shown {
            shown.weight -= shown.weight / DECAY;
        }
        self.candidates.decay(DECAY);
        if let Some(mean) = self.window.nanos.checked_div(self.window.events) {
            self.mean = mean.max(1);
        }
        self.window = Window::default();
    }
}

#[cfg(test)]
mod tests;
