//! A statement → its digest: tokens in, normalised text and id out.
//!
//! The text is the one pt-query-digest 3.2 makes (`QueryRewriter::fingerprint`), so that an id can be looked up
//! in Percona's tools, except where that tool lets a literal through or takes the statement for another than the
//! server does. `tests/digest_oracle.rs` runs both and lists each difference with its reason.

use std::fmt;

use super::{
    DigestId, Statement,
    classes::is_word,
    lexer::{Escapes, Kind, Lexer, Token},
    statement_kind,
    text::Text,
};

/// How much of a statement is read, in bytes. A longer one has a digest only if what was read decides it.
pub const MAX_STATEMENT: usize = 1024 * 1024;

/// Most times a text is normalised again until it is its own normalised text. Real statements need one or two.
const MAX_ROUNDS: usize = 4;

/// What is known of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest<'a> {
    /// By its first keyword.
    pub kind: Statement,
    /// Its shape; `None` where that, or what of it is a literal, is not certain.
    pub shape: Option<Shape<'a>>,
}

/// What statements that differ in literals only have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The text's id.
    pub id: DigestId,
    /// The normalised text: no literals, no comments, never empty, at most 16 KiB.
    pub text: &'a str,
}

/// Normalises statements, reusing its buffers.
pub struct Normalizer {
    text: Text,
    again: Text,
}

/// Shows nothing of the statements.
impl fmt::Debug for Normalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Normalizer").finish_non_exhaustive()
    }
}

impl Default for Normalizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Normalizer {
    /// A normaliser with empty buffers, which grow to 32 KiB at most.
    pub fn new() -> Self {
        Self { text: Text::new(), again: Text::new() }
    }

    /// The digest of `sql`; `complete` says whether nothing was cut off its end.
    ///
    /// A cut statement has a shape only where the rest cannot change it (the further rows of an `INSERT`, the
    /// arguments of a `CALL`). Time is linear in `sql.len()`.
    pub fn digest(&mut self, sql: &[u8], complete: bool, escapes: Escapes) -> Digest<'_> {
        match statement_kind(sql, complete) {
            Statement::Unparsed => Digest { kind: Statement::Unparsed, shape: None },
            kind => Digest { kind, shape: self.shape(sql, complete, escapes) },
        }
    }

    fn shape(&mut self, sql: &[u8], complete: bool, escapes: Escapes) -> Option<Shape<'_>> {
        let mut changed = write(sql, complete, escapes, &mut self.text)?;
        let mut rounds = 1;
        while changed {
            if rounds == MAX_ROUNDS {
                return None;
            }
            rounds += 1;
            write(self.text.as_bytes(), true, Escapes::Backslash, &mut self.again)?;
            changed = self.text.as_bytes() != self.again.as_bytes();
            std::mem::swap(&mut self.text, &mut self.again);
        }
        let text = std::str::from_utf8(self.text.as_bytes()).ok()?;
        if statement_kind(text.as_bytes(), true) == Statement::Unparsed {
            return None;
        }
        Some(Shape { id: DigestId::of(text.as_bytes()), text })
    }
}

/// mysqldump's reading of a table, which pt-query-digest puts into one class.
const MYSQLDUMP: &[u8] = b"SELECT /*!40001 SQL_NO_CACHE */ * FROM `";
/// What pt-query-digest calls the statements of its own family, which carry a comment like `/*db.table:1/8*/`.
const TOOLKIT: &[u8] = b"percona-toolkit";

/// Writes the normalised text of `sql`; tells whether it has to be normalised again.
fn write(sql: &[u8], complete: bool, escapes: Escapes, text: &mut Text) -> Option<bool> {
    text.clear();
    if sql.starts_with(MYSQLDUMP) {
        text.verbatim(b"mysqldump");
        return text.finish();
    }
    if sql == TOOLKIT {
        text.verbatim(TOOLKIT);
        return text.finish();
    }
    let (sql, complete) = match sql.get(..MAX_STATEMENT) {
        Some(head) if head.len() < sql.len() => (head, false),
        _ => (sql, complete),
    };
    let mut lexer = Lexer::new(sql, complete, escapes);
    match heading(&lexer) {
        Some(Heading { words, rule: Rule::Redact }) => write_redacted(words, text),
        Some(Heading { rule: Rule::Call, .. }) => write_call(&mut lexer, text)?,
        Some(Heading { rule: Rule::Rows, .. }) => write_tokens(&mut lexer, Rows::Awaited, text)?,
        None => write_tokens(&mut lexer, Rows::None, text)?,
    }
    text.finish()
}

/// How a statement that begins in a certain way is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Only the words it begins with are shown: what follows names people, hosts or secrets, quoted or not.
    Redact,
    /// Only what is called is shown, with the digits of its name.
    Call,
    /// Rows of values behind the first are left out, with all that follows them.
    Rows,
}

#[derive(Debug, Clone, Copy)]
struct Heading {
    words: &'static [&'static str],
    rule: Rule,
}

const fn redact(words: &'static [&'static str]) -> Heading {
    Heading { words, rule: Rule::Redact }
}

const HEADINGS: &[Heading] = &[
    Heading { words: &["insert", "into"], rule: Rule::Rows },
    Heading { words: &["insert", "ignore", "into"], rule: Rule::Rows },
    Heading { words: &["replace", "into"], rule: Rule::Rows },
    Heading { words: &["call"], rule: Rule::Call },
    redact(&["use"]),
    redact(&["grant"]),
    redact(&["revoke"]),
    redact(&["clone"]),
    redact(&["set", "password"]),
    redact(&["change", "master"]),
    redact(&["change", "replication"]),
    redact(&["create", "user"]),
    redact(&["create", "or", "replace", "user"]),
    redact(&["create", "role"]),
    redact(&["create", "or", "replace", "role"]),
    redact(&["alter", "user"]),
    redact(&["drop", "user"]),
    redact(&["drop", "role"]),
    redact(&["rename", "user"]),
    redact(&["show", "grants"]),
    redact(&["show", "create", "user"]),
];

/// The words a statement begins with, and a value in place of the rest.
fn write_redacted(words: &[&str], text: &mut Text) {
    for word in words {
        text.verbatim(word.as_bytes());
        text.verbatim(b" ");
    }
    text.value();
}

/// The row of [`HEADINGS`] that the statement begins with.
fn heading(lexer: &Lexer<'_>) -> Option<Heading> {
    let mut lexer = lexer.clone();
    let first = next_word(&mut lexer)?;
    // Most statements end here, after one word.
    let mut candidates = HEADINGS
        .iter()
        .filter(|heading| heading.words.first().is_some_and(|word| first.is_word(word.as_bytes())));
    candidates
        .find(|heading| {
            let mut lexer = lexer.clone();
            heading
                .words
                .iter()
                .skip(1)
                .all(|word| next_word(&mut lexer).is_some_and(|token| token.is_word(word.as_bytes())))
        })
        .copied()
}

/// The next token that is no white space or comment.
fn next_word<'a>(lexer: &mut Lexer<'a>) -> Option<Token<'a>> {
    loop {
        let token = lexer.next()?;
        if !matches!(token.kind, Kind::Space | Kind::Comment) {
            return Some(token);
        }
    }
}

/// `call` and the name behind it.
fn write_call(lexer: &mut Lexer<'_>, text: &mut Text) -> Option<()> {
    let mut gap = false;
    loop {
        let token = lexer.next()?;
        match token.kind {
            Kind::Comment => gap = true,
            Kind::Space | Kind::Word | Kind::Quoted | Kind::Placeholder => {
                if std::mem::take(&mut gap) && must_separate(text, &token) {
                    text.verbatim(b" ");
                }
                text.verbatim(token.bytes);
            }
            Kind::Symbol if token.is_symbol(b'.') => text.verbatim(b"."),
            _ => return Some(()),
        }
    }
}

fn write_tokens(lexer: &mut Lexer<'_>, mut rows: Rows, text: &mut Text) -> Option<()> {
    let mut depth = 0usize;
    let mut previous = Kind::Space;
    let mut gap = false;
    // Whether another statement begins.
    let mut begins = false;
    loop {
        let before = begins.then(|| lexer.clone());
        let token = lexer.next()?;
        if std::mem::take(&mut gap) && must_separate(text, &token) {
            text.code(b" ");
        }
        if let Some(before) = before.filter(|_| !matches!(token.kind, Kind::Space | Kind::Comment)) {
            begins = false;
            if let Some(Heading { words, rule: Rule::Redact }) = heading(&before) {
                write_redacted(words, text);
                return Some(());
            }
        }
        match token.kind {
            Kind::End => return (depth == 0).then_some(()),
            Kind::Comment if is_repeat_mark(token.bytes) => text.verbatim(token.bytes),
            Kind::Comment if is_toolkit_mark(token.bytes) => {
                text.clear();
                text.verbatim(TOOLKIT);
                return Some(());
            }
            Kind::Comment => gap = true,
            Kind::Literal => text.value(),
            Kind::Number => text.number(token.bytes),
            Kind::Placeholder => text.placeholder(),
            Kind::Word
                if is_truth(&token) && previous != Kind::Placeholder && lexer.following() != Some(b'?') =>
            {
                text.value();
            }
            Kind::Space | Kind::Word | Kind::Quoted => text.code(token.bytes),
            Kind::Symbol => {
                text.code(token.bytes);
                match token.bytes {
                    b"(" => depth += 1,
                    b";" => begins = true,
                    b")" => depth = depth.checked_sub(1)?,
                    _ => {}
                }
            }
        }
        if !matches!(token.kind, Kind::Space | Kind::Comment) {
            rows = rows.after(&token, depth, text);
            if let Rows::Repeated { end } = rows {
                text.truncate(end);
                return Some(());
            }
        }
        previous = token.kind;
    }
}

/// How far the rows behind `VALUES` of an `INSERT` or `REPLACE` have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// The statement has none.
    None,
    Awaited,
    /// Behind the word `values`.
    Announced,
    InFirst,
    /// The first row ended where the text had `end` bytes.
    AfterFirst {
        end: usize,
    },
    /// … and a comma follows.
    Comma {
        end: usize,
    },
    /// … and another row.
    Repeated {
        end: usize,
    },
}

impl Rows {
    /// `token` was written, and `depth` parentheses are open behind it.
    fn after(self, token: &Token<'_>, depth: usize, text: &Text) -> Self {
        match self {
            Self::None | Self::Repeated { .. } => self,
            Self::Awaited | Self::Announced if depth == 0 && token.is_word(b"values") => Self::Announced,
            Self::Awaited => self,
            Self::Announced if token.is_symbol(b'(') => Self::InFirst,
            Self::Announced => Self::Awaited,
            Self::InFirst if depth == 0 => Self::AfterFirst { end: text.as_bytes().len() },
            Self::InFirst => self,
            Self::AfterFirst { end } if token.is_symbol(b',') => Self::Comma { end },
            Self::Comma { end } if token.is_symbol(b'(') => Self::Repeated { end },
            Self::AfterFirst { .. } | Self::Comma { .. } => Self::None,
        }
    }
}

/// A comment between two words or literals keeps them apart, as it does for the server; and none may come about
/// where one was.
fn must_separate(text: &Text, token: &Token<'_>) -> bool {
    match (text.as_bytes().last(), token.kind) {
        (Some(&last), Kind::Word | Kind::Quoted | Kind::Literal | Kind::Number | Kind::Placeholder) => {
            is_word(last) || matches!(last, b'?' | b'`')
        }
        (Some(b'/'), Kind::Symbol) => token.is_symbol(b'*'),
        _ => false,
    }
}

/// `TRUE` and `FALSE` are values, as `NULL` is.
fn is_truth(token: &Token<'_>) -> bool {
    token.is_word(b"true") || token.is_word(b"false")
}

/// Whether the text depends on what is in `comment`.
pub(super) fn is_known_comment(comment: &[u8]) -> bool {
    is_repeat_mark(comment) || is_toolkit_mark(comment)
}

/// The mark that stands for repeated unions, so that a normalised text stays as it is.
fn is_repeat_mark(comment: &[u8]) -> bool {
    matches!(comment, b"/*repeat union*/" | b"/*repeat union all*/")
}

/// `/*word.word:digit/digit*/`
fn is_toolkit_mark(comment: &[u8]) -> bool {
    let word = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let Some(inner) = comment.strip_prefix(b"/*").and_then(|rest| rest.strip_suffix(b"*/")) else {
        return false;
    };
    match inner {
        [name @ .., b':', chunk, b'/', chunks] if chunk.is_ascii_digit() && chunks.is_ascii_digit() => {
            let mut parts = name.splitn(2, |&byte| byte == b'.');
            parts.next().is_some_and(word) && parts.next().is_some_and(word)
        }
        _ => false,
    }
}
