//! The schema that a `USE` statement names.

use super::{
    lexer::{Escapes, Kind, Lexer},
    normalize::next_word,
};

/// The name in `USE name`, as it is written there but for its backquotes. `None` if the statement is not certain to
/// be just that: it is another one, more follows, or the name has a backquote in it or stands in double quotes.
pub fn used_schema(sql: &[u8], complete: bool) -> Option<&[u8]> {
    let mut lexer = Lexer::new(sql, complete, Escapes::Unknown);
    if !next_word(&mut lexer)?.is_word(b"use") {
        return None;
    }
    let token = next_word(&mut lexer)?;
    let name = match token.kind {
        Kind::Word => token.bytes,
        Kind::Quoted => {
            token.bytes.strip_prefix(b"`")?.strip_suffix(b"`").filter(|name| !name.contains(&b'`'))?
        }
        _ => return None,
    };
    let mut last = next_word(&mut lexer)?;
    if last.is_symbol(b';') {
        last = next_word(&mut lexer)?;
    }
    (last.kind == Kind::End).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_use_statement_of_a_plain_name_names_a_schema() {
        for (sql, name) in [
            ("use shop", Some("shop")),
            (" USE /* c */ `my shop` ; ", Some("my shop")),
            ("use caf\u{e9}", Some("caf\u{e9}")),
            ("use a; select 1", None),
            ("use `a``b`", None),
            ("use \"a\"", None),
            ("use", None),
            ("use 'a'", None),
            ("user a", None),
            ("select 1", None),
            ("", None),
        ] {
            assert_eq!(used_schema(sql.as_bytes(), true), name.map(str::as_bytes), "{sql}");
        }
        assert_eq!(used_schema(b"use shop", false), None, "the name may go on");
    }
}
