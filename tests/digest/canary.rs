//! A canary in every literal position of many statements must not be seen in their texts.

use crate::{
    forms::{FORMS, literals},
    text,
};

const CANARY: &str = "canary";

#[test]
fn a_string_in_any_position_is_never_seen() {
    assert!(FORMS.len() >= 60);
    let mut seen = 0;
    for form in FORMS {
        for canary in [CANARY.to_owned(), CANARY.to_uppercase()] {
            for literal in literals(&canary) {
                for sql in [form.replace("{}", &literal), form.to_uppercase().replace("{}", &literal)] {
                    let Some(text) = text(sql.as_bytes()) else { continue };
                    seen += 1;
                    assert!(!text.to_lowercase().contains(CANARY), "{sql}\n{text}");
                }
            }
        }
    }
    assert!(seen > FORMS.len() * 70, "only {seen} statements had a text");
}

#[test]
fn the_digits_of_a_number_in_any_form_and_position_are_never_seen() {
    let numbers = [
        "0xCAFEBABE",
        "0xcafebabe",
        "X'CAFEBABE'",
        "x'cafebabe'",
        "0b1011",
        "B'1011'",
        "98765",
        "9.8765E4",
        "9.8765e-4",
        "-98765",
        ".98765",
        "98765.",
        "_binary 0xCAFEBABE",
        "_utf8 X'CAFEBABE'",
        "9CAFEBABE",
    ];
    for form in FORMS {
        for number in numbers {
            let sql = form.replace("{}", number);
            let Some(text) = text(sql.as_bytes()) else { panic!("no text: {sql}") };
            assert!(!text.to_lowercase().contains("cafe"), "{sql}\n{text}");
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{sql}\n{text}");
        }
    }
}

#[test]
fn a_statement_cut_in_the_middle_of_a_literal_does_not_show_it() {
    let mut normalizer = dbwire_exporter::digest::Normalizer::new();
    for form in FORMS {
        let sql = form.replace("{}", &format!("'{CANARY}'"));
        for end in 0..sql.len() {
            let cut = &sql.as_bytes()[..end];
            let digest = normalizer.digest(cut, false, dbwire_exporter::digest::Escapes::Backslash);
            if let Some(shape) = digest.shape {
                assert!(!shape.text.contains("can"), "{}", cut.escape_ascii());
            }
        }
    }
}

#[test]
fn what_servers_may_read_in_two_ways_shows_nothing_of_either() {
    let statements: [&[u8]; 16] = [
        // A backslash is one character only, since the statement before, or for this one.
        b"set sql_mode='NO_BACKSLASH_ESCAPES'; select '\\', 'canary' -- '",
        b"set @@session.SQL_MODE=concat('NO_BACKSLASH_','ESCAPES'); select '\\', 'canary' -- '",
        b"execute s; select '\\', 'canary' -- '",
        b"begin not atomic set sql_mode=@m; select '\\', 'canary' -- '\n; end",
        b"set statement `sql_mode`='NO_BACKSLASH_ESCAPES' for select '\\', 'canary' -- '",
        b"select /*! 1; */ '\\', 'canary' -- '",
        // With ANSI_QUOTES it is one character of an identifier.
        b"select \"a\\\", 'x \"canary' -- '",
        b"select \"a\\\", '\\\"canary' -- '",
        // In GBK, in GBK behind an escape, and in Shift-JIS it is the second byte of a character.
        b"select '\xe4\xbd\xa0\\', 'canary' -- '",
        b"select '\\\xe4\xbd\xa0\\', 'canary' -- '",
        b"select '\xc3\x89\\', 'canary' -- '",
        b"select '\xe4\xbd\xa0\\\\', 'canary' -- '",
        // Comments that some servers execute, and some do not.
        b"select /*!50701 ' */ 'canary' -- ' */",
        b"select /*M! ' */ 'canary' -- ' */",
        b"select /*!99999 a /* b */ canary */ 1",
        b"select 1; create user canary identified by 'canary'",
    ];
    for sql in statements {
        let text = text(sql).unwrap_or_default();
        assert!(!text.contains(CANARY), "{}\n{text}", sql.escape_ascii());
    }
}

#[test]
fn what_can_be_read_in_one_way_only_has_a_text() {
    for (sql, expected) in [
        ("select \"it\\\"s\"", "select ?"),
        ("select \"say \\\"hi\\\"\", 'a'", "select ?, ?"),
        ("insert into t values ('{\\\"a\\\":\\\"é\\\"}')", "insert into t values(?+)"),
        ("select 'café\\'s'; select 'b'", "select ?; select ?"),
        ("select 'a\\'b';", "select ?"),
        ("select /*!50000 a, /* b */ c, */ d", "select a, c, d"),
        ("select /*!99999 a /* b */ c */ d", "select d"),
        ("set sql_mode='ANSI'; select 'it''s'", "set sql_mode=?; select ?"),
        ("select 1; grant all on a to b", "select ?; grant ?"),
    ] {
        assert_eq!(text(sql.as_bytes()).as_deref(), Some(expected), "{sql}");
    }
}
