//! Responses of the command phase: where one ends, and what it says.
//!
//! The packets of a response are only told apart by their place in it, so this is a state machine over whole
//! messages. It needs no knowledge of `CLIENT_DEPRECATE_EOF` for results: an EOF packet has exactly 5 bytes, the
//! OK that takes its place at least 7, and no row that starts with 0xfe is shorter than 16 MiB.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html>

use super::{
    bytes::Reader,
    capabilities::Capabilities,
    command::{self, Command},
    event::ServerError,
    packet::{self, END, Message},
};

/// `SERVER_MORE_RESULTS_EXISTS`: another result follows in the same response.
const MORE_RESULTS: u16 = 0x0008;
/// `SERVER_STATUS_CURSOR_EXISTS`: the rows stay on the server, for COM_STMT_FETCH.
const CURSOR_EXISTS: u16 = 0x0040;
/// Shortest OK packet: header, two lenenc integers, status and warnings.
const SHORTEST_OK: u64 = 7;
/// Length of an EOF packet of protocol 4.1: header, warnings and status.
pub(super) const EOF_LENGTH: u64 = 5;
/// Length of one before 4.1: its header. No row is shorter.
const EOF_LENGTH_320: u64 = 1;
/// A packet of 0xfe that is at least this long is a row whose first value is.
const LONGEST_END: u64 = 0xff_ffff;

/// What a message did to the response it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More is to come.
    More,
    /// The response is complete.
    Done,
    /// It is complete, and it is an error.
    Failed(ServerError),
    /// This cannot be a message of such a response: the decoder has lost its place.
    Lost,
}

/// What `COM_STMT_PREPARE_OK` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// Statement id, for the executions to come.
    pub id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    /// Column definitions still to come.
    Columns(u64),
    /// After them: an EOF, the first row, or the end.
    AfterColumns,
    Rows,
    /// Definitions of parameters and columns, and EOFs, still to come.
    Prepared {
        definitions: u32,
        ends: u8,
    },
    /// The client is sending a file.
    File,
}

/// One command's response under way.
#[derive(Debug, Clone, Copy)]
pub struct Response {
    reply: command::Reply,
    stage: Stage,
    begun: bool,
    /// Rows seen so far, over all result sets.
    pub rows: u64,
    /// Whether a result has said that another follows.
    pub several: bool,
    /// Affected rows told so far.
    pub affected: u64,
    /// Set once a prepare has succeeded.
    pub prepared: Option<Prepared>,
    /// Status flags of the last OK or EOF, until the session has taken them.
    pub status: Option<u16>,
}

impl Response {
    /// Before the first packet of the response to `command`.
    pub fn new(command: Command) -> Self {
        let mut response = Self {
            reply: command::Reply::None,
            stage: Stage::Start,
            begun: false,
            several: false,
            rows: 0,
            affected: 0,
            prepared: None,
            status: None,
        };
        response.restart(command);
        response
    }

    /// The same as [`Self::new`], in place: to copy a new one costs more than to read a response.
    #[inline]
    pub fn restart(&mut self, command: Command) {
        self.reply = command.reply();
        self.stage = if self.reply == command::Reply::Rows { Stage::Rows } else { Stage::Start };
        (self.begun, self.several, self.rows, self.affected) = (false, false, 0, 0);
        (self.prepared, self.status) = (None, None);
    }

    /// Whether the client's packets are now a file's contents (`LOAD DATA LOCAL`), not commands.
    #[inline]
    pub fn takes_file(&self) -> bool {
        self.stage == Stage::File
    }

    /// Whether any of it has arrived.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The client has sent the empty packet that ends the file.
    pub fn file_sent(&mut self) {
        self.stage = Stage::Start;
    }

    /// Takes the next message from the server. `capabilities` are those in force, `None` if the login was not seen.
    #[inline]
    pub fn message(&mut self, message: &Message<'_>, capabilities: Option<Capabilities>) -> Step {
        self.begun = true;
        let Some(&first) = message.head.first() else { return Step::Lost };
        if first == 0xff && !matches!(self.stage, Stage::Columns(_) | Stage::Prepared { .. }) {
            return self.error(message);
        }
        match self.stage {
            Stage::Rows => self.row(first, message),
            Stage::AfterColumns => self.after_columns(first, message),
            Stage::Columns(left) => {
                self.stage = if left > 1 { Stage::Columns(left - 1) } else { Stage::AfterColumns };
                Step::More
            }
            Stage::Prepared { definitions, ends } => self.definition(first, message, definitions, ends),
            Stage::Start | Stage::File => self.start(first, message, capabilities),
        }
    }

    /// Whether the next packet only counts, unless it ends those that do: a definition or a row.
    #[inline]
    pub fn counts(&self) -> bool {
        self.begun && matches!(self.stage, Stage::Columns(_) | Stage::AfterColumns | Stage::Rows)
    }

    /// Passes over the packets at the start of `bytes` that only count: definitions and rows that are there to their
    /// ends, which are most of what a server sends. What is left is for [`Self::message`].
    #[inline]
    pub fn skim<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        if !self.begun {
            return bytes;
        }
        if let Stage::Columns(mut left) = self.stage {
            while left > 0
                && let Some((_, [_, ..], rest)) = packet::whole(bytes)
            {
                left -= 1;
                bytes = rest;
            }
            self.stage = if left > 0 { Stage::Columns(left) } else { Stage::AfterColumns };
        }
        if matches!(self.stage, Stage::AfterColumns | Stage::Rows) {
            // A whole packet of these first bytes is an end or an error: rows of 16 MiB are continued.
            while let Some((_, [..END, ..], rest)) = packet::whole(bytes) {
                self.rows += 1;
                self.stage = Stage::Rows;
                bytes = rest;
            }
        }
        bytes
    }

    #[cold]
    fn error(&mut self, message: &Message<'_>) -> Step {
        match parse_error(message.head) {
            // MariaDB's progress reports come as errors of this number.
            Some(ServerError { code: 0xffff, .. }) => Step::More,
            Some(error) => Step::Failed(error),
            None => Step::Lost,
        }
    }

    fn start(&mut self, first: u8, message: &Message<'_>, capabilities: Option<Capabilities>) -> Step {
        use command::Reply;
        match self.reply {
            Reply::None | Reply::Handover => Step::Lost,
            Reply::Text => Step::Done,
            // Events begin with 0x00. A dump that was not to wait for more ends with an EOF.
            Reply::Endless if is_end(first, message) => Step::Done,
            Reply::Endless | Reply::Rows => Step::More,
            Reply::Status => match first {
                0x00 | 0xfe => self.acknowledged(message),
                _ => Step::Lost,
            },
            Reply::Authentication => match first {
                0x00 => self.acknowledged(message),
                _ => Step::More,
            },
            Reply::Definitions if is_end(first, message) => Step::Done,
            Reply::Definitions => Step::More,
            Reply::Prepared => self.prepare_ok(first, message, capabilities),
            Reply::Results => self.result(first, message, capabilities),
        }
    }

    fn result(&mut self, first: u8, message: &Message<'_>, capabilities: Option<Capabilities>) -> Step {
        if first == 0x00 && capabilities.is_some_and(|flags| !flags.has(Capabilities::PROTOCOL_41)) {
            return self.ok_320(message);
        }
        if first == 0x00 && message.length >= SHORTEST_OK {
            return self.ok(message);
        }
        if first == 0xfb {
            self.stage = Stage::File;
            return Step::More;
        }
        match column_count(message.head, capabilities) {
            Some((count, true)) => self.stage = Stage::Columns(count),
            Some((_, false)) => self.stage = Stage::AfterColumns,
            None => return Step::Lost,
        }
        Step::More
    }

    /// An OK or EOF that is all there is to say. One that cannot be read says it, too.
    fn acknowledged(&mut self, message: &Message<'_>) -> Step {
        self.status = status(message);
        Step::Done
    }

    /// An OK in the place of a result, or at its end.
    fn ok(&mut self, message: &Message<'_>) -> Step {
        let Some((affected, status)) = parse_ok(message.head) else { return Step::Lost };
        self.affected = self.affected.saturating_add(affected);
        self.end(Some(status))
    }

    /// An OK before 4.1: a text may follow at once, there is no other result.
    fn ok_320(&mut self, message: &Message<'_>) -> Step {
        let mut reader = Reader::new(message.head);
        let affected = reader.u8().and_then(|_| reader.lenenc());
        self.affected = self.affected.saturating_add(affected.unwrap_or_default());
        Step::Done
    }

    /// A result has ended, with these status flags if it told any.
    fn end(&mut self, status: Option<u16>) -> Step {
        self.status = status;
        self.stage = Stage::Start;
        let more = status.is_some_and(|status| status & MORE_RESULTS != 0);
        // Not `|=`: of that LLVM 22.1 (rustc 1.95) makes a store of true, whatever `more` is, in builds optimised as a release.
        if more {
            self.several = true;
            Step::More
        } else {
            Step::Done
        }
    }

    fn after_columns(&mut self, first: u8, message: &Message<'_>) -> Step {
        if first == 0xfe && message.length == EOF_LENGTH {
            let Some(status) = parse_eof(message.head) else { return Step::Lost };
            if status & CURSOR_EXISTS != 0 {
                return self.end(Some(status));
            }
            self.status = Some(status);
            self.stage = Stage::Rows;
            return Step::More;
        }
        if first == 0xfe && message.length == EOF_LENGTH_320 {
            self.stage = Stage::Rows;
            return Step::More;
        }
        self.stage = Stage::Rows;
        self.row(first, message)
    }

    #[inline]
    fn row(&mut self, first: u8, message: &Message<'_>) -> Step {
        if !is_end(first, message) {
            self.rows += 1;
            return Step::More;
        }
        match status(message) {
            Some(status) => self.end(Some(status)),
            None if message.length == EOF_LENGTH_320 => self.end(None),
            None => Step::Lost,
        }
    }

    fn prepare_ok(&mut self, first: u8, message: &Message<'_>, capabilities: Option<Capabilities>) -> Step {
        let mut reader = Reader::new(message.head);
        let parsed = (|| {
            reader.u8()?;
            let id = reader.u32()?;
            let columns = reader.u16()?;
            let parameters = reader.u16()?;
            Some((id, columns, parameters, message.head.get(12)))
        })();
        let Some((id, columns, parameters, metadata)) = parsed.filter(|_| first == 0x00) else {
            return Step::Lost;
        };
        self.prepared = Some(Prepared { id });
        let definitions = u32::from(columns) + u32::from(parameters);
        let optional = capabilities.is_some_and(|flags| flags.has(Capabilities::OPTIONAL_METADATA));
        if definitions == 0 || (optional && metadata == Some(&0)) {
            return Step::Done;
        }
        // Where the login was not seen, a last EOF is left for the session to pass over.
        let ends = capabilities.is_some_and(|flags| !flags.has(Capabilities::DEPRECATE_EOF));
        let ends = if ends { u8::from(columns > 0) + u8::from(parameters > 0) } else { 0 };
        self.stage = Stage::Prepared { definitions, ends };
        Step::More
    }

    fn definition(&mut self, first: u8, message: &Message<'_>, definitions: u32, ends: u8) -> Step {
        let (definitions, ends) = if first == 0xfe && message.length == EOF_LENGTH {
            (definitions, ends.saturating_sub(1))
        } else {
            (definitions.saturating_sub(1), ends)
        };
        self.stage = Stage::Prepared { definitions, ends };
        if definitions == 0 && ends == 0 { Step::Done } else { Step::More }
    }
}

/// Whether a packet ends a list of rows or definitions: an EOF, or the OK that takes its place.
#[inline]
fn is_end(first: u8, message: &Message<'_>) -> bool {
    first == 0xfe && message.length < LONGEST_END
}

/// Number of columns, and whether their definitions follow.
///
/// MySQL may put a flag before the number, MariaDB after it. Where the login was not seen the packet's length tells
/// that there is one, and its value, 0 or 1, where it stands.
fn column_count(head: &[u8], capabilities: Option<Capabilities>) -> Option<(u64, bool)> {
    let mut reader = Reader::new(head);
    let flag_first = match capabilities {
        Some(flags) => flags.has(Capabilities::OPTIONAL_METADATA),
        None => matches!(head, [0, _] | [1, 2..=0xfa] | [0 | 1, 0xfc, _, _]),
    };
    let before = if flag_first { reader.u8()? != 0 } else { true };
    let count = reader.lenenc()?;
    let after = match reader.rest() {
        [] => true,
        [flag @ (0 | 1)] => *flag != 0,
        _ => return None,
    };
    (count > 0 && count <= 0xffff).then_some((count, before && after))
}

/// Affected rows and status of an OK packet.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>
pub fn parse_ok(head: &[u8]) -> Option<(u64, u16)> {
    let mut reader = Reader::new(head);
    reader.u8()?;
    let affected = reader.lenenc()?;
    reader.lenenc()?; // last insert id
    Some((affected, reader.u16()?))
}

/// Status of the OK or EOF packet that a message is known to be.
fn status(message: &Message<'_>) -> Option<u16> {
    if message.length == EOF_LENGTH {
        parse_eof(message.head)
    } else {
        parse_ok(message.head).map(|(_, status)| status)
    }
}

/// Status of an EOF packet.
fn parse_eof(head: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(head);
    reader.take(1 + 2)?; // header, warnings
    reader.u16()
}

/// An ERR packet's code and SQLSTATE; `None` if it is none.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html>
pub fn parse_error(head: &[u8]) -> Option<ServerError> {
    let mut reader = Reader::new(head);
    if reader.u8()? != 0xff {
        return None;
    }
    let code = reader.u16()?;
    let sqlstate = match reader.rest() {
        [b'#', a, b, c, d, e, ..] => Some([*a, *b, *c, *d, *e])
            .filter(|state| state.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())),
        _ => None,
    };
    Some(ServerError { code, sqlstate })
}

#[cfg(test)]
mod tests;
