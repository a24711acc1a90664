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

/// `text` with each `/docs/runbooks/` address beginning with `repository`.
fn with_runbooks_in(repository: &str, text: &str) -> String {
    let moved = |line: &str| match line.split_once("runbook_url: ") {
        Some((before, url)) => {
            let (_, page) = url.rsplit_once("/docs/runbooks/").expect("a runbook of ours");
            let quote = if url.starts_with('"') { "\"" } else { "" };
            format!("{before}runbook_url: {quote}{repository}/docs/runbooks/{page}")
        }
        None => line.to_owned(),
    };
    text.lines().map(moved).fold(String::new(), |all, line| all + &line + "\n")
}

#[test]
fn alerts_look_for_their_runbooks_in_the_repository_that_cargo_names() {
    for name in ["alerts.yaml", "tests.yaml"] {
        let path = root().join("deploy/prometheus").join(name);
        let kept = fs::read_to_string(&path).expect(name);
        let made = with_runbooks_in(env!("CARGO_PKG_REPOSITORY"), &kept);
        if std::env::var_os("DBWIRE_WRITE_DOCS").is_some() {
            fs::write(&path, &made).expect("deploy/ is writable");
        } else {
            assert!(kept == made, "{name} names another: DBWIRE_WRITE_DOCS=1 cargo test --test docs");
        }
    }
    let alerts = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).expect("alerts.yaml");
    let rules: Vec<_> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 17, "{}", rules.len());
    for rule in rules {
        let name = rule.lines().next().expect("a name");
        assert!(rule.contains(&format!("/docs/runbooks/{name}.md\n")), "{name} names another's runbook");
    }
}

/// `key: value` of a rule.
fn value<'a>(rule: &'a str, key: &str) -> &'a str {
    let (_, rest) = rule.split_once(key).unwrap_or_else(|| panic!("no {key} in {rule}"));
    rest.lines().next().expect("a line").trim()
}

#[test]
fn a_runbook_says_when_its_alert_fires() {
    let alerts = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).expect("alerts.yaml");
    for rule in alerts.split("- alert: ").skip(1) {
        let name = rule.lines().next().expect("a name");
        let path = root().join("docs/runbooks").join(format!("{name}.md"));
        let page = fs::read_to_string(&path).expect(name);
        let severity = value(rule, "severity: ").trim_end_matches('}');
        let fires = format!(
            "It fires when this holds for {}:\n\n```\n{}\n```\n",
            value(rule, "for: "),
            value(rule, "expr: >-\n")
        );
        for part in [format!("# {name}\n"), format!("Severity: {severity}. "), fires] {
            assert!(page.contains(&part), "{} lacks {part:?}", path.display());
        }
    }
}

/// What a heading is called in a link, as the usual renderers make it of the text.
fn anchor(heading: &str) -> String {
    let text = heading.trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Anchors of a page's headings; those in blocks of code are none.
fn anchors(text: &str) -> Vec<String> {
    let outside = text.split("\n```").step_by(2).flat_map(str::lines);
    outside
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .map(anchor)
        .collect()
}

#[test]
fn links_between_pages_lead_to_files_and_headings() {
    let mut pages: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|name| root().join(name))
        .to_vec();
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
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.is_empty() || link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(target.exists(), "{} leads to {file}, which is not there", page.display());
            if !heading.is_empty() {
                let there = anchors(&fs::read_to_string(&target).expect("readable"));
                assert!(
                    there.iter().any(|it| it == heading),
                    "{} leads to {link}: {there:?}",
                    page.display()
                );
            }
        }
    }
}
