//! What the decoder has counted of known traffic.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use dbwire_exporter::{
    config::{Counting, PortSet},
    metrics::mysql::Sampling,
    packet::{Frame, Timestamp, filter::Plan, link::LinkType},
    pipeline::{Options, Pipeline},
    sample::{class::SampleClass, multiplier::Multiplier},
    stats::Stats,
};

/// Of [`super::busy_host`].
pub fn busy_host() -> (Stats, Sampling) {
    let plan = Plan::whole(PortSet::new(&[3306]).expect("a port"));
    let mut pipeline =
        Pipeline::new(Options { plan, max_flows: 1024, seed: 1, counting: Counting::default() });
    for (at, bytes) in super::busy_host::frames() {
        let (timestamp, wire_length) = (Timestamp(at), bytes.len() as u32);
        pipeline.frame(LinkType::Ethernet, &Frame { timestamp, wire_length, bytes: &bytes });
    }
    let class = SampleClass::new(0, 1, 0).expect("a class");
    (pipeline.finished().0, Sampling { class, multiplier: Multiplier::Auto })
}
