//! Clients that mean no good.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    Fault, fault,
    lab::{MOST_MEMORY, PATIENCE, peak_memory},
    support::exporter::{Exporter, request},
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("400 connections that send a request a byte at a time (slowloris)", "others are served", slowloris),
    fault("headers of a megabyte", "refused, others are served", huge_headers),
    fault("a client that does not read its pages", "others are served", unread),
    fault("a TLS hello, noise and half a request", "an error or nothing; others are served", not_http),
    fault("requests with bodies, unknown methods and paths", "405 or 404", odd_requests),
    fault("200 scrapes at once, with room for one", "200 or 503, and all are answered", crowd),
    fault("1,000 connections opened and reset", "others are served", resets),
];

fn serves(exporter: &Exporter) {
    assert_eq!(exporter.request("GET", "/metrics").status, 200);
}

fn connect(exporter: &Exporter) -> TcpStream {
    let stream = TcpStream::connect(exporter.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn memory(exporter: &Exporter) -> String {
    let peak = peak_memory(exporter.id());
    assert!(peak <= MOST_MEMORY, "{peak}");
    format!("{} MB at most", peak >> 20)
}

fn slowloris() -> String {
    let exporter = Exporter::start(&[]);
    // As many as there are places; the kernel's queue takes more.
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(&exporter);
            stream.write_all(b"GET /metrics HT").unwrap();
            stream
        })
        .collect();
    for byte in b"TP/1.1\r\nX" {
        slow.iter().for_each(|mut stream| drop(stream.write_all(&[*byte])));
        serves(&exporter);
    }
    format!("200 held open, {}", memory(&exporter))
}

fn huge_headers() -> String {
    let exporter = Exporter::start(&[]);
    for _ in 0..20 {
        let mut stream = connect(&exporter);
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
        let _ = stream.write_all(&vec![b'x'; 1 << 20]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    serves(&exporter);
    format!("431 or closed, {}", memory(&exporter))
}

fn unread() -> String {
    let exporter = Exporter::start(&[]);
    let deaf: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(&exporter);
            let _ = stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50));
            stream
        })
        .collect();
    for _ in 0..5 {
        serves(&exporter);
    }
    drop(deaf);
    format!("20 deaf clients with 50 requests each, {}", memory(&exporter))
}

fn not_http() -> String {
    let exporter = Exporter::start(&[]);
    let inputs: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ];
    for input in inputs {
        let mut stream = connect(&exporter);
        stream.write_all(input).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 5"));
    }
    serves(&exporter);
    format!("{} inputs refused", inputs.len())
}

fn odd_requests() -> String {
    let exporter = Exporter::start(&[]);
    for (method, path, status) in [
        ("BREW", "/metrics", 405),
        ("POST", "/metrics", 405),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
        ("GET", "/metrics/", 404),
        ("GET", "//metrics", 404),
    ] {
        assert_eq!(exporter.request(method, path).status, status, "{method} {path}");
    }
    "6 of 6".to_owned()
}

fn crowd() -> String {
    let exporter = Exporter::start(&["--web.max-requests", "1", "--sockets.cache-ttl", "0s"]);
    let address = exporter.address();
    let mut answers = [0, 0];
    thread::scope(|scope| {
        let asked: Vec<_> =
            (0..200).map(|_| scope.spawn(|| request(address, "GET", "/metrics").status)).collect();
        for status in asked.into_iter().map(|thread| thread.join().unwrap()) {
            assert!([200, 503].contains(&status), "{status}");
            answers[usize::from(status == 503)] += 1;
        }
    });
    assert!(answers[0] > 0);
    serves(&exporter);
    format!("{} served, {} told to come back", answers[0], answers[1])
}

fn resets() -> String {
    let exporter = Exporter::start(&[]);
    for _ in 0..1_000 {
        let stream = connect(&exporter);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    serves(&exporter);
    memory(&exporter)
}
