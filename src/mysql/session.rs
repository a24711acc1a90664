//! One connection: from its bytes, in order, to events.
//!
//! Call [`Session::data`] and [`Session::gap`] as the stream brings them, [`Session::release`] at its end.
//!
//! # Losing and finding the place
//!
//! Each direction may be *lost*: where its packets begin is unknown. A client's stream is found again at bytes
//! that can only be the start of a request ([`resync::begins_request`]); a server's at the response to a request that
//! is alone: its client awaits each answer and the server has been heard since, or nothing was sent for long. A client
//! that pipelines may have other answers on their way. Until then the server's bytes are passed over, and no reply is
//! counted.

mod beginning;

use std::ops::Range;

use super::{
    capabilities::Capabilities,
    compress::{Algorithm, Blocks, Codecs, Piece},
    dialogue::{Dialogue, Phase},
    event::{Observer, Visibility},
    opening::Opening,
    packet::{Framer, Lost},
    resync,
    tls::Tls,
};
use crate::{
    limits::{self, Bounds},
    packet::Timestamp,
    stream::{Direction, Missing, flows::Start},
};

/// What comes next in a compressed direction.
enum Input<'a> {
    Bytes(&'a [u8]),
    Gap(u32),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Session {
    client: Framer,
    server: Framer,
    dialogue: Dialogue,
    /// What the client has sent so far, where that was before its turn.
    opening: Option<Box<Opening>>,
    /// Once the connection is inside TLS, in which case nothing else of this is in use.
    tls: Option<Box<Tls>>,
    /// Once the login has agreed on compression.
    compression: Option<Box<Compression>>,
}

/// The blocks around both directions' packets.
#[derive(Debug)]
struct Compression {
    client: Blocks,
    server: Blocks,
}

impl Compression {
    /// The blocks that both ends agreed on, if any, made by `new`.
    fn agreed(
        capabilities: Option<Capabilities>,
        new: fn(Algorithm, Direction) -> Blocks,
    ) -> Option<Box<Self>> {
        let algorithm = Algorithm::agreed(capabilities?)?;
        let [client, server] = [Direction::ToServer, Direction::ToClient].map(|way| new(algorithm, way));
        Some(Box::new(Self { client, server }))
    }

    fn blocks(&mut self, direction: Direction) -> &mut Blocks {
        match direction {
            Direction::ToServer => &mut self.client,
            Direction::ToClient => &mut self.server,
        }
    }
}

/// What a session shares with the others of its pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// Bounds on what traffic can make grow.
    pub bounds: &'a Bounds,
    /// Decompressors.
    pub codecs: &'a Codecs,
}

impl Session {
    /// A connection seen from `start` on.
    pub fn new(start: Start) -> Self {
        Self {
            client: Framer::new(limits::REQUEST_HEAD),
            server: Framer::new(limits::RESPONSE_HEAD),
            dialogue: Dialogue::new(start),
            opening: None,
            tls: None,
            compression: None,
        }
    }

    /// Whether the client has said that it leaves (COM_QUIT).
    pub fn has_quit(&self) -> bool {
        self.dialogue.quit
    }

    /// How much of the connection can be seen now.
    #[inline]
    pub fn visibility(&self) -> Visibility {
        match self.dialogue.phase {
            Phase::Tls => Visibility::Tls,
            Phase::Ignored | Phase::Greeting => Visibility::Unknown,
            Phase::Command if self.compression.is_some() => Visibility::Compressed,
            Phase::Command if self.dialogue.client_lost => Visibility::Unknown,
            Phase::Login | Phase::Authentication | Phase::Command => Visibility::Decoded,
        }
    }

    /// The next bytes of a direction.
    #[inline]
    pub fn data(
        &mut self,
        direction: Direction,
        at: Timestamp,
        bytes: &[u8],
        shared: Shared<'_>,
        observer: &mut impl Observer,
    ) {
        if let Some(tls) = &mut self.tls {
            tls.data(direction, at, bytes, observer);
        } else if direction == Direction::ToClient && self.dialogue.goes_on_cut(at) {
            // Where a message begins in them is unknown.
        } else if self.compression.is_some() {
            self.unpack(direction, at, Input::Bytes(bytes), shared, observer);
        } else {
            self.packets(direction, at, bytes, shared.bounds, observer);
        }
    }

    /// The next `length` bytes of a direction are missing.
    pub fn gap(
        &mut self,
        direction: Direction,
        at: Timestamp,
        length: u32,
        why: Missing,
        shared: Shared<'_>,
        observer: &mut impl Observer,
    ) {
        if (direction, why) == (Direction::ToClient, Missing::Cut) {
            self.cut(at, length, shared, observer);
        } else if let Some(tls) = &mut self.tls {
            tls.gap(direction, at, length, observer);
        } else if direction == Direction::ToClient && self.dialogue.goes_on_cut(at) {
            // As in `data`.
        } else if self.compression.is_some() {
            self.unpack(direction, at, Input::Gap(length), shared, observer);
        } else {
            self.missing(direction, at, length, why, shared.bounds, observer);
        }
    }

    /// The client's next bytes were sent before it had received all of the server's that were fed.
    #[inline]
    pub fn hurried(&mut self) {
        self.dialogue.hurried();
    }

    /// Which of the bytes to come in a direction need not be seen: only their number matters, and when they came.
    pub fn needless(&self, direction: Direction) -> Range<u32> {
        let hidden = self.tls.is_some() || self.compression.is_some() || self.dialogue.is_opaque();
        match direction {
            _ if hidden || self.dialogue.is_lost(direction) => 0..0,
            Direction::ToServer => self.client.needless(),
            Direction::ToClient => self.server.needless(),
        }
    }

    /// The next `length` bytes from the server were seen at `at`, but not captured: replies are cut.
    ///
    /// Where they are all of one packet whose meaning is known nothing is lost. Else the response ends with the last byte that
    /// the server sends before the client goes on, and what is in it remains unknown.
    fn cut(&mut self, at: Timestamp, length: u32, shared: Shared<'_>, observer: &mut impl Observer) {
        if let Some(tls) = &mut self.tls {
            return tls.cut(at, length, observer);
        }
        if self.dialogue.goes_on_cut(at) {
            return;
        }
        if self.compression.is_none() && self.server.holds(length) && self.server.tells() {
            return self.missing(Direction::ToClient, at, length, Missing::Cut, shared.bounds, observer);
        }
        if let Some(compression) = &mut self.compression {
            // What is in a block that is cut cannot be known.
            compression.server.cut(shared.codecs, shared.bounds);
        }
        if self.dialogue.cut_reply(at, self.server.began_at()) {
            self.server.reset(shared.bounds);
        } else if self.dialogue.loses_cut_reply(observer) {
            self.tidy(shared.bounds);
        } else if self.compression.is_none() {
            self.missing(Direction::ToClient, at, length, Missing::Cut, shared.bounds, observer);
        }
    }

    /// Bytes of blocks → bytes of packets.
    fn unpack(
        &mut self,
        direction: Direction,
        at: Timestamp,
        input: Input<'_>,
        Shared { bounds, codecs }: Shared<'_>,
        observer: &mut impl Observer,
    ) {
        // Taken out for the time of the call: its output comes back to this session.
        let Some(mut compression) = self.compression.take() else { return };
        let blocks = compression.blocks(direction);
        // Only what answers a request that nothing else waits beside can be a response's beginning.
        let waits = direction == Direction::ToClient && blocks.is_lost() && !self.dialogue.server_restarts;
        let out = |piece: Piece<'_>| match piece {
            Piece::Bytes(bytes) => self.packets(direction, at, bytes, bounds, observer),
            Piece::Gap(length) => self.missing(direction, at, length, Missing::Lost, bounds, observer),
            Piece::Lost => self.dialogue.lose(direction, observer),
        };
        match input {
            _ if waits => {}
            Input::Bytes(bytes) => blocks.data(bytes, codecs, bounds, out),
            Input::Gap(length) => blocks.gap(length, codecs, bounds, out),
        }
        self.tidy(bounds);
        self.compression = Some(compression);
        self.tidy(bounds);
    }

    /// The next bytes of a direction's packets.
    #[inline]
    fn packets(
        &mut self,
        direction: Direction,
        at: Timestamp,
        bytes: &[u8],
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        if self.dialogue.is_opaque() {
            return;
        }
        match direction {
            Direction::ToServer => self.client_data(at, bytes, bounds, observer),
            Direction::ToClient => self.server_data(at, bytes, bounds, observer),
        }
        self.tidy(bounds);
    }

    /// Keeps nothing of a message that will not be completed, and no room for commands that will not be answered.
    #[inline]
    fn tidy(&mut self, bounds: &Bounds) {
        if self.dialogue.is_opaque() || self.dialogue.client_lost || self.dialogue.server_lost {
            self.forget_unfinished(bounds);
        }
    }

    #[cold]
    fn forget_unfinished(&mut self, bounds: &Bounds) {
        let opaque = self.dialogue.is_opaque();
        if opaque || self.dialogue.client_lost {
            self.opening = None;
            self.client.release(bounds);
            self.dialogue.pending.release(bounds);
        }
        if opaque || self.dialogue.server_lost {
            self.server.release(bounds);
        }
    }

    /// The next `length` bytes of a direction's packets are missing.
    fn missing(
        &mut self,
        direction: Direction,
        at: Timestamp,
        length: u32,
        why: Missing,
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        if self.dialogue.is_opaque() || self.dialogue.is_lost(direction) {
            return;
        }
        let framer = match direction {
            Direction::ToServer => &mut self.client,
            Direction::ToClient => &mut self.server,
        };
        match framer.skip(length, at, why) {
            Ok(Some(message)) => self.dialogue.message(direction, &message, bounds, observer),
            Ok(None) => {}
            Err(Lost) => {
                let login = self.dialogue.phase == Phase::Authentication;
                self.dialogue.lose(direction, observer);
                if login {
                    // The login may have been what is missing: blocks follow, who knows from where on.
                    self.compression = Compression::agreed(self.dialogue.capabilities, Blocks::lost);
                    self.dialogue.compressed = self.compression.is_some();
                }
            }
        }
        self.tidy(bounds);
    }

    /// The connection has ended.
    pub fn closed(&mut self, observer: &mut impl Observer) {
        if let Some(tls) = &mut self.tls {
            tls.closed(observer);
        }
        self.settle(observer);
    }

    /// Nothing more of it will be seen.
    pub fn settle(&mut self, observer: &mut impl Observer) {
        self.dialogue.settle(observer);
    }

    /// The connection is being forgotten: gives back what it reserved.
    pub fn release(&mut self, Shared { bounds, codecs }: Shared<'_>) {
        if let Some(compression) = &mut self.compression {
            compression.client.release(codecs, bounds);
            compression.server.release(codecs, bounds);
        }
        self.client.release(bounds);
        self.server.release(bounds);
        self.dialogue.pending.release(bounds);
        self.dialogue.prepared.clear(bounds);
    }

    fn client_data(&mut self, at: Timestamp, bytes: &[u8], bounds: &Bounds, observer: &mut impl Observer) {
        if matches!(self.dialogue.phase, Phase::Greeting | Phase::Login) && self.client.is_at_boundary() {
            return self.open(at, bytes, bounds, observer);
        }
        if self.dialogue.client_lost {
            if !resync::begins_request(bytes) {
                self.recognise(at, bytes, observer);
                return;
            }
            self.client.reset(bounds);
            self.dialogue.find(observer);
        }
        self.requests(at, bytes, bounds, observer);
    }

    /// Bytes of the client's packets. Inlined where nearly all of them come through.
    #[inline(always)]
    fn requests(&mut self, at: Timestamp, mut bytes: &[u8], bounds: &Bounds, observer: &mut impl Observer) {
        while let Some(message) = self.client.next(&mut bytes, at, bounds) {
            self.dialogue.message(Direction::ToServer, &message, bounds, observer);
            if self.dialogue.client_lost || self.dialogue.is_opaque() {
                break;
            }
        }
        if matches!(self.dialogue.phase, Phase::Tls) {
            self.tls.insert(Box::default()).data(Direction::ToServer, at, bytes, observer);
        }
    }

    fn server_data(
        &mut self,
        at: Timestamp,
        mut bytes: &[u8],
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        if self.dialogue.server_lost && !self.dialogue.begins(bytes) {
            self.dialogue.overhear(at);
            return;
        }
        if std::mem::take(&mut self.dialogue.server_restarts) {
            self.server.reset(bounds);
        }
        loop {
            if self.server.is_at_boundary() {
                bytes = self.dialogue.skim(bytes);
            }
            let rows = || self.dialogue.counts_rows();
            let Some(message) = self.server.next_among_rows(&mut bytes, at, bounds, rows) else { break };
            let before = self.dialogue.phase;
            self.dialogue.message(Direction::ToClient, &message, bounds, observer);
            if before != Phase::Command {
                self.goes_on(before, bounds, observer);
            }
            if self.dialogue.server_lost || self.dialogue.is_opaque() {
                break;
            }
        }
        // Text of another protocol, read as a packet's header, announces megabytes.
        if matches!(self.dialogue.phase, Phase::Greeting)
            && self.server.announced() > u64::from(limits::RESPONSE_HEAD)
        {
            self.dialogue.phase = Phase::Ignored;
        }
    }
}

#[cfg(test)]
mod tests;
