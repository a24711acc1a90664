//! The texts of digests, at hand for when one of them becomes shown.

use std::{mem, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{digest::DigestId, limits::DIGEST_TEXTS};

/// The longest text that is exported, in characters.
pub const MAX_TEXT: usize = 120;

/// The digests met lately: two generations of [`DIGEST_TEXTS`] at most. When the younger one is full the older one is
/// forgotten; whatever is met or asked for belongs to the younger.
#[derive(Debug, Default)]
pub struct Texts {
    young: HashMap<DigestId, Arc<str>, RandomState>,
    old: HashMap<DigestId, Arc<str>, RandomState>,
}

impl Texts {
    /// A statement of this digest was met.
    #[inline]
    pub fn met(&mut self, id: DigestId, text: &str) {
        if !self.young.contains_key(&id) {
            let text = self.old.remove(&id).unwrap_or_else(|| cut(text));
            self.insert(id, text);
        }
    }

    /// The text of a digest, unless it was met too long ago.
    pub fn get(&mut self, id: DigestId) -> Option<Arc<str>> {
        if let Some(text) = self.young.get(&id) {
            return Some(Arc::clone(text));
        }
        let text = self.old.remove(&id)?;
        self.insert(id, Arc::clone(&text));
        Some(text)
    }

    fn insert(&mut self, id: DigestId, text: Arc<str>) {
        if self.young.len() == DIGEST_TEXTS {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, text);
    }
}

/// The first [`MAX_TEXT`] characters; the last of them tells if there are more.
fn cut(text: &str) -> Arc<str> {
    match text.char_indices().nth(MAX_TEXT) {
        None => Arc::from(text),
        Some(_) => text.chars().take(MAX_TEXT - 1).chain(['…']).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> (DigestId, String) {
        let text = format!("select {}", "x".repeat(number + 1));
        (DigestId::of(text.as_bytes()), text)
    }

    #[test]
    fn what_is_met_or_asked_for_now_and_then_is_kept_and_the_rest_is_bounded() {
        let mut texts = Texts::default();
        let [(met, met_text), (asked, asked_text), (idle, idle_text)] = [text(0), text(1), text(2)];
        texts.met(asked, &asked_text);
        texts.met(idle, &idle_text);
        for number in 0..5 * DIGEST_TEXTS {
            texts.met(DigestId::of(&number.to_le_bytes()), "select a");
            texts.met(met, &met_text);
            if number % DIGEST_TEXTS == 0 {
                assert_eq!(texts.get(asked).as_deref(), Some(&*asked_text));
            }
        }
        assert_eq!(texts.get(met).as_deref(), Some(&*met_text));
        assert_eq!(texts.get(idle), None);
        assert!(texts.young.len() <= DIGEST_TEXTS && texts.old.len() <= DIGEST_TEXTS);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (length, expected) in [(120, "é".repeat(120)), (121, format!("{}…", "é".repeat(119)))] {
            assert_eq!(&*cut(&"é".repeat(length)), expected);
        }
    }
}
