//! How many series a host has by default, at most.
#![cfg(feature = "capture")]

mod support;

use support::{
    busy_host,
    dialogue::write_pcap,
    exporter::{Exporter, run},
    exposition::Exposition,
};

/// What `--mysql.multiplier=measured` adds, which no file has: connections, ports, censuses, the ratio, effective size,
/// standard errors, what is not estimated.
const MEASURED: usize = 2 + 2 + 2 + 1 + 1 + 3 + 1;

fn count(page: &Exposition) -> usize {
    page.samples.len()
}

#[test]
fn a_host_that_shows_all_it_can_has_a_thousand_series() {
    let frames = busy_host::frames();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.pcap");
    write_pcap(&path, &frames);
    let output = run(&["replay", path.to_str().unwrap()]);
    let decoder = count(&Exposition::parse(&String::from_utf8(output.stdout).unwrap()));
    let page = Exporter::start(&["--no-collector.mysql"]).page();
    // Two for each port that something listens on, which are this host's affair.
    let listeners = page.of("dbwire_tcp_listen_queue_length").chain(page.of("dbwire_tcp_listen_queue_limit"));
    let others = count(&page) - listeners.count();
    let decoder = decoder + MEASURED;
    println!("decoder {decoder}, others {others}");
    assert!(decoder <= 919, "{decoder} series of the decoder");
    assert!(others <= 79, "{others} series of the others");
    let one_listener = 2;
    assert!(decoder + others + one_listener <= 1000, "more than a host is to have");
}
