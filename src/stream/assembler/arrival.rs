//! What a segment brings.

use crate::{packet::Timestamp, stream::Missing};

/// What a segment brings, apart from its place.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) acknowledges: Option<u32>,
    pub(super) at: Timestamp,
    pub(super) bytes: &'a [u8],
    /// Bytes behind those that are not here, and why.
    pub(super) cut: u32,
    pub(super) why: Missing,
}

impl<'a> Arrival<'a> {
    /// What it brings before the byte at `index`, and from there on.
    pub(super) fn split_at(self, index: usize) -> (Self, Self) {
        let (head, tail) = self.bytes.split_at_checked(index).unwrap_or((self.bytes, &[]));
        (Self { bytes: head, cut: 0, ..self }, Self { bytes: tail, ..self })
    }

    /// Its length alone.
    pub(super) fn without_bytes(self) -> Self {
        Self { bytes: &[], cut: self.bytes.len() as u32, why: Missing::Needless, ..self }
    }
}
