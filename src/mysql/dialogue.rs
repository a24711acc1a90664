//! The conversation on a connection: whole messages of both directions → events.
//!
//! [`super::session`] frames the bytes and feeds [`Dialogue::message`]; this knows what each message means where it stands,
//! which commands wait for a response, and when the place in a direction is lost or found again.

mod cut;
mod login;
mod place;
mod schema;

use super::{
    asked::Asked,
    capabilities::Capabilities,
    command::{self, Command},
    doubt::Doubt,
    event::{Event, Observer, Reply, ServerError, StatementRef},
    handshake::Greeting,
    packet::Message,
    pending::{Pending, Queue},
    prepared::PreparedStatements,
    response::{EOF_LENGTH, Response, Step, parse_error},
    schema::SchemaId,
};
use crate::{
    digest::{Escapes, Statement},
    limits::Bounds,
    packet::Timestamp,
    stream::{Direction, flows::Start},
};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server's first packet is to come.
    Greeting,
    /// The client's answer to it is.
    Login,
    /// They exchange proofs until the server says OK or ERR.
    Authentication,
    /// Requests and responses.
    Command,
    /// Inside TLS.
    Tls,
    /// Not MySQL, or over.
    Ignored,
}

/// What is known of the conversation, apart from the framing of its bytes.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) phase: Phase,
    /// In force; `None` if the login was not seen. Before it, what the server offers.
    pub(super) capabilities: Option<Capabilities>,
    /// Whether packets travel in blocks.
    pub(super) compressed: bool,
    pub(super) client_lost: bool,
    pub(super) server_lost: bool,
    /// The server's next byte begins a message, whatever its framer was in the middle of.
    pub(super) server_restarts: bool,
    pub(super) pending: Queue,
    /// Whether a request was ever sent before the one before it was answered.
    pipelines: bool,
    /// Whether the server was heard since the client's place was lost: it has then answered what was lost.
    heard: bool,
    /// When either side was last seen while the server was lost; the end of time before that.
    last_unpaired: Timestamp,
    doubt: Doubt,
    /// The response to the first of `pending`.
    response: Response,
    first_response_at: Timestamp,
    /// Once a part of that response was not captured: when its latest byte was seen.
    cut_at: Option<Timestamp>,
    /// Sequence id of the next packet of a file that the client is sending.
    file: Option<u8>,
    pub(super) prepared: PreparedStatements,
    pub(super) quit: bool,
    /// The default schema.
    schema: SchemaId,
    /// What a login or COM_CHANGE_USER asks for: not interned before the server has let the client in.
    asked: Option<Asked>,
    /// What a backslash means, as the last status flags told.
    escapes: Escapes,
}

impl Dialogue {
    /// Of a connection seen from `start` on.
    pub(super) fn new(start: Start) -> Self {
        let lost = start == Start::MidStream;
        Self {
            phase: if lost { Phase::Command } else { Phase::Greeting },
            capabilities: None,
            compressed: false,
            client_lost: lost,
            server_lost: lost,
            server_restarts: false,
            pending: Queue::default(),
            pipelines: false,
            heard: lost,
            last_unpaired: Timestamp(u64::MAX),
            doubt: if lost { Doubt::raised() } else { Doubt::default() },
            response: Response::new(Command::Ping),
            first_response_at: Timestamp(0),
            cut_at: None,
            file: None,
            prepared: PreparedStatements::default(),
            quit: false,
            schema: SchemaId::UNKNOWN,
            asked: None,
            escapes: Escapes::Unknown,
        }
    }

    /// Whether the bytes are of no use to it.
    #[inline]
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.phase, Phase::Tls | Phase::Ignored)
    }

    /// Whether a connection that seemed to be under way begins here after all: its SYN was lost, or is late.
    pub(super) fn begins(&mut self, bytes: &[u8]) -> bool {
        let begins = self.phase == Phase::Command
            && self.client_lost
            && self.capabilities.is_none()
            && Greeting::stands_alone(bytes);
        if begins {
            self.phase = Phase::Greeting;
            self.client_lost = false;
            self.server_lost = false;
            self.server_restarts = true;
            self.doubt = Doubt::default();
        }
        begins
    }

    pub(super) fn is_lost(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.client_lost,
            Direction::ToClient => self.server_lost,
        }
    }

    /// Passes over what the server sends, from a packet's first byte on, as far as it only counts.
    #[inline]
    pub(super) fn skim<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.is_answered() { self.response.skim(bytes) } else { bytes }
    }

    /// Whether the server's next message is a row or a definition, or ends them.
    #[inline]
    pub(super) fn counts_rows(&self) -> bool {
        self.is_answered() && self.response.counts()
    }

    /// Whether what the server sends answers a command.
    #[inline]
    fn is_answered(&self) -> bool {
        matches!(self.phase, Phase::Command) && !self.pending.is_empty()
    }

    /// A whole message. Inlined, as each caller has one direction.
    #[inline(always)]
    pub(super) fn message(
        &mut self,
        direction: Direction,
        message: &Message<'_>,
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        match (&self.phase, direction) {
            (Phase::Command, Direction::ToServer) => self.request(message, bounds, observer),
            (Phase::Command, Direction::ToClient) => self.reply(message, bounds, observer),
            _ => self.before_commands(direction, message, bounds, observer),
        }
    }

    fn request(&mut self, message: &Message<'_>, bounds: &Bounds, observer: &mut impl Observer) {
        if self.is_of_file(message) {
            return;
        }
        let first = self.pending.front();
        let goes_on = match first.map(|first| first.command.reply()) {
            Some(command::Reply::Authentication) => message.sequence != 0,
            // Acknowledgments of semi-synchronous replication; a client may leave, but ask for nothing else.
            Some(command::Reply::Endless) => message.length != 1,
            _ => false,
        };
        if goes_on {
            return;
        }
        self.end_cut_reply(bounds, observer);
        let code = message.head.first().filter(|_| message.sequence == 0);
        let Some(command) = code.and_then(|code| Command::from_code(*code)) else {
            self.lose(Direction::ToServer, observer);
            return;
        };
        if self.capabilities.is_none() && self.misreads(command, message, observer) {
            return;
        }
        if self.server_lost && self.is_alone(message.at) {
            // Nothing else can be answered: the server's next byte begins the response to this.
            self.server_lost = false;
            self.server_restarts = true;
        }
        observer.event(&Event::Command(command));
        let statement = self.statement(command, message, bounds, observer);
        let schema = self.asks_for_schema(command, statement, message, observer);
        if let Some(statement) = statement.filter(|_| command.runs_statement()) {
            observer.event(&Event::Statement(statement));
        }
        if command == Command::Quit {
            self.quit = true;
            if self.pending.is_empty() {
                self.doubt.settle(observer);
            }
        }
        match command.reply() {
            command::Reply::None => {}
            command::Reply::Handover => self.phase = Phase::Ignored,
            _ if self.server_lost => {}
            _ => {
                let sequence = message.last_sequence.wrapping_add(1);
                let (requested_at, late) = (message.at, message.late);
                let pending = Pending { command, statement, requested_at, late, sequence, schema };
                self.expect(pending, bounds, observer);
            }
        }
    }

    /// Whether a client's message is a part of a file (`LOAD DATA LOCAL`), the empty one at its end included.
    ///
    /// The server may refuse the file before it has ended; the client then sends the rest all the same, or not.
    fn is_of_file(&mut self, message: &Message<'_>) -> bool {
        let Some(sequence) = self.file else { return false };
        let awaited = !self.pending.is_empty() && self.response.takes_file();
        if !awaited && message.sequence != sequence {
            self.file = None;
            return false;
        }
        let ends = message.length == 0;
        self.file = (!ends).then_some(message.last_sequence.wrapping_add(1));
        if awaited && ends {
            self.response.file_sent();
        }
        true
    }

    /// The statement a request names, and what it does to the prepared ones.
    fn statement(
        &mut self,
        command: Command,
        message: &Message<'_>,
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) -> Option<StatementRef> {
        match command {
            Command::Query => {
                let text = command::query_text(message.head, self.capabilities).unwrap_or_default();
                Some(observer.statement(text, self.context(message)))
            }
            Command::StmtPrepare => {
                let text = message.head.get(1..).unwrap_or_default();
                let statement = observer.statement(text, self.context(message));
                self.prepared.requested(statement);
                Some(statement)
            }
            Command::StmtExecute | Command::StmtBulkExecute | Command::StmtFetch => {
                let id = command::statement_id(message.head);
                if id == Some(command::LAST_PREPARED) {
                    self.does_not_await(observer);
                }
                let known = id.and_then(|id| self.prepared.get(id));
                Some(known.unwrap_or(StatementRef::unseen(Statement::Unknown)))
            }
            Command::StmtClose => {
                if let Some(id) = command::statement_id(message.head) {
                    self.prepared.remove(id, bounds);
                }
                None
            }
            _ => None,
        }
    }

    #[inline]
    fn expect(&mut self, pending: Pending, bounds: &Bounds, observer: &mut impl Observer) {
        if self.pending.is_empty() {
            self.response.restart(pending.command);
        } else {
            self.pipelines = true;
            if self.doubt.is_raised() {
                return self.lose(Direction::ToClient, observer);
            }
        }
        if !self.pending.push(pending, bounds) {
            self.lose(Direction::ToClient, observer);
        }
    }

    fn reply(&mut self, message: &Message<'_>, bounds: &Bounds, observer: &mut impl Observer) {
        let Some(&first) = self.pending.front() else { return self.unasked(message, observer) };
        if !self.response.has_begun() {
            if !self.goes_on_from(&first, message) {
                if !is_eof(message) {
                    self.lose(Direction::ToClient, observer);
                }
                return;
            }
            self.first_response_at = message.first_at;
        }
        let step = self.response.message(message, self.capabilities);
        if step == Step::More && self.response.takes_file() && self.file.is_none() {
            self.file = Some(message.last_sequence.wrapping_add(1));
        }
        if let Some(status) = self.response.status.take() {
            self.told(status, message, observer);
        }
        let error = match step {
            Step::More => return,
            Step::Lost => return self.lose(Direction::ToClient, observer),
            Step::Done => None,
            Step::Failed(error) => Some(error),
        };
        self.answered(&first, error, message.at, message.late, bounds, observer);
    }

    /// Whether the number of a response's first message goes on from its request's.
    ///
    /// A server that compresses numbers its packets on from the blocks of the request, of which there may be more than
    /// packets (`net_serv.cc`, `net_flush`).
    fn goes_on_from(&self, request: &Pending, message: &Message<'_>) -> bool {
        let ahead = message.sequence.wrapping_sub(request.sequence);
        ahead == 0 || (self.compressed && ahead < 128)
    }

    /// A message that answers nothing that is known.
    fn unasked(&mut self, message: &Message<'_>, observer: &mut impl Observer) {
        if self.doubt.is_raised() && !is_eof(message) {
            self.pipelines = true;
            self.lose(Direction::ToClient, observer);
        } else if let Some(error) = parse_error(message.head).filter(|_| message.is_whole()) {
            // A server that ends the connection says why.
            observer.event(&Event::Error(error));
        }
    }

    /// The response to the first pending command is complete with what was seen `at` that time, or some time before if it
    /// is `late`.
    #[inline]
    fn answered(
        &mut self,
        first: &Pending,
        error: Option<ServerError>,
        at: Timestamp,
        late: bool,
        bounds: &Bounds,
        observer: &mut impl Observer,
    ) {
        match (first.command, first.statement, self.response.prepared) {
            (Command::StmtPrepare, Some(statement), Some(prepared)) => {
                self.prepared.insert(prepared.id, statement, bounds);
            }
            (Command::ResetConnection | Command::ChangeUser, ..) if error.is_none() => {
                self.prepared.clear(bounds)
            }
            _ => {}
        }
        if first.command == Command::ChangeUser && error.is_none() {
            observer.user(self.asked.take().as_ref().and_then(Asked::user));
        }
        let reply = Reply {
            command: first.command,
            statement: first.statement,
            first_response: self.first_response_at.nanos_since(first.requested_at),
            duration: at.nanos_since(first.requested_at),
            rows_returned: self.response.rows,
            rows_affected: self.response.affected,
            error,
        };
        // How long it took is not known where either end of it was lost.
        if !first.late && !late && !self.doubt.reply(reply, observer) {
            return self.does_not_await(observer);
        }
        let change = self.pending.pop(bounds);
        self.schema = change.after(self.schema, error.is_none(), self.response.several);
        if let Some(next) = self.pending.front() {
            self.response.restart(next.command);
        }
    }
}

/// Whether it is an EOF, which begins no response: the last one of a prepare whose end could not be told.
fn is_eof(message: &Message<'_>) -> bool {
    message.head.first() == Some(&0xfe) && message.length == EOF_LENGTH
}

/// `SERVER_STATUS_NO_BACKSLASH_ESCAPES`.
const NO_BACKSLASH_ESCAPES: u16 = 0x0200;

/// What a backslash means, by the status flags of an OK or EOF packet.
fn escapes(status: u16) -> Escapes {
    if status & NO_BACKSLASH_ESCAPES != 0 { Escapes::QuoteOnly } else { Escapes::Backslash }
}
