//! The table of statements, without any other program.

use dbwire_exporter::digest::{DigestCache, DigestId, Escapes, Normalizer, Statement, statement_kind};

use crate::{
    statements::{DIFFERENT, SAME, TRUTH, UNCERTAIN},
    text,
};

/// Every `(statement, text)` of the table.
pub(crate) fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let different = DIFFERENT.iter().flat_map(|group| group.statements).map(|&(sql, ours, _)| (sql, ours));
    SAME.iter().chain(TRUTH).copied().chain(different)
}

#[test]
fn each_statement_has_the_text_of_the_table_and_the_id_of_that_text() {
    assert!(rows().count() >= 150);
    let mut normalizer = Normalizer::new();
    for (sql, expected) in rows() {
        let digest = normalizer.digest(sql.as_bytes(), true, Escapes::Backslash);
        let shape = digest.shape.unwrap_or_else(|| panic!("no text: {sql}"));
        assert_eq!(shape.text, expected, "{sql}");
        assert_eq!(shape.id, DigestId::of(expected.as_bytes()), "{sql}");
        assert_eq!(digest.kind, statement_kind(sql.as_bytes(), true), "{sql}");
    }
}

#[test]
fn a_normalised_text_is_its_own_normalised_text() {
    for (sql, expected) in rows() {
        assert_eq!(text(expected.as_bytes()).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn what_is_not_certain_has_no_text() {
    assert!(UNCERTAIN.len() >= 40);
    for &sql in UNCERTAIN {
        assert_eq!(text(sql), None, "{}", sql.escape_ascii());
    }
}

#[test]
fn a_cache_gives_the_same_digests_the_first_time_and_again() {
    let (mut cache, mut normalizer) = (DigestCache::new(), Normalizer::new());
    for _ in 0..3 {
        for sql in rows().map(|(sql, _)| sql.as_bytes()).chain(UNCERTAIN.iter().copied()) {
            for complete in [true, false] {
                let expected = normalizer.digest(sql, complete, Escapes::Backslash);
                assert_eq!(
                    cache.digest(sql, complete, Escapes::Backslash),
                    expected,
                    "{}",
                    sql.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn a_statement_has_one_digest_as_text_and_prepared() {
    let pairs = [
        ("SELECT c FROM sbtest1 WHERE id=5", "SELECT c FROM sbtest1 WHERE id=?"),
        ("UPDATE sbtest1 SET k=k+1 WHERE id=5", "UPDATE sbtest1 SET k=k+? WHERE id=?"),
        ("select a from t where b in (1,2,3)", "select a from t where b in (?,?)"),
        ("insert into t values ('a',2),('b',3)", "insert into t values (?,?)"),
        ("insert into t values ('a',2),('b',3)", "insert into t values (?,?),(?,?),(?,?)"),
        ("select a from t limit 10, 20", "select a from t limit ?, ?"),
        ("select -1, 1-1, b - 2", "select -?, ?-?, b - ?"),
        ("select X'41', N'a', 0xAF, 1E5, TRUE, null", "select ?, ?, ?, ?, ?, ?"),
        ("call p('x', 1)", "call p(?, ?)"),
    ];
    for (sql, prepared) in pairs {
        assert_eq!(text(sql.as_bytes()), text(prepared.as_bytes()), "{sql}");
    }
}

#[test]
fn a_cut_statement_has_a_digest_only_if_the_rest_cannot_change_it() {
    let mut normalizer = Normalizer::new();
    let mut cut = |sql: &str| {
        let digest = normalizer.digest(sql.as_bytes(), false, Escapes::Backslash);
        (digest.kind, digest.shape.map(|shape| shape.text.to_owned()))
    };
    assert_eq!(cut("select a from t where b=1"), (Statement::Select, None));
    assert_eq!(cut("select a from t where b=1 "), (Statement::Select, None));
    assert_eq!(cut("sel"), (Statement::Unparsed, None));
    assert_eq!(cut("insert into t values (1,'a')"), (Statement::Insert, None));
    assert_eq!(cut("insert into t values (1,'a'),"), (Statement::Insert, None));
    let insert = Some("insert into t values(?+)".to_owned());
    assert_eq!(cut("insert into t values (1,'a'),(2,'b"), (Statement::Insert, insert));
    assert_eq!(cut("call p(1,'a"), (Statement::Call, Some("call p".to_owned())));
    assert_eq!(cut("grant select on t to 'bo"), (Statement::Grant, Some("grant ?".to_owned())));
}

#[test]
fn a_long_list_costs_no_text_and_a_long_text_has_no_digest() {
    let list = format!("select a from t where b in ({}1)", "1,".repeat(100_000));
    assert_eq!(text(list.as_bytes()).as_deref(), Some("select a from t where b in(?+)"));
    let mixed = format!("select a from t where b in ({}c)", "1,".repeat(100_000));
    assert_eq!(text(mixed.as_bytes()), None);
    let columns = format!("select {}a from t", "a,".repeat(100_000));
    assert_eq!(text(columns.as_bytes()), None);
}

#[test]
fn without_backslash_escapes_a_backslash_does_not_hide_the_end_of_a_string() {
    let mut normalizer = Normalizer::new();
    let sql = br"insert into t values ('C:\', 'secret # ')";
    let digest = normalizer.digest(sql, true, Escapes::QuoteOnly);
    assert_eq!(digest.shape.map(|shape| shape.text), Some("insert into t values(?+)"));
    let sql = br"select '\', 'secret # '";
    assert_eq!(
        normalizer.digest(sql, true, Escapes::QuoteOnly).shape.map(|shape| shape.text),
        Some("select ?, ?")
    );
    assert_eq!(normalizer.digest(sql, true, Escapes::Unknown).shape, None);
}
