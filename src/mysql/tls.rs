//! Connections inside TLS: no payload, yet not blind.
//!
//! Record headers are in the clear (RFC 8446 section 5.1, RFC 5246 section 6.2.1). MySQL is a dialogue, so each burst
//! of application data from the client that the server answers is one request: it is counted when the answer
//! begins, and timed when the next burst shows that the answer was complete. Pipelined requests, and commands
//! without a response with the request behind them, are one burst and count as one.
//!
//! What is not a request is kept apart: the handshake, the login exchange behind it, and alerts. Where the cipher
//! adds a fixed number of bytes to each record (every AEAD), the length of what was encrypted is known, and tells a
//! longer login exchange (another authentication method, a full exchange of caching_sha2_password) from commands.

mod cut;
mod hello;
mod record;

pub use record::begins_records;

use record::{Record, Records, content};

use super::event::{Event, Observer, Reply, StatementRef, TlsVersion};
use crate::{digest::Statement, mysql::command::Command, packet::Timestamp, stream::Direction};

/// Bytes kept of the server's first handshake message: its hello of TLS 1.3 is shorter, and of an older one the start
/// tells enough.
const HELLO_BYTES: usize = 192;
/// What every cipher of TLS 1.3 adds: the content type and a tag of 16 bytes.
const TLS_1_3_OVERHEAD: u16 = 17;
/// Length of a TLS 1.3 record with a Finished message: header of 4 bytes and a hash of 32 or 48.
const FINISHED: [u16; 2] = [4 + 32 + TLS_1_3_OVERHEAD, 4 + 48 + TLS_1_3_OVERHEAD];
/// A TLS 1.3 record with an alert: 2 bytes.
const ALERT_1_3: u16 = 2 + TLS_1_3_OVERHEAD;
/// Records before the client's Finished in TLS 1.3: a certificate and its proof.
const MOST_BEFORE_FINISHED: u8 = 4;
/// Exchanges of the longest beginning: a Finished answered by tickets, the login request, another method, a password.
const MOST_OF_LOGIN: u8 = 4;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until the client's first application data; in TLS 1.3 its Finished is counted down.
    Handshake {
        before_finished: u8,
    },
    /// The login request and what follows until the server's OK.
    Login,
    /// The beginning was not seen, so this many exchanges may still belong to it: they are not counted.
    Unsure(u8),
    Requests,
}

/// A burst from the client and the server's answer to it.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    /// When the last byte of the burst was seen.
    requested_at: Timestamp,
    answer: Option<Answer>,
    /// Whether the answer's first bytes may be among those that were passed over: it is counted then, not timed.
    late: bool,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    first_at: Timestamp,
    at: Timestamp,
    /// Length of the server's last record.
    last_length: u16,
}

/// A connection from its SSLRequest on.
#[derive(Debug)]
pub struct Tls {
    client: Records,
    server: Records,
    stage: Stage,
    version: TlsVersion,
    /// What the cipher adds to each record, if that is fixed.
    overhead: Option<u16>,
    /// The server's first handshake record.
    hello: Vec<u8>,
    exchange: Option<Exchange>,
    /// Whether records may begin and end among bytes of the server's that were not captured, up to the client's next.
    cut: bool,
    /// Whether the handshake's outcome was told.
    told: bool,
}

impl Tls {
    /// Right behind the SSLRequest.
    pub fn new() -> Self {
        Self {
            client: Records::default(),
            server: Records::default(),
            stage: Stage::Handshake { before_finished: MOST_BEFORE_FINISHED },
            version: TlsVersion::Unknown,
            overhead: None,
            hello: Vec::new(),
            exchange: None,
            cut: false,
            told: false,
        }
    }

    /// A connection that was under way.
    pub fn mid_stream() -> Self {
        Self { stage: Stage::Unsure(MOST_OF_LOGIN), told: true, ..Self::new() }
    }

    /// The next bytes of a direction.
    pub fn data(
        &mut self,
        direction: Direction,
        at: Timestamp,
        mut bytes: &[u8],
        observer: &mut impl Observer,
    ) {
        if self.cut && self.passes_cut(direction, at) {
            return;
        }
        if self.records(direction).lost {
            if !begins_records(bytes) {
                return self.pass_over(direction);
            }
            *self.records(direction) = Records::default();
            observer.event(&Event::Resync);
        }
        while !bytes.is_empty() {
            let Some((record, body)) = self.records(direction).next(&mut bytes, at) else { break };
            if direction == Direction::ToClient && self.version == TlsVersion::Unknown {
                self.keep_hello(body);
            }
            if let Some(record) = record {
                self.record(direction, record, observer);
            }
        }
        if self.records(direction).lost {
            self.lose(observer);
        }
    }

    /// The next `length` bytes of a direction are missing.
    pub fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, observer: &mut impl Observer) {
        if self.records(direction).lost {
            return self.pass_over(direction);
        }
        if let Some(record) = self.records(direction).skip(length, at) {
            self.record(direction, record, observer);
        }
        if self.records(direction).lost {
            self.lose(observer);
        }
    }

    /// The connection has ended: what was answered is complete.
    pub fn closed(&mut self, observer: &mut impl Observer) {
        self.answered(observer);
        self.tell_handshake(false, observer);
    }

    /// Bytes of a direction that is lost: the server's may be an answer's first.
    fn pass_over(&mut self, direction: Direction) {
        if let (Direction::ToClient, Some(exchange)) = (direction, &mut self.exchange) {
            exchange.late = true;
        }
    }

    fn records(&mut self, direction: Direction) -> &mut Records {
        match direction {
            Direction::ToServer => &mut self.client,
            Direction::ToClient => &mut self.server,
        }
    }

    fn record(&mut self, direction: Direction, record: Record, observer: &mut impl Observer) {
        match (record.kind, direction) {
            (content::APPLICATION_DATA, Direction::ToServer) => self.client_record(record, observer),
            (content::APPLICATION_DATA, Direction::ToClient) => self.server_record(record, observer),
            (content::HANDSHAKE, Direction::ToClient) => self.read_hello(),
            (content::ALERT, _) if matches!(self.stage, Stage::Handshake { .. }) => {
                self.tell_handshake(false, observer);
            }
            _ => {}
        }
    }

    fn client_record(&mut self, record: Record, observer: &mut impl Observer) {
        if self.version == TlsVersion::Tls13 && record.length == ALERT_1_3 {
            return;
        }
        if let Stage::Handshake { before_finished } = self.stage {
            if self.version == TlsVersion::Tls13 && before_finished > 0 {
                let left = if FINISHED.contains(&record.length) { 0 } else { before_finished - 1 };
                self.stage = Stage::Handshake { before_finished: left };
                return;
            }
            self.stage = Stage::Login;
        }
        match &mut self.exchange {
            Some(exchange) if exchange.answer.is_none() => exchange.requested_at = record.at,
            _ => self.next_exchange(record, observer),
        }
    }

    /// A new burst begins: the answer to the one before it was complete.
    fn next_exchange(&mut self, record: Record, observer: &mut impl Observer) {
        if self.stage == Stage::Login
            && let Some(exchange) = self.exchange
            && !self.login_goes_on(&exchange, record.length)
        {
            self.exchange = None;
            self.stage = Stage::Requests;
        }
        if let Stage::Unsure(left) = self.stage
            && self.exchange.take().is_some()
        {
            self.stage = if left > 1 { Stage::Unsure(left - 1) } else { Stage::Requests };
        }
        self.answered(observer);
        self.exchange = Some(Exchange { requested_at: record.at, answer: None, late: false });
    }

    fn server_record(&mut self, record: Record, observer: &mut impl Observer) {
        let Some(exchange) = &mut self.exchange else { return };
        let begins = exchange.answer.is_none();
        let first_at = exchange.answer.map_or(record.first_at, |answer| answer.first_at);
        exchange.answer = Some(Answer { first_at, at: record.at, last_length: record.length });
        match self.stage {
            Stage::Login => self.tell_handshake(true, observer),
            Stage::Requests if begins => observer.event(&Event::Statement(ENCRYPTED)),
            _ => {}
        }
    }

    /// Whether the client's next burst still belongs to the login: the server asked for a password
    /// (`AuthMoreData` of 2 bytes), or for another method, and the burst has a proof's length.
    fn login_goes_on(&self, exchange: &Exchange, next: u16) -> bool {
        let Some((overhead, answer)) = self.overhead.zip(exchange.answer) else { return false };
        let (asked, proof) = (answer.last_length.checked_sub(overhead), next.checked_sub(overhead));
        match (asked, proof) {
            (Some(6), _) => true,
            // Packet header, 0xfe, the method's name and NUL, and a scramble of 20 to 32 bytes; then nothing, or a
            // SHA-1, a SHA-256 or an ed25519 signature behind a packet header.
            (Some(40..=64), Some(4 | 24 | 36 | 68)) => true,
            _ => false,
        }
    }

    /// Tells of the exchange under way, if the server answered it.
    fn answered(&mut self, observer: &mut impl Observer) {
        let Some(Exchange { requested_at, answer: Some(answer), late }) = self.exchange.take() else {
            return;
        };
        if self.stage == Stage::Requests && !late {
            observer.event(&Event::Reply(Reply {
                command: Command::Query,
                statement: Some(ENCRYPTED),
                first_response: answer.first_at.nanos_since(requested_at),
                duration: answer.at.nanos_since(requested_at),
                rows_returned: 0,
                rows_affected: 0,
                error: None,
            }));
        }
    }

    /// Records are lost: what is under way cannot be timed.
    fn lose(&mut self, observer: &mut impl Observer) {
        self.exchange = None;
        if self.stage != Stage::Requests {
            self.stage = Stage::Unsure(MOST_OF_LOGIN);
        }
        observer.event(&Event::Desync);
    }

    fn tell_handshake(&mut self, complete: bool, observer: &mut impl Observer) {
        if !std::mem::replace(&mut self.told, true) {
            observer.event(&Event::TlsHandshake { version: self.version, complete });
            self.hello = Vec::new();
        }
    }

    fn keep_hello(&mut self, body: &[u8]) {
        let room = HELLO_BYTES.saturating_sub(self.hello.len());
        if self.server.kind() == content::HANDSHAKE {
            self.hello.extend_from_slice(body.get(..room).unwrap_or(body));
        }
    }

    fn read_hello(&mut self) {
        if self.version == TlsVersion::Unknown
            && let Some((version, cipher)) = hello::parse(&self.hello)
        {
            self.version = version;
            self.overhead = hello::overhead(version, cipher);
        }
        self.hello = Vec::new();
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

/// What stands for every statement that cannot be seen.
const ENCRYPTED: StatementRef = StatementRef::unseen(Statement::Encrypted);

#[cfg(test)]
mod tests;
