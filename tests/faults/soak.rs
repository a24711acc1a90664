//! Hours of ordinary load with faults in between: nothing grows, nothing is lost, nothing restarts.
//!
//! `make soak` runs it for an hour; in the ordinary tests it is short.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    lab::{INTERFACE, Lab, PATIENCE, conversation, ip, shifted},
    support::children::{command, output},
};

/// What scrapers ask for.
const ACCEPTS: [&str; 4] = [
    "text/plain;version=0.0.4",
    "application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "text/plain\r\nAccept-Encoding: zstd",
];
/// Memory that an hour may take more at its end than at its beginning; a short run settles in the meantime.
const GROWTH: (u64, u64) = (1 << 20, 6 << 20);

/// Of the process, now.
#[derive(Debug, Clone, Copy)]
struct Size {
    memory: u64,
    descriptors: usize,
}

pub(crate) fn run() -> String {
    let seconds = env::var("DBWIRE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let lab = Lab::new();
    let (started, length) = (Instant::now(), Duration::from_secs(seconds));
    let (mut asked, mut rounds, mut sizes) = (0, 0_u32, Vec::new());
    while started.elapsed() < length {
        rounds += 1;
        let port = 1024 + 2 * (rounds % 30_000) as u16;
        let frames = shifted(conversation(port, 20), rounds.wrapping_mul(0x0101_0103));
        lab.pour(frames.iter().map(Vec::as_slice));
        asked += 20;
        scrape(&lab, ACCEPTS[rounds as usize % ACCEPTS.len()]);
        if rounds.is_multiple_of(10) {
            disturb(&lab, rounds / 10);
            sizes.push(size(&lab));
        }
    }
    lab.wait("dbwire_capture_up", &[], 1.0);
    lab.assert_selects(asked);
    let dropped: f64 = lab.page().by("dbwire_capture_dropped_packets_total", "where").values().sum();
    assert_eq!(dropped, 0.0);
    let (first, last) = (typical(&sizes[..sizes.len() / 4 + 1]), typical(&sizes[sizes.len() * 3 / 4..]));
    let growth = last.memory.saturating_sub(first.memory);
    let allowed = if length >= Duration::from_secs(3600) { GROWTH.0 } else { GROWTH.1 };
    assert!(growth <= allowed, "{first:?} {last:?}");
    assert!(last.descriptors <= first.descriptors + 1, "{first:?} {last:?}");
    assert_eq!(lab.exporter.stop().code(), Some(0));
    format!(
        "{seconds} s: {asked} of {asked} counted, {rounds} scrapes, {} KB more, {} descriptors, one process",
        growth >> 10,
        last.descriptors
    )
}

fn scrape(lab: &Lab, accept: &str) {
    let mut stream = TcpStream::connect(lab.exporter.address()).unwrap();
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

fn size(lab: &Lab) -> Size {
    let process = format!("/proc/{}", lab.exporter.id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let memory = memory.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10;
    Size { memory, descriptors: fs::read_dir(format!("{process}/fd")).unwrap().count() }
}

/// Medians.
fn typical(sizes: &[Size]) -> Size {
    let mut memory: Vec<_> = sizes.iter().map(|size| size.memory).collect();
    let mut descriptors: Vec<_> = sizes.iter().map(|size| size.descriptors).collect();
    memory.sort_unstable();
    descriptors.sort_unstable();
    Size { memory: memory[memory.len() / 2], descriptors: descriptors[descriptors.len() / 2] }
}
