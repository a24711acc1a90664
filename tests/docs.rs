//! The reference in docs/ is made from the source, and links between pages lead somewhere.
//!
//! `DBWIRE_WRITE_DOCS=1 cargo test --test docs` writes the reference anew.

#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use dbwire_exporter::metrics::names;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// docs/reference.md, as it ought to be.
fn reference() -> String {
    let mut text = "# Every metric\n\n\
        Made from `src/metrics/names.rs`. [metrics.md](metrics.md) says how many series that is, and how digests are \
        counted.\nThose of `process_*` are Prometheus' usual ones.\n\n\
        | name | type | labels | |\n|---|---|---|---|\n"
        .to_owned();
    let mut rows: Vec<_> = names::ALL.iter().collect();
    rows.sort_by_key(|metric| metric.name);
    for metric in rows {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let help = metric.help.replace('|', "\\|");
        writeln!(text, "| `{}` | {kind} | {} | {help} |", metric.name, labels.join(", ")).expect("a string");
    }
    text
}

#[test]
fn the_reference_lists_every_metric_as_the_source_has_it() {
    let path = root().join("docs/reference.md");
    let made = reference();
    if std::env::var_os("DBWIRE_WRITE_DOCS").is_some() {
        fs::write(&path, &made).expect("docs/ is writable");
    }
    let kept = fs::read_to_string(&path).expect("docs/reference.md");
    assert!(
        kept == made,
        "docs/reference.md is not what the source says: DBWIRE_WRITE_DOCS=1 cargo test --test docs"
    );
}

#[test]
fn links_between_pages_lead_to_files() {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)).to_vec();
    for folder in ["docs", "docs/runbooks"] {
        let files = fs::read_dir(root().join(folder)).expect(folder);
        pages.extend(
            files
                .map(|file| file.expect("a file").path())
                .filter(|path| path.extension().is_some_and(|e| e == "md")),
        );
    }
    assert!(pages.len() > 20, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(&page).expect("readable");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let local = !target.is_empty() && !target.contains("://") && !target.contains(' ');
            let found = page.parent().expect("a folder").join(target).exists();
            assert!(!local || found, "{} leads to {target}, which is not there", page.display());
        }
    }
}
