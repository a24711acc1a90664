//! What the decoder tells.

pub use super::statement::{StatementRef, TraceRef};
use super::{command::Command, schema::SchemaId};
use crate::digest::Escapes;

/// What a session knows of a statement besides its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Whether the text is whole; else only its start is at hand.
    pub complete: bool,
    /// What a backslash in a string means.
    pub escapes: Escapes,
    /// The default schema.
    pub schema: SchemaId,
}

/// An error reply. Its text is never kept: it may repeat literals of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerError {
    /// MySQL's error number.
    pub code: u16,
    /// Five digits or capital letters; `None` where the reply has none (before the login) or it is malformed.
    pub sqlstate: Option<[u8; 5]>,
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The server sent OK.
    Ok,
    /// The server refused the user.
    Denied,
    /// It failed for another reason: unknown schema, too many connections, host blocked, …
    Error,
    /// It went on inside TLS, where its result cannot be seen.
    Tls,
}

impl Login {
    /// Every result, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 4] = [Self::Ok, Self::Denied, Self::Error, Self::Tls];

    /// Value of the `result` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Tls => "tls",
        }
    }
}

/// Versions of TLS, as the server's hello chose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.3.
    Tls13,
    /// TLS 1.2.
    Tls12,
    /// An older one.
    Older,
    /// The hello was not seen.
    Unknown,
}

impl TlsVersion {
    /// Every version, in the order of the enum (its discriminants index counters).
    pub const ALL: [Self; 4] = [Self::Tls13, Self::Tls12, Self::Older, Self::Unknown];

    /// Value of the `version` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tls13 => "1.3",
            Self::Tls12 => "1.2",
            Self::Older => "older",
            Self::Unknown => "unknown",
        }
    }
}

/// A command's response, complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The command answered.
    pub command: Command,
    /// The statement it ran, or fetched from.
    pub statement: Option<StatementRef>,
    /// Nanoseconds from the last byte of the request to the first byte of the response.
    pub first_response: u64,
    /// Nanoseconds from the last byte of the request to the last byte of the response.
    pub duration: u64,
    /// Rows in all its result sets.
    pub rows_returned: u64,
    /// Sum of the affected rows its OKs tell.
    pub rows_affected: u64,
    /// The error it ended with.
    pub error: Option<ServerError>,
}

/// Something that happened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A command was sent.
    Command(Command),
    /// A statement was sent, as text or to execute a prepared one.
    Statement(StatementRef),
    /// A response is complete.
    Reply(Reply),
    /// An error that answers no command: of a login, or of a server that ends the connection.
    Error(ServerError),
    /// A login ended.
    Login(Login),
    /// A TLS handshake ended: `complete` if the server answered the login inside it.
    TlsHandshake {
        /// What the server chose.
        version: TlsVersion,
        /// Whether it led to anything.
        complete: bool,
    },
    /// The end of the reply that is told next was not captured, on purpose: it is timed right, but its rows, a late error
    /// and its status are not known.
    CutReply,
    /// The decoder lost its place.
    Desync,
    /// It found it again.
    Resync,
}

impl Event {
    /// The error it tells of.
    #[inline]
    pub fn error(&self) -> Option<ServerError> {
        match self {
            Self::Reply(reply) => reply.error,
            Self::Error(error) => Some(*error),
            _ => None,
        }
    }
}

/// Takes events, and knows statements.
pub trait Observer {
    /// Finds out what statement `sql` is.
    fn statement(&mut self, sql: &[u8], context: Context) -> StatementRef;
    /// The id of a schema's name, which a server has accepted (or, in `USE` and COM_INIT_DB, may accept yet).
    fn schema(&mut self, name: &[u8]) -> SchemaId;
    /// The server has let a user in; `None` if the name was not seen.
    fn user(&mut self, name: Option<&[u8]>);
    /// Something happened.
    fn event(&mut self, event: &Event);
}

/// How much of a connection can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Its commands are decoded.
    Decoded,
    /// It is inside TLS.
    Tls,
    /// It is compressed.
    Compressed,
    /// Nothing is known yet, or it is not MySQL.
    Unknown,
}

impl Visibility {
    /// Every value, in the order of the enum (its discriminants index gauges).
    pub const ALL: [Self; 4] = [Self::Decoded, Self::Tls, Self::Compressed, Self::Unknown];

    /// Value of the `visibility` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Decoded => "decoded",
            Self::Tls => "tls",
            Self::Compressed => "compressed",
            Self::Unknown => "unknown",
        }
    }
}
