//! The README's Prometheus job for HTTPS and a password, as it is written there.

#![allow(clippy::disallowed_methods, reason = "a test reads files")]

mod support;

use std::{fs, path::Path, time::Duration};

use support::{certificates::Authority, exporter::Exporter, prometheus::Prometheus, skip, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// The block of YAML in the README that speaks of `word`.
fn readme_block(word: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(word)).expect("such a block").to_owned()
}

#[test]
fn the_job_of_the_readme_scrapes_over_https_with_a_password() {
    let test = "the_job_of_the_readme_scrapes_over_https_with_a_password";
    if !skip::programs(test, &[Prometheus::PROGRAMS, &["openssl"]].concat()) {
        return;
    }
    let authority = Authority::new();
    // The README's host is this one.
    authority.sign("server", "DNS:localhost,IP:127.0.0.1");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/web-config/basic-auth.yml");
    let config = authority.write("web.yml", &fs::read_to_string(example).unwrap());
    let exporter = Exporter::start(&["--web.config.file", config.to_str().unwrap()]);
    let job = readme_block("basic_auth").replace("db1:9098", exporter.address());
    let ca = fs::read_to_string(authority.path("ca.crt")).unwrap();
    let prometheus = Prometheus::with_jobs(&job, &[("ca.crt", &ca)], &["native-histograms"]);
    for (query, expected) in
        [("up", 1.0), ("dbwire_build_info", 1.0), ("dbwire_web_config_last_reload_successful", 1.0)]
    {
        wait::until(LIMIT, query, || prometheus.value(query).filter(|value| *value == expected));
    }
    let wrong = job.replace("change-me", "changed");
    let prometheus = Prometheus::with_jobs(&wrong, &[("ca.crt", &ca)], &["native-histograms"]);
    wait::until(LIMIT, "a scrape that is refused", || prometheus.value("up").filter(|up| *up == 0.0));
}
