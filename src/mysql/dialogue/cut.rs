//! Responses whose ends are not captured (`--mysql.reply-bytes`): where messages begin in them is unknown, but not where they
//! end. A client that awaits each answer goes on when it has all of it, so the response ends with the last byte that
//! the server sent before that.

use super::{Dialogue, Phase};
use crate::{
    limits::Bounds,
    mysql::{
        event::{Event, Observer},
        schema::{SchemaChange, SchemaId},
    },
    packet::Timestamp,
    stream::Direction,
};

impl Dialogue {
    /// Bytes of the server's that were seen at `at` were not captured, and a message may end among them. `began_at` is
    /// when the message under way began. `false` if it cannot be told which response they belong to: the client does
    /// not await each.
    pub(in crate::mysql) fn cut_reply(&mut self, at: Timestamp, began_at: Option<Timestamp>) -> bool {
        let alone = self.phase == Phase::Command && !self.server_lost && self.pending.len() == 1;
        if !alone || self.pipelines {
            return false;
        }
        if !self.response.has_begun() {
            self.first_response_at = began_at.unwrap_or(at);
        }
        self.cut_at = Some(at);
        true
    }

    /// Gives up the place in the server's stream because it cannot be told which of several responses was cut. A client
    /// that sends a few requests together and then awaits each answer, as some do when they connect, is followed
    /// again from its next request on. `false` if there is no such place.
    pub(in crate::mysql) fn loses_cut_reply(&mut self, observer: &mut impl Observer) -> bool {
        let several = self.phase == Phase::Command && !self.server_lost;
        if several {
            self.lose(Direction::ToClient, observer);
            self.pipelines = false;
        }
        several
    }

    /// More of a response whose end is cut off; `false` if there is none.
    #[inline]
    pub(in crate::mysql) fn goes_on_cut(&mut self, at: Timestamp) -> bool {
        let cut = self.cut_at.is_some();
        if cut {
            self.cut_at = Some(at);
        }
        cut
    }

    /// The client goes on: the response whose end was cut off is complete.
    #[inline]
    pub(super) fn end_cut_reply(&mut self, bounds: &Bounds, observer: &mut impl Observer) {
        let Some(at) = self.cut_at.take() else { return };
        self.server_restarts = true;
        if let Some(&first) = self.pending.front() {
            observer.event(&Event::CutReply);
            // Nor is it known whether all of it was done.
            if first.schema != SchemaChange::None {
                self.pending.set_schema(SchemaChange::To(SchemaId::UNKNOWN));
            }
            self.answered(&first, None, at, false, bounds, observer);
        }
    }
}
