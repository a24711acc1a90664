//! What the tests of this folder share: packets, and an observer that keeps events.

use super::{
    compress::Codecs,
    event::{Context, Event, Observer, StatementRef},
    packet::Message,
    schema::SchemaId,
    session::{Session, Shared},
};
use crate::{
    digest::{Statement, statement_kind},
    limits::Bounds,
    packet::Timestamp,
    stream::{Direction, Missing, flows::Start},
};

/// A packet: header and payload.
pub(super) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    [&[a, b, c, sequence][..], payload].concat()
}

/// A whole message, as a framer hands it out.
pub(super) fn message(payload: &[u8]) -> Message<'_> {
    let at = Timestamp(1);
    Message {
        sequence: 1,
        last_sequence: 1,
        length: payload.len() as u64,
        head: payload,
        first_at: at,
        at,
        late: false,
    }
}

/// Keeps every event.
#[derive(Debug, Default)]
pub(super) struct Events {
    told: Vec<Event>,
    /// Who was let in.
    pub(super) users: Vec<Option<String>>,
}

impl Observer for Events {
    fn statement(&mut self, sql: &[u8], context: Context) -> StatementRef {
        StatementRef::new(statement_kind(sql, context.complete), None, context.schema)
    }

    /// A name's length stands for it.
    fn schema(&mut self, name: &[u8]) -> SchemaId {
        SchemaId(SchemaId::FIRST + name.len() as u16)
    }

    fn user(&mut self, name: Option<&[u8]>) {
        self.users.push(name.map(|name| name.escape_ascii().to_string()));
    }

    fn event(&mut self, event: &Event) {
        self.told.push(*event);
    }
}

impl Events {
    /// The schema of the statement told last.
    pub(super) fn schema(&self) -> Option<SchemaId> {
        self.told.iter().rev().find_map(|event| match event {
            Event::Statement(statement) => Some(statement.schema()),
            _ => None,
        })
    }

    /// The events since the last call, as short words.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told).iter().map(word).collect()
    }
}

/// `reply` is followed by its statement, the time to its first and last byte, rows, affected rows and error, as far
/// as they are not 0.
fn word(event: &Event) -> String {
    let kind = |statement: &StatementRef| statement.kind().label();
    match event {
        Event::Command(command) => command.label().to_owned(),
        Event::Statement(statement) => format!("<{}>", kind(statement)),
        Event::Reply(reply) => {
            let mut word = format!("reply {}", reply.command.label());
            if let Some(statement) = reply.statement.filter(|statement| statement.kind() != Statement::Other)
            {
                word += &format!(" <{}>", kind(&statement));
            }
            word += &format!(" {}..{}", reply.first_response, reply.duration);
            for (name, count) in [("rows", reply.rows_returned), ("affected", reply.rows_affected)] {
                if count > 0 {
                    word += &format!(" {name}={count}");
                }
            }
            if let Some(error) = reply.error {
                word += &format!(" error={}", error.code);
            }
            word
        }
        Event::Error(error) => format!("error={}", error.code),
        Event::Login(login) => format!("login {}", login.label()),
        Event::TlsHandshake { version, complete } => format!("tls {} {complete}", version.label()),
        Event::CutReply => "cut reply".to_owned(),
        Event::Desync => "desync".to_owned(),
        Event::Resync => "resync".to_owned(),
    }
}

/// A session with what it needs; time goes on by one with each piece it is given.
pub(super) struct Talk {
    pub(super) session: Session,
    pub(super) bounds: Bounds,
    pub(super) codecs: Codecs,
    pub(super) events: Events,
    pub(super) now: u64,
}

impl Talk {
    pub(super) fn new(start: Start) -> Self {
        Self {
            session: Session::new(start),
            bounds: Bounds::default(),
            codecs: Codecs::default(),
            events: Events::default(),
            now: 0,
        }
    }

    pub(super) fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.data(Direction::ToServer, bytes)
    }

    pub(super) fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.data(Direction::ToClient, bytes)
    }

    fn data(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.now += 1;
        let shared = Shared { bounds: &self.bounds, codecs: &self.codecs };
        self.session.data(direction, Timestamp(self.now), bytes, shared, &mut self.events);
        self
    }

    pub(super) fn gap(&mut self, direction: Direction, length: u32) -> &mut Self {
        self.missing(direction, length, Missing::Lost)
    }

    /// So many bytes from the server are seen, but not captured.
    pub(super) fn cut(&mut self, length: u32) -> &mut Self {
        self.missing(Direction::ToClient, length, Missing::Cut)
    }

    fn missing(&mut self, direction: Direction, length: u32, why: Missing) -> &mut Self {
        self.now += 1;
        let shared = Shared { bounds: &self.bounds, codecs: &self.codecs };
        self.session.gap(direction, Timestamp(self.now), length, why, shared, &mut self.events);
        self
    }

    /// The client has not awaited what the server has sent.
    pub(super) fn hurried(&mut self) -> &mut Self {
        self.session.hurried();
        self
    }

    /// Nothing more comes.
    pub(super) fn settle(&mut self) -> &mut Self {
        self.session.settle(&mut self.events);
        self
    }

    pub(super) fn release(&mut self) {
        self.session.release(Shared { bounds: &self.bounds, codecs: &self.codecs });
    }

    /// Asserts what has happened since the last call.
    #[track_caller]
    pub(super) fn tells(&mut self, events: &[&str]) -> &mut Self {
        assert_eq!(self.events.take(), events);
        self
    }
}
