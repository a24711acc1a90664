//! The counters of everything seen in packets.

mod merge;

use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    askers::Row,
    digests::{DigestStats, Shown},
    latency::{Latency, Scale, Slow},
    traces::Traced,
};
use crate::{
    config::Counting,
    digest::Statement,
    limits::{self, Limit},
    mysql::{
        command::Command,
        event::{Event, Login, Reply, ServerError, Visibility},
        tls::Version,
    },
    packet::Undecoded,
};

/// What ended a connection: the values of the `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client said so (COM_QUIT) before the connection ended.
    Quit,
    /// Both sides closed it.
    Fin,
    /// One side reset it.
    Reset,
    /// It was given up: idle too long, or its ports were used again.
    Timeout,
}

impl Closed {
    /// Every reason, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 4] = [Self::Quit, Self::Fin, Self::Reset, Self::Timeout];

    /// Value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
        }
    }
}

/// What is counted for each kind of statement.
#[derive(Debug, Clone, Default)]
pub struct StatementStats {
    /// Statements sent.
    pub count: u64,
    /// Last byte of the request to the last byte of the response.
    pub duration: Latency,
    /// Last byte of the request to the first byte of the response.
    pub first_response: Latency,
    /// Of the former, those above each threshold.
    pub slow: Slow,
    /// Rows in result sets, fetched ones included.
    pub rows_returned: u64,
    /// Rows that OKs said were affected.
    pub rows_affected: u64,
}

/// Everything counted from packets. A scrape reads a copy of it.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Frames handed over by the capture.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Bytes of them that were captured.
    pub ring_bytes: u64,
    undecoded: [u64; Undecoded::ALL.len()],
    commands: [u64; Command::ALL.len()],
    statements: [StatementStats; Statement::ALL.len()],
    /// What durations are measured with.
    pub scale: Scale,
    logins: [u64; Login::ALL.len()],
    closed: [u64; Closed::ALL.len()],
    flows: [u64; Visibility::ALL.len()],
    errors: HashMap<ServerError, u64, FixedState>,
    /// Errors beyond [`limits::ERROR_CODES`] different ones.
    pub other_errors: u64,
    /// The digests that are shown.
    pub digests: Vec<Shown>,
    /// Statements that belong to traces: the latest of each kind and bucket.
    pub traced: Vec<Traced>,
    /// All other statements, those without a digest included.
    pub other_digests: DigestStats,
    /// Users, *unknown* and *other* first, where they are counted.
    pub users: Vec<Row>,
    /// Clients likewise.
    pub clients: Vec<Row>,
    tls_handshakes: [[u64; 2]; Version::ALL.len()],
    /// Connections whose opening was seen.
    pub opened: u64,
    /// Payload bytes to servers, retransmissions apart.
    pub request_bytes: u64,
    /// Payload bytes to clients, retransmissions apart.
    pub response_bytes: u64,
    /// Holes in streams.
    pub gaps: u64,
    /// Replies whose rows, late errors and status are not known, because their ends were not captured.
    pub cut_replies: u64,
    /// Times the decoder lost its place.
    pub desyncs: u64,
    /// Times it found it again.
    pub resyncs: u64,
    /// Refusals by limit, in the order of [`Limit::ALL`].
    pub limit_hits: [u64; Limit::ALL.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Self::new(&Counting::default())
    }
}

impl Stats {
    /// Nothing counted yet.
    pub fn new(counting: &Counting) -> Self {
        let nanos = |durations: &[Duration]| {
            durations.iter().map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).collect()
        };
        let scale = Scale::new(nanos(&counting.latency_buckets), nanos(&counting.slow_thresholds));
        Self {
            scale,
            packets: 0,
            bytes: 0,
            ring_bytes: 0,
            undecoded: [0; _],
            commands: [0; _],
            statements: std::array::from_fn(|_| StatementStats::default()),
            logins: [0; _],
            closed: [0; _],
            flows: [0; _],
            tls_handshakes: [[0; 2]; _],
            errors: HashMap::default(),
            other_errors: 0,
            digests: Vec::new(),
            traced: Vec::new(),
            other_digests: DigestStats::default(),
            users: Vec::new(),
            clients: Vec::new(),
            opened: 0,
            request_bytes: 0,
            response_bytes: 0,
            gaps: 0,
            cut_replies: 0,
            desyncs: 0,
            resyncs: 0,
            limit_hits: [0; _],
        }
    }

    /// Counts a frame that could not be decoded.
    pub fn undecoded(&mut self, layer: Undecoded) {
        self.undecoded[layer as usize] += 1;
    }

    /// Counts a connection's end.
    pub fn closed(&mut self, reason: Closed) {
        self.closed[reason as usize] += 1;
    }

    /// A connection became visible to this degree.
    pub fn flow_appears(&mut self, visibility: Visibility) {
        self.flows[visibility as usize] += 1;
    }

    /// It is so no more.
    pub fn flow_disappears(&mut self, visibility: Visibility) {
        let flows = &mut self.flows[visibility as usize];
        *flows = flows.saturating_sub(1);
    }

    /// Frames that could not be decoded, by layer.
    pub fn undecoded_by_layer(&self) -> impl Iterator<Item = (Undecoded, u64)> + '_ {
        Undecoded::ALL.into_iter().zip(self.undecoded)
    }

    /// Commands sent.
    pub fn commands(&self) -> impl Iterator<Item = (Command, u64)> + '_ {
        Command::ALL.iter().copied().zip(self.commands)
    }

    /// By kind of statement.
    pub fn statements(&self) -> impl Iterator<Item = (Statement, &StatementStats)> + '_ {
        Statement::ALL.iter().copied().zip(&self.statements)
    }

    /// Logins by result.
    pub fn logins(&self) -> impl Iterator<Item = (Login, u64)> + '_ {
        Login::ALL.into_iter().zip(self.logins)
    }

    /// Connections ended, by reason.
    pub fn connections_closed(&self) -> impl Iterator<Item = (Closed, u64)> + '_ {
        Closed::ALL.into_iter().zip(self.closed)
    }

    /// Connections tracked now, by visibility.
    pub fn flows(&self) -> impl Iterator<Item = (Visibility, u64)> + '_ {
        Visibility::ALL.into_iter().zip(self.flows)
    }

    /// TLS handshakes by version: those that failed, and those that did not.
    pub fn tls_handshakes(&self) -> impl Iterator<Item = (Version, [u64; 2])> + '_ {
        Version::ALL.into_iter().zip(self.tls_handshakes)
    }

    /// Errors by code and SQLSTATE, in ascending order; those in [`Self::other_errors`] apart.
    pub fn errors(&self) -> Vec<(ServerError, u64)> {
        let mut errors: Vec<_> = self.errors.iter().map(|(error, count)| (*error, *count)).collect();
        errors.sort_unstable();
        errors
    }

    fn error(&mut self, error: ServerError) {
        if let Some(count) = self.errors.get_mut(&error) {
            *count += 1;
        } else if self.errors.len() < limits::ERROR_CODES {
            self.errors.insert(error, 1);
        } else {
            self.other_errors += 1;
            self.limit_hits[Limit::ErrorCodes as usize] += 1;
        }
    }

    fn reply(&mut self, reply: &Reply) {
        if let Some(error) = reply.error {
            self.error(error);
        }
        let Some(statement) = reply.statement else { return };
        let stats = &mut self.statements[statement.kind() as usize];
        stats.rows_returned += reply.rows_returned;
        stats.rows_affected = stats.rows_affected.saturating_add(reply.rows_affected);
        if reply.command.runs_statement() {
            let duration = self.scale.place(reply.duration);
            // Most responses come in one piece.
            let first_response = match reply.first_response {
                same if same == reply.duration => duration,
                other => self.scale.place(other),
            };
            stats.duration.observe(duration);
            stats.first_response.observe(first_response);
            stats.slow.observe(reply.duration, &self.scale);
        }
    }

    /// Counts something that happened.
    #[inline(always)]
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Command(command) => self.commands[*command as usize] += 1,
            Event::Statement(statement) => self.statements[statement.kind() as usize].count += 1,
            Event::Reply(reply) => self.reply(reply),
            Event::Error(error) => self.error(*error),
            Event::Login(login) => self.logins[*login as usize] += 1,
            Event::TlsHandshake { version, complete } => {
                self.tls_handshakes[*version as usize][usize::from(*complete)] += 1;
            }
            Event::CutReply => self.cut_replies += 1,
            Event::Desync => self.desyncs += 1,
            Event::Resync => self.resyncs += 1,
        }
    }
}
