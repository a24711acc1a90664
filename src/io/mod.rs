//! The only place that touches sockets, files, threads and clocks.
//!
//! Everything here is glue: it owns a descriptor or a thread and hands bytes and `now` to the pure modules.

#![allow(unsafe_code, reason = "system calls libpcap, neli and std do not wrap; each with its SAFETY line")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where I/O is done")]

pub mod clock;
pub mod collect;
pub mod listen;
pub mod log;
pub mod netlink;
pub mod process;
pub mod procfs;
pub mod server;
pub mod signals;
pub mod sockets;
