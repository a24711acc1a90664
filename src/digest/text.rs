//! The normalised text while it is written: pt-query-digest's rules for digits, white space, `NULL` and lists.
//!
//! That tool replaces by regular expressions, one after the other, in the whole text. Here the same is done
//! character by character, so that a long statement needs one pass and a bounded buffer:
//!
//! * a digit or a sign begins a run of `[0-9a-f.xb+-]`, which is one `?` (in names, too: `sbtest1` is `sbtest?`,
//!   and a sign takes the `a` to `f` behind it along: `k+c` is `k?`);
//! * one `x`, `b` or `.` before that `?`, or before the one of a string, is dropped;
//! * white space is one space, letters are lower case, `null` is `?`;
//! * lists of nothing but `?` behind `in`, `value` and `values` become `(?+)`, however many there are.

use super::{
    classes::{is_space, is_word},
    repeats,
};

/// The longest text; one that is longer has no digest.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// What the last character written belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Nothing that what follows could continue.
    None,
    /// A number whose last character was a digit or a letter.
    Number,
    /// A number whose last character was a sign.
    Signed,
    /// A placeholder: a sign behind it continues it, as it would a number.
    Placeholder,
}

/// How far a list behind `in`, `value` or `values` has been seen; `from` is where it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Outside,
    /// Behind the word, or between two of its lists.
    Before {
        from: usize,
    },
    Inside {
        from: usize,
    },
}

/// A bounded buffer and what is known of its end.
pub(super) struct Text {
    bytes: Vec<u8>,
    run: Run,
    list: List,
    /// Where the word at the end of `bytes` begins, if they end in one.
    word: Option<usize>,
    /// The last byte as it was in the statement, before it became lower case.
    last: u8,
    /// The buffer was full, inside a list that may still collapse.
    full: bool,
    overlong: bool,
    /// A word that one of the rules in [`super::repeats`] looks for was written.
    repeats: bool,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(512),
            run: Run::None,
            list: List::Outside,
            word: None,
            last: 0,
            full: false,
            overlong: false,
            repeats: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.run, self.list, self.word) = (Run::None, List::Outside, None);
        (self.last, self.full, self.overlong, self.repeats) = (0, false, false, false);
    }

    /// What was written. A word at its end may not have been looked at yet (see [`Self::finish`]).
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A part of the statement that is no literal.
    pub(super) fn code(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.code_byte(byte);
        }
    }

    /// A string or a keyword that stands for a value.
    pub(super) fn value(&mut self) {
        self.question_mark();
        self.run = Run::None;
    }

    /// A number, whatever its digits. The point that it begins with belongs to a name before it, if there is one.
    pub(super) fn number(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b".") && (is_word(self.last) || self.last == b'`') {
            self.code_byte(b'.');
        }
        self.code_byte(b'0');
    }

    /// A placeholder. Behind a sign it is part of the number that the sign began, so that `k+?` has the text
    /// that `k+1` has; and what a text already has as `?` stays as it is.
    pub(super) fn placeholder(&mut self) {
        if self.run != Run::Signed {
            self.put(b'?');
        }
        self.run = Run::Placeholder;
    }

    /// Something that is written as it is but for case and white space.
    pub(super) fn verbatim(&mut self, bytes: &[u8]) {
        self.run = Run::None;
        for &byte in bytes {
            self.put(byte);
        }
    }

    /// Forgets what was written beyond `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        (self.run, self.list, self.word) = (Run::None, List::Outside, None);
    }

    /// The statement has ended: drops the white space and semicolons at its end and applies the rules that look
    /// back. Tells whether these changed anything; `None` if the text is too long or too repetitive.
    pub(super) fn finish(&mut self) -> Option<bool> {
        self.end_word();
        while let [.., b' ' | b';'] = *self.bytes {
            self.bytes.pop();
        }
        if self.full || self.overlong {
            return None;
        }
        if !self.repeats {
            return Some(false);
        }
        let unions = repeats::collapse_unions(&mut self.bytes).ok()?;
        let limit = repeats::shorten_limit(&mut self.bytes);
        let asc = repeats::drop_asc(&mut self.bytes);
        Some(unions || limit || asc)
    }

    fn code_byte(&mut self, byte: u8) {
        let sign = matches!(byte, b'+' | b'-');
        match self.run {
            Run::Number | Run::Signed if sign || matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'.' | b'x') => {
                self.run = if sign { Run::Signed } else { Run::Number };
            }
            Run::Placeholder if sign => self.run = Run::Signed,
            _ if sign || byte.is_ascii_digit() => {
                self.question_mark();
                self.run = if sign { Run::Signed } else { Run::Number };
            }
            _ => {
                self.run = Run::None;
                self.put(byte);
            }
        }
    }

    fn question_mark(&mut self) {
        if matches!(self.last, b'x' | b'b' | b'.') && self.bytes.pop().is_some() {
            // A word may have lost its only letter.
            self.word = self.word.filter(|&start| start < self.bytes.len());
        }
        self.put(b'?');
    }

    fn put(&mut self, byte: u8) {
        if is_space(byte) {
            if !matches!(self.bytes.last(), None | Some(b' ')) {
                self.end_word();
                self.push(b' ');
            }
        } else if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.word.get_or_insert(self.bytes.len());
            self.push(byte.to_ascii_lowercase());
        } else {
            self.end_word();
            self.push(byte);
            self.step(byte);
        }
        self.last = byte;
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < MAX_TEXT {
            self.bytes.push(byte);
        } else if matches!(self.list, List::Inside { .. }) {
            self.full = true;
        } else {
            self.overlong = true;
        }
    }

    /// What does not belong to a word follows, or nothing does.
    fn end_word(&mut self) {
        let Some(start) = self.word.take() else { return };
        match self.bytes.get(start..).unwrap_or_default() {
            b"null" => {
                self.bytes.truncate(start);
                self.push(b'?');
                self.step(b'?');
            }
            b"in" | b"value" | b"values" => {
                self.overlong |= self.full;
                self.list = List::Before { from: self.bytes.len() };
            }
            b"union" | b"limit" | b"asc" => {
                self.repeats = true;
                self.step(b'a');
            }
            _ => self.step(b'a'),
        }
    }

    /// Follows a list: `byte`, which is no white space, was written.
    fn step(&mut self, byte: u8) {
        self.list = match (self.list, byte) {
            (List::Outside, _) => return,
            (List::Before { from }, b'(') => List::Inside { from },
            (List::Inside { from }, b')') => {
                self.bytes.truncate(from);
                self.full = false;
                self.bytes.extend_from_slice(b"(?+)");
                List::Before { from }
            }
            (list @ List::Before { .. }, b',') | (list @ List::Inside { .. }, b',' | b'?') => list,
            _ => {
                self.overlong |= self.full;
                List::Outside
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Text)) -> String {
        let mut text = Text::new();
        write(&mut text);
        text.finish().unwrap();
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn digits_signs_case_white_space_null_and_lists_follow_pt_query_digest() {
        let table = [
            ("SELECT  A\n\tFROM t ; ", "select a from t"),
            ("sbtest12", "sbtest?"),
            ("utf8mb4", "utf?m?"),
            ("idx1 xb1 XB1 a.1", "id? x? xb? a?"),
            ("k=k+1", "k=k?"),
            ("k + c", "k ? c"),
            ("k+cab9z", "k?z"),
            ("is NULL, nulls", "is ?, nulls"),
            ("in (1, 2,null) and", "in(?+) and"),
            ("values (1),(2) , (3) on", "values(?+) on"),
            ("in (1, a) in (2)", "in (?, a) in(?+)"),
            ("xin (1)", "xin (?)"),
        ];
        for (code, expected) in table {
            assert_eq!(written(|text| text.code(code.as_bytes())), expected, "{code}");
        }
    }

    #[test]
    fn a_placeholder_ends_a_number_that_a_sign_began_and_takes_nothing_along() {
        let write = |text: &mut Text| {
            text.code(b"b=a-");
            text.placeholder();
            text.code(b"-1, x");
            text.placeholder();
            text.code(b"a ");
            text.value();
            text.placeholder();
        };
        assert_eq!(written(write), "b=a?, x?a ??");
    }

    #[test]
    fn a_full_buffer_is_overlong_unless_a_list_that_collapses_filled_it() {
        let mut text = Text::new();
        text.code(b"a in (");
        (0..MAX_TEXT).for_each(|_| text.code(b"1,"));
        text.code(b"2) b");
        assert_eq!((text.finish(), text.as_bytes()), (Some(false), b"a in(?+) b".as_slice()));
        (0..MAX_TEXT).for_each(|_| text.code(b"a"));
        assert_eq!((text.finish(), text.as_bytes().len()), (None, MAX_TEXT));
    }
}
