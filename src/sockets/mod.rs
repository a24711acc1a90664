//! Bytes of a netlink dump or of `/proc/net/tcp{,6}` → counts of sockets by state; and when to read again.
//!
//! [`inet_diag`] and [`proc_net`] turn bytes into [`row::Row`]s, [`state::StateCounts`] counts them. [`cache`],
//! [`cooldown`] and [`backoff`] decide, from `now` and from what the last read cost, whether to read at all, and
//! from where. [`report`] is what all of it comes to: one value for one page. The threads, descriptors and
//! clocks are in [`crate::io::sockets`].
//!
//! Bytes come from the kernel, or from whatever is mounted under `--path.procfs`: nothing here panics, indexes
//! unchecked, allocates per socket, or takes a damaged reply for a count.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod backoff;
pub mod cache;
pub mod census;
pub mod cooldown;
pub mod counters;
pub mod inet_diag;
pub mod listeners;
pub mod pairs;
pub mod plan;
pub mod port_filter;
pub mod ports;
pub mod proc_net;
pub mod report;
pub mod row;
pub mod source;
pub mod state;
pub mod tcp_info;
