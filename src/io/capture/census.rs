//! A census of the connections to some ports: `inet_diag` with `INET_DIAG_INFO`, of those ports only.
//!
//! On the database's host these are the server's sockets, on an application's host the client's; where both ends are
//! on one host, the server's count.

use thiserror::Error;

use crate::{
    config::PortSet,
    io::netlink::{Dumper, NetlinkError},
    packet::Endpoint,
    sample::census::{Census, Listing, Socket, TooMany},
    sockets::{
        inet_diag::{Extensions, Query},
        port_filter::PortFilter,
        row::{self, Row},
        state::{State, StateSet},
        tcp_info::Carried,
    },
    stream::key::{Ends, FlowKey},
};

/// States of connections that carry data, or may have since the last census. The others have no `struct tcp_info`.
const STATES: StateSet = StateSet::NONE
    .with(State::Established)
    .with(State::FinWait1)
    .with(State::FinWait2)
    .with(State::CloseWait)
    .with(State::LastAck)
    .with(State::Closing);

/// Why there is no census.
#[derive(Debug, Error)]
pub enum CensusError {
    /// The kernel did not list the connections.
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
    /// It listed too many.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Takes censuses.
#[derive(Debug)]
pub struct CensusTaker {
    dumper: Dumper,
    ports: PortSet,
    filter: PortFilter,
}

impl CensusTaker {
    /// Of connections to `ports`, by `dumper`.
    pub fn new(ports: PortSet, dumper: Dumper) -> Self {
        let filter = PortFilter::new(ports.as_slice());
        Self { dumper, ports, filter }
    }

    /// All connections there are now.
    ///
    /// # Errors
    /// If the kernel does not list them, or lists too many.
    pub fn take(&mut self) -> Result<Census<Ends>, CensusError> {
        let query = Query { states: STATES, filter: Some(&self.filter), extensions: Extensions::INFO };
        let ports = &self.ports;
        let listing = self.dumper.dump(query, &Listing::default(), |listing, row, attributes| {
            if let Some(carried) = Carried::find(attributes) {
                let server = ports.contains(row.local.port);
                let (key, socket) = connection(row, server, carried);
                listing.add(Ends::of(&key), socket, server);
            }
        })?;
        Ok(listing.census()?)
    }
}

fn connection(row: &Row, server: bool, carried: Carried) -> (FlowKey, Socket) {
    let (client, server_end, client_bytes) = if server {
        (row.remote, row.local, carried.bytes_received)
    } else {
        (row.local, row.remote, carried.bytes_acked.saturating_sub(1))
    };
    let socket = Socket {
        cookie: row.cookie,
        client_port: client.port,
        segments_in: carried.segments_in,
        segments_out: carried.segments_out,
        client_bytes: u32::try_from(client_bytes).unwrap_or(u32::MAX),
    };
    (FlowKey { client: endpoint(client), server: endpoint(server_end) }, socket)
}

fn endpoint(end: row::Endpoint) -> Endpoint {
    Endpoint { address: u128::from(end.address), port: end.port }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn a_connection_is_found_with_its_segments_and_the_bytes_of_its_client() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        let mut buffer = [0; 4];
        for _ in 0..3 {
            client.write_all(b"ping").unwrap();
            server.read_exact(&mut buffer).unwrap();
            server.write_all(b"pong").unwrap();
            client.read_exact(&mut buffer).unwrap();
        }
        let ports = PortSet::new(&[address.port()]).unwrap();
        let census = CensusTaker::new(ports, Dumper::of_kernel()).take().unwrap();
        let sockets: Vec<_> = census.iter().collect();
        let [(ends, socket)] = &sockets[..] else { panic!("{sockets:?}") };
        let key = ends.key();
        assert_eq!((key.client.port, key.server.port), (from.port(), address.port()));
        assert_eq!((socket.client_port, socket.requests(), socket.client_bytes), (from.port(), 3, 12));
    }
}
