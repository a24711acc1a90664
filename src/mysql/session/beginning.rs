//! A session's first bytes: what a client sends before it is its turn, and what can be told of a connection that was
//! under way.

use super::{Compression, Phase, Session};
use crate::{
    limits::Bounds,
    mysql::{
        compress::Blocks,
        event::Observer,
        handshake::LoginRequest,
        opening::{Opening, Other},
        tls::{self, Tls},
    },
    packet::Timestamp,
    stream::Direction,
};

impl Session {
    /// The client's first bytes. Before the greeting only a proxy speaks, or a client whose login waits for it.
    #[cold]
    pub(super) fn open(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        let mut opening = self.opening.take().map_or_else(Opening::default, |opening| *opening);
        let greeted = matches!(self.dialogue.phase, Phase::Login);
        match opening.behind_header(bytes) {
            Ok(Some(packets)) if greeted && LoginRequest::may_begin(&packets) => {
                return self.first_requests(at, &packets, bounds, observer);
            }
            Ok(Some(packets)) if !greeted && opening.wait(&packets, at).is_ok() => {}
            Ok(None) => {}
            Ok(Some(_)) | Err(Other) => {
                self.dialogue.phase = Phase::Ignored;
                return;
            }
        }
        self.opening = Some(Box::new(opening));
    }

    /// The server has said something before the first command, when the conversation stood at `before`.
    #[cold]
    pub(super) fn goes_on(&mut self, before: Phase, bounds: &Bounds, observer: &mut impl Observer) {
        match (before, self.dialogue.phase) {
            (Phase::Authentication, Phase::Command) => {
                self.compression = Compression::agreed(self.dialogue.capabilities, Blocks::new);
                self.dialogue.compressed = self.compression.is_some();
            }
            (Phase::Greeting, Phase::Login) => self.greeted(bounds, observer),
            _ => {}
        }
    }

    /// The server has greeted a client that has spoken before.
    fn greeted(&mut self, bounds: &Bounds, observer: &mut impl Observer) {
        let Some(opening) = self.opening.take() else { return };
        match opening.waiting() {
            ([], _) => self.opening = Some(opening),
            (packets, at) => self.first_requests(at, packets, bounds, observer),
        }
    }

    #[inline(never)]
    fn first_requests(&mut self, at: Timestamp, bytes: &[u8], bounds: &Bounds, observer: &mut impl Observer) {
        self.requests(at, bytes, bounds, observer);
    }

    /// A connection that was under way when capture began may be inside TLS.
    pub(super) fn recognise(&mut self, at: Timestamp, bytes: &[u8], observer: &mut impl Observer) {
        if self.dialogue.capabilities.is_none() && tls::begins_records(bytes) {
            self.dialogue.phase = Phase::Tls;
            let tls = self.tls.insert(Box::new(Tls::mid_stream()));
            tls.data(Direction::ToServer, at, bytes, observer);
        }
    }
}
