//! `--mysql.digest-histograms`: every duration is in the histogram of one digest, or in that of `other`.
#![cfg(feature = "capture")]

mod support;

use std::collections::BTreeMap;

use support::{exporter::run, exposition::Exposition};

const HISTOGRAM: &str = "dbwire_mysql_digest_duration_seconds";
const FILE: &str = "tests/data/corpus/sysbench_text_small.pcap";

fn page(options: &[&str]) -> Exposition {
    let output = run(&[&["replay", FILE], options].concat());
    assert!(output.status.success(), "{output:?}");
    Exposition::parse(&String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn durations_by_digest_are_those_of_the_digests_and_of_all_kinds_together() {
    for most in ["100", "3"] {
        let page = page(&["--mysql.digest-histograms", "--mysql.max-digests", most]);
        let suffixed = |suffix: &str| format!("{HISTOGRAM}_{suffix}");
        let [counts, sums] = ["count", "sum"].map(|suffix| page.by(&suffixed(suffix), "digest"));
        assert!(counts.len() > 3 && counts.contains_key("other") == (most == "3"), "{counts:?}");
        let seconds = page.by("dbwire_mysql_digest_seconds_total", "digest");
        let other = |pair: &(&String, &f64)| *pair.1 > 0.0;
        let seconds: BTreeMap<_, _> = seconds.iter().filter(other).collect();
        assert_eq!(seconds, sums.iter().collect());
        let kinds = page.value("dbwire_mysql_query_duration_seconds_count", &[]);
        assert_eq!(Some(counts.values().sum::<f64>()), kinds);
        for (digest, count) in counts {
            let everything = [("digest", &*digest), ("le", "+Inf")];
            assert_eq!(page.value(&suffixed("bucket"), &everything), Some(count), "{digest}");
        }
    }
}

#[test]
fn there_are_none_unless_they_are_asked_for() {
    assert_eq!(page(&[]).samples.iter().filter(|sample| sample.name.starts_with(HISTOGRAM)).count(), 0);
}
