//! `packet → stream → mysql → stats` joined: one value, used alike by live capture, replay, tests and benches.
//!
//! Call order: [`Pipeline::frame`] for each frame, [`Pipeline::tick`] now and then (at least once a second while
//! capturing), [`Pipeline::finish`] once at the end of a file. [`Pipeline::stats`] may be read at any time.

#![forbid(unsafe_code)]

use crate::{
    config::PortSet,
    packet::{Frame, Timestamp, link::LinkType},
    sample::class::SampleClass,
    stats::Stats,
};

/// What a pipeline needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Ports the servers listen on.
    pub ports: PortSet,
    /// Connections to decode; segments of others are ignored.
    pub class: SampleClass,
    /// Most connections tracked at once.
    pub max_flows: usize,
    /// What each event adds to the estimated counters.
    pub multiplier: f64,
}

/// Decodes frames into [`Stats`].
#[derive(Debug)]
pub struct Pipeline {
    stats: Stats,
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(_options: Options) -> Self {
        Self { stats: Stats::default() }
    }

    /// Decodes one frame.
    pub fn frame(&mut self, _link: LinkType, _frame: &Frame<'_>) {}

    /// Tells that packet time has reached `now`: idle connections expire, holes that nothing will fill any more
    /// become gaps.
    pub fn tick(&mut self, _now: Timestamp) {}

    /// The input has ended: everything still held back is delivered.
    pub fn finish(&mut self) {}

    /// What has been counted so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
