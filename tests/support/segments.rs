//! The segments of captures of real clients, to be cut, lost and shuffled before they are played.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::path::PathBuf;

use dbwire_exporter::{
    io::replay::for_each_frame,
    packet::{Endpoint, Segment, TcpFlags, Timestamp, segment},
    pipeline::Pipeline,
};

/// The port of every server in the corpus.
pub const SERVER_PORT: u16 = 3306;

/// A segment with its payload.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: u64,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub payload: Vec<u8>,
    /// Payload bytes that the snapshot length cut off.
    pub cut: u32,
}

impl Sent {
    /// As the decoder takes it.
    pub fn segment(&self) -> Segment<'_> {
        Segment {
            source: self.source,
            destination: self.destination,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
            flags: TcpFlags(self.flags),
            payload: &self.payload,
            cut: self.cut,
        }
    }

    pub fn play(&self, pipeline: &mut Pipeline) {
        pipeline.segment(Timestamp(self.at), &self.segment());
    }

    pub fn is_to_server(&self) -> bool {
        self.destination.port == SERVER_PORT
    }

    /// The end whose port is not the server's.
    pub fn client(&self) -> Endpoint {
        if self.is_to_server() { self.source } else { self.destination }
    }

    /// The same bytes in pieces that end at the given offsets.
    pub fn split(&self, mut ends: Vec<usize>) -> Vec<Self> {
        ends.push(self.payload.len());
        ends.sort_unstable();
        ends.dedup();
        let mut start = 0;
        let mut pieces = Vec::new();
        for end in ends.into_iter().filter(|end| *end > 0 || self.payload.is_empty()) {
            let last = end == self.payload.len();
            pieces.push(Self {
                sequence: self.sequence.wrapping_add(start as u32),
                flags: if last { self.flags } else { self.flags & !TcpFlags::FIN },
                payload: self.payload[start..end].to_vec(),
                ..self.clone()
            });
            start = end;
        }
        pieces
    }
}

/// The segments of a capture of `tests/data/corpus`.
pub fn capture(name: &str) -> Vec<Sent> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/corpus/{name}.pcap"));
    let mut sent = Vec::new();
    for_each_frame(&path, |link, frame| {
        let Ok(segment) = segment::decode(link, frame) else { return };
        sent.push(Sent {
            at: frame.timestamp.0,
            source: segment.source,
            destination: segment.destination,
            sequence: segment.sequence,
            acknowledgment: segment.acknowledgment,
            flags: segment.flags.0,
            payload: segment.payload.to_vec(),
            cut: segment.cut,
        });
    })
    .expect("a capture");
    sent
}
