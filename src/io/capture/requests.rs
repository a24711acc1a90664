//! What the other threads ask of a capture thread.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::eventfd::EventFd;

/// Shared by a capture thread and those that ask it.
#[derive(Debug)]
pub(super) struct Requests {
    /// Readable when there is something new for the thread.
    pub(super) wake: EventFd,
    /// How many snapshots have been asked for.
    asked: AtomicU64,
    stop: AtomicBool,
}

impl Requests {
    /// # Errors
    /// If the system has no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { wake: EventFd::new()?, asked: AtomicU64::new(0), stop: AtomicBool::new(false) })
    }

    /// Asks for a snapshot: the request's number.
    pub(super) fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake.signal();
        number
    }

    /// The number of the latest request.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake.signal();
    }

    /// Whether it is to end.
    pub(super) fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}
