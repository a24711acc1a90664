//! Everything that is known between two censuses, and what becomes of it at each.
//!
//! Call order, at the end of each slice: [`Sampler::next_class`] with the census, at once, so that the filter can be
//! changed; [`Sampler::census`] when what the slice had is known. [`Sampler::census_failed`] where there is no census:
//! then the slice goes on. [`Sampler::state`] at any time.
//!
//! Where nothing of a stratum was sampled there is no estimate. Its traffic is carried to the next slice, whose sampled
//! connections then stand for both; if after a cycle of the occupied classes there are none, it is counted as
//! unestimated. Nothing is ever invented.

use std::time::Duration;

use super::{
    census::Census,
    class::SampleClass,
    estimator::{self, Slice, Stratum},
    interval,
    multiplier::Multiplier,
    pace, rotation,
    state::{Accuracy, CensusState, Changes, Sampling},
};

/// Traffic without an estimate is carried for so long at most: a counter then stands still for no longer, and does not
/// jump.
const LONGEST_CARRY: Duration = Duration::from_secs(60);

/// Places of the strata wherever both are told of.
const LASTING: usize = 0;
const NEW: usize = 1;

/// Traffic of a stratum without an estimate.
#[derive(Debug, Clone, Copy, Default)]
struct Carry {
    /// Of the auxiliary variable.
    all: f64,
    segments: f64,
    slices: usize,
    age: Duration,
}

/// Settings of a [`Sampler`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// At the start.
    pub class: SampleClass,
    /// Where weights come from.
    pub multiplier: Multiplier,
    /// Move to the next occupied class this often.
    pub rotate: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub struct Sampler<K> {
    settings: Settings,
    class: SampleClass,
    /// At the beginning of the slice.
    before: Option<Census<K>>,
    carries: [Carry; 2],
    /// Time in the class.
    stayed: Duration,
    /// Slices in this turn of the rotation, and their variances.
    turn: usize,
    turn_variances: [f64; 3],
    state: Sampling,
}

impl<K: Copy + Ord> Sampler<K> {
    /// Before the first census.
    pub fn new(settings: Settings) -> Self {
        let weight = settings.multiplier.nominal(settings.class);
        let mut state = Sampling::fixed(settings.class, weight);
        state.accuracy = settings.multiplier.is_measured().then(Accuracy::default);
        Self {
            settings,
            class: settings.class,
            before: None,
            carries: [Carry::default(); 2],
            stayed: Duration::ZERO,
            turn: 0,
            turn_variances: [0.0; 3],
            state,
        }
    }

    /// How the sampling stands.
    pub fn state(&self) -> &Sampling {
        &self.state
    }

    /// The class of the slice.
    pub fn class(&self) -> SampleClass {
        self.class
    }

    /// Less or more is captured to hold the CPU budget.
    pub fn changed(&mut self, tightened: bool, reply_bytes: Option<u16>) {
        let Changes { tightened: less, relaxed: more } = &mut self.state.changes;
        *(if tightened { less } else { more }) += 1;
        self.state.reply_bytes = reply_bytes;
    }

    /// The kernel listed no connections; the slice goes on.
    pub fn census_failed(&mut self) {
        self.state.censuses[1] += 1;
    }

    /// The slice that took `elapsed` had `slice`, and these connections were there at its end. `class` is that of the next
    /// slice. Returns what an event of each stratum stands for, lasting connections and new ones; `None` where that is
    /// not known yet.
    pub fn census(
        &mut self,
        mut now: Census<K>,
        slice: Slice<K>,
        elapsed: Duration,
        class: SampleClass,
        client_port: impl Fn(&K) -> u16,
    ) -> [Option<f64>; 2] {
        self.state.censuses[0] += 1;
        let weights = match self.before.take() {
            Some(before) => {
                now.compare(&before, elapsed);
                self.weigh(&before, &now, slice, elapsed, client_port)
            }
            None => {
                // How busy they are is told by all that they have done.
                now.compare(&Census::default(), elapsed);
                self.without_census(&slice)
            }
        };
        self.describe(&now);
        self.class = class;
        self.state.class = class;
        self.before = Some(now);
        weights
    }

    /// The first census has nothing to be compared with: what was decoded before it is told of, not multiplied.
    fn without_census(&mut self, slice: &Slice<K>) -> [Option<f64>; 2] {
        if !self.settings.multiplier.is_measured() || self.class.bits() == 0 {
            return [Some(self.settings.multiplier.nominal(self.class)); 2];
        }
        if let Some(accuracy) = &mut self.state.accuracy {
            accuracy.unestimated += slice.queries();
        }
        [Some(0.0); 2]
    }

    fn weigh(
        &mut self,
        before: &Census<K>,
        now: &Census<K>,
        slice: Slice<K>,
        elapsed: Duration,
        client_port: impl Fn(&K) -> u16,
    ) -> [Option<f64>; 2] {
        let Slice { lasting, mut turnover } = slice;
        let lasting = estimator::lasting(before, now, &lasting.into(), &mut turnover.ended, self.class);
        let new = estimator::new(now, &turnover.opened, self.class, client_port);
        self.set_ratio(&lasting);
        if !self.settings.multiplier.is_measured() || self.class.bits() == 0 {
            let weight = self.settings.multiplier.nominal(self.class);
            self.state.multiplier = weight;
            return [Some(weight); 2];
        }
        let cycle = self.cycle(now);
        let weights = [(LASTING, &lasting), (NEW, &new)].map(|(index, stratum)| {
            let weight = stratum.weight(self.carries[index].all);
            self.carry(index, stratum, weight, elapsed, self.patience(index, cycle));
            weight
        });
        self.add_errors([(&lasting, weights[0]), (&new, weights[1])], cycle);
        weights
    }

    /// How long traffic of a stratum is carried: until a cycle has shown all `classes`. Where the class stays, new
    /// connections may still fall into it.
    fn patience(&self, stratum: usize, classes: usize) -> Duration {
        let patience = match self.settings.rotate {
            Some(every) => every.saturating_mul(classes as u32),
            None if stratum == NEW => pace::EVERY,
            None => Duration::ZERO,
        };
        patience.min(LONGEST_CARRY)
    }

    /// Slices of a cycle through all classes.
    fn cycle(&self, now: &Census<K>) -> usize {
        match self.settings.rotate {
            Some(_) => rotation::occupied_classes(self.class, now).max(1),
            None => 1,
        }
    }

    fn carry(
        &mut self,
        index: usize,
        stratum: &Stratum,
        weight: Option<f64>,
        elapsed: Duration,
        patience: Duration,
    ) {
        let carry = &mut self.carries[index];
        if weight.is_some() {
            *carry = Carry::default();
            return;
        }
        carry.slices += 1;
        carry.age += elapsed;
        let given_up = carry.slices > 1 && carry.age > patience;
        let lost = if given_up { std::mem::take(carry).segments } else { 0.0 };
        carry.all += stratum.all;
        carry.segments += stratum.segments;
        if let Some(accuracy) = &mut self.state.accuracy {
            accuracy.unestimated += lost;
        }
    }

    /// A fixed class errs the same way again and again: its standard errors add up. So do those of the cycles of a
    /// rotation, but within a cycle the classes err independently.
    fn add_errors(&mut self, strata: [(&Stratum, Option<f64>); 2], cycle: usize) {
        let variances = estimator::variances(strata);
        let queries = |(stratum, weight): (&Stratum, Option<f64>)| stratum.queries(weight.unwrap_or(0.0));
        let [lasting, new] = strata.map(queries);
        let larger = strata[usize::from(new > lasting)].0;
        let observed: f64 = strata.iter().flat_map(|(stratum, _)| &stratum.units).map(|unit| unit.y[0]).sum();
        if observed > 0.0 {
            self.state.multiplier = (lasting + new) / observed;
        }
        let Some(accuracy) = &mut self.state.accuracy else { return };
        if larger.sampled > 0.0 {
            accuracy.effective_size = interval::effective_size(&larger.units);
        }
        for ((total, turn), variance) in
            accuracy.standard_errors.iter_mut().zip(&mut self.turn_variances).zip(variances)
        {
            let before = turn.sqrt();
            *turn += variance;
            *total += turn.sqrt() - before;
        }
        self.turn += 1;
        if self.turn >= cycle {
            self.turn = 0;
            self.turn_variances = [0.0; 3];
        }
    }

    fn set_ratio(&mut self, lasting: &Stratum) {
        let ratio = (lasting.all > 0.0).then(|| lasting.sampled / lasting.all);
        if let Some(census) = &mut self.state.census {
            census.ratio = ratio;
        }
    }

    fn describe(&mut self, now: &Census<K>) {
        let sockets = || now.iter().map(|(_, socket)| socket.client_port);
        self.state.census = Some(CensusState {
            all: now.len() as u64,
            sampled: sockets().filter(|port| self.class.contains(*port)).count() as u64,
            even: sockets().filter(|port| port % 2 == 0).count() as u64,
            ratio: self.state.census.and_then(|census| census.ratio),
        });
    }

    /// The class of the next slice, of `bits` bits: the same, or the next one that has connections if it is time to move
    /// on. `asked_for` is where to be with as many bits as it has.
    pub fn next_class(
        &mut self,
        asked_for: SampleClass,
        bits: u8,
        now: &Census<K>,
        elapsed: Duration,
    ) -> SampleClass {
        self.stayed += elapsed;
        let current = if bits == self.class.bits() {
            self.class
        } else {
            rotation::resized(asked_for, bits, Some(now))
        };
        if self.settings.rotate.is_none_or(|every| self.stayed < every) {
            return current;
        }
        self.stayed = Duration::ZERO;
        rotation::next(current, now)
    }
}

#[cfg(test)]
mod tests;
