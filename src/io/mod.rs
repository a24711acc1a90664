//! The only place that touches sockets, files, threads and clocks.
//!
//! Everything here is glue: it owns a descriptor or a thread and hands bytes and `now` to the pure modules.

#![allow(unsafe_code, reason = "system calls libpcap, neli and std do not wrap; each with its SAFETY line")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where I/O is done")]

#[cfg(feature = "capture")]
pub mod capture;
pub mod check;
pub mod clock;
pub mod collect;
pub mod core_dumps;
pub mod log;
#[cfg(feature = "capture")]
pub mod mysql;
pub mod netlink;
pub mod notify;
pub mod process;
pub mod procfs;
#[cfg(feature = "capture")]
pub mod replay;
pub mod sandbox;
pub mod server;
pub mod signals;
pub mod sockets;
pub mod supervisor;
pub mod watchdog;
