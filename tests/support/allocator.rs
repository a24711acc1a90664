//! An allocator that keeps account, of each thread for itself: tests run side by side.
//!
//! `#[path]` it into a test program and every allocation there goes through it.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(more: usize, less: usize) {
    let bytes = BYTES.get() + more as isize - less as isize;
    BYTES.set(bytes);
    PEAK.set(PEAK.get().max(bytes));
    CALLS.set(CALLS.get() + usize::from(more > 0));
}

// SAFETY: every call goes to `System` as it came; the account is in cells without destructors, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// What this thread has allocated since a moment.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    bytes: isize,
    calls: usize,
}

impl Since {
    /// From now on.
    pub fn now() -> Self {
        PEAK.set(BYTES.get());
        Self { bytes: BYTES.get(), calls: CALLS.get() }
    }

    /// Bytes held now beyond those held then.
    pub fn bytes(&self) -> usize {
        usize::try_from(BYTES.get() - self.bytes).unwrap_or(0)
    }

    /// The most there were at any time since (since the latest call of [`Self::now`], if there was another).
    pub fn peak(&self) -> usize {
        usize::try_from(PEAK.get() - self.bytes).unwrap_or(0)
    }

    /// Allocations and reallocations.
    pub fn calls(&self) -> usize {
        CALLS.get() - self.calls
    }
}
