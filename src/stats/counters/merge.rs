//! The sum of what several pipelines counted, each of other connections.

use super::Stats;
use crate::{
    limits::ERROR_CODES,
    stats::{
        askers::Row,
        digests::{DigestStats, Shown},
    },
};

impl Stats {
    /// Adds what another pipeline counted, with the same scale.
    ///
    /// A digest that both show has their sum; one that only one of them shows has what that one counted, and what the
    /// other counted of it is in *other*, as it is there: every counter only grows from sum to sum, and their total is
    /// exact. Error codes beyond [`ERROR_CODES`] are *other*, too.
    pub fn add(&mut self, other: &Self) {
        // Each field by name: one that is new must be thought of here.
        let Self {
            packets,
            bytes,
            ring_bytes,
            undecoded,
            observed,
            estimated,
            // All of them are of one sampling and one configuration.
            sampling: _,
            scale: _,
            closed,
            unseen_ends,
            quits_owed,
            flows,
            error_codes,
            digests,
            traced,
            other_digests,
            other_durations,
            digest_histograms: _,
            users,
            clients,
            opened,
            gaps,
            cut_replies,
            desyncs,
            resyncs,
            limit_hits,
        } = other;
        let slots: Vec<usize> = error_codes.iter().map(|error| self.slot_of(*error)).collect();
        let slot_of = |slot: usize| slots.get(slot).copied().unwrap_or(ERROR_CODES);
        self.observed.add_by(slot_of, observed);
        self.estimated.add_by(slot_of, estimated);
        add_each(&mut self.undecoded, undecoded);
        add_each(&mut self.closed, closed);
        add_each(&mut self.unseen_ends, unseen_ends);
        add_each(&mut self.flows, flows);
        add_each(&mut self.limit_hits, limit_hits);
        // Of each kind and bucket the page shows the latest.
        self.traced.extend_from_slice(traced);
        add_digests(&mut self.digests, digests);
        add_rows(&mut self.users, users);
        add_rows(&mut self.clients, clients);
        self.other_digests = self.other_digests.plus(other_digests);
        self.other_durations.add(other_durations);
        self.quits_owed += quits_owed;
        self.packets += packets;
        self.bytes += bytes;
        self.ring_bytes += ring_bytes;
        self.opened += opened;
        self.gaps += gaps;
        self.cut_replies += cut_replies;
        self.desyncs += desyncs;
        self.resyncs += resyncs;
    }
}

fn add_each(own: &mut [u64], other: &[u64]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
}

/// Names keep the place at which they first appear; *unknown* and *other* are the first of each.
fn add_rows(own: &mut Vec<Row>, other: &[Row]) {
    for (name, stats) in other {
        match own.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = own.plus(stats),
            None => own.push((name.clone(), *stats)),
        }
    }
}

/// Both are sorted by id and schema.
fn add_digests(own: &mut Vec<Shown>, other: &[Shown]) {
    for shown in other {
        match own.binary_search_by(|own| (own.id, &own.schema).cmp(&(shown.id, &shown.schema))) {
            Ok(place) => {
                if let Some(own) = own.get_mut(place) {
                    own.stats = DigestStats::plus(own.stats, &shown.stats);
                    own.durations.add(&shown.durations);
                    own.text = own.text.take().or_else(|| shown.text.clone());
                }
            }
            Err(place) => own.insert(place, shown.clone()),
        }
    }
}
