//! The capture that a thread reads: opened, followed where its interface goes, and opened again where it failed.

use std::time::{Duration, Instant};

use super::live::{Drops, Live, NoSuchInterface, OpenError, Settings};
use crate::{io::clock, packet::filter::Plan, stats::capture::CaptureStats};

/// The first and the longest wait before a capture that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The capture, open or not, and its state over all the times it was opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) settings: Settings,
    pub(super) live: Option<Live>,
    /// When to try again, and how long to wait if that fails.
    retry: Option<(Instant, Duration)>,
    pub(super) state: CaptureStats,
    /// As the open handle last told them.
    drops: Drops,
}

impl Source {
    /// Opens it.
    pub(super) fn new(settings: Settings) -> Self {
        let state = CaptureStats { interface: settings.interface.clone(), ..CaptureStats::default() };
        let mut source = Self { settings, live: None, retry: None, state, drops: Drops::default() };
        source.open(RETRY.0);
        source
    }

    fn open(&mut self, wait_if_it_fails: Duration) {
        match Live::open(&self.settings) {
            Ok(mut live) => {
                self.drops = live.drops().unwrap_or_default();
                self.retry = None;
                self.live = Some(live);
            }
            Err(error) => {
                let lasting = matches!(error, OpenError::Permission { .. });
                self.retry = (!lasting).then(|| (Instant::now() + wait_if_it_fails, wait_if_it_fails));
                self.lost(error.to_string());
            }
        }
    }

    /// The interface may have come or gone.
    pub(super) fn follow(&mut self) {
        match self.live.as_mut().map(Live::follow) {
            Some(Ok(())) if !self.state.up => {
                tracing::info!(interface = self.settings.interface, "capturing");
                self.state.up = true;
                self.state.link = self.live.as_ref().map(Live::link);
                self.state.error = None;
            }
            Some(Err(error @ NoSuchInterface { .. })) if self.state.up || self.state.error.is_none() => {
                self.down(error.to_string());
            }
            _ => {}
        }
    }

    /// What to capture, now and whenever the capture is opened again.
    pub(super) fn set_plan(&mut self, plan: Plan) {
        if let Some(Err(error)) = self.live.as_mut().map(|live| live.set_plan(&plan)) {
            tracing::error!(interface = self.settings.interface, "cannot change the filter: {error}");
            return;
        }
        self.settings.plan = plan;
    }

    /// Says once what is wrong, not at each attempt.
    fn down(&mut self, error: String) {
        self.state.up = false;
        if self.state.error.as_ref() != Some(&error) {
            tracing::warn!(interface = self.settings.interface, "no packets are captured: {error}");
            self.state.error = Some(error);
        }
    }

    /// It is of no more use: it is opened again by and by.
    pub(super) fn fail(&mut self, error: &pcap::Error) {
        self.retry = Some((Instant::now() + RETRY.0, RETRY.0));
        self.lost(format!("{}: {error}", self.settings.interface));
    }

    fn lost(&mut self, error: String) {
        self.live = None;
        self.down(error);
    }

    /// Opens it again if it is time to.
    pub(super) fn retry_if_due(&mut self) {
        if let Some((at, wait)) = self.retry
            && at <= Instant::now()
        {
            self.open((wait * 2).min(RETRY.1));
            self.follow();
        }
    }

    /// Brings `state` up to date. Called on the capture thread: it measures that thread.
    pub(super) fn refreshed(&mut self) -> &CaptureStats {
        self.state.cpu = clock::thread_cpu_time();
        if let Some(Ok(now)) = self.live.as_mut().map(Live::drops) {
            let lost = now.since(std::mem::replace(&mut self.drops, now));
            self.state.dropped_by_kernel += u64::from(lost.kernel);
            self.state.dropped_by_interface += lost.interface;
        }
        &self.state
    }
}
