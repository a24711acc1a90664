//! What this binary was built from.

use prometheus::proto::MetricFamily;

use super::{family::Family, names};

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from (12 hex digits), or `unknown` outside a repository.
pub const REVISION: &str = env!("DBWIRE_BUILD_REVISION");
/// Version of the compiler.
pub const RUSTC: &str = env!("DBWIRE_BUILD_RUSTC");
/// Cargo features, comma-separated.
pub const FEATURES: &str = if cfg!(feature = "capture") { "capture" } else { "" };

/// What `--version` prints after the name.
pub const VERSION_LINE: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("DBWIRE_BUILD_REVISION"),
    ", rustc ",
    env!("DBWIRE_BUILD_RUSTC"),
    ")"
);

/// `dbwire_build_info`.
pub fn family() -> MetricFamily {
    Family::new(&names::BUILD_INFO).sample(&[VERSION, REVISION, RUSTC, FEATURES], 1.0).build()
}
