//! Conversations built by hand: two ends that speak packets, as TCP segments for [`Pipeline::segment`].
//!
//! Time goes on by one millisecond with each packet, so that latencies are known exactly.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::{fmt::Write as _, io::Write as _};

use dbwire_exporter::{
    config::{Counting, PortSet},
    limits::{self, Limit},
    packet::{Endpoint, Segment, TcpFlags, Timestamp, filter::Plan},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
    stats::Stats,
    stream::Direction::{self, ToClient, ToServer},
};

/// Nanoseconds between two packets.
pub const MILLISECOND: u64 = 1_000_000;
/// Longest payload of a segment.
const SEGMENT: usize = 65_000;
/// Longest payload of a packet.
const CHUNK: usize = 0xff_ffff;

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Plain,
    /// In blocks of `CLIENT_COMPRESS`.
    Zlib,
    /// In blocks of `CLIENT_ZSTD_COMPRESSION_ALGORITHM`.
    Zstd,
}

/// A segment with its payload.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: u64,
    pub direction: Direction,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub payload: Vec<u8>,
}

/// One connection, from its SYN on.
#[derive(Debug)]
pub struct Conversation {
    pub sent: Vec<Sent>,
    /// Nanoseconds.
    pub now: u64,
    coding: Coding,
    /// TCP sequence numbers of the next byte, client's and server's.
    next: [u32; 2],
    /// Sequence ids of the next packet and block.
    packet: u8,
    block: u8,
}

impl Conversation {
    /// The three-way handshake.
    pub fn open() -> Self {
        let mut conversation = Self {
            sent: Vec::new(),
            now: 1_700_000_000 * 1_000_000_000,
            coding: Coding::Plain,
            // Both wrap within the first kilobyte.
            next: [0xffff_ff80, 0xffff_ffc0],
            packet: 0,
            block: 0,
        };
        conversation.segment(ToServer, TcpFlags::SYN, b"");
        conversation.segment(ToClient, TcpFlags::SYN | TcpFlags::ACK, b"");
        conversation.segment(ToServer, TcpFlags::ACK, b"");
        conversation
    }

    /// From here on packets travel in blocks.
    pub fn code(&mut self, coding: Coding) -> &mut Self {
        self.coding = coding;
        self
    }

    /// The client begins: sequence ids start at 0.
    pub fn command(&mut self, payload: &[u8]) -> &mut Self {
        self.packet = 0;
        self.block = 0;
        self.client(payload)
    }

    /// Further packets of the client.
    pub fn client(&mut self, payload: &[u8]) -> &mut Self {
        self.packets(ToServer, payload)
    }

    /// A packet of the server.
    pub fn server(&mut self, payload: &[u8]) -> &mut Self {
        self.packets(ToClient, payload)
    }

    /// Packets of the server, each in its own segment.
    pub fn reply(&mut self, payloads: &[&[u8]]) -> &mut Self {
        for payload in payloads {
            self.server(payload);
        }
        self
    }

    /// The first packet of a response, where the packets of pipelined ones are not numbered on.
    pub fn restart(&mut self, sequence: u8) -> &mut Self {
        self.packet = sequence;
        self
    }

    /// Bytes as they are.
    pub fn raw(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.now += MILLISECOND;
        for piece in bytes.chunks(SEGMENT) {
            self.segment(direction, TcpFlags::ACK, piece);
        }
        self
    }

    /// Both sides send a FIN.
    pub fn close(&mut self) -> &mut Self {
        self.segment(ToServer, TcpFlags::FIN | TcpFlags::ACK, b"");
        self.segment(ToClient, TcpFlags::FIN | TcpFlags::ACK, b"");
        self
    }

    /// One segment, now.
    pub fn segment(&mut self, direction: Direction, flags: u8, payload: &[u8]) {
        let [client, server] = self.next;
        let (sequence, acknowledgment) = match direction {
            ToServer => (client, server),
            ToClient => (server, client),
        };
        let acknowledgment = if flags & TcpFlags::ACK == 0 { 0 } else { acknowledgment };
        let payload = payload.to_vec();
        let taken = payload.len() as u32 + u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        let next = &mut self.next[usize::from(direction == ToClient)];
        *next = next.wrapping_add(taken);
        self.sent.push(Sent { at: self.now, direction, sequence, acknowledgment, flags, payload });
    }

    fn packets(&mut self, direction: Direction, payload: &[u8]) -> &mut Self {
        let mut bytes = Vec::new();
        let mut chunks: Vec<_> = payload.chunks(CHUNK).collect();
        if payload.len().is_multiple_of(CHUNK) {
            chunks.push(b"");
        }
        for chunk in chunks {
            bytes.extend(packet(self.packet, chunk));
            self.packet = self.packet.wrapping_add(1);
        }
        let coded = self.encode(&bytes);
        self.raw(direction, &coded)
    }

    fn encode(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.coding == Coding::Plain {
            return bytes.to_vec();
        }
        let mut coded = Vec::new();
        for piece in bytes.chunks(1 << 20) {
            coded.extend(block(self.coding, self.block, piece));
            self.block = self.block.wrapping_add(1);
        }
        coded
    }

    /// What a pipeline counts of it.
    pub fn stats(&self) -> Stats {
        let mut pipeline = pipeline();
        play(&mut pipeline, &self.sent);
        pipeline.finish();
        let stats = pipeline.stats().clone();
        let bytes = |direction| -> u64 {
            let sent = self.sent.iter().filter(|sent| sent.direction == direction);
            sent.map(|sent| sent.payload.len() as u64).sum()
        };
        assert_eq!(
            (stats.opened, stats.observed.request_bytes, stats.observed.response_bytes),
            (1, bytes(ToServer), bytes(ToClient))
        );
        stats
    }
}

/// A pipeline for port 3306.
pub fn pipeline() -> Pipeline {
    Pipeline::new(Options {
        plan: Plan::whole(PortSet::new(&[3306]).expect("a port")),
        max_flows: 1024,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    })
}

/// Plays segments, and sees to it that bounds are kept.
pub fn play(pipeline: &mut Pipeline, sent: &[Sent]) {
    let client = Endpoint { address: 1, port: 49_152 };
    let server = Endpoint { address: 2, port: 3306 };
    for sent in sent {
        let (source, destination) = match sent.direction {
            ToServer => (client, server),
            ToClient => (server, client),
        };
        let segment = Segment {
            source,
            destination,
            sequence: sent.sequence,
            acknowledgment: sent.acknowledgment,
            flags: TcpFlags(sent.flags),
            payload: &sent.payload,
            cut: 0,
        };
        pipeline.segment(Timestamp(sent.at), &segment);
        assert!(pipeline.bounds().bytes() <= limits::TOTAL_BYTES);
    }
}

/// A packet of at most 0xffffff bytes.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    [&[a, b, c, sequence][..], payload].concat()
}

/// A compressed block; what gets no shorter is not compressed.
pub fn block(coding: Coding, sequence: u8, bytes: &[u8]) -> Vec<u8> {
    let compressed = match coding {
        Coding::Plain => return bytes.to_vec(),
        Coding::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("into memory")
        }
        Coding::Zstd => zstd::bulk::compress(bytes, 1).expect("into memory"),
    };
    let (body, before) =
        if compressed.len() < bytes.len() { (&compressed[..], bytes.len()) } else { (bytes, 0) };
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    let [d, e, f, _] = (before as u32).to_le_bytes();
    [&[a, b, c, sequence, d, e, f][..], body].concat()
}

/// Everything counted but bytes and the opening, in one line: what is 0 is left out.
///
/// `select 2 timed 1 in 1..3 ms, rows 5` are two statements, of which one was answered, its first byte after 1 ms
/// and its last after 3.
pub fn line(stats: &Stats) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, count: u64| {
        if count > 0 {
            parts.push(format!("{name} {count}"));
        }
    };
    for (login, count) in stats.observed.logins() {
        part(&format!("login {}", login.label()), count);
    }
    for (version, [failed, complete]) in stats.observed.tls_handshakes() {
        part(&format!("tls {} failed", version.label()), failed);
        part(&format!("tls {}", version.label()), complete);
    }
    for (command, count) in stats.observed.commands() {
        part(command.label(), count);
    }
    for (error, count) in stats.errors(&stats.observed) {
        let state =
            error.sqlstate.map(|state| String::from_utf8_lossy(&state).into_owned()).unwrap_or_default();
        part(&format!("error {}/{state}", error.code), count);
    }
    for (name, count) in [("gaps", stats.gaps), ("desyncs", stats.desyncs), ("resyncs", stats.resyncs)] {
        part(name, count);
    }
    for limit in Limit::ALL {
        part(&format!("limit {}", limit.label()), stats.limit_hits[limit as usize]);
    }
    for (reason, count) in stats.connections_closed() {
        part(&format!("closed {}", reason.label()), count);
    }
    for (statement, stats) in stats.observed.statements() {
        let mut text = format!("<{}> {}", statement.label(), stats.count);
        if stats.duration.count() > 0 {
            let ms = |nanos: u64| nanos / MILLISECOND;
            assert_eq!(stats.duration.count(), stats.first_response.count());
            let (first, last) = (ms(stats.first_response.sum_nanos()), ms(stats.duration.sum_nanos()));
            write!(text, " timed {} in {first}..{last} ms", stats.duration.count()).expect("into memory");
        }
        for (name, count) in [("rows", stats.rows_returned), ("affected", stats.rows_affected)] {
            if count > 0 {
                write!(text, " {name} {count}").expect("into memory");
            }
        }
        if text != format!("<{}> 0", statement.label()) {
            parts.push(text);
        }
    }
    parts.join(", ")
}
