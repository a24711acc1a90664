//! SQL bytes → statement kind, normalised text and digest id.
//!
//! The bytes come from the network and hold other people's data: nothing here panics, allocates more than a
//! stated bound, or lets a literal through. [`statement_kind`] needs the first keyword only; a [`Normalizer`]
//! reads the whole statement; a [`DigestCache`] need not where it has met the shape before. Where the bytes leave
//! in doubt what is a literal there is no text and no id.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod cache;
mod classes;
mod id;
mod kind;
mod lexer;
mod normalize;
mod repeats;
mod text;
mod trace;
mod used;

pub use cache::DigestCache;
pub use id::DigestId;
pub use kind::{Statement, statement_kind};
pub use lexer::Escapes;
pub use normalize::{Digest, MAX_STATEMENT, Normalizer, Shape};
pub use trace::{Trace, trace};
pub use used::{SchemaUse, may_be_several, schema_use};
