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

use super::event::{Event, Observer, Reply, StatementRef};
use crate::{digest::Statement, mysql::command::Command, packet::Timestamp, stream::Direction};

/// Longest record: 2^14 bytes of plaintext and what TLS 1.2 allows a cipher to add (RFC 5246 section 6.2.3).
const LONGEST_RECORD: u16 = (1 << 14) + 2048;
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
/// Records of one segment that are looked at to tell TLS in mid-stream.
const MOST_RECORDS: usize = 16;

/// Content types (RFC 8446 appendix B.1).
mod content {
    pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(super) const ALERT: u8 = 21;
    pub(super) const HANDSHAKE: u8 = 22;
    pub(super) const APPLICATION_DATA: u8 = 23;
}

/// Protocol versions, as the server's hello chose them: the values of the `version` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.3.
    Tls13,
    /// TLS 1.2.
    Tls12,
    /// An older one.
    Older,
    /// The hello was not seen.
    Unknown,
}

impl Version {
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

/// One record's header, once its last byte has arrived.
#[derive(Debug, Clone, Copy)]
struct Record {
    kind: u8,
    length: u16,
    first_at: Timestamp,
    at: Timestamp,
}

/// Where records begin and end in one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Records {
    header: [u8; 5],
    header_length: u8,
    remaining: u16,
    first_at: Timestamp,
    lost: bool,
}

impl Records {
    fn is_at_boundary(&self) -> bool {
        self.header_length == 0
    }

    /// Takes bytes up to the end of a record, or of `bytes`. A header that is none makes the direction lost.
    fn next<'a>(&mut self, bytes: &mut &'a [u8], at: Timestamp) -> Option<(Option<Record>, &'a [u8])> {
        if self.is_at_boundary() {
            self.first_at = at;
        }
        while self.header_length < 5 {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            *self.header.get_mut(usize::from(self.header_length))? = *byte;
            self.header_length += 1;
            if self.header_length == 5 {
                let Some(length) = record_length(self.header) else {
                    self.lost = true;
                    return None;
                };
                self.remaining = length;
            }
        }
        let here = bytes.len().min(usize::from(self.remaining));
        let (body, rest) = bytes.split_at_checked(here)?;
        *bytes = rest;
        self.remaining -= here as u16;
        Some((self.complete(at), body))
    }

    fn complete(&mut self, at: Timestamp) -> Option<Record> {
        if self.header_length < 5 || self.remaining > 0 {
            return None;
        }
        self.header_length = 0;
        let [kind, _, _, high, low] = self.header;
        Some(Record { kind, length: u16::from_be_bytes([high, low]), first_at: self.first_at, at })
    }

    /// Whether `length` missing bytes are all of one record's body.
    fn holds(&self, length: u32) -> bool {
        !self.lost && self.header_length == 5 && length <= u32::from(self.remaining)
    }

    /// The record under way, if its header is known, as if it were complete.
    fn abandon(&mut self, at: Timestamp) -> Option<Record> {
        self.remaining = 0;
        self.complete(at)
    }

    /// `length` bytes are missing: harmless inside a record's body.
    fn skip(&mut self, length: u32, at: Timestamp) -> Option<Record> {
        match u16::try_from(length) {
            Ok(length) if self.header_length == 5 && length <= self.remaining => {
                self.remaining -= length;
                self.complete(at)
            }
            _ => {
                self.lost = true;
                None
            }
        }
    }
}

/// The length in a record's header; `None` if it is no such header.
fn record_length(header: [u8; 5]) -> Option<u16> {
    let [kind, major, minor, high, low] = header;
    let length = u16::from_be_bytes([high, low]);
    let known = (content::CHANGE_CIPHER_SPEC..=content::APPLICATION_DATA).contains(&kind);
    (known && major == 3 && minor <= 4 && length <= LONGEST_RECORD).then_some(length)
}

/// Whether a segment begins with TLS application data, and holds nothing but records, the last maybe cut.
pub fn begins_records(mut bytes: &[u8]) -> bool {
    if bytes.first() != Some(&content::APPLICATION_DATA) {
        return false;
    }
    for _ in 0..MOST_RECORDS {
        let Some((header, rest)) = bytes.split_first_chunk::<5>() else { return false };
        let Some(length) = record_length(*header).filter(|length| *length > 0) else { return false };
        match rest.get(usize::from(length)..) {
            Some([]) => return true,
            Some(next) => bytes = next,
            None => return rest.len() >= 1000,
        }
    }
    true
}

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
    version: Version,
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
            version: Version::Unknown,
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
            if direction == Direction::ToClient && self.version == Version::Unknown {
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
        if self.version == Version::Tls13 && record.length == ALERT_1_3 {
            return;
        }
        if let Stage::Handshake { before_finished } = self.stage {
            if self.version == Version::Tls13 && before_finished > 0 {
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
        let [kind, ..] = self.server.header;
        if kind == content::HANDSHAKE {
            self.hello.extend_from_slice(body.get(..room).unwrap_or(body));
        }
    }

    fn read_hello(&mut self) {
        if self.version == Version::Unknown
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

/// The server's hello (RFC 8446 section 4.1.3).
mod hello {
    use super::{TLS_1_3_OVERHEAD, Version};

    const SERVER_HELLO: u8 = 2;
    const SUPPORTED_VERSIONS: u16 = 43;

    /// Version and cipher suite of a ServerHello at the start of a handshake record's body.
    pub(super) fn parse(body: &[u8]) -> Option<(Version, u16)> {
        let mut reader = Reader(body);
        if reader.take(1)? != [SERVER_HELLO] {
            return None;
        }
        reader.take(3)?; // length
        let legacy = reader.u16()?;
        reader.take(32)?; // random
        let [session] = reader.array()?;
        reader.take(usize::from(session))?;
        let cipher = reader.u16()?;
        reader.take(1)?; // compression
        let mut version = legacy;
        let extensions = reader.u16().unwrap_or(0);
        let mut extensions = Reader(reader.0.get(..usize::from(extensions)).unwrap_or(reader.0));
        while let Some((kind, length)) = extensions.u16().zip(extensions.u16()) {
            let Some(data) = extensions.take(usize::from(length)) else { break };
            if let (SUPPORTED_VERSIONS, [high, low]) = (kind, data) {
                version = u16::from_be_bytes([*high, *low]);
            }
        }
        let version = match version {
            0x0304 => Version::Tls13,
            0x0303 => Version::Tls12,
            _ => Version::Older,
        };
        Some((version, cipher))
    }

    /// Bytes a cipher suite adds to a record; `None` where that depends on what is encrypted (CBC).
    /// <https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4>
    pub(super) const fn overhead(version: Version, cipher: u16) -> Option<u16> {
        match (version, cipher) {
            (Version::Tls13, _) => Some(TLS_1_3_OVERHEAD),
            // ChaCha20-Poly1305: a tag of 16 bytes (RFC 7905).
            (Version::Tls12, 0xcca8..=0xccae) => Some(16),
            // AES-GCM: an explicit nonce of 8 bytes and the tag (RFC 5288, RFC 5289).
            (Version::Tls12, 0x009c..=0x00a7 | 0xc02b..=0xc032) => Some(24),
            _ => None,
        }
    }

    /// Big-endian, unlike MySQL's.
    struct Reader<'a>(&'a [u8]);

    impl<'a> Reader<'a> {
        fn take(&mut self, count: usize) -> Option<&'a [u8]> {
            let (head, tail) = self.0.split_at_checked(count)?;
            self.0 = tail;
            Some(head)
        }

        fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
            self.take(N)?.try_into().ok()
        }

        fn u16(&mut self) -> Option<u16> {
            self.array().map(u16::from_be_bytes)
        }
    }
}

#[cfg(test)]
mod tests;
