//! What is known of the capture itself, and the copy of everything that a scrape reads.

use std::time::Duration;

use super::Stats;
use crate::packet::link::LinkType;

/// The state of a live capture and what it lost. Packets and bytes are counted where they are decoded, in [`Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// The interface's name, or `any`.
    pub interface: String,
    /// Whether packets can be captured now.
    pub up: bool,
    /// Of the packets; `None` until the capture was up for the first time.
    pub link: Option<LinkType>,
    /// Packets the kernel dropped because the ring was full, since the start.
    pub dropped_by_kernel: u64,
    /// Packets the interface dropped, since the start; always 0 for `any`.
    pub dropped_by_interface: u64,
    /// CPU time of the capture thread, user and system.
    pub cpu: Duration,
    /// Why the capture is not up: what failed, on what, what to do.
    pub error: Option<String>,
}

/// Everything counted from packets, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// From the packets' contents.
    pub stats: Stats,
    /// Of the capture.
    pub capture: CaptureStats,
}

impl CaptureStats {
    /// Adds another part of the same capture: it is up if both are.
    pub fn add(&mut self, other: &Self) {
        self.up &= other.up;
        self.link = self.link.and(other.link);
        self.dropped_by_kernel += other.dropped_by_kernel;
        // Each of them reads the interface's own counter.
        self.dropped_by_interface = self.dropped_by_interface.max(other.dropped_by_interface);
        self.cpu += other.cpu;
        if self.error.is_none() {
            self.error.clone_from(&other.error);
        }
    }
}

impl Snapshot {
    /// Adds what another thread of the same capture has counted.
    pub fn add(&mut self, other: &Self) {
        self.stats.add(&other.stats);
        self.capture.add(&other.capture);
    }
}
