//! Several threads over one capture count what one counts.

#![cfg(feature = "capture")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::exporter::run;

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
