//! The place in each direction's stream: lost, and found again.

use super::{Dialogue, Phase};
use crate::{
    digest::Escapes,
    mysql::{
        command::Command,
        doubt::Doubt,
        event::{Event, Observer},
        packet::Message,
        schema::SchemaId,
    },
    packet::Timestamp,
    stream::Direction,
};

/// Nanoseconds of silence after which no response to a lost request is taken to be on its way.
const QUIET: u64 = 10_000_000_000;

impl Dialogue {
    /// The place in a direction is lost. What waits for a response cannot be matched to one any more.
    pub(in crate::mysql) fn lose(&mut self, direction: Direction, observer: &mut impl Observer) {
        observer.event(&Event::Desync);
        self.forget_pending(observer);
        self.doubt.raise();
        self.server_lost = true;
        self.heard = direction == Direction::ToClient;
        self.last_unpaired = Timestamp(u64::MAX);
        // Without both ends of the login nothing before the first request can be told apart.
        if direction == Direction::ToServer || self.phase != Phase::Command {
            self.client_lost = true;
        }
        if self.phase == Phase::Login {
            self.capabilities = None;
        }
        self.phase = Phase::Command;
    }

    /// The server, which is lost, has sent something at `at`.
    pub(in crate::mysql) fn overhear(&mut self, at: Timestamp) {
        self.heard = true;
        self.last_unpaired = at;
    }

    /// Whether a request found at `at`, with the server lost, is the only one that awaits a response: the server has
    /// answered what was lost of a client that awaits each answer, or nobody has said anything for long.
    pub(super) fn is_alone(&mut self, at: Timestamp) -> bool {
        if at.nanos_since(self.last_unpaired) > QUIET {
            self.pipelines = false;
            self.doubt = Doubt::default();
            return true;
        }
        self.last_unpaired = at;
        self.heard && !self.pipelines
    }

    /// The client's next bytes begin a request.
    pub(in crate::mysql) fn find(&mut self, observer: &mut impl Observer) {
        observer.event(&Event::Resync);
        self.client_lost = false;
        self.server_lost = true;
        self.prepared.forget_last();
        self.forget_pending(observer);
    }

    /// Whether no client sends such a request, on a connection whose login was not seen: what was taken for requests is
    /// something else, or its place is lost.
    #[cold]
    pub(super) fn misreads(
        &mut self,
        command: Command,
        message: &Message<'_>,
        observer: &mut impl Observer,
    ) -> bool {
        if command.is_plausible(message.head, message.length) {
            return false;
        }
        self.lose(Direction::ToServer, observer);
        if begins_block(message) {
            self.phase = Phase::Ignored;
        }
        true
    }

    /// The client's next bytes were sent before all that the server has said was received. Of a response that is awaited
    /// nothing is left on its way.
    #[inline]
    pub(in crate::mysql) fn hurried(&mut self) {
        self.doubt.hurry();
    }

    /// The client has shown that it sends requests before it has the answers to those before them.
    #[cold]
    pub(super) fn does_not_await(&mut self, observer: &mut impl Observer) {
        self.pipelines = true;
        if self.doubt.is_raised() && !self.server_lost {
            self.lose(Direction::ToClient, observer);
        }
    }

    /// No more requests come: replies still in doubt had their chance to be shown wrong.
    pub(in crate::mysql) fn settle(&mut self, observer: &mut impl Observer) {
        if self.pending.is_empty() && !self.client_lost && !self.server_lost {
            self.doubt.end(observer);
        }
    }

    /// What the commands that wait do to the session will not be seen.
    fn forget_pending(&mut self, observer: &mut impl Observer) {
        self.pending.clear();
        self.asked = None;
        observer.user(None);
        self.cut_at = None;
        self.file = None;
        self.escapes = Escapes::Unknown;
        self.schema = SchemaId::UNKNOWN;
    }
}

/// Whether a packet is the beginning of a compressed block: one that was too short to be compressed says that it was of 0
/// bytes before, and holds a whole packet. Some clients write the block's header and what is in it apart, so that requests
/// can be found in it where the login was not seen.
fn begins_block(message: &Message<'_>) -> bool {
    let [0, 0, 0, a, b, c, ..] = *message.head else { return false };
    u64::from(u32::from_le_bytes([a, b, c, 0])) + 4 == message.length
}
