//! Several threads over one capture count what one counts.

#![cfg(feature = "capture")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::{exporter::run, exposition::Exposition, many};

fn captures() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/data/corpus").expect("the corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    assert!(files.len() > 10, "the corpus is there");
    files
}

fn page(threads: &str, files: &[&Path], report: &[&str]) -> String {
    let files = files.iter().map(|path| path.to_str().expect("a name in UTF-8"));
    let arguments: Vec<_> = ["replay", "--mysql.threads", threads].into_iter().chain(files).collect();
    let output = run(&[&arguments[..], report].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_page_of_each_capture_is_the_same_with_two_threads_and_three() {
    for file in captures() {
        let one = page("1", &[&file], &[]);
        for threads in ["2", "3"] {
            assert_eq!(page(threads, &[&file], &[]), one, "{threads} threads, {}", file.display());
        }
    }
}

#[test]
fn so_is_the_report() {
    for file in captures() {
        let report = |threads| page(threads, &[&file], &["--report=json"]);
        assert_eq!(report("4"), report("1"), "{}", file.display());
    }
}

/// What does not depend on when a thread looked: a kernel stamps a packet for each that captures it.
fn counts(page: &Exposition) -> Vec<(String, f64)> {
    let counted = |name: &str| {
        let timed = name.contains("_seconds") && !name.ends_with("_count");
        (name.starts_with("dbwire_mysql_") && !timed && !name.contains("_sample_"))
            || ["dbwire_capture_packets_total", "dbwire_capture_bytes_total"].contains(&name)
    };
    let counts = page.samples.iter().filter(|sample| counted(&sample.name));
    counts.map(|sample| (format!("{} {:?}", sample.name, sample.labels), sample.value)).collect()
}

/// CPU time, and of the same packets at the same time, so that a loaded machine slows both. Half is what is to be had; 0.65
/// allows for chance in dividing connections, and for threads that disturb each other's caches.
#[test]
fn of_two_live_threads_the_busier_does_half_the_work_of_one_and_together_they_count_the_same() {
    let name = "of_two_live_threads_the_busier_does_half_the_work_of_one_and_together_they_count_the_same";
    many::compare(name, 2, |one, two| {
        assert_eq!(counts(&two.page), counts(&one.page));
        assert_eq!((one.threads.len(), two.threads.len()), (1, 2));
        println!("{:.3} s by one thread, {:.3} s by two", one.busiest(), two.busiest());
        assert!(two.busiest() < 0.65 * one.busiest(), "{:?} against {:?}", two.threads, one.threads);
    });
}
