//! What is counted of events: one shape for what was seen (`u64`) and for what that stands for (`f64`).
//!
//! What was seen since the last fold is a small tally of integers, in which the decoder counts. A *fold* multiplies it
//! once by the weight of its slice and adds it to the estimate: so every bucket, sum and count of a histogram shares
//! one weight, and each event keeps the weight of its own slice whatever the weights do later.

use super::{
    count::{Count, add, weighted, zip},
    latency::{Latency, Scale, Slow},
};
use crate::{
    digest::Statement,
    limits::ERROR_CODES,
    mysql::{
        command::Command,
        event::{Event, Login, Reply, TlsVersion},
    },
};

/// Which connections an event belongs to: each kind has a weight of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stratum {
    /// Those that were there when the slice began.
    #[default]
    Lasting,
    /// Those opened since.
    New,
}

impl Stratum {
    /// How many there are.
    pub const COUNT: usize = 2;
}

/// What an event of each stratum stands for, by [`Stratum`]; `None` where it is not known yet.
pub type Weights = [Option<f64>; Stratum::COUNT];

/// What is counted for each kind of statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatementStats<N = u64> {
    /// Statements sent.
    pub count: N,
    /// Last byte of the request to the last byte of the response.
    pub duration: Latency<N>,
    /// Last byte of the request to the first byte of the response.
    pub first_response: Latency<N>,
    /// Of the former, those above each threshold.
    pub slow: Slow<N>,
    /// Rows in result sets, fetched ones included.
    pub rows_returned: N,
    /// Rows that OKs said were affected.
    pub rows_affected: N,
}

impl<N: Count> StatementStats<N> {
    fn add(&mut self, other: &Self) {
        add(&mut self.count, other.count);
        self.duration.add(&other.duration);
        self.first_response.add(&other.first_response);
        zip(&mut self.slow.0, &other.slow.0, add);
        add(&mut self.rows_returned, other.rows_returned);
        add(&mut self.rows_affected, other.rows_affected);
    }
}

impl StatementStats {
    fn clear(&mut self) {
        self.duration.clear();
        self.first_response.clear();
        let (duration, first_response) =
            (std::mem::take(&mut self.duration), std::mem::take(&mut self.first_response));
        *self = Self { duration, first_response, ..Self::default() };
    }
}

impl StatementStats<f64> {
    fn fold(&mut self, seen: &StatementStats, weight: f64) {
        let add = weighted(weight);
        add(&mut self.count, seen.count);
        self.duration.fold(&seen.duration, weight);
        self.first_response.fold(&seen.first_response, weight);
        zip(&mut self.slow.0, &seen.slow.0, add);
        add(&mut self.rows_returned, seen.rows_returned);
        add(&mut self.rows_affected, seen.rows_affected);
    }
}

/// Counters of events; see the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally<N = u64> {
    commands: [N; Command::ALL.len()],
    statements: [StatementStats<N>; Statement::ALL.len()],
    logins: [N; Login::ALL.len()],
    tls_handshakes: [[N; 2]; TlsVersion::ALL.len()],
    /// By the slot of the code (see [`super::Stats::errors`]); the last one is for codes without a slot.
    pub(super) errors: [N; ERROR_CODES + 1],
    /// Payload bytes to servers, retransmissions apart.
    pub request_bytes: N,
    /// Payload bytes to clients, retransmissions apart.
    pub response_bytes: N,
}

impl<N: Copy + Default> Default for Tally<N> {
    fn default() -> Self {
        Self {
            commands: [N::default(); _],
            statements: std::array::from_fn(|_| StatementStats::default()),
            logins: [N::default(); _],
            tls_handshakes: [[N::default(); 2]; _],
            errors: [N::default(); _],
            request_bytes: N::default(),
            response_bytes: N::default(),
        }
    }
}

impl<N: Copy> Tally<N> {
    /// Commands sent.
    pub fn commands(&self) -> impl Iterator<Item = (Command, N)> + '_ {
        Command::ALL.iter().copied().zip(self.commands)
    }

    /// By kind of statement.
    pub fn statements(&self) -> impl Iterator<Item = (Statement, &StatementStats<N>)> + '_ {
        Statement::ALL.iter().copied().zip(&self.statements)
    }

    /// Logins by result.
    pub fn logins(&self) -> impl Iterator<Item = (Login, N)> + '_ {
        Login::ALL.into_iter().zip(self.logins)
    }

    /// TLS handshakes by version: those that failed, and those that did not.
    pub fn tls_handshakes(&self) -> impl Iterator<Item = (TlsVersion, [N; 2])> + '_ {
        TlsVersion::ALL.into_iter().zip(self.tls_handshakes)
    }

    /// Errors whose code has no slot.
    pub fn other_errors(&self) -> N {
        self.errors[ERROR_CODES]
    }
}

impl Tally<f64> {
    /// Adds what was seen, each event for `weight`.
    pub fn fold(&mut self, seen: &Tally, weight: f64) {
        let add = weighted(weight);
        zip(&mut self.commands, &seen.commands, add);
        self.statements.iter_mut().zip(&seen.statements).for_each(|(own, seen)| own.fold(seen, weight));
        zip(&mut self.logins, &seen.logins, add);
        zip(self.tls_handshakes.as_flattened_mut(), seen.tls_handshakes.as_flattened(), add);
        zip(&mut self.errors, &seen.errors, add);
        add(&mut self.request_bytes, seen.request_bytes);
        add(&mut self.response_bytes, seen.response_bytes);
    }
}

impl<N: Count> Tally<N> {
    /// Adds what another one has of the same connections.
    pub fn add(&mut self, other: &Self) {
        self.add_by(|slot| slot, other);
    }

    /// Adds what another one has, whose errors are in other slots: `slot_of` tells in which of the own ones.
    pub(super) fn add_by(&mut self, slot_of: impl Fn(usize) -> usize, other: &Self) {
        zip(&mut self.commands, &other.commands, add);
        self.statements.iter_mut().zip(&other.statements).for_each(|(own, other)| own.add(other));
        zip(&mut self.logins, &other.logins, add);
        zip(self.tls_handshakes.as_flattened_mut(), other.tls_handshakes.as_flattened(), add);
        for (slot, count) in other.errors.iter().enumerate() {
            if let Some(own) = self.errors.get_mut(slot_of(slot)) {
                add(own, *count);
            }
        }
        add(&mut self.request_bytes, other.request_bytes);
        add(&mut self.response_bytes, other.response_bytes);
    }
}

impl Tally {
    /// Forgets what was seen, but keeps the memory.
    pub fn clear(&mut self) {
        let mut statements =
            std::mem::replace(&mut self.statements, std::array::from_fn(|_| StatementStats::default()));
        statements.iter_mut().for_each(StatementStats::clear);
        *self = Self { statements, ..Self::default() };
    }

    /// Counts an event; `error` is the slot of its error, if it has one.
    #[inline(always)]
    pub(super) fn event(&mut self, event: &Event, error: Option<usize>, scale: &Scale) {
        if let Some(count) = error.and_then(|slot| self.errors.get_mut(slot)) {
            *count += 1;
        }
        match event {
            Event::Command(command) => self.commands[*command as usize] += 1,
            Event::Statement(statement) => self.statements[statement.kind() as usize].count += 1,
            Event::Reply(reply) => self.reply(reply, scale),
            Event::Login(login) => self.logins[*login as usize] += 1,
            Event::TlsHandshake { version, complete } => {
                self.tls_handshakes[*version as usize][usize::from(*complete)] += 1;
            }
            Event::Error(_) | Event::CutReply | Event::Desync | Event::Resync => {}
        }
    }

    fn reply(&mut self, reply: &Reply, scale: &Scale) {
        let Some(statement) = reply.statement else { return };
        let stats = &mut self.statements[statement.kind() as usize];
        stats.rows_returned += reply.rows_returned;
        stats.rows_affected = stats.rows_affected.saturating_add(reply.rows_affected);
        if reply.command.runs_statement() {
            let duration = scale.place(reply.duration);
            // Most responses come in one piece.
            let first_response = match reply.first_response {
                same if same == reply.duration => duration,
                other => scale.place(other),
            };
            stats.duration.observe(duration);
            stats.first_response.observe(first_response);
            stats.slow.observe(reply.duration, scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::event::StatementRef;

    fn seen() -> Tally {
        let scale = Scale::new(vec![100, 1000], vec![500]);
        let mut tally = Tally::default();
        for duration in [50, 700, 5000] {
            let statement = StatementRef::unseen(Statement::Select);
            tally.event(&Event::Statement(statement), None, &scale);
            let reply = Reply {
                command: Command::Query,
                statement: Some(statement),
                first_response: duration,
                duration,
                rows_returned: 2,
                rows_affected: 0,
                error: None,
            };
            tally.event(&Event::Reply(reply), Some(3), &scale);
        }
        tally
    }

    #[test]
    fn a_fold_multiplies_every_number_by_one_weight() {
        let mut estimate = Tally::<f64>::default();
        estimate.fold(&seen(), 2.5);
        estimate.fold(&seen(), 1.0);
        let (_, select) = estimate.statements().find(|(kind, _)| *kind == Statement::Select).unwrap();
        let scale = Scale::new(vec![100, 1000], vec![500]);
        assert_eq!((select.count, select.rows_returned, select.duration.count()), (10.5, 21.0, 10.5));
        assert_eq!(select.duration.cumulative(&scale).collect::<Vec<_>>(), [(100, 3.5), (1000, 7.0)]);
        assert_eq!(select.duration.sum_nanos(), 3.5 * 5750.0);
        assert_eq!(select.slow.counts(&scale).collect::<Vec<_>>(), [(500, 7.0)]);
        assert_eq!(estimate.errors[3], 10.5);
    }

    #[test]
    fn a_tally_adds_up_and_forgets() {
        let (mut twice, mut estimate) = (seen(), Tally::<f64>::default());
        twice.add(&seen());
        estimate.fold(&twice, 1.0);
        let of = |kind: Option<(Statement, &StatementStats<f64>)>| kind.unwrap().1.duration.count();
        assert_eq!(of(estimate.statements().find(|(kind, _)| *kind == Statement::Select)), 6.0);
        twice.clear();
        assert_eq!(twice.commands().map(|(_, count)| count).sum::<u64>(), 0);
        assert_eq!(twice.statements().map(|(_, kind)| kind.duration.count() + kind.count).sum::<u64>(), 0);
    }
}
