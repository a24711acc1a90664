//! What holds for any bytes.

use dbwire_exporter::digest::{DigestCache, Escapes, Normalizer, Statement, statement_kind};
use proptest::prelude::*;

use crate::text;

/// Pieces that meet each other in every rule of the lexer and the normaliser.
const PIECES: &[&str] = &[
    "select",
    "SELECT ",
    "insert into t ",
    "values",
    "value",
    "in",
    "union",
    "union all ",
    "limit",
    "offset ",
    "order by ",
    "asc",
    "desc",
    "null",
    "true",
    "FALSE",
    "call ",
    "use ",
    "grant ",
    "set ",
    "password",
    "mysqldump",
    "a",
    "A1",
    "b1",
    "x",
    "x1",
    "xb",
    "e",
    "_utf8",
    "_x",
    "$a$",
    "$$",
    "$",
    "é",
    "`a`",
    "`b1 c`",
    "'a'",
    "'it''s'",
    "\"b\"",
    "'\\''",
    "N'a'",
    "x'41'",
    "0xAF",
    "0b1",
    "1",
    "1.5",
    ".5",
    "1E5",
    "1e-5",
    "?",
    "(?+)",
    "(",
    ")",
    "(1,2)",
    ",",
    ";",
    ".",
    "+",
    "-",
    "--",
    "*",
    "/",
    "=",
    "@",
    ":=",
    " ",
    "\n",
    "-- c\n",
    "# c\n",
    "/* c */",
    "/**/",
    "/*! ",
    "/*!50000 ",
    "/*M!",
    "*/",
    "/*repeat union*/",
    "/*repeat union all*/",
    "/*a.b:1/2*/",
    "\\N",
    "limit 1, 2",
    " limit ? offset ?",
    "select a union select a",
    " union select 1",
];

fn soup() -> impl Strategy<Value = String> {
    let first =
        prop::sample::select(&["select ", "insert into t values ", "call ", "with ", "(select ", "x"][..]);
    let rest = prop::collection::vec(prop::sample::select(PIECES), 0..24);
    (first, rest).prop_map(|(first, rest)| format!("{first}{}", rest.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn normalising_a_text_gives_itself(sql in soup()) {
        if let Some(once) = text(sql.as_bytes()) {
            prop_assert_eq!(text(once.as_bytes()), Some(once));
        }
    }

    #[test]
    fn a_text_has_no_digits_quotes_upper_case_or_doubled_spaces(sql in soup()) {
        if let Some(text) = text(sql.as_bytes()).filter(|text| !text.starts_with("call ")) {
            prop_assert!(!text.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase()), "{}", text);
            prop_assert!(!text.contains(['\'', '"', '\n', '#']), "{}", text);
            prop_assert!(!text.contains("  ") && text.trim() == text, "{:?}", text);
        }
    }

    #[test]
    fn a_cache_gives_what_the_normaliser_gives(sqls in prop::collection::vec(soup(), 1..8)) {
        let (mut cache, mut normalizer) = (DigestCache::new(), Normalizer::new());
        for _ in 0..2 {
            for sql in &sqls {
                let expected = normalizer.digest(sql.as_bytes(), true, Escapes::Backslash);
                prop_assert_eq!(cache.digest(sql.as_bytes(), true, Escapes::Backslash), expected);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(sql in prop::collection::vec(any::<u8>(), 0..200), complete: bool) {
        let mut normalizer = Normalizer::new();
        for escapes in [Escapes::Backslash, Escapes::QuoteOnly, Escapes::Unknown] {
            let digest = normalizer.digest(&sql, complete, escapes);
            prop_assert_eq!(digest.kind, statement_kind(&sql, complete));
            prop_assert!(digest.kind != Statement::Unparsed || digest.shape.is_none());
        }
    }

    #[test]
    fn a_cut_statement_has_the_digest_of_the_whole_or_none(sql in soup(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(sql.len() + 1);
        let mut normalizer = Normalizer::new();
        let part = normalizer.digest(&sql.as_bytes()[..cut], false, Escapes::Backslash).shape;
        if let Some(part) = part.map(|shape| shape.text.to_owned()) {
            prop_assert_eq!(text(sql.as_bytes()), Some(part));
        }
    }
}

#[test]
fn a_megabyte_of_anything_costs_about_as_much_for_each_byte_as_a_tenth_of_it() {
    // Quadratic work would make the factor 100; a shared machine makes it vary around 10.
    for unit in [
        "(",
        "'a'",
        "'",
        "`a`",
        "/*",
        "/* a */",
        "/*! a */",
        "$a$",
        "$",
        "-- \n",
        "select a union ",
        "a asc ",
        "in(",
        "in(1",
        "1,",
        "\\'",
        "limit 1, ",
        "null",
        "?+",
        "x'",
        "_utf8 ",
        "order by ",
        ")",
        "values(1),",
    ] {
        let cost = |bytes: usize| {
            let sql = format!("select a from t order by {}", unit.repeat(bytes / unit.len()));
            let mut normalizer = Normalizer::new();
            (0..3)
                .map(|_| {
                    let start = std::time::Instant::now();
                    std::hint::black_box(normalizer.digest(sql.as_bytes(), true, Escapes::Backslash));
                    start.elapsed()
                })
                .min()
                .unwrap()
        };
        let (small, large) = (cost(100_000), cost(1_000_000));
        let floor = std::time::Duration::from_millis(5);
        assert!(large < 40 * small.max(floor), "{unit:?}: {small:?}, {large:?}");
    }
}
