//! Sockets in every TCP state that can be held still, in the caller's network namespace.
//!
//! A FIN that cannot be sent holds FIN_WAIT1, LAST_ACK and CLOSING: the peer does not read, its small receive
//! buffer is full, and the FIN waits behind the data. `TCP_DEFER_ACCEPT` holds SYN_RECV, a full accept queue
//! SYN_SENT. TIME_WAIT, and FIN_WAIT2 without a file, last for a minute.

use std::{
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use dbwire_exporter::sockets::state::State;
use socket2::{Domain, SockAddr, Socket, Type};

/// How many connections of each kind to make. Each is two sockets, but for those said to be one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    /// ESTABLISHED at both ends, IPv4.
    pub(crate) established_v4: usize,
    /// ESTABLISHED at both ends, IPv6.
    pub(crate) established_v6: usize,
    /// ESTABLISHED at both ends: an IPv6 server socket and an IPv4 client.
    pub(crate) established_mapped: usize,
    /// FIN_WAIT2 (held by its program) and CLOSE_WAIT.
    pub(crate) half_closed: usize,
    /// FIN_WAIT2 (no longer held) and CLOSE_WAIT.
    pub(crate) orphaned: usize,
    /// TIME_WAIT: one socket.
    pub(crate) time_wait: usize,
    /// SYN_RECV, and ESTABLISHED at the client.
    pub(crate) syn_recv: usize,
    /// SYN_SENT: one socket, and once ESTABLISHED at both ends: what fills the accept queue.
    pub(crate) syn_sent: usize,
    /// FIN_WAIT1 and ESTABLISHED.
    pub(crate) fin_wait1: usize,
    /// LAST_ACK and FIN_WAIT2.
    pub(crate) last_ack: usize,
    /// CLOSING and FIN_WAIT2.
    pub(crate) closing: usize,
    /// ESTABLISHED at both ends, but not accepted.
    pub(crate) not_accepted: usize,
}

/// The sockets, for as long as it lives.
#[derive(Debug, Default)]
pub(crate) struct Zoo {
    streams: Vec<TcpStream>,
    listeners: Vec<TcpListener>,
    sockets: Vec<Socket>,
}

/// What the plan comes to, by state, but for the listeners.
pub(crate) fn expected(plan: &Plan, state: State) -> usize {
    let p = plan;
    match state {
        State::Established => {
            2 * (p.established_v4 + p.established_v6 + p.established_mapped + p.not_accepted)
                + p.syn_recv
                + p.fin_wait1
                + if p.syn_sent > 0 { 2 } else { 0 }
        }
        State::SynSent => p.syn_sent,
        State::SynRecv => p.syn_recv,
        State::FinWait1 => p.fin_wait1,
        State::FinWait2 => p.half_closed + p.orphaned + p.last_ack + p.closing,
        State::TimeWait => p.time_wait,
        State::CloseWait => p.half_closed + p.orphaned,
        State::LastAck => p.last_ack,
        State::Closing => p.closing,
        State::Close | State::Listen => 0,
    }
}

/// Connections of one client address to one server address and port, well below the ephemeral ports there are.
const PER_LISTENER: usize = 4000;

impl Zoo {
    /// Makes what `plan` asks for. TIME_WAIT comes last: it is what ages.
    pub(crate) fn build(plan: &Plan) -> io::Result<Self> {
        let mut zoo = Self::default();
        for (count, address) in [
            (plan.established_v4, address_v4 as fn(u8) -> SocketAddr),
            (plan.established_v6, address_v6),
            (plan.established_mapped, address_mapped),
        ] {
            zoo.pairs(count, address, |zoo, client, server| zoo.keep(client, server))?;
        }
        zoo.pairs(plan.half_closed, address_v4, |zoo, client, server| {
            client.shutdown(Shutdown::Write)?;
            zoo.keep(client, server)
        })?;
        zoo.stuck(plan.fin_wait1, |_server| Ok(()))?;
        zoo.stuck(plan.closing, |server| server.shutdown(Shutdown::Write))?;
        zoo.last_ack(plan.last_ack)?;
        zoo.syn_recv(plan.syn_recv)?;
        zoo.syn_sent(plan.syn_sent)?;
        zoo.not_accepted(plan.not_accepted)?;
        zoo.pairs(plan.orphaned, address_v4, |zoo, client, server| {
            drop(client);
            zoo.streams.push(server);
            Ok(())
        })?;
        zoo.pairs(plan.time_wait, address_v4, |_zoo, client, server| {
            drop(client);
            drop(server);
            Ok(())
        })?;
        Ok(zoo)
    }

    /// Listeners made for the plan.
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    fn keep(&mut self, client: TcpStream, server: TcpStream) -> io::Result<()> {
        self.streams.extend([client, server]);
        Ok(())
    }

    fn pairs(
        &mut self,
        count: usize,
        address: fn(u8) -> SocketAddr,
        mut each: impl FnMut(&mut Self, TcpStream, TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        for made in (0..count).step_by(PER_LISTENER) {
            let listener = TcpListener::bind(address((made / PER_LISTENER) as u8))?;
            let to = reachable(listener.local_addr()?, (made / PER_LISTENER) as u8);
            for _ in made..count.min(made + PER_LISTENER) {
                let client = TcpStream::connect(to)?;
                let (server, _) = listener.accept()?;
                each(self, client, server)?;
            }
            self.listeners.push(listener);
        }
        Ok(())
    }

    /// Connections whose client has more to send than its peer takes, and then sends its FIN.
    fn stuck(&mut self, count: usize, then: impl Fn(&TcpStream) -> io::Result<()>) -> io::Result<()> {
        let listener = small_listener()?;
        for _ in 0..count {
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            fill(&client)?;
            client.shutdown(Shutdown::Write)?;
            then(&server)?;
            self.keep(client, server)?;
        }
        self.listeners.push(listener);
        Ok(())
    }

    /// The client closes first; then the server, whose FIN waits behind data the client does not read.
    fn last_ack(&mut self, count: usize) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        for _ in 0..count {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            client.set_recv_buffer_size(4096)?;
            client.connect(&listener.local_addr()?.into())?;
            let (server, _) = listener.accept()?;
            client.shutdown(Shutdown::Write)?;
            fill(&server)?;
            server.shutdown(Shutdown::Write)?;
            self.keep(client.into(), server)?;
        }
        self.listeners.push(listener);
        Ok(())
    }

    fn syn_recv(&mut self, count: usize) -> io::Result<()> {
        let listener = listener_with_backlog(count as i32 + 1)?;
        defer_accept(&listener)?;
        for _ in 0..count {
            self.streams.push(TcpStream::connect(listener.local_addr()?)?);
        }
        self.listeners.push(listener);
        Ok(())
    }

    /// A backlog of 0 takes one connection; every SYN after it is dropped.
    fn syn_sent(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let listener = listener_with_backlog(0)?;
        let to = SockAddr::from(listener.local_addr()?);
        self.streams.push(TcpStream::connect(listener.local_addr()?)?);
        for _ in 0..count {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            client.set_nonblocking(true)?;
            match client.connect(&to) {
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => self.sockets.push(client),
                outcome => return outcome,
            }
        }
        self.listeners.push(listener);
        Ok(())
    }

    fn not_accepted(&mut self, count: usize) -> io::Result<()> {
        let listener = listener_with_backlog(count as i32)?;
        for _ in 0..count {
            self.streams.push(TcpStream::connect(listener.local_addr()?)?);
        }
        self.listeners.push(listener);
        Ok(())
    }
}

fn address_v4(n: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 1, n + 1), 0).into()
}

fn address_v6(_: u8) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 0).into()
}

fn address_mapped(_: u8) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, 0).into()
}

/// Where a client reaches a listener: IPv4 where it listens on every address.
fn reachable(listener: SocketAddr, n: u8) -> SocketAddr {
    if listener.ip().is_unspecified() {
        (Ipv4Addr::new(127, 0, 2, n + 1), listener.port()).into()
    } else {
        listener
    }
}

/// A listener whose connections take next to nothing that is not read.
fn small_listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096)?;
    Ok(listener)
}

fn listener_with_backlog(backlog: i32) -> io::Result<TcpListener> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(backlog)?;
    Ok(listener.into())
}

/// Makes connections wait in SYN_RECV for their first data.
fn defer_accept(listener: &TcpListener) -> io::Result<()> {
    let seconds: libc::c_int = 600;
    // SAFETY: the descriptor is open, and the option's value is the int given, of the length given.
    let failed = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size_of_val(&seconds) as libc::socklen_t,
        )
    };
    if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes until nothing more goes in: far more than the peer's receive buffer holds.
fn fill(mut stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_send_buffer_size(128 * 1024)?;
    stream.set_nonblocking(true)?;
    loop {
        match stream.write(&[0; 16 * 1024]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
