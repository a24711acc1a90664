//! Which traces took how long: exemplars of latency histograms.

use std::num::NonZeroU32;

use super::latency::{Placed, Scale};
use crate::{
    config::Counting,
    digest::{Statement, Trace, trace},
    mysql::event::{Reply, StatementRef, TraceRef},
    packet::Timestamp,
};

/// Traces of statements that are not answered yet. Beyond it the oldest are forgotten: an exemplar is an example.
const MOST_PENDING: usize = 1024;
const BUCKETS: usize = Counting::MAX_BUCKETS + 1;

/// A statement that belongs to a trace, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// Its kind.
    pub kind: Statement,
    /// Whose it is.
    pub trace: Trace,
    /// To the last byte of its response.
    pub nanos: u64,
    /// About when it was complete.
    pub at: Timestamp,
}

/// The latest of each kind of statement and bucket.
#[derive(Debug, Default)]
pub struct Traces {
    now: Timestamp,
    /// Of the last trace noted.
    last: u32,
    /// By number, in a ring.
    pending: Vec<(TraceRef, Trace)>,
    /// By kind and bucket; empty until there is a trace.
    latest: Vec<Option<Traced>>,
}

impl Traces {
    /// Packet time has reached `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Keeps the trace of a statement, if it tells of one, until it is answered.
    #[inline]
    pub fn note(&mut self, sql: &[u8]) -> Option<TraceRef> {
        trace(sql).map(|trace| self.keep(trace))
    }

    fn keep(&mut self, trace: Trace) -> TraceRef {
        self.last = self.last.wrapping_add(1);
        let reference = TraceRef(NonZeroU32::new(self.last).unwrap_or(NonZeroU32::MIN));
        let place = reference.0.get() as usize % MOST_PENDING;
        match self.pending.get_mut(place) {
            Some(oldest) => *oldest = (reference, trace),
            None => {
                self.pending.resize(place, (reference, trace));
                self.pending.push((reference, trace));
            }
        }
        reference
    }

    /// A statement was answered; `scale` has the buckets.
    #[inline]
    pub fn answered(&mut self, statement: StatementRef, reply: &Reply, scale: &Scale) {
        if let (Some(reference), true) = (statement.trace(), reply.command.runs_statement()) {
            self.record(reference, statement.kind(), reply.duration, scale.place(reply.duration));
        }
    }

    #[cold]
    fn record(&mut self, reference: TraceRef, kind: Statement, nanos: u64, placed: Placed) {
        let place = reference.0.get() as usize % MOST_PENDING;
        let Some((_, trace)) = self.pending.get(place).filter(|(kept, _)| *kept == reference) else { return };
        if self.latest.is_empty() {
            self.latest.resize(Statement::ALL.len() * BUCKETS, None);
        }
        if let Some(latest) = self.latest.get_mut(kind as usize * BUCKETS + placed.bucket()) {
            *latest = Some(Traced { kind, trace: *trace, nanos, at: self.now });
        }
    }

    /// The latest of each kind and bucket.
    pub fn latest(&self) -> Vec<Traced> {
        self.latest.iter().copied().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::command::Command;

    fn sql(span: u64) -> Vec<u8> {
        format!("select 1 /*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-{span:016x}-01'*/").into_bytes()
    }

    fn answer(traces: &mut Traces, trace: Option<TraceRef>, nanos: u64) {
        let statement = StatementRef::unseen(Statement::Select).with_trace(trace);
        let reply = Reply {
            command: Command::Query,
            statement: Some(statement),
            first_response: nanos,
            duration: nanos,
            rows_returned: 0,
            rows_affected: 0,
            error: None,
        };
        traces.answered(statement, &reply, &Scale::new(vec![100, 1000], vec![]));
    }

    fn spans(traces: &Traces) -> Vec<(u64, u64)> {
        traces.latest().iter().map(|traced| (traced.trace.span_id, traced.nanos)).collect()
    }

    #[test]
    fn the_latest_of_each_bucket_is_kept() {
        let mut traces = Traces::default();
        assert_eq!(traces.note(b"select 1"), None);
        for (span, nanos) in [(1, 50), (2, 500), (3, 5000), (4, 60)] {
            let noted = traces.note(&sql(span));
            answer(&mut traces, noted, nanos);
        }
        answer(&mut traces, None, 70);
        assert_eq!(spans(&traces), [(4, 60), (2, 500), (3, 5000)]);
    }

    #[test]
    fn a_trace_that_was_forgotten_is_not_taken_for_another() {
        let mut traces = Traces::default();
        let first = traces.note(&sql(1));
        for span in 2..=MOST_PENDING as u64 + 1 {
            traces.note(&sql(span));
        }
        answer(&mut traces, first, 50);
        assert_eq!(spans(&traces), []);
        assert_eq!(traces.pending.len(), MOST_PENDING);
    }
}
