//! dbwire_exporter.
fn main() {}
