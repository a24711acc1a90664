//! A page is made in the memory of the one before it.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, reason = "what is shared by tests writes files")]

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/busy_host.rs"]
mod busy_host;
#[path = "support/counted.rs"]
mod counted;
#[path = "support/dialogue.rs"]
#[allow(dead_code, unreachable_pub)]
mod dialogue;

use allocator::Since;
use dbwire_exporter::metrics::{format::Format, mysql::families};

#[test]
fn pages_of_the_same_series_allocate_alike_few_times_and_keep_nothing() {
    let stats = counted::busy_host();
    for format in Format::ALL {
        let mut page = Vec::new();
        let mut scrape = || {
            page.clear();
            format.encode(families(&stats), None, &mut page).unwrap();
            page.iter().filter(|byte| **byte == b'\n').count()
        };
        // The first has nothing to be made in, and what it leaves is not yet of the right size.
        scrape();
        let lines = scrape();
        let counts: Vec<_> = (0..5)
            .map(|_| {
                let since = Since::now();
                scrape();
                (since.calls(), since.bytes())
            })
            .collect();
        assert!(counts.iter().all(|count| *count == (counts[0].0, 0)), "{format:?}: {counts:?}");
        assert!(format == Format::Protobuf || lines > 900, "{format:?}: {lines} lines");
        println!("{format:?}: {} allocations", counts[0].0);
        // A label alone would be two.
        assert!(counts[0].0 < 900, "{format:?}: {} allocations for more than 900 series", counts[0].0);
    }
}
