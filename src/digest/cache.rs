//! Digests of statements that differ from an earlier one in their literals only.
//!
//! Normalising depends on a statement's tokens, but on no literal's or comment's content. So a statement is cut
//! into tokens once, its *mask* is written (the tokens' bytes, with a mark for each literal, number and comment),
//! and a mask seen before has the digest it had then. Masks are compared, not only their hashes: a collision
//! costs time, never a wrong digest. Nothing is stored of a statement's literals.

use std::{fmt, hash::BuildHasher};

use super::{
    Digest, DigestId, Escapes, MAX_STATEMENT, Normalizer, Shape, Statement,
    lexer::{Kind, Lexer},
    normalize::is_known_comment,
};

/// Sets of two statements each: a statement belongs into one set, and pushes out the one there that was met less
/// recently.
const SETS: usize = 512;
/// The longest mask and the longest text that are held, in bytes: with [`SETS`], 2 MiB at most.
const MAX_HELD: usize = 1024;

/// A [`Normalizer`] that remembers. Its digests are those of [`Normalizer::digest`].
pub struct DigestCache {
    normalizer: Normalizer,
    hasher: foldhash::fast::RandomState,
    mask: Vec<u8>,
    sets: Vec<[Slot; 2]>,
}

/// Shows nothing of the statements.
impl fmt::Debug for DigestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestCache").finish_non_exhaustive()
    }
}

/// A mask and its digest. The buffers are reused.
#[derive(Clone, Default)]
struct Slot {
    mask: Vec<u8>,
    /// Empty for a statement that has no shape.
    text: String,
    id: Option<DigestId>,
    kind: Option<Statement>,
}

impl Slot {
    fn holds(&self, mask: &[u8]) -> bool {
        self.kind.is_some() && self.mask == mask
    }

    fn digest(&self) -> Digest<'_> {
        Digest {
            kind: self.kind.unwrap_or(Statement::Unparsed),
            shape: self.id.map(|id| Shape { id, text: &self.text }),
        }
    }

    fn fill(&mut self, mask: &[u8], digest: &Digest<'_>) {
        self.mask.clear();
        self.mask.extend_from_slice(mask);
        self.text.clear();
        self.text.push_str(digest.shape.map_or("", |shape| shape.text));
        self.id = digest.shape.map(|shape| shape.id);
        self.kind = Some(digest.kind);
    }
}

impl Default for DigestCache {
    fn default() -> Self {
        Self::new()
    }
}

impl DigestCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self {
            normalizer: Normalizer::new(),
            hasher: foldhash::fast::RandomState::default(),
            mask: Vec::with_capacity(MAX_HELD),
            sets: vec![Default::default(); SETS],
        }
    }

    /// As [`Normalizer::digest`].
    pub fn digest(&mut self, sql: &[u8], complete: bool, escapes: Escapes) -> Digest<'_> {
        if !complete || !write_mask(sql, escapes, &mut self.mask) {
            return self.normalizer.digest(sql, complete, escapes);
        }
        let hash = self.hasher.hash_one(self.mask.as_slice()) as usize;
        let Some([recent, other]) = self.sets.get_mut(hash % SETS) else {
            return self.normalizer.digest(sql, complete, escapes);
        };
        if recent.holds(&self.mask) {
            return recent.digest();
        }
        if !other.holds(&self.mask) {
            let digest = self.normalizer.digest(sql, complete, escapes);
            if digest.shape.is_some_and(|shape| shape.text.len() > MAX_HELD) {
                return digest;
            }
            other.fill(&self.mask, &digest);
        }
        std::mem::swap(recent, other);
        recent.digest()
    }
}

/// Marks in a mask. No token holds such a byte.
const LITERAL: u8 = 1;
const NUMBER: u8 = 2;
const FRACTION: u8 = 3;
const COMMENT: u8 = 4;

/// Writes the mask of a whole statement; tells whether it is certain and short enough to be held.
///
/// Two statements have one mask only if they are cut into the same tokens: no two tokens but white space, symbols
/// and marks stand side by side without one of these between them.
fn write_mask(sql: &[u8], escapes: Escapes, mask: &mut Vec<u8>) -> bool {
    mask.clear();
    if sql.len() > MAX_STATEMENT {
        return false;
    }
    let mut lexer = Lexer::new(sql, true, escapes);
    // What stands between two marks is copied at once.
    let mut copied = 0;
    loop {
        lexer.skip_code();
        let Some(token) = lexer.next() else { return false };
        let mark = match token.kind {
            Kind::Literal => LITERAL,
            Kind::Number if token.bytes.starts_with(b".") => FRACTION,
            Kind::Number => NUMBER,
            Kind::Comment if is_plain(token.bytes) => COMMENT,
            Kind::End => 0,
            _ => continue,
        };
        let end = sql.len() - lexer.remaining();
        let between = sql.get(copied..end - token.bytes.len()).unwrap_or_default();
        if mask.len() + between.len() >= MAX_HELD {
            return false;
        }
        mask.extend_from_slice(between);
        if token.kind == Kind::End {
            return true;
        }
        mask.push(mark);
        copied = end;
    }
}

/// Whether no digest depends on what is in `comment`. The opening and the closing mark of an executed comment are
/// not plain, nor are the comments that the normaliser knows.
fn is_plain(comment: &[u8]) -> bool {
    match comment {
        b"*/" => false,
        [b'/', b'*', .., b'*', b'/'] => !is_known_comment(comment),
        [b'/', ..] => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(sql: &str) -> Option<Vec<u8>> {
        let mut mask = Vec::new();
        write_mask(sql.as_bytes(), Escapes::Backslash, &mut mask).then_some(mask)
    }

    #[test]
    fn statements_that_differ_in_literals_and_comments_only_have_one_mask() {
        let table = [
            ("select 1, 'a', 0xAF /* b */", "select 2.5E3, X'41', 7 /* c */"),
            ("select a -- b\n", "select a # c\n"),
            ("select 'a'", "select _utf8 \"it's\""),
            ("/*!99999 a */ select 1", "/* b */ select 2"),
        ];
        for (one, other) in table {
            assert_eq!(mask(one), mask(other), "{one} | {other}");
        }
    }

    #[test]
    fn statements_that_may_differ_in_their_digest_differ_in_their_mask() {
        let table = [
            ("select 1", "select ?"),
            ("select 1", "select '1'"),
            ("select a.5", "select a5"),
            ("select a1", "select a2"),
            ("select A", "select a"),
            ("select  a", "select a"),
            ("select /*! a */", "select /* a */"),
            ("select /* a */ b", "select /*repeat union*/ b"),
            ("select /* a */ b", "select /*a.b:1/2*/ b"),
        ];
        for (one, other) in table {
            assert_ne!(mask(one), mask(other), "{one} | {other}");
        }
    }

    #[test]
    fn what_is_held_is_bounded_and_has_no_literals() {
        let mut cache = DigestCache::new();
        for number in 0..20_000 {
            let column = format!("c{}", "x".repeat(number % 2000));
            let sql = format!("select {column}, {column}_{} from t where a='canary'", number % 7);
            cache.digest(sql.as_bytes(), true, Escapes::Backslash);
        }
        assert_eq!(cache.sets.len(), SETS);
        for slot in cache.sets.iter().flatten() {
            assert!(slot.mask.len() <= MAX_HELD && slot.text.len() <= MAX_HELD);
            assert!(!slot.mask.windows(6).any(|window| window == b"canary"));
        }
    }

    #[test]
    fn a_shape_that_was_pushed_out_has_its_digest_again() {
        let (mut cache, mut normalizer) = (DigestCache::new(), Normalizer::new());
        for round in 0..3 {
            for number in 0..6 * SETS {
                let sql = format!(
                    "select {round} from {}",
                    "abcdefg".repeat(number % 40 + 1) + &"h".repeat(number / 40)
                );
                let expected = normalizer.digest(sql.as_bytes(), true, Escapes::Backslash);
                assert_eq!(cache.digest(sql.as_bytes(), true, Escapes::Backslash), expected);
            }
        }
    }
}
