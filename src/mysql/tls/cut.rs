//! Answers whose ends are not captured (`--mysql.reply-bytes`): where records begin in them is unknown, but not where they
//! end, which is where the client goes on.

use super::{Records, Tls};
use crate::{mysql::event::Observer, packet::Timestamp, stream::Direction};

impl Tls {
    /// The next `length` bytes from the server were seen at `at`, but not captured.
    pub fn cut(&mut self, at: Timestamp, length: u32, observer: &mut impl Observer) {
        if self.cut {
            self.answer_goes_on(at);
        } else if self.server.holds(length) || self.server.lost {
            self.gap(Direction::ToClient, at, length, observer);
        } else {
            // What has begun will not be seen to end: it is taken for complete.
            if let Some(record) = self.server.abandon(at) {
                self.record(Direction::ToClient, record, observer);
            }
            self.cut = true;
            self.answer_goes_on(at);
        }
    }

    /// Bytes behind a cut: whether they are more of what was cut, and so of no use.
    pub(super) fn passes_cut(&mut self, direction: Direction, at: Timestamp) -> bool {
        match direction {
            Direction::ToClient => self.answer_goes_on(at),
            // The server has said all it had to say, and begins a record when it speaks again.
            Direction::ToServer => {
                self.cut = false;
                self.server = Records::default();
            }
        }
        direction == Direction::ToClient
    }

    /// More of the server's answer, whatever records it is made of.
    fn answer_goes_on(&mut self, at: Timestamp) {
        if let Some(answer) = self.exchange.as_mut().and_then(|exchange| exchange.answer.as_mut()) {
            answer.at = at;
            // A record of unknown length asks for nothing.
            answer.last_length = 0;
        }
    }
}
