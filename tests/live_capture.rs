//! Live captures in network namespaces: exactly the packets there were, none twice, none missed.
//!
//! Each connection is one question and one answer, so it is known what there was. Needs root; without, each test prints
//! `SKIPPED`.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

#[path = "support/namespace.rs"]
mod namespace;
#[path = "support/skip.rs"]
mod skip;

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use dbwire_exporter::{
    config::{Counting, PortSet},
    io::capture::{
        live::{Live, OpenError, Settings},
        measure::SampleSettings,
        threads::{Captures, CapturesHandle, Threads},
    },
    packet::{TcpFlags, filter::Plan, link::LinkType, segment},
    pipeline::Options,
    sample::{class::SampleClass, multiplier::Multiplier},
    stats::capture::Snapshot,
};
use namespace::{ip, with_namespace, with_peer};
use socket2::{Domain, SockAddr, Socket, Type};

const SERVER_PORT: u16 = 3306;
/// Client port of the connection that ends a test's reading. In class 0 of every N.
const MARKER: u16 = 0x8000;
/// A SYN, a question and a FIN of the client's, and the server's answers to them: what only acknowledges is left out.
const SEGMENTS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    source_port: u16,
    flags: u8,
    payload: Vec<u8>,
}

fn settings(interface: &str, class: SampleClass) -> Settings {
    let plan = Plan { class, ..Plan::whole(PortSet::new(&[SERVER_PORT]).unwrap()) };
    Settings { interface: interface.to_owned(), plan, buffer_bytes: 2 << 20, fanout: None }
}

fn open(interface: &str, class: SampleClass) -> Live {
    let mut live = Live::open(&settings(interface, class)).unwrap_or_else(|error| panic!("{error}"));
    live.follow().unwrap();
    live
}

/// Reads up to the marker's SYN.
fn read_to_marker(live: &mut Live) -> Vec<Seen> {
    let (mut seen, mut done) = (Vec::new(), false);
    let deadline = Instant::now() + PATIENCE;
    while !done {
        assert!(Instant::now() < deadline, "no marker behind {seen:?}");
        wait_readable(live);
        let link = live.link();
        live.dispatch(1000, |frame| {
            let segment = segment::decode(link, frame).expect("every packet that passes the filter decodes");
            assert_eq!(segment.cut, 0);
            done |= segment.source.port == MARKER && segment.flags.any(TcpFlags::SYN);
            if !done {
                seen.push(Seen {
                    source_port: segment.source.port,
                    flags: segment.flags.0,
                    payload: segment.payload.to_vec(),
                });
            }
        })
        .unwrap();
    }
    seen
}

fn wait_readable(live: &Live) {
    let mut fd = libc::pollfd { fd: live.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, of a descriptor that is open.
    unsafe { libc::poll(&raw mut fd, 1, 1000) };
}

/// Its accept, and each stream's reads, give up after [`PATIENCE`]: a failure on the other side ends the test.
fn listen(address: IpAddr) -> TcpListener {
    let server = SocketAddr::new(address, SERVER_PORT);
    let socket = bound_socket(server);
    socket.listen(16).unwrap();
    socket.into()
}

fn connect(server: SocketAddr, client_port: u16) -> TcpStream {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = bound_socket(SocketAddr::new(any, client_port));
    socket.connect(&SockAddr::from(server)).unwrap();
    socket.into()
}

fn bound_socket(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.bind(&SockAddr::from(address)).unwrap();
    socket
}

/// One question, one answer; the client closes first. Both texts name the client's port.
fn ask(server: SocketAddr, client_port: u16) {
    let mut stream = connect(server, client_port);
    stream.write_all(&question(client_port)).unwrap();
    let mut reply = vec![0; answer(client_port).len()];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, answer(client_port));
}

fn serve_one(listener: &TcpListener) {
    let (mut stream, client) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = vec![0; question(client.port()).len()];
    stream.read_exact(&mut request).unwrap();
    stream.write_all(&answer(client.port())).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the client closes");
}

fn question(port: u16) -> Vec<u8> {
    format!("question from {port:05}").into_bytes()
}

fn answer(port: u16) -> Vec<u8> {
    format!("answer to {port:05}").into_bytes()
}

/// The exchanges one after the other, server and client in this namespace.
fn exchange(address: IpAddr, client_ports: &[u16]) {
    let listener = listen(address);
    let server = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| client_ports.iter().for_each(|_| serve_one(&listener)));
        client_ports.iter().for_each(|&port| ask(server, port));
    });
}

fn payloads(seen: &[Seen]) -> Vec<(u16, Vec<u8>)> {
    let with_payload = seen.iter().filter(|seen| !seen.payload.is_empty());
    with_payload.map(|seen| (seen.source_port, seen.payload.clone())).collect()
}

fn check_loopback(interface: &str, address: IpAddr) {
    let mut live = open(interface, SampleClass::ALL);
    exchange(address, &[40_000, 40_001, 40_002]);
    exchange(address, &[MARKER]);

    let seen = read_to_marker(&mut live);
    assert_eq!(seen.len(), 3 * SEGMENTS, "on {interface}, {address}: {seen:#?}");
    let texts: Vec<_> = [40_000, 40_001, 40_002]
        .into_iter()
        .flat_map(|port| [(port, question(port)), (SERVER_PORT, answer(port))])
        .collect();
    assert_eq!(payloads(&seen), texts);
}

#[test]
fn loopback_packets_are_seen_once_on_lo() {
    with_namespace("loopback_packets_are_seen_once_on_lo", || {
        check_loopback("lo", Ipv4Addr::LOCALHOST.into());
        check_loopback("lo", Ipv6Addr::LOCALHOST.into());
    });
}

#[test]
fn loopback_packets_are_seen_once_on_any() {
    with_namespace("loopback_packets_are_seen_once_on_any", || {
        check_loopback("any", Ipv4Addr::LOCALHOST.into());
        check_loopback("any", Ipv6Addr::LOCALHOST.into());
    });
}

/// The server's side of a link: what it received and what it sent, once each.
fn check_link(interface: &str, address: IpAddr, client_ports: &[u16]) {
    let server = SocketAddr::new(address, SERVER_PORT);
    let (go_on, wait) = mpsc::channel();
    // Owning `go_on`: if this side fails, the other's waits end.
    thread::scope(move |scope| {
        let client = with_peer(scope, move || {
            wait.recv().unwrap();
            client_ports.iter().for_each(|&port| ask(server, port));
            wait.recv().unwrap();
            ask(server, MARKER);
            // The interfaces go with this namespace, and it with this thread.
            wait.recv().unwrap();
        });
        let listener = listen(address);
        let mut live = open(interface, SampleClass::ALL);
        go_on.send(()).unwrap();
        client_ports.iter().for_each(|_| serve_one(&listener));
        go_on.send(()).unwrap();
        serve_one(&listener);

        let seen = read_to_marker(&mut live);
        go_on.send(()).unwrap();
        client.join().unwrap();
        let expected = client_ports.len() * SEGMENTS;
        assert_eq!(seen.len(), expected, "on {interface}, {address}: {seen:#?}");
    });
}

#[test]
fn both_directions_of_a_link_are_seen_once() {
    let addresses = ["192.0.2.1", "2001:db8::1"];
    for (interface, address) in
        ["veth0", "any"].into_iter().flat_map(|name| addresses.map(|address| (name, address)))
    {
        with_namespace("both_directions_of_a_link_are_seen_once", || {
            check_link(interface, address.parse().unwrap(), &[40_000, 40_001]);
        });
    }
}

/// A quarter of the client ports, even and odd: whole connections, both directions, and of the others only how they
/// begin and end.
#[test]
fn only_connections_of_the_class_are_seen() {
    with_namespace("only_connections_of_the_class_are_seen", || {
        let ports: Vec<u16> = (40_000..40_016).collect();
        for (interface, address) in
            [("lo", IpAddr::from(Ipv4Addr::LOCALHOST)), ("any", IpAddr::from(Ipv6Addr::LOCALHOST))]
        {
            // The marker is in class 0.
            let mut live = open(interface, SampleClass::new(2, 1, 0).unwrap());
            exchange(address, &ports);
            exchange(address, &[MARKER]);
            let expected: Vec<_> = [40_000, 40_001, 40_008, 40_009]
                .into_iter()
                .flat_map(|port| [(port, question(port)), (SERVER_PORT, answer(port))])
                .collect();
            let seen = read_to_marker(&mut live);
            assert_eq!(payloads(&seen), expected, "on {interface}");
            let syns = seen.iter().filter(|seen| TcpFlags(seen.flags).any(TcpFlags::SYN)).count();
            assert_eq!(syns, 2 * 16, "on {interface}");
            assert_eq!(seen.len(), 4 * SEGMENTS + 12 * (SEGMENTS - 2), "on {interface}: {seen:#?}");
        }
    });
}

fn options() -> Options {
    Options {
        plan: Plan::whole(PortSet::new(&[SERVER_PORT]).unwrap()),
        max_flows: 100,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    }
}

fn start(interface: &str) -> Captures {
    let settings = Settings { buffer_bytes: 1 << 20, ..settings(interface, SampleClass::ALL) };
    let threads = Threads { count: 1, nice: None, cpus: vec![] };
    Captures::open(&settings, &options(), SampleSettings::default(), &threads).unwrap().start().unwrap()
}

/// Asks for snapshots until one is as wanted.
fn snapshot_when(handle: &CapturesHandle, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshot = runtime.block_on(handle.snapshot(PATIENCE)).expect("the thread runs");
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "last: {snapshot:?}");
    }
}

#[test]
fn a_running_capture_answers_with_its_state_and_stops_when_dropped() {
    with_namespace("a_running_capture_answers_with_its_state_and_stops_when_dropped", || {
        let capture = start("lo");
        let handle = capture.handle();
        let first = snapshot_when(&handle, |snapshot| snapshot.capture.up);
        assert_eq!(first.capture.interface, "lo");
        assert_eq!(first.capture.link, Some(LinkType::LinuxSll2));
        assert_eq!(first.capture.error, None);
        assert_eq!((first.capture.dropped_by_kernel, first.capture.dropped_by_interface), (0, 0));
        let second = snapshot_when(&handle, |snapshot| snapshot.capture.up);
        assert!(second.capture.cpu > first.capture.cpu, "the thread has worked for the answer");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(runtime.block_on(handle.snapshot(Duration::ZERO)).is_some(), "a stale answer is one");
        drop(capture);
        assert!(runtime.block_on(handle.snapshot(PATIENCE)).is_none(), "nobody answers any more");
    });
}

#[test]
fn an_interface_that_goes_away_and_comes_back_is_captured_again() {
    with_namespace("an_interface_that_goes_away_and_comes_back_is_captured_again", || {
        let add = || {
            ip("link add veth0 type veth peer name veth1");
            ip("link set veth0 up");
        };
        add();
        let capture = start("veth0");
        snapshot_when(&capture.handle(), |snapshot| snapshot.capture.up);
        ip("link del veth0");
        let down = snapshot_when(&capture.handle(), |snapshot| !snapshot.capture.up);
        assert!(down.capture.error.as_ref().unwrap().contains("veth0"), "{down:?}");
        add();
        let up = snapshot_when(&capture.handle(), |snapshot| snapshot.capture.up);
        assert_eq!(up.capture.error, None);
    });
}

#[test]
fn an_unknown_interface_is_told_with_those_there_are() {
    with_namespace("an_unknown_interface_is_told_with_those_there_are", || {
        let capture = start("eth99");
        let snapshot = snapshot_when(&capture.handle(), |_| true);
        assert!(!snapshot.capture.up);
        assert_eq!(snapshot.capture.error.as_deref(), Some("no interface eth99; there are: lo, any"));
    });
}

/// Each connection by one of three threads, and every segment once.
#[test]
fn threads_share_the_packets_of_a_capture() {
    with_namespace("threads_share_the_packets_of_a_capture", || {
        for (interface, address) in
            [("lo", IpAddr::from(Ipv4Addr::LOCALHOST)), ("any", Ipv6Addr::LOCALHOST.into())]
        {
            let threads = Threads { count: 3, nice: Some(5), cpus: vec![0] };
            let settings = Settings { buffer_bytes: 3 << 20, ..settings(interface, SampleClass::ALL) };
            let captures =
                Captures::open(&settings, &options(), SampleSettings::default(), &threads).unwrap();
            let captures = captures.start().unwrap();
            let ports: Vec<u16> = (40_000..40_050).collect();
            exchange(address, &ports);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let deadline = Instant::now() + PATIENCE;
            let expected = (ports.len() * SEGMENTS) as u64;
            loop {
                let snapshot =
                    runtime.block_on(captures.handle().snapshot(PATIENCE)).expect("the threads run");
                let stats = &snapshot.stats;
                assert!(stats.packets <= expected, "{} of {expected} on {interface}", stats.packets);
                if stats.packets == expected {
                    assert_eq!(stats.opened, ports.len() as u64, "both directions are on one thread");
                    assert_eq!(stats.connections_closed().map(|(_, count)| count).sum::<u64>(), stats.opened);
                    assert!(snapshot.capture.up);
                    break;
                }
                assert!(Instant::now() < deadline, "{} of {expected} on {interface}", stats.packets);
            }
        }
    });
}

/// Needs no root, and drops it where there is.
#[test]
fn without_the_capability_the_error_says_how_to_grant_it() {
    let error = thread::spawn(|| {
        // SAFETY: no pointers; the bare system call changes this thread alone. Without root it changes nothing.
        unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
        Live::open(&settings("lo", SampleClass::ALL)).unwrap_err()
    })
    .join()
    .unwrap();
    assert!(matches!(error, OpenError::Permission { .. }), "{error:?}");
    let binary = std::env::current_exe().unwrap();
    assert!(error.to_string().contains(&format!("setcap cap_net_raw+ep {}", binary.display())), "{error}");
}
