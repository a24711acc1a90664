//! Listening sockets for [`ListenAddress`]es.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Socket, Type};

use crate::config::ListenAddress;

/// Connections the kernel keeps for us while none is accepted.
const BACKLOG: i32 = 128;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; {}", advice(cause))]
pub struct BindError {
    address: ListenAddress,
    cause: io::Error,
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "find who has the port with `ss -ltnp`, or choose another with --web.listen-address"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --web.listen-address"
        }
        io::ErrorKind::AddrNotAvailable => "choose an address of this host with --web.listen-address",
        _ => "choose another address with --web.listen-address",
    }
}

/// A non-blocking listener for each address, in their order. All or none.
///
/// # Errors
/// The first address that cannot be listened on, and why.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, BindError> {
    let bind = |address: &ListenAddress| {
        bind_one(address).map_err(|cause| BindError { address: address.clone(), cause })
    };
    addresses.iter().map(bind).collect()
}

fn bind_one(address: &ListenAddress) -> io::Result<TcpListener> {
    match address {
        ListenAddress::Everywhere(port) => everywhere(*port),
        ListenAddress::Address(address) => listen(*address, false),
        ListenAddress::Name(name, port) => listen(look_up(name, *port)?, false),
    }
}

/// One socket for both families; IPv4 only on a host where IPv6 is switched off (no such family, or no address).
fn everywhere(port: u16) -> io::Result<TcpListener> {
    let v6 = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true);
    let without_v6 = v6.as_ref().is_err_and(|error| {
        matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
    });
    if without_v6 { listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), false) } else { v6 }
}

/// The name's first IPv4 address, else its first, as Go's `net.Listen` has it.
fn look_up(name: &str, port: u16) -> io::Result<SocketAddr> {
    let addresses: Vec<_> = (name, port).to_socket_addrs()?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"))
}

fn listen(address: SocketAddr, dual_stack: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Said either way: the default is a sysctl (net.ipv6.bindv6only).
        socket.set_only_v6(!dual_stack)?;
    }
    // A restart need not wait for the TIME_WAIT of old connections; a port in use is still refused.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn everywhere_means_both_families() {
        let listeners = bind(&[ListenAddress::Everywhere(0)]).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if listeners[0].local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_refused_with_advice() {
        let taken = bind(&[ListenAddress::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]).unwrap();
        let address = taken[0].local_addr().unwrap();
        for wanted in [ListenAddress::Address(address), ListenAddress::Everywhere(address.port())] {
            let message = bind(std::slice::from_ref(&wanted)).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("cannot listen on {wanted}: Address already in use")),
                "{message}"
            );
            assert!(message.contains("ss -ltnp"), "{message}");
        }
    }

    #[test]
    fn a_name_is_looked_up() {
        let listeners = bind(&[ListenAddress::Name("localhost".to_owned(), 0)]).unwrap();
        assert!(listeners[0].local_addr().unwrap().ip().is_loopback());
    }
}
