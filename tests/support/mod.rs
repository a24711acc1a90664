//! What black-box tests share: servers and tools as values that clean up after themselves.
//!
//! Each test binary uses a part of this; the rest would be dead code there, and nothing is reachable from outside it.

#![allow(dead_code, unreachable_pub)]
// Tests start programs and read files and clocks; the library does not.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod busy_host;
pub mod certificates;
pub mod children;
pub mod clients;
pub mod corpus;
pub mod counters;
pub mod curl;
pub mod dialogue;
pub mod exporter;
pub mod exposition;
pub mod inject;
#[cfg(feature = "capture")]
pub mod many;
pub mod mariadb;
pub mod namespace;
pub mod netns;
pub mod page_server;
pub mod prometheus;
pub mod skip;
pub mod tcpdump;
pub mod tshark;
pub mod wait;
pub mod watcher;
