//! The sum of what several pipelines counted, each of other connections.

use super::Stats;
use crate::stats::{
    askers::Row,
    digests::{DigestStats, Shown},
};

impl Stats {
    /// Adds what another pipeline counted, with the same scale.
    ///
    /// A digest that both show has their sum; one that only one of them shows has what that one counted, and what the
    /// other counted of it is in *other*, as it is there: every counter only grows from sum to sum, and their total is
    /// exact.
    pub fn add(&mut self, other: &Self) {
        // Each field by name: one that is new must be thought of here.
        let Self {
            packets,
            bytes,
            ring_bytes,
            undecoded,
            commands,
            statements,
            scale: _,
            logins,
            closed,
            flows,
            errors,
            other_errors,
            digests,
            other_digests,
            traced,
            users,
            clients,
            tls_handshakes,
            opened,
            request_bytes,
            response_bytes,
            gaps,
            cut_replies,
            desyncs,
            resyncs,
            limit_hits,
        } = other;
        add_each(&mut self.undecoded, undecoded);
        add_each(&mut self.commands, commands);
        add_each(&mut self.logins, logins);
        add_each(&mut self.closed, closed);
        add_each(&mut self.flows, flows);
        add_each(&mut self.limit_hits, limit_hits);
        add_each(self.tls_handshakes.as_flattened_mut(), tls_handshakes.as_flattened());
        for (own, other) in self.statements.iter_mut().zip(statements) {
            own.count += other.count;
            own.duration.add(&other.duration);
            own.first_response.add(&other.first_response);
            own.slow.add(&other.slow);
            own.rows_returned += other.rows_returned;
            own.rows_affected = own.rows_affected.saturating_add(other.rows_affected);
        }
        // Of each kind and bucket the page shows the latest.
        self.traced.extend_from_slice(traced);
        for (error, count) in errors {
            *self.errors.entry(*error).or_default() += count;
        }
        add_digests(&mut self.digests, digests);
        add_rows(&mut self.users, users);
        add_rows(&mut self.clients, clients);
        self.other_digests = self.other_digests.plus(other_digests);
        self.packets += packets;
        self.bytes += bytes;
        self.ring_bytes += ring_bytes;
        self.other_errors += other_errors;
        self.opened += opened;
        self.request_bytes += request_bytes;
        self.response_bytes += response_bytes;
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
                    own.stats = DigestStats::plus(&own.stats, &shown.stats);
                    own.text = own.text.take().or_else(|| shown.text.clone());
                }
            }
            Err(place) => own.insert(place, shown.clone()),
        }
    }
}
