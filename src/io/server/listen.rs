//! Listening sockets: for [`ListenAddress`]es, or as systemd passed them on.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::{
        fs::FileTypeExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::config::ListenAddress;

/// Connections the kernel keeps for us while none is accepted: a burst of scrapes must not have to try again, which
/// takes TCP a second.
const BACKLOG: i32 = 1024;

/// A non-blocking socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// On TCP.
    Tcp(TcpListener),
    /// On a path of the file system.
    Unix(UnixListener),
}

impl Listener {
    /// Its address, for people.
    pub fn address(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => listener.local_addr()?.to_string(),
            Self::Unix(listener) => format!("unix:{}", path_of(listener)?.display()),
        })
    }

    /// Where to look, as something to click on or to give to `curl`; `path` begins with `/`.
    pub fn url(&self, scheme: &str, path: &str) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => format!("{scheme}://{}{path}", authority(listener.local_addr()?)),
            Self::Unix(listener) => {
                format!("{scheme}+unix://{}:{path}", path_of(listener)?.display())
            }
        })
    }
}

fn path_of(listener: &UnixListener) -> io::Result<PathBuf> {
    Ok(listener.local_addr()?.as_pathname().map_or_else(|| "(unnamed)".into(), Path::to_owned))
}

fn authority(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    if let SocketAddr::V6(v6) = &mut address {
        // A zone has no agreed form in a URL.
        v6.set_scope_id(0);
    }
    address.to_string()
}

/// Sockets that systemd should have passed on, and has not.
#[derive(Debug, Error)]
pub enum ActivationError {
    /// None at all.
    #[error("systemd passed no sockets on; start the unit's .socket, or leave --web.systemd-socket out")]
    Nothing,
    /// One that is of no use here.
    #[error("socket {index} that systemd passed on is of no use: {cause}; it must be ListenStream=")]
    Unusable {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        cause: io::Error,
    },
}

/// The sockets that systemd passed on (sd_listen_fds(3)). To be called once, before there are threads: it takes the
/// variables that name them out of the environment.
///
/// # Errors
/// If there are none, or one is not a stream socket.
pub fn from_systemd() -> Result<Vec<Listener>, ActivationError> {
    let mut passed = ListenFd::from_env();
    let count = passed.len();
    if count == 0 {
        return Err(ActivationError::Nothing);
    }
    let mut take = |index| {
        let listener = match passed.take_unix_listener(index) {
            Ok(listener) => listener.map(Listener::Unix),
            Err(_) => passed.take_tcp_listener(index)?.map(Listener::Tcp),
        };
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        match &listener {
            Listener::Tcp(listener) => listener.set_nonblocking(true)?,
            Listener::Unix(listener) => listener.set_nonblocking(true)?,
        }
        Ok(listener)
    };
    (0..count).map(|index| take(index).map_err(|cause| ActivationError::Unusable { index, cause })).collect()
}

/// An address that could not be listened on.
#[derive(Debug, Error)]
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
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, BindError> {
    let bind = |address: &ListenAddress| {
        bind_one(address).map_err(|cause| BindError { address: address.clone(), cause })
    };
    addresses.iter().map(bind).collect()
}

fn bind_one(address: &ListenAddress) -> io::Result<Listener> {
    match address {
        ListenAddress::Everywhere(port) => everywhere(*port).map(Listener::Tcp),
        ListenAddress::Address(address) => listen(*address, false).map(Listener::Tcp),
        ListenAddress::Name(name, port) => listen(look_up(name, *port)?, false).map(Listener::Tcp),
        ListenAddress::Unix(path) => unix(path).map(Listener::Unix),
    }
}

/// A socket that nobody listens on any more, as a run that was killed leaves it, is taken away first.
fn unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket
        && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
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

    /// The address of the only one of them.
    fn only(listeners: &[Listener]) -> SocketAddr {
        match listeners {
            [Listener::Tcp(listener)] => listener.local_addr().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everywhere_means_both_families() {
        let listeners = bind(&[ListenAddress::Everywhere(0)]).unwrap();
        let port = only(&listeners).port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if only(&listeners).is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_refused_with_advice() {
        let taken = bind(&[ListenAddress::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]).unwrap();
        let address = only(&taken);
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
        assert!(only(&listeners).ip().is_loopback());
    }

    #[test]
    fn a_unix_socket_that_nobody_listens_on_is_taken_over_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = ListenAddress::Unix(folder.path().join("web.sock"));
        let first = bind(std::slice::from_ref(&address)).unwrap();
        let refused = bind(std::slice::from_ref(&address)).unwrap_err().to_string();
        assert!(refused.contains("Address already in use"), "{refused}");
        drop(first);
        bind(&[address]).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        bind(&[ListenAddress::Unix(file.clone())]).unwrap_err();
        assert_eq!(fs::read(file).unwrap(), b"kept");
    }

    #[test]
    fn a_listener_has_a_url() {
        let url = |address| bind(&[address]).unwrap()[0].url("https", "/metrics").unwrap();
        let v4 = url(ListenAddress::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
        assert!(v4.starts_with("https://127.0.0.1:") && v4.ends_with("/metrics"), "{v4}");
        assert!(url(ListenAddress::Everywhere(0)).starts_with("https://localhost:"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert_eq!(
            url(ListenAddress::Unix(path.clone())),
            format!("https+unix://{}:/metrics", path.display())
        );
    }
}
