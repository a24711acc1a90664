use std::ops::Range;

use super::*;
use crate::{packet::Endpoint, stream::Missing};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// How connections ended; their bytes are of no interest here.
#[derive(Default)]
struct Endings(Vec<Ending>);

struct Nobody;

impl Receiver for Nobody {
    fn data(&mut self, _: Direction, _: Timestamp, _: &[u8]) {}
    fn gap(&mut self, _: Direction, _: Timestamp, _: u32, _: Missing) {}
    fn hurried(&mut self) {}

    fn needless(&self, _: Direction) -> Range<u32> {
        0..0
    }
}

impl Handler<()> for Endings {
    fn start(&mut self, _: Start) {}
    fn opened(&mut self) {}
    fn receiver<'a>(&'a mut self, _: &FlowKey, (): &'a mut (), _: &'a Bounds) -> impl Receiver + 'a {
        Nobody
    }
    fn closed(&mut self, _: &FlowKey, (): &mut (), ending: Ending) {
        self.0.push(ending);
    }
    fn left_open(&mut self, _: &FlowKey, (): &mut ()) {}
    fn forget(&mut self, (): (), _: &Bounds) {}
}

/// A table and its clock.
struct Wire {
    table: FlowTable<()>,
    bounds: Bounds,
    endings: Endings,
    now: u64,
}

impl Wire {
    fn at(now: u64, max_flows: usize) -> Self {
        let table = FlowTable::new(max_flows, 1);
        Self { table, bounds: Bounds::default(), endings: Endings::default(), now }
    }

    /// From the client at this port.
    fn send(&mut self, port: u16, flags: u8, payload: &[u8]) {
        let key =
            FlowKey { client: Endpoint { address: 1, port }, server: Endpoint { address: 2, port: 3306 } };
        let segment = Segment {
            source: key.client,
            destination: key.server,
            sequence: 1000,
            acknowledgment: 0,
            flags: TcpFlags(flags),
            payload,
            cut: 0,
        };
        let at = Timestamp(self.now);
        self.table.segment(key, Direction::ToServer, at, segment, &self.bounds, &mut self.endings);
    }

    /// Time goes by, with enough ticks to have looked at every slot.
    fn pass(&mut self, nanos: u64) {
        self.now += nanos;
        for _ in 0..=self.table.flows.places() / SWEEP {
            self.table.tick(Timestamp(self.now), &self.bounds, &mut self.endings);
        }
    }
}

#[test]
fn a_silent_connection_is_forgotten_as_long_after_the_clock_was_set_back_as_otherwise() {
    let mut wire = Wire::at(2 * DAY, 1000);
    for port in 1..=600 {
        wire.send(port, 0, b"select");
    }
    wire.now -= DAY;
    wire.pass(0);
    wire.pass(IDLE);
    assert_eq!(wire.table.len(), 600);
    wire.pass(1);
    assert!(wire.table.is_empty());
    assert_eq!(wire.endings.0, [Ending::Timeout; 600]);
}

#[test]
fn an_ended_connection_does_not_linger_until_a_clock_that_was_set_back_has_caught_up() {
    let mut wire = Wire::at(2 * DAY, 1000);
    wire.send(1, 0, b"select");
    wire.send(1, TcpFlags::RST, b"");
    wire.now -= 10;
    wire.pass(0);
    assert_eq!(wire.table.len(), 1);
    wire.now -= DAY;
    wire.pass(0);
    assert!(wire.table.is_empty());
    assert_eq!(wire.endings.0, [Ending::Reset]);
}

#[test]
fn a_full_table_makes_room_for_new_connections_minutes_after_the_clock_was_set_back() {
    let mut wire = Wire::at(2 * DAY, 4);
    (1..=4).for_each(|port| wire.send(port, 0, b"select"));
    wire.now -= DAY;
    wire.send(5, 0, b"select");
    assert_eq!(wire.table.len(), 4);
    wire.pass(STALE + 1);
    wire.send(6, 0, b"select");
    assert_eq!(wire.bounds.hits()[Limit::Flows as usize], 1);
    assert_eq!(wire.endings.0, [Ending::Timeout]);
}
