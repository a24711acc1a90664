//! A MySQL conversation as packets, written byte by byte.

use std::path::Path;

/// The server's port.
const SERVER: u16 = 3306;
/// PROTOCOL_41, SECURE_CONNECTION, CONNECT_WITH_DB and PLUGIN_AUTH.
const CAPABILITIES: u32 = 1 << 9 | 1 << 15 | 1 << 3 | 1 << 19;
/// What [`Conversation::answer_time`] is at first.
const ANSWER_TIME: u64 = 1_000_000;

/// One connection's packets, in order; each goes to `sink` with its time in nanoseconds.
pub struct Conversation<F: FnMut(u64, &[u8])> {
    sink: F,
    port: u16,
    /// Sequence numbers of the client and of the server.
    next: [u32; 2],
    /// Of the next request.
    pub now: u64,
    /// Nanoseconds from a request to its response, less the microsecond that a packet takes.
    pub answer_time: u64,
    frame: Vec<u8>,
}

impl<F: FnMut(u64, &[u8])> Conversation<F> {
    /// Logs in from a client's port, into `schema`.
    pub fn open(port: u16, schema: &str, now: u64, sink: F) -> Self {
        let mut new =
            Self { sink, port, next: [1000, 5000], now, answer_time: ANSWER_TIME, frame: Vec::new() };
        new.send(0, 0x02, &[]);
        new.send(1, 0x12, &[]);
        let mut greeting = b"\x0a8.0.40\0\x01\0\0\0aaaaaaaa\0".to_vec();
        greeting.extend((CAPABILITIES as u16).to_le_bytes());
        greeting.extend(b"\x21\x02\0");
        greeting.extend(((CAPABILITIES >> 16) as u16).to_le_bytes());
        greeting.extend(b"\x15\0\0\0\0\0\0\0\0\0\0aaaaaaaaaaaa\0mysql_native_password\0");
        new.packet(1, 0, &greeting);
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend([0, 0, 0, 1, 0x21]);
        login.extend([0; 23]);
        login.extend(b"app\0\0");
        login.extend(schema.as_bytes());
        login.extend(b"\0mysql_native_password\0");
        new.packet(0, 1, &login);
        new.packet(1, 2, OK);
        new
    }

    /// A request and its response.
    pub fn exchange(&mut self, request: &[u8], response: &[u8]) {
        self.packet(0, 0, request);
        self.now += self.answer_time;
        self.packet(1, 1, response);
    }

    /// A statement as text.
    pub fn query(&mut self, sql: &[u8], response: &[u8]) {
        self.exchange(&[b"\x03", sql].concat(), response);
    }

    /// A statement that is prepared under `id` and executed with one string.
    pub fn execute(&mut self, id: u32, sql: &[u8], argument: &[u8], response: &[u8]) {
        let mut prepared = vec![0];
        prepared.extend(id.to_le_bytes());
        prepared.extend([0; 7]);
        self.exchange(&[b"\x16", sql].concat(), &prepared);
        let mut execute = vec![0x17];
        execute.extend(id.to_le_bytes());
        execute.extend([0, 1, 0, 0, 0, 0, 1, 0xfe, 0, argument.len() as u8]);
        execute.extend(argument);
        self.exchange(&execute, response);
    }

    /// Says goodbye.
    pub fn close(mut self) {
        self.packet(0, 0, b"\x01");
        self.send(0, 0x11, &[]);
        self.send(1, 0x11, &[]);
    }

    fn packet(&mut self, from: usize, sequence: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a length").to_le_bytes();
        let packet = [&length[..3], &[sequence], payload].concat();
        self.send(from, 0x18, &packet);
    }

    /// One Ethernet frame; addresses are 10.0.0.1 (the client) and 10.0.0.2.
    fn send(&mut self, from: usize, flags: u8, payload: &[u8]) {
        let ports = [self.port, SERVER];
        let frame = &mut self.frame;
        frame.clear();
        frame.extend([0; 12]);
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(u16::try_from(40 + payload.len()).expect("a length").to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1 + from as u8, 10, 0, 0, 2 - from as u8]);
        frame.extend(ports[from].to_be_bytes());
        frame.extend(ports[1 - from].to_be_bytes());
        frame.extend(self.next[from].to_be_bytes());
        frame.extend(self.next[1 - from].to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        (self.sink)(self.now, &self.frame);
        let length = payload.len() as u32 + u32::from(flags & 0x03 != 0);
        self.next[from] = self.next[from].wrapping_add(length);
        self.now += 1000;
    }
}

/// An OK: one row affected, autocommit.
pub const OK: &[u8] = b"\x00\x01\x00\x02\x00\x00\x00";

/// An error reply.
pub fn error(code: u16, sqlstate: &str, message: &str) -> Vec<u8> {
    [&[0xff], &code.to_le_bytes()[..], b"#", sqlstate.as_bytes(), message.as_bytes()].concat()
}

/// A capture file of these frames: pcap with nanoseconds.
pub fn write_pcap(path: &Path, frames: &[(u64, Vec<u8>)]) {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    for (at, frame) in frames {
        let length = frame.len() as u32;
        for word in [(at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    std::fs::write(path, file).expect("the folder is writable");
}
