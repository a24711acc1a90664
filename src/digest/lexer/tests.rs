use super::*;

/// The kinds of the tokens of `sql`, one letter each, white space left out; `!` where the lexer stops.
fn kinds(sql: &[u8], escapes: Escapes) -> String {
    let mut lexer = Lexer::new(sql, true, escapes);
    let mut letters = String::new();
    loop {
        letters.push(match lexer.next().map(|token| token.kind) {
            None => return letters + "!",
            Some(Kind::End) => return letters,
            Some(Kind::Space) => continue,
            Some(Kind::Comment) => 'c',
            Some(Kind::Word) => 'w',
            Some(Kind::Quoted) => 'q',
            Some(Kind::Literal) => 'L',
            Some(Kind::Number) => '1',
            Some(Kind::Placeholder) => '?',
            Some(Kind::Symbol) => '.',
        });
    }
}

#[test]
fn every_literal_form_is_one_token() {
    let table: &[&[u8]] = &[
        b"'a'",
        b"''",
        b"'it''s'",
        b"'it\\'s'",
        b"'a\\\\'",
        b"'a\"b`c'",
        b"\"a\"",
        b"\"a\"\"b\"",
        b"\"it's\"",
        b"'a -- b'",
        b"'a /* b'",
        b"'a # b'",
        b"'a\nb'",
        b"'\xc3\xa9'",
        b"'\xe9'",
        b"'\xc3\xa9\\''",
        b"'\0'",
        b"N'a'",
        b"n'a'",
        b"X'4D'",
        b"x'4D'",
        b"B'01'",
        b"b'01'",
        b"_utf8'a'",
        b"_UTF8MB4 'a'",
        b"_latin1\n\"a\"",
        b"_binary X'41'",
        b"_utf8 b'01'",
        b"_binary 0x41",
        b"$$a$$",
        b"$x$a b$x$",
        b"$$$$",
        b"\\N",
    ];
    for &sql in table {
        assert_eq!(kinds(sql, Escapes::Backslash), "L", "{}", sql.escape_ascii());
    }
    let numbers: &[&[u8]] = &[
        b"1", b"123", b"1.5", b".5", b"1.", b"1e5", b"1E5", b"1e+5", b"1.5E-3", b".5e9", b"0xAF", b"0xaf",
        b"0b01", b"1abc", b"0xZZ", b"0XAF", b"1e5x",
    ];
    for &sql in numbers {
        assert_eq!(kinds(sql, Escapes::Backslash), "1", "{}", sql.escape_ascii());
    }
}

#[test]
fn words_symbols_and_comments_are_told_apart() {
    let table: &[(&[u8], &str)] = &[
        (b"select a.b from `a``b` where c>=?", "ww.wwqww..?"),
        (b"a$b _x $c \xc3\xa9t\xc3\xa9", "wwww"),
        (b"_utf8 a", "ww"),
        (b"_nosuch'a'", "wL"),
        (b"n x b \"a\"", "wwwL"),
        (b"a--1", "w..1"),
        (b"a-- 1\nb", "wcw"),
        (b"a--", "wc"),
        (b"a#b\nc", "wcw"),
        (b"a/*b*/c", "wcw"),
        (b"a/**/c", "wcw"),
        (b"/*!50000 a */ b", "cwcw"),
        (b"/*!a*/", "cwc"),
        (b"/*M!100000a*/", "cwc"),
        (b"/*!99999 'a */ b", "cw"),
        (b"2*/* c */3", "1.c1"),
        (b"@a @@b @'c'", ".w..w.L"),
        (b"$a$b", "!"),
    ];
    for &(sql, expected) in table {
        assert_eq!(kinds(sql, Escapes::Backslash), expected, "{}", sql.escape_ascii());
    }
}

#[test]
fn what_is_not_certain_stops_the_lexer() {
    let table: &[&[u8]] = &[
        b"'a",
        b"\"a",
        b"`a",
        b"'a\\'",
        b"'a\\",
        b"x'4",
        b"_utf8'a",
        b"$$a",
        b"$a$b$",
        b"$$ ' $$",
        b"/* a",
        b"/*/",
        b"/*! a",
        b"/*! a /*! b */",
        b"\\",
        b"\\'",
        b"\0",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"a\xff",
        b"`\xff`",
        b"`\0`",
        b"'\xbf\\' a'",
    ];
    for &sql in table {
        assert!(kinds(sql, Escapes::Backslash).ends_with('!'), "{}", sql.escape_ascii());
    }
}

#[test]
fn without_backslash_escapes_only_a_quote_ends_a_string() {
    assert_eq!(kinds(b"'C:\\', 'y'", Escapes::QuoteOnly), "L.L");
    assert_eq!(kinds(b"'C:\\', 'y'", Escapes::Backslash), "Lw!");
    assert_eq!(kinds(b"'a''b\\\\'", Escapes::QuoteOnly), "L");
}

#[test]
fn a_string_whose_end_depends_on_an_unknown_mode_is_not_certain() {
    assert_eq!(kinds(b"'a\\\\', 'b\\n'", Escapes::Unknown), "L.L");
    assert_eq!(kinds(b"'it\\'s'", Escapes::Unknown), "!");
    assert_eq!(kinds(b"\"it\\'s\"", Escapes::Unknown), "L");
    // The first of two statements may change the mode for the second.
    for escapes in [Escapes::Backslash, Escapes::QuoteOnly] {
        assert_eq!(kinds(b"'a';'it\\'s'", escapes), "L.!");
        assert_eq!(kinds(b"'a;';'b\\n'", escapes), "L.L");
    }
}

#[test]
fn a_token_that_may_go_on_where_the_statement_was_cut_is_none() {
    for sql in ["a", "'a'", "1", "`a`", " ", "?", "/* a */", "-", ","] {
        let mut lexer = Lexer::new(sql.as_bytes(), false, Escapes::Backslash);
        assert_eq!(lexer.next(), None, "{sql}");
    }
    let mut lexer = Lexer::new(b"a,", false, Escapes::Backslash);
    assert!(lexer.next().is_some_and(|token| token.is_word(b"A")));
    assert_eq!(lexer.next(), None);
}

/// Code is stepped over as [`Lexer::next`] would, token by token, and nothing else is.
#[test]
fn what_is_skipped_as_code_is_what_the_lexer_would_have_made_of_it() {
    let pieces = [
        "a",
        "ab",
        "n",
        "N",
        "x",
        "_utf8",
        "a_b",
        "a1",
        "a1_",
        "sql_mode",
        "SQL_mode",
        "sql_modes",
        "1",
        "1a",
        "0x1f",
        ".5",
        ".",
        "'b'",
        "\"c\"",
        "`d`",
        "`sql_mode`",
        " ",
        "  ",
        "*",
        "/",
        "/*",
        "*/",
        "/*!",
        "/*! ",
        "-- ",
        "#",
        "(",
        ",",
        "@",
        "@@",
        "=",
        ";",
        "$",
        "$$",
        "?",
        "\u{e9}",
        "a\u{e9}",
        "-",
        "\n",
        "\\N",
    ];
    let check = |sql: &str| {
        let (mut slow, mut fast) =
            [(); 2].map(|()| Lexer::new(sql.as_bytes(), true, Escapes::Backslash)).into();
        let steps =
            |lexer: &mut Lexer<'_>| lexer.next().map(|token| (token.kind, lexer.remaining(), lexer.escapes));
        loop {
            fast.skip_code();
            while slow.remaining() > fast.remaining() {
                let token = slow.next().unwrap();
                assert!(
                    matches!(token.kind, Kind::Word | Kind::Space | Kind::Symbol | Kind::Placeholder),
                    "{sql:?} {token:?}"
                );
            }
            let told = (steps(&mut slow), steps(&mut fast));
            assert_eq!(told.0, told.1, "{sql:?}");
            if told.0.is_none_or(|(kind, ..)| kind == Kind::End) {
                return;
            }
        }
    };
    for one in pieces {
        for two in pieces {
            for three in pieces {
                check(&[one, two, three].concat());
                check(&["a", one, two, three, "b_1 c"].concat());
            }
        }
    }
}
