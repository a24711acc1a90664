//! A connection's bytes, in order → [`event::Event`]s.
//!
//! [`session`] is the state machine of one connection: it frames the bytes, through TLS or compression where there is
//! one, and `dialogue` follows what is said. It is fed by direction and holds bounded state; the other
//! modules are the protocol's parts, each a pure function or a small machine of its own:
//! [`packet`] frames messages, [`handshake`] reads greeting and login, [`command`] requests, [`response`] replies,
//! [`compress`] takes packets out of compressed blocks, [`tls`] tells what can be told of a connection inside TLS.
//!
//! What was lost is never guessed: a gap drops the commands that wait for a reply, and decoding goes on at the next
//! bytes that can only be a request.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod asked;
pub mod bytes;
pub mod capabilities;
pub mod command;
pub mod compress;
mod dialogue;
mod doubt;
pub mod event;
pub mod handshake;
mod opening;
pub mod packet;
pub mod pending;
pub mod prepared;
pub mod proxy;
pub mod response;
pub mod resync;
pub mod schema;
pub mod session;
mod statement;
pub mod tls;

#[cfg(test)]
mod tests;
