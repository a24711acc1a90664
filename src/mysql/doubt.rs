//! Replies that may not be the ones to the requests they were matched with.
//!
//! Behind a loss, and where a connection was under way when capture began, the first request found is matched with the
//! first reply that follows. That is right if the client awaits each answer, and wrong if it pipelines: then replies to
//! lost requests come first. Which of the two it is shows soon: by [`TURNS`] exchanges in strict turns, or by a request
//! or a reply too many. Until then replies are held back, and told late or not at all.

use super::event::{Event, Observer, Reply};

/// Exchanges in strict turns that make a client one that awaits each answer.
const TURNS: usize = 3;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// `None` while nothing is doubted.
    held: Option<Vec<Reply>>,
    /// Whether the client was seen not to await an answer since.
    hurried: bool,
}

impl Doubt {
    /// From the first reply on.
    pub(super) fn raised() -> Self {
        Self { held: Some(Vec::new()), hurried: false }
    }

    #[inline]
    pub(super) fn is_raised(&self) -> bool {
        self.held.is_some()
    }

    /// The client does not await all that the server has sent.
    #[inline]
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// The place was lost: what is held may be wrong, and so may be what follows.
    pub(super) fn raise(&mut self) {
        *self = Self::raised();
    }

    /// What is held is right (a client that leaves has read what it asked for): tells it.
    pub(super) fn settle(&mut self, observer: &mut impl Observer) {
        let held = self.held.take().filter(|_| !self.hurried);
        for reply in held.into_iter().flatten() {
            observer.event(&Event::Reply(reply));
        }
    }

    /// Nothing more will be seen: tells what is held if that was as good as enough.
    pub(super) fn end(&mut self, observer: &mut impl Observer) {
        if self.held.as_ref().is_some_and(|held| held.len() + 1 >= TURNS) {
            self.settle(observer);
        }
        self.held = None;
    }

    /// A reply is complete: tells it, or holds it. `false` if it is none to what it was matched with, for all that is known.
    #[inline]
    #[must_use]
    pub(super) fn reply(&mut self, reply: Reply, observer: &mut impl Observer) -> bool {
        let Some(held) = &mut self.held else {
            observer.event(&Event::Reply(reply));
            return true;
        };
        if self.hurried {
            return false;
        }
        if held.len() + 1 < TURNS {
            held.reserve_exact(TURNS - 1 - held.len());
            held.push(reply);
            return true;
        }
        self.settle(observer);
        observer.event(&Event::Reply(reply));
        true
    }
}
