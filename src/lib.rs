//! A Prometheus exporter for hosts that run, or talk to, MySQL and MariaDB.
//!
//! Two sources feed one page. Sockets: every TCP socket's state, from a netlink `inet_diag` dump made at
//! scrape time. Queries: MySQL commands, statements, errors and latencies, decoded from packets by a
//! background libpcap thread. The modules read in the order the data flows:
//!
//! ```text
//!  packets ─ io::capture ─▶ packet ─▶ stream ─▶ mysql ─▶ stats ─┐
//!              ▲ BPF       link/ip/tcp in-order  events  counters ├─▶ metrics ─▶ web ─▶ GET /metrics
//!  sample ─────┘ class      Segment    Data|Gap                   │  families   negotiate
//!    └───────── multiplier ───────────────────────▶ scaled        │
//!                                                                 │
//!  kernel ─ io::netlink ─▶ sockets (parse, cache, cool down) ─────┤
//!           io::procfs ──▶                                        └─▶ status  ─▶ web ─▶ GET /, /api/v1/status
//! ```
//!
//! # Rules
//!
//! * **Sans-io.** Only [`io`], `main.rs` and tests touch sockets, files, threads or clocks; every other
//!   module takes bytes and `now` as values. `clippy.toml` and `tests/architecture.rs` enforce it.
//! * **Untrusted bytes.** `packet`, `stream`, `mysql`, `digest` and `sockets` never panic, never index
//!   unchecked, never allocate what a length field asks for, and hold bounded state: each limit is a named
//!   [`limits::Limit`] with a counter of what was refused.
//! * **Unsure is not counted as sure.** A gap, a start in mid-stream, an unknown protocol is its own visible
//!   series. Loss and truncation may lower counts, never raise them.
//! * **The hot path** does not allocate, lock or read a clock per packet; time comes from packet timestamps.
//! * **`unsafe`** only in [`io`], each with its SAFETY line.

#![deny(unsafe_code)]

#[cfg(feature = "capture")]
pub mod digest;
#[cfg(feature = "capture")]
pub mod limits;
#[cfg(feature = "capture")]
pub mod mysql;
#[cfg(feature = "capture")]
pub mod packet;
#[cfg(feature = "capture")]
pub mod pipeline;
#[cfg(feature = "capture")]
pub mod report;
#[cfg(feature = "capture")]
pub mod sample;
#[cfg(feature = "capture")]
pub mod slots;
#[cfg(feature = "capture")]
pub mod stats;
#[cfg(feature = "capture")]
pub mod stream;

pub mod check;
pub mod cli;
pub mod config;
pub mod io;
pub mod metrics;
pub mod sockets;
pub mod status;
pub mod web;
