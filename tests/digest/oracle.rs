//! Percona Toolkit's own code on the same statements, each tool in one process.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use dbwire_exporter::digest::DigestId;

use crate::{
    grammar::{Random, statement},
    statements::{DIFFERENT, SAME, TRUTH},
    support::skip,
    text,
};

/// Loads a tool without running it and answers each statement with its fingerprint and query id.
const ASK: &str = r#"
    require shift;
    my $rewriter = QueryRewriter->new(QueryParser => QueryParser->new);
    require Digest::MD5;
    local $/ = "\0";
    while ( my $query = <STDIN> ) {
        chomp $query;
        my $text = do { local $/ = "\n"; $rewriter->fingerprint($query) };
        print $text, "\0", substr(uc Digest::MD5::md5_hex($text), -16), "\0";
    }
"#;

/// `(text, id)` of each statement.
fn ask(tool: &str, statements: &[&str]) -> Vec<(String, String)> {
    let mut child = Command::new("perl")
        .args(["-e", ASK, tool])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl starts");
    let input: Vec<u8> =
        statements.iter().flat_map(|sql| [sql.as_bytes(), b"\0"]).flatten().copied().collect();
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("perl ends");
    writer.join().expect("no panic").expect("all statements are written");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    let fields: Vec<&str> = answers.split_terminator('\0').collect();
    let pairs: Vec<_> = fields.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    assert_eq!(pairs.len(), statements.len());
    pairs
}

/// Checks the tool against `(statement, expected text)`.
fn agrees(test: &str, tool: &str, rows: &[(&str, &str)]) {
    if !skip::programs(test, &[tool]) {
        return;
    }
    let statements: Vec<&str> = rows.iter().map(|row| row.0).collect();
    for (&(sql, expected), (text, id)) in rows.iter().zip(ask(tool, &statements)) {
        assert_eq!(text, expected, "{tool}: {sql}");
        assert_eq!(id, DigestId::of(expected.as_bytes()).to_string(), "{tool}: {sql}");
    }
}

#[test]
fn pt_query_digest_gives_the_same_texts_and_ids_but_for_the_listed_differences() {
    let mut rows: Vec<(&str, &str)> = SAME.iter().chain(TRUTH).copied().collect();
    for group in DIFFERENT {
        for &(sql, ours, theirs) in group.statements {
            assert_ne!(ours, theirs, "no difference: {sql} ({})", group.reason);
            rows.push((sql, theirs));
        }
    }
    let test = "pt_query_digest_gives_the_same_texts_and_ids_but_for_the_listed_differences";
    agrees(test, "/usr/bin/pt-query-digest", &rows);
}

#[test]
fn pt_query_digest_gives_the_same_texts_and_ids_for_random_statements() {
    let mut random = Random(1);
    let statements: Vec<String> = (0..5_000).map(|_| statement(&mut random)).collect();
    let texts: Vec<String> = statements
        .iter()
        .map(|sql| text(sql.as_bytes()).unwrap_or_else(|| panic!("no text: {sql}")))
        .collect();
    for ours in &texts {
        assert_eq!(text(ours.as_bytes()).as_ref(), Some(ours), "a text is its own text");
    }
    let rows: Vec<(&str, &str)> =
        statements.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let test = "pt_query_digest_gives_the_same_texts_and_ids_for_random_statements";
    agrees(test, "/usr/bin/pt-query-digest", &rows);
}

#[test]
fn pt_fingerprint_gives_the_same_texts_and_ids() {
    agrees("pt_fingerprint_gives_the_same_texts_and_ids", "/usr/bin/pt-fingerprint", SAME);
}
