//! The assembler against a naive account of what was sent.

use std::ops::Range;

use dbwire_exporter::{
    limits::Bounds,
    packet::{Endpoint, Segment, TcpFlags, Timestamp},
    stream::{Direction, Missing, Receiver, assembler::Assembler},
};

use super::input::{Input, direction};

const NOWHERE: Endpoint = Endpoint { address: 0, port: 0 };
/// Bytes of each direction; the FIN stands behind them.
const LENGTH: usize = 1024;

/// What became of a byte.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Delivered,
    Lost,
    Cut,
}

/// One direction, byte by byte.
struct Account {
    /// Of the bytes so far, in order.
    fates: Vec<Fate>,
    /// Whether each was on the wire in a segment that was captured.
    captured: [bool; LENGTH],
    latest: Timestamp,
}

impl Default for Account {
    fn default() -> Self {
        Self { fates: Vec::new(), captured: [false; LENGTH], latest: Timestamp(0) }
    }
}

#[derive(Default)]
struct Accounts([Account; 2]);

impl Accounts {
    fn of(&mut self, direction: Direction, at: Timestamp) -> &mut Account {
        let account = &mut self.0[direction as usize];
        assert!(at >= account.latest, "time goes back");
        account.latest = at;
        account
    }
}

/// Every byte of a stream tells its place.
fn content(direction: Direction, place: usize) -> u8 {
    (place as u8).wrapping_mul(31).wrapping_add((place >> 8) as u8).wrapping_add(direction as u8)
}

/// Every other 32 bytes.
fn is_needless(place: usize) -> bool {
    place / 32 % 2 == 1
}

impl Receiver for Accounts {
    fn data(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]) {
        let account = self.of(direction, at);
        for byte in bytes {
            let place = account.fates.len();
            assert_eq!(*byte, content(direction, place), "byte {place} {direction:?}");
            assert!(account.captured[place], "byte {place} {direction:?} out of nowhere");
            account.fates.push(Fate::Delivered);
        }
    }

    fn gap(&mut self, direction: Direction, at: Timestamp, length: u32, why: Missing) {
        let account = self.of(direction, at);
        for _ in 0..length {
            let place = account.fates.len();
            // An acknowledgment may lie about what was sent; what was captured in time is not lost.
            let captured = account.captured.get(place) == Some(&true);
            account.fates.push(match why {
                Missing::Cut => Fate::Cut,
                Missing::Lost | Missing::Unselected => {
                    assert!(!captured, "byte {place} {direction:?} was there");
                    Fate::Lost
                }
                Missing::Needless => {
                    assert!(captured && is_needless(place), "byte {place} {direction:?} was needed");
                    Fate::Delivered
                }
            });
        }
    }

    fn hurried(&mut self) {}

    fn needless(&self, direction: Direction) -> Range<u32> {
        let place = self.0[direction as usize].fates.len();
        let needless = |ahead: &usize| is_needless(place + ahead);
        let start = (0..).find(needless).unwrap_or_default();
        let end = start + (0..).take_while(|ahead| needless(&(start + ahead))).count();
        start as u32..end as u32
    }
}

/// Initial sequence numbers, then segments of both directions: bytes come once, in order, at their place, and only what
/// was not captured in time is a gap.
pub fn stream(data: &[u8]) {
    let mut input = Input(data);
    let initial = [input.u32(), input.u32()];
    let (mut assembler, bounds, mut accounts) =
        (Assembler::default(), Bounds::default(), Accounts::default());
    let mut at = 1;
    let mut send = |direction: Direction, at, segment: &Segment<'_>, accounts: &mut Accounts| {
        assembler.segment(direction, Timestamp(at), segment, &bounds, accounts);
    };
    let [client, server] = initial.map(|sequence| sequence.wrapping_add(1));
    let syn = Segment {
        source: NOWHERE,
        destination: NOWHERE,
        sequence: initial[0],
        acknowledgment: 0,
        flags: TcpFlags(TcpFlags::SYN),
        payload: &[],
        cut: 0,
    };
    send(Direction::ToServer, at, &syn, &mut accounts);
    let flags = TcpFlags(TcpFlags::SYN | TcpFlags::ACK);
    let syn_ack = Segment { sequence: initial[1], acknowledgment: client, flags, ..syn };
    send(Direction::ToClient, at, &syn_ack, &mut accounts);
    while !input.is_empty() {
        let kind = input.u8();
        let direction = direction(kind);
        at += u64::from(input.u8()) << (kind >> 3 & 0x1f);
        let place = usize::from(input.u16()) % LENGTH;
        let length = usize::from(input.u8()).min(LENGTH - place);
        let cut = if kind & 2 == 0 { 0 } else { length / 2 };
        let acknowledged = u32::from(input.u16()) % (LENGTH as u32 + 2);
        let payload: Vec<_> = (place..place + length - cut).map(|place| content(direction, place)).collect();
        accounts.0[direction as usize].captured[place..place + payload.len()].fill(true);
        let (own, other) = if direction == Direction::ToServer { (client, server) } else { (server, client) };
        let fin = if place + length == LENGTH && kind & 4 != 0 { TcpFlags::FIN } else { 0 };
        let segment = Segment {
            sequence: own.wrapping_add(place as u32),
            acknowledgment: other.wrapping_add(acknowledged),
            flags: TcpFlags(TcpFlags::ACK | fin),
            payload: &payload,
            cut: cut as u32,
            ..syn
        };
        send(direction, at, &segment, &mut accounts);
    }
    assembler.flush(&bounds, &mut accounts);
    assert!(!assembler.is_stalled());
    assert_eq!(bounds.bytes(), 0);
    for (Account { fates, captured, .. }, direction) in
        accounts.0.iter().zip([Direction::ToServer, Direction::ToClient])
    {
        let last = captured.iter().rposition(|captured| *captured);
        assert!(last.is_none_or(|last| last < fates.len()), "{direction:?} ends early");
    }
}
