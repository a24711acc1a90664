//! What a text does to the default schema.

use memchr::memchr;

use super::{
    classes::is_space,
    lexer::{Escapes, Kind, Lexer, Token},
};

/// What a text does to the default schema if the server executes all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaUse<'a> {
    /// Nothing.
    None,
    /// It selects this one, named as it is written but for its backquotes.
    Named(&'a [u8]),
    /// It selects another one, or none, and which is not certain.
    Unclear,
    /// Its first statement does nothing to it. A further one may: where that would begin is not certain.
    Unread,
}

/// What `sql`, of which there is no more if it is `complete`, does to the default schema, by all of its statements.
///
/// A `USE` does something to it, and so may `DROP DATABASE` of the one that is selected. `EXECUTE` does if it executes a
/// `USE`, which MariaDB prepares: `prepares_use` says whether the server may be one that does.
pub fn schema_use(sql: &[u8], complete: bool, escapes: Escapes, prepares_use: bool) -> SchemaUse<'_> {
    let mut lexer = Lexer::new(sql, complete, escapes);
    let mut used = SchemaUse::None;
    loop {
        let (statement, end) = of_statement(&mut lexer, prepares_use);
        if statement != SchemaUse::None {
            used = statement;
        }
        match (end, used) {
            (End::Semicolon, _) => {}
            (End::Text, _) => return used,
            (End::Uncertain, SchemaUse::None) => return SchemaUse::Unread,
            (End::Uncertain, _) => return SchemaUse::Unclear,
        }
    }
}

/// Whether `sql` may be several statements: something stands behind a semicolon, if only in a literal.
#[inline]
pub fn may_be_several(sql: &[u8]) -> bool {
    let behind = memchr(b';', sql).and_then(|semicolon| sql.get(semicolon + 1..));
    behind.is_some_and(|behind| !behind.iter().all(|&byte| is_space(byte)))
}

/// Where a statement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Semicolon,
    Text,
    Uncertain,
}

/// What the next statement does, and how it ends.
fn of_statement<'a>(lexer: &mut Lexer<'a>, prepares_use: bool) -> (SchemaUse<'a>, End) {
    let mut words = Words { lexer, conditional: false, end: None };
    let used = match words.next() {
        // To a server that does not execute the comment it stands in there is no such statement.
        Some(first) if first.is_word(b"use") && !words.conditional => words.used(),
        Some(first) if first.is_word(b"use") => SchemaUse::Unclear,
        Some(first) if first.is_word(b"execute") && prepares_use => SchemaUse::Unclear,
        Some(first) if first.is_word(b"drop") && words.may_drop_schema() => SchemaUse::Unclear,
        None if words.end == Some(End::Uncertain) => SchemaUse::Unclear,
        _ => SchemaUse::None,
    };
    (used, words.end())
}

/// The words of one statement.
struct Words<'l, 'a> {
    lexer: &'l mut Lexer<'a>,
    /// Whether a comment that only some servers execute has been met.
    conditional: bool,
    /// How the statement ends, once that has been met.
    end: Option<End>,
}

impl<'a> Words<'_, 'a> {
    /// The next one; `None` at the statement's end.
    fn next(&mut self) -> Option<Token<'a>> {
        while self.end.is_none() {
            match self.lexer.next() {
                None => self.end = Some(End::Uncertain),
                Some(token) if token.kind == Kind::End => self.end = Some(End::Text),
                Some(token) if token.is_symbol(b';') => self.end = Some(End::Semicolon),
                Some(token) if token.kind == Kind::Space => {}
                Some(token) if token.kind == Kind::Comment => {
                    self.conditional |= token.bytes.starts_with(b"/*!") || token.bytes.starts_with(b"/*M!");
                }
                word => return word,
            }
        }
        None
    }

    /// Passes over the rest.
    fn end(mut self) -> End {
        while self.next().is_some() {}
        self.end.unwrap_or(End::Uncertain)
    }

    /// What `USE` does with what is behind it: a name, certain only if that is all.
    fn used(&mut self) -> SchemaUse<'a> {
        let name = self.next().and_then(schema_name);
        let ends = self.next().is_none() && self.end != Some(End::Uncertain);
        name.filter(|_| ends).map_or(SchemaUse::Unclear, SchemaUse::Named)
    }

    /// Whether behind `DROP` there is, or may be, what it has for a schema.
    fn may_drop_schema(&mut self) -> bool {
        match self.next() {
            Some(token) => token.is_word(b"database") || token.is_word(b"schema"),
            None => self.end == Some(End::Uncertain),
        }
    }
}

/// The name that a token is, if it has no backquote in it and stands in none but those.
fn schema_name(token: Token<'_>) -> Option<&[u8]> {
    match token.kind {
        Kind::Word => Some(token.bytes),
        Kind::Quoted => {
            token.bytes.strip_prefix(b"`")?.strip_suffix(b"`").filter(|name| !name.contains(&b'`'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{SchemaUse::*, *};

    fn used(sql: &str) -> SchemaUse<'_> {
        schema_use(sql.as_bytes(), true, Escapes::Backslash, true)
    }

    #[test]
    fn a_text_uses_the_schema_that_its_last_statement_to_use_one_names() {
        for (sql, expected) in [
            ("use shop", Named(b"shop")),
            (" USE /* c */ `my shop` ; ", Named(b"my shop")),
            ("use caf\u{e9}", Named("caf\u{e9}".as_bytes())),
            ("do 1; use shop", Named(b"shop")),
            ("use a; select 'use b; use c' -- ; use d\n; do 1", Named(b"a")),
            ("use a; use b;; /* c */", Named(b"b")),
            ("use `a``b`; use c", Named(b"c")),
            ("use a; use \"b\"", Unclear),
            ("use `a``b`", Unclear),
            ("use a b; do 1", Unclear),
            ("use; do 1", Unclear),
            ("use; use a", Named(b"a")),
            ("use 'a'", Unclear),
            ("use", Unclear),
            ("do 1; /*!80000 use a */", Unclear),
            ("user a; select use from b", None),
            ("select * from t use index (a); do 1", None),
            ("select 1", None),
            (";", None),
            ("", None),
        ] {
            assert_eq!(used(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_schema_that_is_dropped_or_an_execution_leaves_it_unclear_what_is_used() {
        for (sql, expected) in [
            ("drop database a", Unclear),
            ("DROP /* c */ SCHEMA IF EXISTS a; create schema a", Unclear),
            ("drop database a; use b", Named(b"b")),
            ("use b; drop database a", Unclear),
            ("drop table a; drop view b", None),
            ("drop; use b", Named(b"b")),
            ("execute a", Unclear),
            ("do 1; execute immediate 'use a'", Unclear),
        ] {
            assert_eq!(used(sql), expected, "{sql}");
        }
        let not_prepared = schema_use(b"execute a; do 1", true, Escapes::Backslash, false);
        assert_eq!(not_prepared, None, "to a server that prepares no USE");
    }

    #[test]
    fn what_is_not_certain_to_be_read_is_not_taken_for_nothing() {
        for (sql, complete, expected) in [
            ("use shop", false, Unclear),
            ("use a; do 1", false, Unclear),
            ("us", false, Unclear),
            ("drop ", false, Unclear),
            ("drop table ", false, Unread),
            ("insert into t values ('a; use b", false, Unread),
            ("insert into t values (1); us", false, Unclear),
            ("/* use a", true, Unclear),
            ("do 'a; use b", true, Unread),
            ("use a; do 'b", true, Unclear),
        ] {
            let used = schema_use(sql.as_bytes(), complete, Escapes::Backslash, true);
            assert_eq!(used, expected, "{sql}");
        }
        let backslash = schema_use(b"do 'a\\'; use b -- '", true, Escapes::Unknown, true);
        assert_eq!(backslash, Unread, "a string, or a statement behind one");
    }

    #[test]
    fn several_statements_have_something_behind_a_semicolon() {
        for (sql, several) in
            [("do 1; do 2", true), ("do ';'", true), ("do 1; \n", false), ("do 1", false), ("", false)]
        {
            assert_eq!(may_be_several(sql.as_bytes()), several, "{sql}");
        }
    }
}
