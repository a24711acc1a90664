//! Reads packets as they pass: the ring of a packet socket, the threads that decode what is in it, and the measurement by which
//! a sample stands for all connections.
//!
//! ```text
//!  live ─▶ source ─▶ thread ─▶ threads        one ring; opened again where it fails; decoded; all of them as one
//!   ▲ filter  ▲ fanout   ▲ requests           what the kernel lets through, and to whom; what others ask
//!   └─────────┴── measure ◀── census          what to capture, and what that stands for
//! ```

pub mod census;
mod eventfd;
pub mod fanout;
mod filter;
pub mod interface;
pub mod live;
mod looks;
pub mod measure;
mod requests;
pub mod schedule;
mod source;
mod thread;
pub mod threads;
