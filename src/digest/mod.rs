//! SQL bytes → statement kind, normalised text and digest id.
//!
//! The bytes come from the network and hold other people's data: nothing here panics, allocates more than a
//! stated bound, or lets a literal through.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod kind;

pub use kind::{Statement, statement_kind};
