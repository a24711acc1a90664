//! The only place that touches sockets, files, threads and clocks.
//!
//! Everything here is glue: it owns a descriptor or a thread and hands bytes and `now` to the pure modules.

#![allow(unsafe_code, reason = "system calls libpcap, neli and std do not wrap; each with its SAFETY line")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where I/O is done")]

#[cfg(feature = "capture")]
mod capture;
#[cfg(feature = "capture")]
pub mod captures;
#[cfg(feature = "capture")]
pub mod census;
pub mod check;
pub mod clock;
pub mod collect;
pub mod core_dumps;
#[cfg(feature = "capture")]
mod eventfd;
#[cfg(feature = "capture")]
pub mod fanout;
#[cfg(feature = "capture")]
mod filter;
pub mod listen;
pub mod log;
#[cfg(feature = "capture")]
pub mod measure;
#[cfg(feature = "capture")]
pub mod mysql;
pub mod netlink;
pub mod notify;
#[cfg(feature = "capture")]
pub mod pcap;
pub mod process;
pub mod procfs;
#[cfg(feature = "capture")]
pub mod replay;
#[cfg(feature = "capture")]
mod requests;
pub mod sandbox;
#[cfg(feature = "capture")]
pub mod schedule;
pub mod server;
pub mod signals;
mod socket_reader;
pub mod sockets;
pub mod supervisor;
pub mod watchdog;
