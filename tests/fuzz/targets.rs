//! What is fuzzed: one function for each stage that reads untrusted bytes, each with what must hold whatever the bytes.
//!
//! `tests/fuzz_corpus.rs` runs them over the committed corpora on every toolchain; `make fuzz` under libFuzzer.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

#[path = "../support/bpf.rs"]
mod bpf;
#[path = "targets/compression.rs"]
mod compression;
#[path = "targets/conversation.rs"]
mod conversation;
#[path = "targets/digest.rs"]
mod digest;
#[path = "targets/headers.rs"]
mod headers;
#[path = "targets/input.rs"]
mod input;
#[path = "targets/proxy.rs"]
mod proxy;
#[path = "targets/sockets.rs"]
mod sockets;
#[path = "targets/stream.rs"]
mod stream;
#[path = "targets/web.rs"]
mod web;

pub use compression::compression;
pub use conversation::{pipeline, session, tls};
pub use digest::digest;
pub use headers::{filter, segment};
pub use proxy::proxy_protocol;
pub use sockets::{inet_diag, proc_net};
pub use stream::stream;
pub use web::{accept, web_config};
