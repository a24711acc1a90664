//! The counters of everything seen in packets.

mod merge;

use std::time::Duration;

use super::{
    askers::Row,
    digests::{DigestStats, Shown},
    durations::Coarse,
    latency::Scale,
    tally::Tally,
    traces::Traced,
};
use crate::{
    config::Counting,
    limits::{self, Limit},
    mysql::event::{ServerError, Visibility},
    packet::Undecoded,
    sample::state::Sampling,
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

/// Everything counted from packets, for a page.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Frames handed over by the capture.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Bytes of them that were captured.
    pub ring_bytes: u64,
    undecoded: [u64; Undecoded::ALL.len()],
    /// What was seen.
    pub observed: Tally,
    /// What that stands for.
    pub estimated: Tally<f64>,
    /// How what was seen became an estimate.
    pub sampling: Sampling,
    /// What durations are measured with.
    pub scale: Scale,
    closed: [u64; Closed::ALL.len()],
    /// Of those, the ones for which [`Self::finished_unseen`] chose the reason.
    unseen_ends: [u64; Closed::ALL.len()],
    /// What it still owes to quits, of one end.
    quits_owed: f64,
    flows: [u64; Visibility::ALL.len()],
    /// The code of each slot of [`Tally`]'s errors; at most [`limits::ERROR_CODES`].
    error_codes: Vec<ServerError>,
    /// The digests that are shown.
    pub digests: Vec<Shown>,
    /// Statements that belong to traces: the latest of each kind and bucket.
    pub traced: Vec<Traced>,
    /// All other statements, those without a digest included.
    pub other_digests: DigestStats<f64>,
    /// How long those took.
    pub other_durations: Coarse<f64>,
    /// Whether durations are to be exported by digest.
    pub digest_histograms: bool,
    /// Users, *unknown* and *other* first, where they are counted.
    pub users: Vec<Row>,
    /// Clients likewise.
    pub clients: Vec<Row>,
    /// Connections whose opening was seen.
    pub opened: u64,
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
            sampling: Sampling::default(),
            observed: Tally::default(),
            estimated: Tally::default(),
            closed: [0; _],
            unseen_ends: [0; _],
            quits_owed: 0.0,
            flows: [0; _],
            error_codes: Vec::new(),
            digests: Vec::new(),
            traced: Vec::new(),
            other_digests: DigestStats::default(),
            other_durations: Coarse::default(),
            digest_histograms: counting.digest_histograms,
            users: Vec::new(),
            clients: Vec::new(),
            opened: 0,
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

    /// A connection whose payload was not captured finished. Whether its client said that it leaves is not known: as
    /// many are taken to have as of the others.
    pub fn finished_unseen(&mut self) {
        let [quit, finished] = [Closed::Quit, Closed::Fin]
            .map(|reason| (self.closed[reason as usize] - self.unseen_ends[reason as usize]) as f64);
        let share = if quit > 0.0 { quit / (quit + finished) } else { 0.0 };
        self.quits_owed += share;
        let quits = self.quits_owed >= 0.5;
        self.quits_owed -= f64::from(u8::from(quits));
        let reason = if quits { Closed::Quit } else { Closed::Fin };
        self.unseen_ends[reason as usize] += 1;
        self.closed(reason);
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

    /// Connections ended, by reason.
    pub fn connections_closed(&self) -> impl Iterator<Item = (Closed, u64)> + '_ {
        Closed::ALL.into_iter().zip(self.closed)
    }

    /// Connections tracked now, by visibility.
    pub fn flows(&self) -> impl Iterator<Item = (Visibility, u64)> + '_ {
        Visibility::ALL.into_iter().zip(self.flows)
    }

    /// Errors of `tally` by code and SQLSTATE, in ascending order; [`Tally::other_errors`] apart.
    pub fn errors<N: Copy>(&self, tally: &Tally<N>) -> Vec<(ServerError, N)> {
        let mut errors: Vec<_> = self.error_codes.iter().copied().zip(tally.errors).collect();
        errors.sort_unstable_by_key(|(error, _)| *error);
        errors
    }

    /// The slot of an error that was seen.
    pub(super) fn error_slot(&mut self, error: ServerError) -> usize {
        let slot = self.slot_of(error);
        self.limit_hits[Limit::ErrorCodes as usize] += u64::from(slot == limits::ERROR_CODES);
        slot
    }

    /// The first codes that come have a slot of their own, all others share the last one.
    fn slot_of(&mut self, error: ServerError) -> usize {
        if let Some(slot) = self.error_codes.iter().position(|known| *known == error) {
            return slot;
        }
        if self.error_codes.len() < limits::ERROR_CODES {
            self.error_codes.push(error);
            return self.error_codes.len() - 1;
        }
        limits::ERROR_CODES
    }
}
