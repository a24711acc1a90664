//! The capture filter in the kernel: crafted frames sent through real interfaces of namespaces, and real connections while
//! the filter is swapped. What must pass is worked out here from the frames themselves. Needs root; without, each test
//! prints `SKIPPED`.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/inject.rs"]
mod inject;
#[path = "support/namespace.rs"]
mod namespace;
#[path = "support/skip.rs"]
mod skip;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crafted::{ACK, Crafted, FIN, Network, SYN};
use dbwire_exporter::{
    config::PortSet,
    io::capture::live::{Live, Settings},
    packet::{TcpFlags, Timestamp, filter::Plan, segment},
    sample::class::SampleClass,
};
use inject::inject;
use namespace::{ip, with_namespace, with_peer};

const SERVER_PORT: u16 = 3306;
const CUT: u16 = 128;
/// Client port of the frame that ends a reading. In class 0 of every N, as all multiples of 512 are.
const MARKER: u16 = 0x8000;
const PATIENCE: Duration = Duration::from_secs(20);

/// What is in front of the IP header, behind the Ethernet addresses.
const TAGS: [&[u16]; 4] = [&[], &[0x8100], &[0x88a8, 0x8100], &[0x8100, 0x8100]];

/// A frame, and whether it is to pass.
struct Case {
    name: String,
    frame: Vec<u8>,
    /// Payload captured and payload cut off; `None` if it is not to pass.
    passes: Option<(usize, usize)>,
}

/// Each combination of IP header, tags, direction, class and content, told apart by the client's port.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Class 0 of N = 1 by bit 1; class 1 is two ports on.
    let mut port = 20_000;
    for network in [Network::V4, Network::V4WithOptions, Network::V6, Network::V6HopByHop] {
        for tags in TAGS {
            for (flags, payload, options) in [
                (SYN, 0, 20),
                (ACK, 0, 0),
                (ACK, 0, 12),
                (ACK, 1, 0),
                (ACK, 100, 12),
                (ACK, 1300, 12),
                (FIN | ACK, 0, 0),
            ] {
                for (to_server, in_class) in [(true, true), (false, true), (true, false), (false, false)] {
                    port += 4;
                    let client = if in_class { port } else { port + 2 };
                    let [source, destination] =
                        if to_server { [client, SERVER_PORT] } else { [SERVER_PORT, client] };
                    let tcp_options = vec![1; options];
                    let crafted = Crafted {
                        network,
                        source,
                        destination,
                        flags,
                        tcp_options,
                        payload: vec![7; payload],
                    };
                    let control = flags & (SYN | FIN) != 0;
                    let captured = if to_server { payload } else { payload.min(usize::from(CUT)) };
                    let passes =
                        (control || (in_class && payload > 0)).then_some((captured, payload - captured));
                    let name = format!("{crafted:?} behind {tags:x?}");
                    cases.push(Case { name, frame: framed(&crafted, tags), passes });
                }
            }
        }
    }
    cases
}

/// Frames that have no port where it belongs, or another one.
fn strangers() -> Vec<Vec<u8>> {
    let data = |network, source, destination| Crafted {
        network,
        source,
        destination,
        flags: ACK,
        payload: vec![7; 50],
        ..Crafted::default()
    };
    let patched = |network, offset: usize, value: u8| {
        let mut frame = framed(&data(network, 20_000, SERVER_PORT), &[]);
        frame[14 + offset] = value;
        frame
    };
    vec![
        framed(&data(Network::V4, 20_000, 5432), &[]),
        framed(&data(Network::V6, 5432, 20_000), &[]),
        // A later fragment, UDP, an IPv6 fragment, and ARP.
        patched(Network::V4, 7, 1),
        patched(Network::V4, 9, 17),
        patched(Network::V6, 6, 44),
        [&[0xff; 12][..], &[0x08, 0x06], &[0; 46]].concat(),
    ]
}

fn framed(crafted: &Crafted, tags: &[u16]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([0x52, 0, 0, 0, 0, 1]);
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        // Priority 2: the tag looks like the version of IP.
        frame.extend([0x40, 5]);
    }
    frame.extend(crafted.ether_type().to_be_bytes());
    frame.extend(crafted.packet());
    // As Ethernet does, for what is shorter.
    frame.resize(frame.len().max(60), 0);
    frame
}

fn marker() -> Vec<u8> {
    framed(&Crafted { source: MARKER, destination: SERVER_PORT, flags: SYN, ..Crafted::default() }, &[])
}

fn plan(class: SampleClass, reply_bytes: Option<u16>) -> Plan {
    Plan { class, reply_bytes, ..Plan::whole(PortSet::new(&[SERVER_PORT]).unwrap()) }
}

fn open(interface: &str, plan: Plan) -> Live {
    let settings = Settings { interface: interface.to_owned(), plan, buffer_bytes: 8 << 20, fanout: None };
    let mut live = Live::open(&settings).unwrap();
    live.follow().unwrap();
    live
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    source: u16,
    destination: u16,
    flags: u8,
    sequence: u32,
    payload: usize,
    cut: usize,
    at: Timestamp,
}

impl Seen {
    fn client(&self) -> u16 {
        if self.source == SERVER_PORT { self.destination } else { self.source }
    }
}

/// Reads up to the marker.
fn read_to_marker(live: &mut Live) -> Vec<Seen> {
    let (mut seen, mut done) = (Vec::new(), false);
    let deadline = Instant::now() + PATIENCE;
    while !done {
        assert!(Instant::now() < deadline, "no marker behind {seen:?}");
        let mut fd = libc::pollfd { fd: live.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd, of a descriptor that is open.
        unsafe { libc::poll(&raw mut fd, 1, 1000) };
        let link = live.link();
        live.dispatch(1000, |frame| {
            let segment = segment::decode(link, frame).expect("every packet that passes the filter decodes");
            done |= segment.source.port == MARKER && segment.flags.any(TcpFlags::SYN);
            if !done {
                seen.push(Seen {
                    source: segment.source.port,
                    destination: segment.destination.port,
                    flags: segment.flags.0,
                    sequence: segment.sequence,
                    payload: segment.payload.len(),
                    cut: segment.cut as usize,
                    at: frame.timestamp,
                });
            }
        })
        .unwrap();
    }
    seen
}

/// Runs the matrix: `send` brings frames to the interface.
fn check_matrix(interface: &str, send: impl FnOnce(Vec<Vec<u8>>)) {
    let cases = cases();
    let mut live = open(interface, plan(SampleClass::new(1, 1, 0).unwrap(), Some(CUT)));
    let frames = cases.iter().map(|case| case.frame.clone());
    send(strangers().into_iter().chain(frames).chain([marker()]).collect());
    let seen = read_to_marker(&mut live);

    let mut by_port: BTreeMap<u16, Vec<(usize, usize)>> = BTreeMap::new();
    for seen in &seen {
        by_port.entry(seen.client()).or_default().push((seen.payload, seen.cut));
    }
    let mut wrong = Vec::new();
    let mut port = 20_000;
    for case in &cases {
        port += 4;
        let found: Vec<_> =
            [port, port + 2].iter().filter_map(|port| by_port.remove(port)).flatten().collect();
        if found != Vec::from_iter(case.passes) {
            wrong.push(format!("on {interface}: {:?} of {}", found, case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(by_port.is_empty(), "on {interface}, strangers: {by_port:?}");
}

#[test]
fn frames_of_every_form_that_arrive_pass_as_they_should() {
    for interface in ["veth0", "any"] {
        with_namespace("frames_of_every_form_that_arrive_pass_as_they_should", || {
            thread::scope(|scope| {
                let (frames, receive) = mpsc::channel::<Vec<Vec<u8>>>();
                let peer =
                    with_peer(scope, move || receive.iter().for_each(|frames| inject("veth1", &frames)));
                check_matrix(interface, |sent| frames.send(sent).unwrap());
                drop(frames);
                peer.join().unwrap();
            });
        });
    }
}

#[test]
fn frames_of_every_form_that_are_sent_pass_as_they_should() {
    for interface in ["veth0", "any"] {
        with_namespace("frames_of_every_form_that_are_sent_pass_as_they_should", || {
            thread::scope(|scope| {
                let (end, wait) = mpsc::channel::<()>();
                let peer = with_peer(scope, move || {
                    let _ = wait.recv();
                });
                check_matrix(interface, |sent| inject("veth0", &sent));
                drop(end);
                peer.join().unwrap();
            });
        });
    }
}

#[test]
fn frames_of_every_form_pass_once_on_loopback() {
    for interface in ["lo", "any"] {
        with_namespace("frames_of_every_form_pass_once_on_loopback", || {
            check_matrix(interface, |sent| inject("lo", &sent));
        });
    }
}

fn listen(address: IpAddr) -> TcpListener {
    TcpListener::bind(SocketAddr::new(address, SERVER_PORT)).unwrap()
}

/// A reply of `bytes` to each byte of the client's, until it closes.
fn serve(mut stream: TcpStream, bytes: usize) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let reply = vec![7; bytes];
    while stream.read(&mut [0]).unwrap() == 1 {
        stream.write_all(&reply).unwrap();
    }
}

fn ask(stream: &mut TcpStream, times: usize, bytes: usize) {
    let mut reply = vec![0; bytes];
    for _ in 0..times {
        stream.write_all(&[1]).unwrap();
        stream.read_exact(&mut reply).unwrap();
    }
}

/// Bytes of each direction's stream that the segments cover, captured or cut: what was sent again, or in parts, counts
/// once.
fn covered(seen: &[Seen]) -> BTreeMap<(u16, u16), usize> {
    let mut ranges: BTreeMap<(u16, u16), Vec<(u32, u32)>> = BTreeMap::new();
    let mut first = BTreeMap::new();
    for seen in seen {
        let ports = (seen.source, seen.destination);
        let start = seen.sequence.wrapping_sub(*first.entry(ports).or_insert(seen.sequence));
        ranges.entry(ports).or_default().push((start, start + (seen.payload + seen.cut) as u32));
    }
    let union = |mut ranges: Vec<(u32, u32)>| {
        ranges.sort_unstable();
        let add = |(total, reached): (u32, u32), (start, end): (u32, u32)| {
            (total + end.saturating_sub(start.max(reached)), reached.max(end))
        };
        ranges.into_iter().fold((0, 0), add).0 as usize
    };
    ranges.into_iter().map(|(ports, ranges)| (ports, union(ranges))).collect()
}

/// Whether the kernel has the module.
fn has_vlans() -> bool {
    let made = Command::new("ip")
        .args(["link", "add", "link", "lo", "name", "tagged", "type", "vlan", "id", "7"])
        .output();
    let made = made.is_ok_and(|output| output.status.success());
    if made {
        ip("link del tagged");
    }
    made
}

/// A real connection over an interface inside an interface, each with a tag of its own.
#[test]
fn a_connection_over_two_vlans_is_captured_on_the_interface_below() {
    let test = "a_connection_over_two_vlans_is_captured_on_the_interface_below";
    with_namespace(test, || {
        if !has_vlans() {
            skip::skipped(test, "this kernel has no VLAN interfaces");
            return;
        }
        let stack = |host: u8, below: &str| {
            ip(&format!("link add outer link {below} type vlan proto 802.1ad id 7"));
            ip("link add inner link outer type vlan id 9");
            ip("link set outer up");
            ip(&format!("addr add 198.51.100.{host}/24 dev inner"));
            ip("link set inner up");
        };
        thread::scope(|scope| {
            let (go_on, wait) = mpsc::channel::<()>();
            let peer = with_peer(scope, move || {
                stack(2, "veth1");
                wait.recv().unwrap();
                let mut stream = TcpStream::connect("198.51.100.1:3306").unwrap();
                ask(&mut stream, 10, 1000);
                drop(stream);
                wait.recv().unwrap();
                inject("veth1", &[marker()]);
                let _ = wait.recv();
            });
            stack(1, "veth0");
            let mut live = open("veth0", plan(SampleClass::ALL, None));
            let listener = listen(Ipv4Addr::UNSPECIFIED.into());
            go_on.send(()).unwrap();
            let (stream, client) = listener.accept().unwrap();
            serve(stream, 1000);
            go_on.send(()).unwrap();
            let seen = read_to_marker(&mut live);
            drop(go_on);
            peer.join().unwrap();
            let port = client.port();
            let expected = BTreeMap::from([((port, SERVER_PORT), 10), ((SERVER_PORT, port), 10_000)]);
            assert_eq!(covered(&seen), expected);
            let endings = seen.iter().filter(|seen| seen.flags & (SYN | FIN) != 0).count();
            assert_eq!(endings, 4, "{seen:?}");
        });
    });
}

/// IPv6 packets above 64 KiB, where the kernel makes them.
#[test]
fn big_tcp_is_captured_whole_and_cut() {
    const BULK: usize = 2 << 20;
    for reply_bytes in [None, Some(CUT)] {
        with_namespace("big_tcp_is_captured_whole_and_cut", || {
            ip("link set lo gso_max_size 200000 gro_max_size 200000 mtu 65536");
            let mut live = open("lo", plan(SampleClass::ALL, reply_bytes));
            let listener = listen(Ipv6Addr::LOCALHOST.into());
            let server = listener.local_addr().unwrap();
            let port = thread::scope(|scope| {
                scope.spawn(|| serve(listener.accept().unwrap().0, BULK));
                let mut stream = TcpStream::connect(server).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                ask(&mut stream, 1, BULK);
                stream.local_addr().unwrap().port()
            });
            inject("lo", &[marker()]);
            let seen = read_to_marker(&mut live);
            assert_eq!(live.drops().unwrap().kernel, 0, "the ring has room for all");
            let expected = BTreeMap::from([((port, SERVER_PORT), 1), ((SERVER_PORT, port), BULK)]);
            assert_eq!(covered(&seen), expected);
            let largest = seen.iter().map(|seen| seen.payload + seen.cut).max().unwrap();
            assert!(largest > 65_536, "the largest segment has {largest} bytes");
            let most = seen.iter().filter(|seen| seen.source == SERVER_PORT).map(|seen| seen.payload).max();
            if let Some(cut) = reply_bytes {
                assert!(most.unwrap() <= usize::from(cut) + 40);
            }
        });
    }
}

/// Twenty programs one after the other while segments flow, each of which captures the connection: nothing of it is
/// lost or comes twice.
#[test]
fn swaps_under_load_lose_nothing() {
    const SWAPS: usize = 20;
    with_namespace("swaps_under_load_lose_nothing", || {
        let mut live = open("lo", plan(SampleClass::ALL, None));
        let listener = listen(Ipv4Addr::LOCALHOST.into());
        let server = listener.local_addr().unwrap();
        let (swapped, rounds) = mpsc::sync_channel::<()>(0);
        let (port, rounds) = thread::scope(|scope| {
            scope.spawn(|| serve(listener.accept().unwrap().0, 700));
            let client = scope.spawn(move || {
                let mut stream = TcpStream::connect(server).unwrap();
                let mut asked = 0;
                // Goes on asking until the last swap was made.
                loop {
                    ask(&mut stream, 50, 700);
                    asked += 50;
                    match rounds.try_recv() {
                        Err(mpsc::TryRecvError::Disconnected) => break,
                        _ => continue,
                    }
                }
                (stream.local_addr().unwrap().port(), asked)
            });
            for round in 0..SWAPS {
                swapped.send(()).unwrap();
                let plans = [plan(SampleClass::ALL, Some(CUT)), plan(SampleClass::ALL, None)];
                live.set_plan(&plans[round % 2]).unwrap();
            }
            drop(swapped);
            client.join().unwrap()
        });
        inject("lo", &[marker()]);
        let seen = read_to_marker(&mut live);
        let data: Vec<_> = seen.iter().filter(|seen| seen.payload > 0).collect();
        assert_eq!(data.len(), 2 * rounds, "each question and each answer once");
        let expected = BTreeMap::from([((port, SERVER_PORT), rounds), ((SERVER_PORT, port), 700 * rounds)]);
        assert_eq!(covered(&seen), expected);
        assert_eq!(live.drops().unwrap().kernel, 0);
    });
}
