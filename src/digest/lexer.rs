//! SQL text → tokens, as MySQL's and MariaDB's own lexers cut it (`sql/sql_lex.cc`), without allocating.
//!
//! The promise: what the server takes for a literal is never handed out as a word. Where the bytes do not
//! decide that (an unterminated quote, a cut token, bytes that mean different things in different character
//! sets) the lexer stops with [`None`] instead of guessing. Each byte is looked at a bounded number of times.

mod charsets;
mod strings;

use memchr::{memchr, memmem};

use self::charsets::is_character_set;
use super::classes::{
    CODE, CODE_OR_STAR, DIGIT, LETTER, PLAIN_WORD, SPACE, WORD, count, is, is_space, is_word, run,
};

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A run of white space.
    Space,
    /// A comment, or an opening or closing mark of a comment whose text the server executes.
    Comment,
    /// A keyword or an unquoted identifier; valid UTF-8, not beginning with a digit.
    Word,
    /// An identifier in backquotes, with them; valid UTF-8.
    Quoted,
    /// A string of any form with its prefix or introducer (`'…'`, `"…"`, `N'…'`, `X'…'`, `B'…'`, `_utf8mb4'…'`,
    /// `$$…$$`), or `\N`.
    Literal,
    /// A number of any form (`1`, `.5`, `1.5E-3`, `0xAF`, `0b01`) or an identifier that begins with a digit.
    Number,
    /// `?`
    Placeholder,
    /// Any other ASCII character.
    Symbol,
    /// The end of a complete statement.
    End,
}

/// A token and the bytes it was cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

impl Token<'_> {
    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol && *self.bytes == [symbol]
    }

    pub(super) fn is_word(&self, word: &[u8]) -> bool {
        self.kind == Kind::Word && self.bytes.eq_ignore_ascii_case(word)
    }
}

/// How the session's `sql_mode` changes the meaning of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Escapes {
    /// `\` in a string escapes the character behind it.
    #[default]
    Backslash,
    /// `NO_BACKSLASH_ESCAPES`: it does not. The server tells by `SERVER_STATUS_NO_BACKSLASH_ESCAPES` (0x0200)
    /// in the status flags of its OK and EOF packets.
    QuoteOnly,
    /// Not known, as in a session that was met in its middle: a string whose end depends on it is not certain.
    Unknown,
}

/// Cuts a statement into tokens; see the module.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    sql: &'a [u8],
    rest: &'a [u8],
    complete: bool,
    escapes: Escapes,
    /// Inside a comment whose text the server executes, which ends here.
    executed: Option<usize>,
    double_quotes: DoubleQuotes,
}

/// What double quotes are, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DoubleQuotes {
    /// A string, or an identifier (`ANSI_QUOTES`): both end at the same quote, so far.
    Either,
    /// A string: the text could not be read otherwise.
    String,
    /// An identifier, in which a backslash is a character as any other.
    Identifier,
}

impl<'a> Lexer<'a> {
    /// A lexer for `sql`; `complete` says whether nothing was cut off its end.
    pub(super) fn new(sql: &'a [u8], complete: bool, escapes: Escapes) -> Self {
        Self { sql, rest: sql, complete, escapes, executed: None, double_quotes: DoubleQuotes::Either }
    }

    /// The next token; [`Kind::End`] again and again at the end of a complete statement. `None` if the bytes
    /// are not certain to be a token, or it may go on where the statement was cut.
    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let Some(&first) = self.rest.first() else {
            return (self.complete && self.executed.is_none())
                .then_some(Token { kind: Kind::End, bytes: &[] });
        };
        let (kind, length) = self.scan(first)?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        if rest.is_empty() && !self.complete {
            return None;
        }
        self.rest = rest;
        // To a server that does not execute the comment it ends there, whatever that stands in.
        if self.executed.is_some_and(|end| self.position() > end) {
            return None;
        }
        if changes_sql_mode(kind, bytes) {
            self.escapes = Escapes::Unknown;
        }
        Some(Token { kind, bytes })
    }

    /// Where the next token begins.
    fn position(&self) -> usize {
        self.sql.len() - self.rest.len()
    }

    /// Steps over words, white space and symbols, up to a token that may be something else (or just as well may
    /// not). Much faster than [`Self::next`], and what most of a statement is made of.
    pub(super) fn skip_code(&mut self) {
        let code = if self.executed.is_none() { CODE_OR_STAR } else { CODE };
        let mut at = 0;
        loop {
            at += run(self.rest.get(at..).unwrap_or_default(), code);
            let Some((before, behind)) = self.rest.split_at_checked(at) else { return };
            match (before.last(), behind.first()) {
                (Some(last), Some(next)) if is(*last, LETTER) && goes_on(*next) => {
                    let end = at + count(behind, PLAIN_WORD);
                    if is_told_by(self.rest, at, end) {
                        at -= begun_word(before);
                        break;
                    }
                    at = end;
                }
                (Some(b'.'), Some(b'0'..=b'9')) => {
                    at -= 1;
                    break;
                }
                _ => break,
            }
        }
        self.rest = self.rest.get(at..).unwrap_or_default();
    }

    /// How many bytes stand behind the last token.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The byte behind the last token, if there is one.
    pub(super) fn following(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The byte before the next token, if there is one.
    fn preceding(&self) -> Option<u8> {
        self.sql.get(self.position().checked_sub(1)?).copied()
    }

    /// Kind and length of the token at the beginning of `rest`, whose first byte is `first`.
    fn scan(&mut self, first: u8) -> Option<(Kind, usize)> {
        let rest = self.rest;
        let second = rest.get(1).copied();
        match first {
            b' ' | b'\t'..=b'\r' => Some((Kind::Space, count(rest, SPACE))),
            b'$' if self.preceding() != Some(b'?') => self.dollar(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => self.word(first),
            b'0'..=b'9' => Some((Kind::Number, number(rest))),
            b'.' if second.is_some_and(|byte| byte.is_ascii_digit()) => Some((Kind::Number, number(rest))),
            b'\'' | b'"' => Some((Kind::Literal, self.string(rest)?)),
            b'`' => self.quoted(),
            b'?' => Some((Kind::Placeholder, 1)),
            b'\\' => (second == Some(b'N')).then_some((Kind::Literal, 2)),
            b'#' => Some((Kind::Comment, line(rest))),
            b'-' if second == Some(b'-') && rest.get(2).is_none_or(|&byte| byte <= b' ' || byte == 0x7f) => {
                Some((Kind::Comment, line(rest)))
            }
            b'/' if second == Some(b'*') => self.comment(),
            b'*' if second == Some(b'/') && self.executed.is_some() => {
                let ends_here = self.executed.take() == Some(self.position());
                ends_here.then_some((Kind::Comment, 2))
            }
            b'!'..=b'~' => Some((Kind::Symbol, 1)),
            _ => None,
        }
    }

    /// `/*! … */` and MariaDB's `/*M! … */` open a text that is executed ([MySQL manual, 11.7 Comments]); other
    /// comments are one token. Opening such a comment inside another is not certain to mean the same everywhere.
    ///
    /// [MySQL manual, 11.7 Comments]: https://dev.mysql.com/doc/refman/8.4/en/comments.html
    fn comment(&mut self) -> Option<(Kind, usize)> {
        let mark = match *self.rest {
            [_, _, b'!', ..] => Some(3),
            [_, _, b'M', b'!', ..] => Some(4),
            _ => None,
        };
        if let Some(mark) = mark {
            let text = self.rest.get(mark..)?;
            let (version, digits) = version(text);
            let end = skipped(text)?;
            if !is_never_executed(version) {
                if self.executed.is_some() {
                    return None;
                }
                self.executed = Some(self.position() + mark + end);
                return Some((Kind::Comment, mark + digits));
            }
            return Some((Kind::Comment, mark + end + 2));
        }
        let end = memmem::find(self.rest.get(2..)?, b"*/")?;
        Some((Kind::Comment, end + 4))
    }

    /// An unquoted identifier, or a literal that begins with its prefix or introducer.
    fn word(&mut self, first: u8) -> Option<(Kind, usize)> {
        let length = count(self.rest, WORD);
        let (word, behind) = self.rest.split_at_checked(length)?;
        match (word, behind.first()) {
            ([b'n' | b'N' | b'x' | b'X' | b'b' | b'B'], Some(b'\'')) => {
                return Some((Kind::Literal, length + self.string(behind)?));
            }
            _ if first == b'_' && is_character_set(word.get(1..)?) => {
                let space = count(behind, SPACE);
                if let Some(literal) = self.introduced(behind.get(space..)?) {
                    return Some((Kind::Literal, length + space + literal?));
                }
            }
            _ => {}
        }
        (word.is_ascii() || std::str::from_utf8(word).is_ok()).then_some((Kind::Word, length))
    }

    /// The length of the literal that a character set's introducer stands before, if it is one; `Some(None)` if
    /// it is not terminated.
    fn introduced(&mut self, text: &[u8]) -> Option<Option<usize>> {
        match *text {
            [b'\'' | b'"', ..] => Some(self.string(text)),
            [b'x' | b'X' | b'b' | b'B', ref quoted @ ..] if quoted.first() == Some(&b'\'') => {
                Some(self.string(quoted).map(|length| length + 1))
            }
            [b'0', b'x' | b'b', ..] => Some(Some(number(text))),
            _ => None,
        }
    }

    /// An identifier in backquotes. Two of them in a row stand for one.
    fn quoted(&self) -> Option<(Kind, usize)> {
        let mut length = 1;
        loop {
            length += memchr(b'`', self.rest.get(length..)?)? + 1;
            if self.rest.get(length) != Some(&b'`') {
                break;
            }
            length += 1;
        }
        let name = std::str::from_utf8(self.rest.get(..length)?).ok()?;
        (!name.bytes().any(|byte| byte.is_ascii_control() && !is_space(byte)))
            .then_some((Kind::Quoted, length))
    }

    /// `$$…$$` and `$tag$…$tag$` ([MySQL manual, 11.2.4]). To servers before 8.0.32 and to MariaDB these are
    /// identifiers: a text with quotes or comments in it would be cut differently by them, so it is not certain.
    ///
    /// [MySQL manual, 11.2.4]: https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
    fn dollar(&mut self) -> Option<(Kind, usize)> {
        let tag = self.rest.get(1..)?.iter().position(|&byte| byte == b'$' || !is_word(byte));
        let Some((mark, behind)) = tag.and_then(|tag| self.rest.split_at_checked(tag + 2)) else {
            return self.word(b'$');
        };
        if !mark.ends_with(b"$") {
            return self.word(b'$');
        }
        let text = behind.get(..memmem::find(behind, mark)?)?;
        let ambiguous = text.iter().any(|byte| b"'\"`#\\-/".contains(byte));
        (!ambiguous).then_some((Kind::Literal, mark.len() * 2 + text.len()))
    }
}

/// Where the end of a comment that is not executed stands in `text`: comments in it are passed over
/// (`consume_comment` in `sql/sql_lex.cc`).
fn skipped(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + memmem::find(text.get(from..)?, b"*/")?;
        match memmem::find(text.get(from..end)?, b"/*") {
            Some(_) => from = end + 2,
            None => return Some(end),
        }
    }
}

/// To the end of the line, without it.
fn line(text: &[u8]) -> usize {
    memchr(b'\n', text).unwrap_or(text.len())
}

/// The length of a number: digits, a fraction and an exponent, with whatever word is attached to them, so that
/// no part of a malformed number is left over as a word.
fn number(text: &[u8]) -> usize {
    let digits = count(text, DIGIT);
    let mut length = digits;
    if text.get(length) == Some(&b'.') {
        length += 1;
        length += count(text.get(length..).unwrap_or_default(), DIGIT);
    }
    match text.get(length..) {
        Some([b'e' | b'E', b'+' | b'-', digit, ..]) if digit.is_ascii_digit() => length += 2,
        _ => {}
    }
    length + count(text.get(length..).unwrap_or_default(), WORD)
}

/// The five or six digits of a version behind `/*!` (0 if there are none), and how many they are.
fn version(text: &[u8]) -> (u32, usize) {
    let digits = count(text.get(..6).unwrap_or(text), DIGIT);
    match text.get(..digits) {
        Some(version) if digits >= 5 => {
            (version.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')), digits)
        }
        _ => (0, 0),
    }
}

/// Servers ignore `/*!version …*/` of a version above their own. These are above every release: 99999 by
/// custom, and those that MariaDB's dumps open with (`/*!999999\- enable the sandbox mode */`).
fn is_never_executed(version: u32) -> bool {
    version == 99_999 || version >= 200_000
}

/// The length of the word that `text` ends in.
fn begun_word(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| is(**byte, PLAIN_WORD)).count()
}

/// Whether `next` makes another token of the letters before it: a longer word, or a literal that they are the prefix of.
fn goes_on(next: u8) -> bool {
    next == b'\'' || is_word(next)
}

/// Whether the word of `text` whose letters end at `letters` and that ends at `end`, as far as it is plain, may be more than
/// its bytes say: the prefix of a literal, a part of a longer word, or a name that the lexer goes by.
fn is_told_by(text: &[u8], letters: usize, end: usize) -> bool {
    let name = letters.checked_sub(SQL_MODE_LETTERS).and_then(|start| text.get(start..end));
    text.get(end).copied().is_some_and(goes_on) || name.is_some_and(|name| changes_sql_mode(Kind::Word, name))
}

/// Letters of `sql_mode` before its `_`.
const SQL_MODE_LETTERS: usize = 3;

/// Whether a token may end what is known of the session's `sql_mode`: it names it, or another statement follows the one
/// that has changed it.
fn changes_sql_mode(kind: Kind, token: &[u8]) -> bool {
    match kind {
        Kind::Symbol => token == b";",
        Kind::Word => token.eq_ignore_ascii_case(b"sql_mode"),
        Kind::Quoted => token.eq_ignore_ascii_case(b"`sql_mode`"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
