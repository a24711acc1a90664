//! Clients that mean harm, or are broken: the scraper is answered within its timeout all the same, and memory is
//! bounded.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test connects and reads files")]
#![allow(clippy::print_stdout, reason = "what was measured")]

mod support;

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use support::{certificates::Authority, curl::curl, exporter::Exporter, skip};

/// Prometheus' default `scrape_timeout`: who gets no answer within it has none.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// What an attack may make the process grow by. Its 256 connections have 16 KiB each for what they send and, in TLS, as
/// much again, and up to 40 pages are under way.
const MOST_GROWTH_KIB: u64 = 48 * 1024;

/// What a scraper sends.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: exporter\r\nAccept: text/plain\r\n\
                      X-Prometheus-Scrape-Timeout-Seconds: 10\r\nConnection: close\r\n\r\n";

fn sockets_only(arguments: &[&str]) -> Exporter {
    let mut arguments = arguments.to_vec();
    arguments.extend(cfg!(feature = "capture").then_some("--no-collector.mysql"));
    raise_descriptor_limit();
    Exporter::start(&arguments)
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for the whole of both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(8192);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

fn connect(exporter: &Exporter) -> TcpStream {
    connect_to(exporter.address())
}

fn connect_to(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().unwrap();
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(60)).expect("a connection");
    stream.set_read_timeout(Some(SCRAPE_TIMEOUT)).unwrap();
    stream
}

/// The status that `request` is answered with; `None` if the connection ends, or nothing comes in time.
fn status(mut stream: TcpStream, request: &str) -> Option<u16> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = Vec::new();
    match stream.read_to_end(&mut response) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => return None,
        _ => {}
    }
    let line = response.get(..12)?;
    std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// The most memory that the process has had, in KiB (proc_pid_status(5)).
fn peak(exporter: &Exporter) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", exporter.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The scraper is answered `times` times while an attack goes on, and the process has not grown too much.
fn holds(exporter: &Exporter, before: u64, times: usize) {
    for time in 0..times {
        assert_eq!(status(connect(exporter), SCRAPE), Some(200), "scrape {time}");
    }
    let grown = peak(exporter).saturating_sub(before);
    println!("{} KiB more at most", grown);
    assert!(grown < MOST_GROWTH_KIB, "{grown} KiB more");
}

#[test]
fn a_thousand_scrapes_at_once_leave_the_scraper_its_own() {
    let exporter = sockets_only(&[]);
    holds(&exporter, peak(&exporter), 1);
    let before = peak(&exporter);
    thread::scope(|scope| {
        let address = exporter.address();
        let one = || scope.spawn(move || status(connect_to(address), SCRAPE));
        let attack: Vec<_> = (0..1000).map(|_| one()).collect();
        holds(&exporter, before, 5);
        let answers: Vec<_> = attack.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(answers.iter().flatten().all(|status| [200, 503].contains(status)), "{answers:?}");
        let answered = answers.iter().filter(|status| **status == Some(200)).count();
        println!("{answered} of 1000 were answered");
        assert!(answered >= 200, "{answered}");
    });
    holds(&exporter, before, 1);
}

#[test]
fn of_six_hundred_requests_that_wait_to_be_read_none_gives_way_to_another() {
    let exporter = sockets_only(&[]);
    // They are all there before the first is accepted, as where the host has no time for the exporter.
    exporter.signal(libc::SIGSTOP);
    let mut waiting: Vec<_> = (0..600).map(|_| connect(&exporter)).collect();
    waiting.iter_mut().for_each(|stream| stream.write_all(SCRAPE.as_bytes()).unwrap());
    exporter.signal(libc::SIGCONT);
    let answers: Vec<_> = waiting.into_iter().map(|stream| status(stream, "")).collect();
    assert!(answers.iter().all(|status| [Some(200), Some(503)].contains(status)), "{answers:?}");
}

#[test]
fn five_hundred_connections_that_dawdle_keep_nobody_out() {
    let exporter = sockets_only(&[]);
    holds(&exporter, peak(&exporter), 1);
    let before = peak(&exporter);
    let mut slow: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = connect(&exporter);
            // Whoever gave way already may hear of it only here.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: exporter\r\nX-A: ");
            stream
        })
        .collect();
    for _ in 0..5 {
        slow.iter_mut().for_each(|stream| drop(stream.write_all(b"b")));
        holds(&exporter, before, 2);
    }
    // And those that connect and say nothing, or take nothing of what they asked for.
    let silent: Vec<_> = (0..300).map(|_| connect(&exporter)).collect();
    holds(&exporter, before, 3);
    let mut deaf: Vec<_> = (0..300).map(|_| connect(&exporter)).collect();
    for stream in &mut deaf {
        let _ = stream.write_all(SCRAPE.replace("Connection: close", "Connection: keep-alive").as_bytes());
    }
    holds(&exporter, before, 3);
    drop((slow, silent, deaf));
}

#[test]
fn a_megabyte_of_headers_is_refused_without_being_kept() {
    let exporter = sockets_only(&[]);
    holds(&exporter, peak(&exporter), 1);
    let before = peak(&exporter);
    let long = format!("GET /metrics HTTP/1.1\r\nHost: exporter\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /metrics HTTP/1.1\r\nHost: exporter\r\n{}\r\n", "X-Many: a\r\n".repeat(100_000));
    let path = format!("GET /metrics?{} HTTP/1.1\r\nHost: exporter\r\n\r\n", "a=b&".repeat(1 << 18));
    let accepts =
        format!("GET /metrics HTTP/1.1\r\nHost: exporter\r\nAccept: {}\r\n\r\n", "a/b;q=0,".repeat(1 << 17));
    for request in [long, many, path, accepts] {
        let answers: Vec<_> = (0..20).map(|_| status(connect(&exporter), &request)).collect();
        assert!(answers.iter().flatten().all(|status| (400..500).contains(status)), "{answers:?}");
        holds(&exporter, before, 1);
    }
}

#[test]
fn guessing_passwords_at_full_speed_costs_little_and_locks_nobody_out() {
    /// crypt(3)'s bcrypt of `change-me`, of the usual cost.
    const HASH: &str = "$2y$10$gYFeRKecsNO.CWEMF1YjZeMD2bx3yn/PralcY/nIHd3uQl4tmlHNi";
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    fs::write(&config, format!("basic_auth_users: {{prometheus: {HASH}}}\n")).unwrap();
    let exporter = sockets_only(&["--web.config.file", config.to_str().unwrap()]);
    let address = exporter.address();
    let ask = |token: &str| {
        let request = SCRAPE.replace("Accept:", &format!("Authorization: Basic {token}\r\nAccept:"));
        status(connect_to(address), &request)
    };
    // prometheus:change-me
    let right = "cHJvbWV0aGV1czpjaGFuZ2UtbWU=";
    assert_eq!(ask(right), Some(200));
    let before = peak(&exporter);
    let refused = thread::scope(|scope| {
        // prometheus:a, root:a, and none at all.
        let guess =
            |token: &'static str| scope.spawn(move || (0..200).map(|_| ask(token)).collect::<Vec<_>>());
        let guesses = ["cHJvbWV0aGV1czph", "cm9vdDph", "", "cHJvbWV0aGV1czpi"].map(guess);
        for _ in 0..20 {
            assert_eq!(ask(right), Some(200));
        }
        guesses.map(|guess| guess.join().unwrap()).concat()
    });
    assert!(refused.iter().all(|status| [Some(401), Some(429)].contains(status)), "{refused:?}");
    // Most were not compared at all: a hash takes longer than all of the rest.
    let compared = refused.iter().filter(|status| **status == Some(401)).count() - 200;
    println!("{compared} of 600 passwords were compared");
    assert!(compared < 200, "{compared}");
    assert!(peak(&exporter) - before < MOST_GROWTH_KIB);
}

#[test]
fn what_is_no_tls_does_not_disturb_what_is() {
    if !skip::programs("what_is_no_tls_does_not_disturb_what_is", &["curl", "openssl"]) {
        return;
    }
    let authority = Authority::new();
    authority.sign("server", "DNS:localhost,IP:127.0.0.1");
    let config =
        authority.write("web.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
    let exporter = sockets_only(&["--web.config.file", config.to_str().unwrap()]);
    let url = format!("https://{}/metrics", exporter.address());
    let ca = authority.path("ca.crt");
    let scraped = || curl(&url, &["--cacert", ca.to_str().unwrap(), "--max-time", "10"]).status;
    assert_eq!(scraped(), 200);
    let before = peak(&exporter);
    let mut held = Vec::new();
    // Plain HTTP, noise, the start of a handshake that announces more than comes, and one that is all announced.
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for start in [
        SCRAPE.as_bytes(),
        &noise,
        b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff",
        b"\x16",
    ] {
        for _ in 0..120 {
            let mut stream = connect(&exporter);
            let _ = stream.write_all(start);
            held.push(stream);
        }
        assert_eq!(scraped(), 200);
    }
    drop(held);
    assert_eq!(scraped(), 200);
    let grown = peak(&exporter).saturating_sub(before);
    println!("{grown} KiB more at most");
    assert!(grown < MOST_GROWTH_KIB, "{grown} KiB more");
}
