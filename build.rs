//! Fails early, and in words, where the MySQL half is wanted and libpcap is not installed:
//! the linker's own message ("cannot find -lpcap") names no package.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    let capture = env::var_os("CARGO_FEATURE_CAPTURE").is_some();
    // LIBPCAP_LIBDIR is the `pcap` crate's own override for a libpcap outside the usual places.
    if !capture || env::var_os("LIBPCAP_LIBDIR").is_some() {
        return;
    }
    if pkg_config::Config::new().cargo_metadata(false).probe("libpcap").is_err() {
        println!(
            "cargo::error=libpcap was not found. Install its development package \
             (Debian, Ubuntu: apt-get install libpcap-dev pkg-config; Fedora, RHEL: dnf install libpcap-devel; \
             Alpine: apk add libpcap-dev), set LIBPCAP_LIBDIR, or build the sockets-only binary with \
             --no-default-features."
        );
    }
}
