//! Rules that look back over the whole text: repeated unions, the first `LIMIT`, `ASC`.
//!
//! Each takes the text with single spaces and lower-case letters and tells whether it changed it.

use memchr::memmem;

/// Units of work a rule may spend for each byte of a text: enough for hundreds of unions, and linear.
const WORK_PER_BYTE: usize = 64;

/// A text so repetitive that collapsing it costs more than linear work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuchWork;

/// `select a union select a union select a` → `select a /*repeat union*/`, from the first `select` on that is
/// repeated.
pub(super) fn collapse_unions(text: &mut Vec<u8>) -> Result<bool, TooMuchWork> {
    let mut work = text.len() * WORK_PER_BYTE;
    let mut spend = |units: usize| {
        work = work.checked_sub(units).ok_or(TooMuchWork)?;
        Ok(())
    };
    let mut changed = false;
    let mut from = 0;
    while let Some(start) = find_word(text, from, b"select ") {
        from = start + b"select ".len();
        let mut search = from;
        while let Some((end, union)) = find_union(text, search) {
            spend(end - search + (end - start))?;
            let first = text.get(start..end).unwrap_or_default();
            let (again, last_union) = repeats(text, first, end, union);
            if again == end || !is_balanced(first) {
                search = end + 1;
                continue;
            }
            spend(text.len())?;
            let mark: &[u8] = if last_union == ALL { b" /*repeat union all*/" } else { b" /*repeat union*/" };
            text.splice(end..again, mark.iter().copied());
            from = end + mark.len();
            changed = true;
            break;
        }
        spend(text.len().saturating_sub(search))?;
    }
    Ok(changed)
}

const ALL: &[u8] = b" union all ";
const DISTINCT: &[u8] = b" union ";

/// Where the repetitions of `first` behind `end` end (at `end` if there are none), and the last one's union.
fn repeats<'u>(text: &[u8], first: &[u8], mut end: usize, mut union: &'u [u8]) -> (usize, &'u [u8]) {
    let mut last = union;
    while text.get(end + union.len()..).is_some_and(|behind| behind.starts_with(first)) {
        end += union.len() + first.len();
        last = union;
        match text.get(end..).and_then(union_at) {
            Some(next) => union = next,
            None => break,
        }
    }
    (end, last)
}

fn find_union(text: &[u8], from: usize) -> Option<(usize, &'static [u8])> {
    let mut at = from;
    loop {
        at += memmem::find(text.get(at..)?, DISTINCT)?;
        if let Some(union) = union_at(text.get(at..)?) {
            return Some((at, union));
        }
        at += 1;
    }
}

fn union_at(text: &[u8]) -> Option<&'static [u8]> {
    [ALL, DISTINCT].into_iter().find(|union| text.starts_with(union))
}

/// Whether each parenthesis has its other.
fn is_balanced(text: &[u8]) -> bool {
    let depth = text.iter().try_fold(0usize, |depth, byte| match byte {
        b'(' => Some(depth + 1),
        b')' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth == Some(0)
}

/// The first `limit ?, ?` and `limit ? offset ?` are `limit ?`.
pub(super) fn shorten_limit(text: &mut Vec<u8>) -> bool {
    let Some(start) = find_word(text, 0, b"limit ?") else { return false };
    let from = start + b"limit ?".len();
    let mut end = from;
    while let Some(more) = text.get(end..) {
        match [b", ?".as_slice(), b",?", b" offset ?"].iter().find(|tail| more.starts_with(tail)) {
            Some(tail) => end += tail.len(),
            None => break,
        }
    }
    text.drain(from..end);
    end > from
}

/// `asc` behind the first `order by` is the default and left out.
pub(super) fn drop_asc(text: &mut Vec<u8>) -> bool {
    let Some(start) = find_word(text, 0, b"order by ") else { return false };
    let before = text.len();
    // At least one character stands between the two.
    let mut read = start + b"order by ".len() + 1;
    let mut write = read;
    while let Some(&byte) = text.get(read) {
        let behind = text.get(read + ASC.len()).copied();
        if text.get(read..).is_some_and(|rest| rest.starts_with(ASC)) && !behind.is_some_and(is_word) {
            read += ASC.len();
            continue;
        }
        if let Some(slot) = text.get_mut(write) {
            *slot = byte;
        }
        read += 1;
        write += 1;
    }
    text.truncate(write.min(before));
    text.len() < before
}

const ASC: &[u8] = b" asc";

/// Where `words` stands in `text`, not before `from`, with no word character before it.
fn find_word(text: &[u8], from: usize, words: &[u8]) -> Option<usize> {
    let mut at = from;
    loop {
        at += memmem::find(text.get(at..)?, words)?;
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if !before.copied().is_some_and(is_word) {
            return Some(at);
        }
        at += 1;
    }
}

/// Perl's `\w` of bytes.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(rule: impl Fn(&mut Vec<u8>) -> bool, text: &str) -> (String, bool) {
        let mut bytes = text.as_bytes().to_vec();
        let changed = rule(&mut bytes);
        (String::from_utf8(bytes).unwrap(), changed)
    }

    #[test]
    fn repeated_unions_are_one_select_and_a_mark() {
        let table = [
            ("select ? union select ?", "select ? /*repeat union*/"),
            ("select ? union select ? union select ?", "select ? /*repeat union*/"),
            ("select ? union select ? union all select ?", "select ? /*repeat union all*/"),
            ("select ? union all select ? from t", "select ? /*repeat union all*/ from t"),
            ("select a union select b union select b", "select a union select b /*repeat union*/"),
            ("select a from (select ? union select ?) t", "select a from (select ? /*repeat union*/) t"),
            ("select a union select b", "select a union select b"),
            ("(select ?) union (select ?)", "(select ?) union (select ?)"),
            ("xselect ? union select ?", "xselect ? union select ?"),
            ("(((select ?) union select ?) union select ?)", "(((select ?) union select ?) union select ?)"),
        ];
        for (text, expected) in table {
            let (result, changed) = applied(|text| collapse_unions(text).unwrap(), text);
            assert_eq!((result.as_str(), changed), (expected, text != expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_would_cost_more_than_linear_work_is_refused() {
        let mut text = "select a union b ".repeat(1000).into_bytes();
        assert_eq!(collapse_unions(&mut text), Err(TooMuchWork));
    }

    #[test]
    fn the_first_limit_loses_its_offset() {
        let table = [
            ("a limit ?", "a limit ?"),
            ("a limit ?, ?", "a limit ?"),
            ("a limit ?,?", "a limit ?"),
            ("a limit ? offset ? b", "a limit ? b"),
            ("(a limit ?, ?) limit ?, ?", "(a limit ?) limit ?, ?"),
            ("unlimit ?, ?", "unlimit ?, ?"),
        ];
        for (text, expected) in table {
            let (result, changed) = applied(shorten_limit, text);
            assert_eq!((result.as_str(), changed), (expected, text != expected), "{text}");
        }
    }

    #[test]
    fn asc_is_left_out_behind_order_by() {
        let table = [
            ("a order by b asc", "a order by b"),
            ("a order by b asc, c asc limit ?", "a order by b, c limit ?"),
            ("a order by b desc, c", "a order by b desc, c"),
            ("a order by b, ascii(c)", "a order by b, ascii(c)"),
            ("a asc", "a asc"),
            ("reorder by b asc", "reorder by b asc"),
        ];
        for (text, expected) in table {
            let (result, changed) = applied(drop_asc, text);
            assert_eq!((result.as_str(), changed), (expected, text != expected), "{text}");
        }
    }
}
