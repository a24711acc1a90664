//! Which connection: as it is asked for, and as the table keeps it.

use std::hash::{Hash, Hasher};

use crate::packet::Endpoint;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// The side that connected.
    pub client: Endpoint,
    /// The side whose port is a server port.
    pub server: Endpoint,
}

/// In as few words as tell two keys apart, for each takes its time: IPv4 addresses make one together.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { client, server } = self;
        state.write_u32(u32::from(client.port) << 16 | u32::from(server.port));
        if [client, server].iter().all(|end| end.address >> 32 == 0xffff) {
            state.write_u64((client.address as u64) << 32 | server.address as u64 & 0xffff_ffff);
        } else {
            state.write_u128(client.address);
            state.write_u128(server.address);
        }
    }
}

/// A key as tables keep it: in less room.
#[derive(Debug, Clone, Copy, Eq, PartialOrd, Ord)]
pub struct Ends {
    addresses: [[u64; 2]; 2],
    ports: [u16; 2],
}

/// Word by word: to be compared as arrays they would have to be written to memory.
impl PartialEq for Ends {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([[a, b], [c, d]], [e, f]) = (self.addresses, self.ports);
        let ([[g, h], [i, j]], [k, l]) = (other.addresses, other.ports);
        (a ^ g | b ^ h | c ^ i | d ^ j) == 0 && e == k && f == l
    }
}

impl Hash for Ends {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Ends {
    /// From a key.
    #[inline]
    pub fn of(FlowKey { client, server }: &FlowKey) -> Self {
        let halves = |address: u128| [(address >> 64) as u64, address as u64];
        Self { addresses: [client, server].map(|end| halves(end.address)), ports: [client.port, server.port] }
    }

    /// The client's port, by which connections are sampled.
    pub fn client_port(&self) -> u16 {
        let [client, _] = self.ports;
        client
    }

    /// The key again.
    #[inline]
    pub fn key(&self) -> FlowKey {
        let end = |[high, low]: [u64; 2], port| Endpoint {
            address: u128::from(high) << 64 | u128::from(low),
            port,
        };
        let ([client, server], [client_port, server_port]) = (self.addresses, self.ports);
        FlowKey { client: end(client, client_port), server: end(server, server_port) }
    }
}
