//! What is counted of events: one shape for what was seen (`u64`) and for what that stands for (`f64`).
//!
//! What was seen since the last fold is a small tally of integers, in which the decoder counts. A *fold* multiplies it
//! once by the weight of its slice and adds it to the estimate: so every bucket, sum and count of a histogram shares
//! one weight, and each event keeps the weight of its own slice whatever the weights do later.

use super::latency::{Latency, Scale, Slow};
use crate::{
    digest::Statement,
    limits::ERROR_CODES,
    mysql::{
        command::Command,
        event::{Event, Login, Reply},
        tls::Version,
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

/// What an event of each stratum stands for, by [`Stratum`].
pub type Weights = [f64; Stratum::COUNT];

/// What is counted for each kind of statement.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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

impl<N: Copy> StatementStats<N> {
    /// Applies `step` to each number and its like in `other`.
    pub(super) fn zip<M: Copy>(&mut self, other: &StatementStats<M>, step: impl Fn(&mut N, M) + Copy) {
        step(&mut self.count, other.count);
        self.duration.zip(&other.duration, step);
        self.first_response.zip(&other.first_response, step);
        self.slow.zip(&other.slow, step);
        step(&mut self.rows_returned, other.rows_returned);
        step(&mut self.rows_affected, other.rows_affected);
    }
}

/// Counters of events; see the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally<N = u64> {
    commands: [N; Command::ALL.len()],
    statements: [StatementStats<N>; Statement::ALL.len()],
    logins: [N; Login::ALL.len()],
    tls_handshakes: [[N; 2]; Version::ALL.len()],
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
            statements: [StatementStats::default(); _],
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
    pub fn tls_handshakes(&self) -> impl Iterator<Item = (Version, [N; 2])> + '_ {
        Version::ALL.into_iter().zip(self.tls_handshakes)
    }

    /// Errors whose code has no slot.
    pub fn other_errors(&self) -> N {
        self.errors[ERROR_CODES]
    }

    fn zip<M: Copy>(&mut self, other: &Tally<M>, step: impl Fn(&mut N, M) + Copy) {
        zip(&mut self.commands, &other.commands, step);
        self.statements.iter_mut().zip(&other.statements).for_each(|(one, other)| one.zip(other, step));
        zip(&mut self.logins, &other.logins, step);
        zip(self.tls_handshakes.as_flattened_mut(), other.tls_handshakes.as_flattened(), step);
        zip(&mut self.errors, &other.errors, step);
        step(&mut self.request_bytes, other.request_bytes);
        step(&mut self.response_bytes, other.response_bytes);
    }
}

/// Applies `step` to each number of `own` and its like in `other`.
pub(super) fn zip<N, M: Copy>(own: &mut [N], other: &[M], step: impl Fn(&mut N, M)) {
    own.iter_mut().zip(other).for_each(|(own, other)| step(own, *other));
}

/// Adds what was seen.
pub(super) fn add(own: &mut u64, more: u64) {
    *own = own.saturating_add(more);
}

/// Adds what was seen, each event for `weight`.
pub(super) fn add_weighted(weight: f64) -> impl Fn(&mut f64, u64) + Copy {
    move |own, seen| *own += seen as f64 * weight
}

impl Tally<f64> {
    /// Adds what was seen, each event for `weight`.
    pub fn add_weighted(&mut self, seen: &Tally<u64>, weight: f64) {
        self.zip(seen, add_weighted(weight));
    }
}

impl Tally<u64> {
    /// Adds what another one has seen.
    pub fn add(&mut self, other: &Self) {
        self.zip(other, add);
    }

    /// Counts an event; `error` is the slot of its error, if it has one.
    #[inline]
    pub(super) fn event(&mut self, event: &Event, error: Option<usize>, scale: &Scale) {
        if let Some(count) = error.and_then(|slot| self.errors.get_mut(slot)) {
            *count += 1;
        }
        match event {
            Event::Command(command) => self.commands[*command as usize] += 1,
            Event::Statement(statement) => self.statements[statement.kind as usize].count += 1,
            Event::Reply(reply) => self.reply(reply, scale),
            Event::Login(login) => self.logins[*login as usize] += 1,
            Event::TlsHandshake { version, complete } => {
                self.tls_handshakes[*version as usize][usize::from(*complete)] += 1;
            }
            Event::Error(_) | Event::Desync | Event::Resync => {}
        }
    }

    fn reply(&mut self, reply: &Reply, scale: &Scale) {
        let Some(statement) = reply.statement else { return };
        let stats = &mut self.statements[statement.kind as usize];
        stats.rows_returned += reply.rows_returned;
        stats.rows_affected = stats.rows_affected.saturating_add(reply.rows_affected);
        if reply.command.runs_statement() {
            stats.duration.observe(reply.duration, scale);
            stats.first_response.observe(reply.first_response, scale);
            stats.slow.observe(reply.duration, scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::event::StatementRef;

    fn seen() -> Tally {
        let scale = Scale { bounds: vec![100, 1000], thresholds: vec![500] };
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
        estimate.add_weighted(&seen(), 2.5);
        estimate.add_weighted(&seen(), 1.0);
        let (_, select) = estimate.statements().find(|(kind, _)| *kind == Statement::Select).unwrap();
        let scale = Scale { bounds: vec![100, 1000], thresholds: vec![500] };
        assert_eq!((select.count, select.rows_returned, select.duration.count()), (10.5, 21.0, 10.5));
        assert_eq!(select.duration.cumulative(&scale).collect::<Vec<_>>(), [(100, 3.5), (1000, 7.0)]);
        assert_eq!(select.duration.sum_nanos(), 3.5 * 5750.0);
        assert_eq!(select.slow.counts(&scale).collect::<Vec<_>>(), [(500, 7.0)]);
        assert_eq!(estimate.errors[3], 10.5);
    }

    #[test]
    fn with_a_weight_of_one_the_estimate_is_what_was_seen() {
        let (mut estimate, mut twice) = (Tally::<f64>::default(), seen());
        twice.add(&seen());
        (0..2).for_each(|_| estimate.add_weighted(&seen(), 1.0));
        let mut exact = Tally::<f64>::default();
        exact.zip(&twice, |own, seen| *own = seen as f64);
        assert_eq!(estimate, exact);
    }
}
