//! Where a string ends: what a backslash in it means depends on `sql_mode` and on the client's character set, of which the
//! wire tells the first in part and the second not at all.

use memchr::memchr2;

use super::{DoubleQuotes, Escapes, Kind, Lexer, Token};

impl Lexer<'_> {
    /// The length of a string, quotes included. Two quotes in a row stand for one.
    pub(super) fn string(&mut self, text: &[u8]) -> Option<usize> {
        let (&quote, mut rest) = text.split_first()?;
        let identifier = quote == b'"' && self.double_quotes == DoubleQuotes::Identifier;
        let escapes = if identifier { Escapes::QuoteOnly } else { self.escapes };
        loop {
            let at = first_of(quote, rest)?;
            let from = rest.get(at..)?;
            rest = match *from {
                [b'\\', escaped, ..] if escapes == Escapes::Unknown && escaped == quote => return None,
                [b'\\', ref behind @ ..] if escapes != Escapes::QuoteOnly => {
                    let ends =
                        matches!(behind.first(), Some(&escaped) if escaped == quote || escaped == b'\\');
                    if is_doubtful(text.get(..text.len() - from.len())?, ends) {
                        return None;
                    }
                    if quote == b'"' && behind.first() == Some(&quote) && !self.is_string() {
                        return None;
                    }
                    behind.get(1..)?
                }
                [b'\\', ref rest @ ..] => rest,
                [_, second, ref rest @ ..] if second == quote => rest,
                [_, ref rest @ ..] => return Some(text.len() - rest.len()),
                [] => return None,
            };
        }
    }

    /// Whether double quotes are certain to hold strings. In the next token they do or do not end at a quote behind a
    /// backslash: they are strings if with identifiers the rest of the text makes no sense. Asked once a text, since up
    /// to here both readings were one.
    fn is_string(&mut self) -> bool {
        if self.double_quotes == DoubleQuotes::Either {
            let mut other = Self { double_quotes: DoubleQuotes::Identifier, ..self.clone() };
            let makes_sense = loop {
                match other.next() {
                    Some(Token { kind: Kind::End, .. }) => break true,
                    Some(_) => {}
                    None => break false,
                }
            };
            if makes_sense {
                return false;
            }
            self.double_quotes = DoubleQuotes::String;
        }
        true
    }
}

/// Where the first `quote` or backslash stands. Most strings are shorter than setting up a search takes.
fn first_of(quote: u8, text: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    let is_one = |byte: &u8| *byte == quote || *byte == b'\\';
    match text.split_first_chunk::<SHORT>() {
        // All are compared, so that it can be one comparison.
        Some((start, rest)) if !start.iter().fold(false, |any, byte| any | is_one(byte)) => {
            Some(SHORT + memchr2(quote, b'\\', rest)?)
        }
        _ => text.iter().position(is_one),
    }
}

/// Whether a backslash behind `before` may be the second byte of a character, and not be one at all.
///
/// In GBK, Big5 and Shift-JIS characters end in that byte. Where it would stand in the middle of UTF-8 it must be one.
/// Behind whole UTF-8 both may be; that matters (`ends`) where the string then ends elsewhere. GBK and Big5 take pairs of
/// bytes, Shift-JIS has single ones, too.
fn is_doubtful(before: &[u8], ends: bool) -> bool {
    let ascii = before.iter().rev().position(u8::is_ascii).unwrap_or(before.len());
    let run = before.get(before.len() - ascii..).unwrap_or_default();
    if run.is_empty() || !ends {
        return !run.is_empty() && !ends_in_utf8(run);
    }
    let mut shift_jis = run.iter();
    let mut cut = false;
    while let Some(byte) = shift_jis.next() {
        cut = matches!(byte, 0x81..=0x9f | 0xe0..=0xfc) && shift_jis.next().is_none();
    }
    cut || run.len() % 2 == 1 || !ends_in_utf8(run)
}

/// Whether the last character of `text`, which is not ASCII, is whole and valid UTF-8.
fn ends_in_utf8(text: &[u8]) -> bool {
    (2..=4).any(|length| {
        text.len().checked_sub(length).and_then(|from| text.get(from..)).is_some_and(|last| {
            std::str::from_utf8(last).is_ok_and(|character| character.chars().count() == 1)
        })
    })
}
