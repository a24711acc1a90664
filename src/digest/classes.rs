//! What MySQL's lexer makes of single bytes: a look-up is most of what a statement costs.

/// Characters of an unquoted identifier (MySQL manual, 11.2): those above ASCII, too.
pub(super) const WORD: u8 = 1;
/// White space to MySQL's lexer: unlike [`u8::is_ascii_whitespace`], with vertical tab.
pub(super) const SPACE: u8 = 2;
/// `0` to `9`, which are in [`WORD`], too.
pub(super) const DIGIT: u8 = 4;
/// ASCII letters, which are in [`WORD`], too.
pub(super) const LETTER: u8 = 8;
/// Letters, white space, and characters that never begin anything but themselves, nor end a statement, or are `.`.
pub(super) const CODE: u8 = 16;
/// The same and `*`, which may end a comment whose text the server executes.
pub(super) const CODE_OR_STAR: u8 = 64;
/// What most names are made of: letters, digits and `_`, which are in [`WORD`], too.
pub(super) const PLAIN_WORD: u8 = 32;

const CLASSES: &[u8; 256] = &{
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[byte] = class(byte as u8);
        }
        byte += 1;
    }
    classes
};

const fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => WORD | PLAIN_WORD | DIGIT,
        b'a'..=b'z' | b'A'..=b'Z' => WORD | PLAIN_WORD | LETTER | CODE | CODE_OR_STAR,
        b'_' => WORD | PLAIN_WORD,
        b'$' | 0x80.. => WORD,
        b' ' | b'\t'..=b'\r' => SPACE | CODE | CODE_OR_STAR,
        // Not `;`: what follows it is another statement.
        b'!'
        | b'%'
        | b'&'
        | b'('
        | b')'
        | b'+'
        | b','
        | b'.'
        | b':'
        | b'<'..=b'@'
        | b'['
        | b']'
        | b'^'
        | b'{'..=b'~' => CODE | CODE_OR_STAR,
        b'*' => CODE_OR_STAR,
        _ => 0,
    }
}

#[inline]
fn class_of(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether `byte` is of any of `classes`.
#[inline]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    class_of(byte) & classes != 0
}

#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    is(byte, WORD)
}

#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// How many bytes at the beginning of `text` are of `class`, where many are: looked at by fours.
#[inline]
pub(super) fn run(text: &[u8], class: u8) -> usize {
    let (fours, _) = text.as_chunks::<4>();
    let all = |four: &[u8; 4]| four.iter().fold(class, |all, &byte| all & class_of(byte)) != 0;
    let whole = fours.iter().position(|four| !all(four)).unwrap_or(fours.len()) * 4;
    whole + count(text.get(whole..).unwrap_or_default(), class)
}

/// How many bytes at the beginning of `text` are of any of `classes`.
#[inline]
pub(super) fn count(text: &[u8], classes: u8) -> usize {
    text.iter().position(|&byte| !is(byte, classes)).unwrap_or(text.len())
}
