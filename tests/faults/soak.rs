//! Hours of ordinary load with faults in between: nothing grows, nothing is lost, nothing restarts.
//!
//! `make soak` runs it for an hour; in the ordinary tests it is short.

use std::{
    env,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    lab::{INTERFACE, Lab, PATIENCE, conversation, ip, shifted},
    support::{
        children::{command, output},
        exporter::Exporter,
    },
    vitals::Vitals,
};

/// What scrapers ask for.
pub(crate) const ACCEPTS: [&str; 4] = [
    "text/plain;version=0.0.4",
    "application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "text/plain\r\nAccept-Encoding: zstd",
];
/// From one client to the next: a soak is long, not heavy.
const PACE: Duration = Duration::from_millis(40);

/// How long to go on.
pub(crate) fn length() -> Duration {
    let seconds = env::var("DBWIRE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

/// Made-up connections through an interface that goes away and comes back.
pub(crate) fn run() -> String {
    let lab = Lab::new();
    let length = length();
    let (mut asked, mut rounds, mut vitals) = (0, 0_u32, Vitals::new());
    while vitals.elapsed() < length {
        rounds += 1;
        let port = 1024 + 2 * (rounds % 30_000) as u16;
        let frames = shifted(conversation(port, 20), rounds.wrapping_mul(0x0101_0103));
        lab.pour(frames.iter().map(Vec::as_slice));
        asked += 20;
        scrape(&lab.exporter, ACCEPTS[rounds as usize % ACCEPTS.len()]);
        if rounds.is_multiple_of(10) {
            disturb(&lab, rounds / 10);
            vitals.read(&lab.exporter);
        }
        thread::sleep(PACE);
    }
    lab.wait("dbwire_capture_up", &[], 1.0);
    lab.assert_selects(asked);
    let dropped: f64 = lab.page().by("dbwire_capture_dropped_packets_total", "where").values().sum();
    assert_eq!(dropped, 0.0);
    let flat = vitals.assert_flat();
    assert_eq!(lab.exporter.stop().code(), Some(0));
    format!("{} s: {asked} of {asked} counted, {rounds} scrapes, {flat}, one process", length.as_secs())
}

pub(crate) fn scrape(exporter: &Exporter, accept: &str) {
    let mut stream = TcpStream::connect(exporter.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..60.min(answer.len())])
    );
}

/// One fault after the other; none of them loses a packet.
fn disturb(lab: &Lab, number: u32) {
    match number % 5 {
        0 => {
            ip(&format!("link set {INTERFACE} down"));
            ip(&format!("link set {INTERFACE} up"));
        }
        1 => lab.exporter.signal(libc::SIGHUP),
        2 => {
            let noise = TcpStream::connect(lab.exporter.address());
            let _ = noise.unwrap().write_all(b"\x16\x03\x01 no request\r\n\r\n");
        }
        3 => {
            let process = lab.exporter.id().to_string();
            for limit in ["8", "20000"] {
                output(command("prlimit").args(["--pid", &process, &format!("--nofile={limit}:20000")]));
            }
        }
        _ => {
            lab.exporter.signal(libc::SIGSTOP);
            lab.exporter.signal(libc::SIGCONT);
        }
    }
}
