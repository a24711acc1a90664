//! MySQL connections made by hand: segments straight into a pipeline.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use std::io::Write as _;

use dbwire_exporter::{
    config::{Counting, PortSet},
    packet::{Endpoint, Segment, TcpFlags, Timestamp, filter::Plan},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
    stream::Direction::{self, ToClient, ToServer},
};

const CONNECT_WITH_DB: u32 = 0x8;
const PROTOCOL_41: u32 = 0x200;
const SECURE_CONNECTION: u32 = 0x8000;
const COMPRESS: u32 = 0x20;
const ZSTD: u32 = 0x0400_0000;
/// What an Ethernet segment carries.
pub const MSS: usize = 1448;

/// An OK that answers a request whose sequence ids ended with 0.
pub const OK: &[u8] = b"\x07\0\0\x01\0\x01\0\x02\0\0\0";

/// A packet.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    [&[a, b, c, sequence], payload].concat()
}

/// A COM_QUERY.
pub fn query(sql: &str) -> Vec<u8> {
    packet(0, &[b"\x03", sql.as_bytes()].concat())
}

/// `sql` with a long list behind it.
pub fn long_query(sql: &str, length: usize) -> Vec<u8> {
    query(&format!("{sql} ({})", "1,".repeat(length / 2)))
}

/// A compressed block.
pub fn zlib_block(sequence: u8, contents: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    let body = encoder.write_all(contents).and_then(|()| encoder.finish()).expect("writing to memory");
    block(sequence, contents.len(), &body)
}

/// A block of this body.
pub fn block(sequence: u8, length: usize, body: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (body.len() as u32).to_le_bytes();
    let [d, e, f, _] = (length as u32).to_le_bytes();
    [&[a, b, c, sequence, d, e, f], body].concat()
}

/// A pipeline, and the time.
pub struct Wire {
    pub pipeline: Pipeline,
    pub now: u64,
}

impl Wire {
    pub fn new(max_flows: usize) -> Self {
        let options = Options {
            plan: Plan::whole(PortSet::new(&[3306]).expect("a port")),
            max_flows,
            multiplier: Multiplier::Auto,
            census: false,
            seed: 1,
            counting: Counting::default(),
        };
        Self { pipeline: Pipeline::new(options), now: 1_000_000_000_000 }
    }

    /// Time passes.
    pub fn wait(&mut self, nanos: u64) {
        self.now += nanos;
        self.pipeline.tick(Timestamp(self.now));
    }
}

/// One connection. Numbers tell them apart.
#[derive(Debug, Clone)]
pub struct Connection {
    client: Endpoint,
    next: [u32; 2],
}

impl Connection {
    /// Nothing of it has been sent.
    pub fn new(number: u32) -> Self {
        let address = u128::from(number / 50_000);
        let client = Endpoint { address, port: 10_000 + (number % 50_000) as u16 };
        Self { client, next: [number.wrapping_mul(2_654_435_761), number] }
    }

    /// The client's SYN.
    pub fn syn(&mut self, wire: &mut Wire) {
        self.send(wire, ToServer, TcpFlags::SYN, 0, &[]);
        self.next[0] = self.next[0].wrapping_add(1);
    }

    /// The three packets that open it.
    pub fn open(&mut self, wire: &mut Wire) {
        self.syn(wire);
        self.send(wire, ToClient, TcpFlags::SYN | TcpFlags::ACK, 0, &[]);
        self.next[1] = self.next[1].wrapping_add(1);
    }

    /// Open, and logged in without compression.
    pub fn logged_in(number: u32, wire: &mut Wire) -> Self {
        Self::logged_in_with(number, wire, 0)
    }

    /// Open, logged in, and compressed.
    pub fn compressed(number: u32, wire: &mut Wire, zstd: bool) -> Self {
        Self::logged_in_with(number, wire, if zstd { ZSTD } else { COMPRESS })
    }

    fn logged_in_with(number: u32, wire: &mut Wire, more: u32) -> Self {
        let mut connection = Self::new(number);
        connection.ask_in(wire, more, b"user", b"");
        connection.reply(wire, b"\x07\0\0\x02\0\0\0\x02\0\0\0");
        connection
    }

    /// Open, and with a login that waits for its answer.
    pub fn asking(number: u32, wire: &mut Wire, user: &[u8], schema: &[u8]) -> Self {
        let mut connection = Self::new(number);
        connection.ask_in(wire, CONNECT_WITH_DB, user, schema);
        connection
    }

    fn ask_in(&mut self, wire: &mut Wire, more: u32, user: &[u8], schema: &[u8]) {
        self.open(wire);
        let capabilities = PROTOCOL_41 | SECURE_CONNECTION | more;
        let [a, b, c, d] = capabilities.to_le_bytes();
        let greeting =
            [b"\x0a8.0\0".as_slice(), &[7; 12], &[0, a, b, 45, 2, 0, c, d, 21], &[0; 10], b"salt\0"];
        self.reply(wire, &packet(0, &greeting.concat()));
        let login = [&[a, b, c, d], [0; 28].as_slice(), user, b"\0\0", schema];
        self.request(wire, &packet(1, &login.concat()));
    }

    /// Bytes from the client, in segments as an Ethernet carries them.
    pub fn request(&mut self, wire: &mut Wire, bytes: &[u8]) {
        bytes.chunks(MSS).for_each(|bytes| self.next_segment(wire, ToServer, bytes));
    }

    /// Bytes from the server.
    pub fn reply(&mut self, wire: &mut Wire, bytes: &[u8]) {
        bytes.chunks(MSS).for_each(|bytes| self.next_segment(wire, ToClient, bytes));
    }

    /// A request and its OK.
    pub fn ask(&mut self, wire: &mut Wire, request: &[u8]) {
        self.request(wire, request);
        self.reply(wire, OK);
    }

    /// Bytes from the client whose segments come in the opposite order.
    pub fn request_reversed(&mut self, wire: &mut Wire, bytes: &[u8]) {
        for (index, chunk) in bytes.chunks(MSS).enumerate().collect::<Vec<_>>().into_iter().rev() {
            self.early(wire, index * MSS, chunk);
        }
        self.next[0] = self.next[0].wrapping_add(bytes.len() as u32);
    }

    /// A segment from the client, `distance` bytes ahead of the next.
    pub fn early(&mut self, wire: &mut Wire, distance: usize, bytes: &[u8]) {
        self.send(wire, ToServer, TcpFlags::ACK, distance as u32, bytes);
    }

    /// The connection is reset.
    pub fn reset(&mut self, wire: &mut Wire) {
        self.send(wire, ToServer, TcpFlags::RST, 0, &[]);
    }

    /// So many bytes of the client's are never captured.
    pub fn lose(&mut self, count: u32) {
        self.next[0] = self.next[0].wrapping_add(count);
    }

    fn next_segment(&mut self, wire: &mut Wire, direction: Direction, bytes: &[u8]) {
        self.send(wire, direction, TcpFlags::ACK, 0, bytes);
        let next = &mut self.next[direction as usize];
        *next = next.wrapping_add(bytes.len() as u32);
    }

    fn send(&mut self, wire: &mut Wire, direction: Direction, flags: u8, ahead: u32, payload: &[u8]) {
        let server = Endpoint { address: 1, port: 3306 };
        let [own, other] = match direction {
            ToServer => [self.next[0], self.next[1]],
            ToClient => [self.next[1], self.next[0]],
        };
        let (source, destination) =
            if direction == ToServer { (self.client, server) } else { (server, self.client) };
        wire.now += 1_000;
        let segment = Segment {
            source,
            destination,
            sequence: own.wrapping_add(ahead),
            acknowledgment: other,
            flags: TcpFlags(flags),
            payload,
            cut: 0,
        };
        wire.pipeline.segment(Timestamp(wire.now), &segment);
    }
}
