//! What the decoder has counted of known traffic.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use dbwire_exporter::{
    config::{Counting, PortSet},
    packet::{Frame, Timestamp, filter::Plan, link::LinkType},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
    stats::Stats,
};

/// Of [`super::busy_host`].
pub fn busy_host() -> Stats {
    let plan = Plan::whole(PortSet::new(&[3306]).expect("a port"));
    let mut pipeline = Pipeline::new(Options {
        plan,
        max_flows: 1024,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    });
    for (at, bytes) in super::busy_host::frames() {
        let (timestamp, wire_length) = (Timestamp(at), bytes.len() as u32);
        pipeline.frame(LinkType::Ethernet, &Frame { timestamp, wire_length, bytes: &bytes });
    }
    pipeline.finished().0
}
