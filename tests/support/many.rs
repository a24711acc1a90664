//! Two exporters over the very same packets of many connections, one with one capture thread and one with several.

use std::{fs, path::Path, time::Duration};

use dbwire_exporter::{
    io::replay::for_each_frame,
    packet::{TcpFlags, link::LinkType, segment},
};

use super::{
    exporter::Exporter,
    exposition::Exposition,
    inject::inject,
    namespace::{ip, with_namespace},
    wait,
};

const CAPTURE: &str = "tests/data/corpus/sysbench_text_small.pcap";
const SERVER_PORT: [u8; 2] = 3306_u16.to_be_bytes();
/// Of the capture's four connections, each from an address of its own. The kernel divides connections by a hash: of 4,000
/// one of two threads has more than 52 % about once in a hundred runs.
const COPIES: u32 = 1000;
/// Frames on their way at once; the ring has room for more.
const BATCH: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What one exporter made of the packets.
pub struct Outcome {
    pub page: Exposition,
    pub packets: f64,
    /// CPU time that each of its capture threads took for them, in seconds.
    pub threads: Vec<f64>,
}

impl Outcome {
    /// Of the thread that has most to do.
    pub fn busiest(&self) -> f64 {
        self.threads.iter().copied().fold(0.0, f64::max)
    }
}

/// Has one exporter with one thread and one with `threads` capture the same packets, on an interface of a namespace;
/// hands their outcomes to `then`. Where that is not allowed, prints `SKIPPED` and `name`.
pub fn compare(name: &str, threads: usize, then: impl FnOnce(Outcome, Outcome) + Send) {
    with_namespace(name, || {
        for command in [
            "link add veth0 mtu 9000 type veth peer name veth1 mtu 9000",
            "link set veth0 up",
            "link set veth1 up",
        ] {
            ip(command);
        }
        let exporters = [1, threads].map(|threads| {
            let threads = format!("--mysql.threads={threads}");
            let flags =
                ["--mysql.interface=veth1", "--no-collector.sockets", "--mysql.buffer-size=64MiB", &threads];
            Exporter::start(&flags)
        });
        let before = [0, 1].map(|index| {
            // A thread takes its name when it first runs.
            wait::until(PATIENCE, "the threads to run", || {
                let times = thread_times(&exporters[index]);
                (times.len() == [1, threads][index]).then_some(times)
            })
        });
        let packets = send(&exporters);
        let [one, several] = [0, 1].map(|index| {
            let (exporter, before) = (&exporters[index], &before[index]);
            let page = exporter.page();
            let threads =
                thread_times(exporter).into_iter().zip(before).map(|(after, before)| after - before);
            Outcome { page, packets, threads: threads.collect() }
        });
        then(one, several);
    });
}

/// Sends the copies' frames in turns, each batch when the one before it was counted, so that nothing is dropped; and tells
/// how many there were to count.
fn send(exporters: &[Exporter]) -> f64 {
    let recorded = recorded();
    let mut copies = recorded
        .iter()
        .flat_map(|(frame, counts)| (1..=COPIES).map(move |copy| (from_address(frame, copy), *counts)));
    let mut expected = 0;
    loop {
        let batch: Vec<_> = copies.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return expected as f64;
        }
        expected += batch.iter().filter(|(_, counts)| *counts).count();
        inject("veth0", &Vec::from_iter(batch.into_iter().map(|(frame, _)| frame)));
        for exporter in exporters {
            wait::until(PATIENCE, "the packets to be counted", || {
                let counted = exporter.page().value("dbwire_capture_packets_total", &[])?;
                (counted >= expected as f64).then_some(())
            });
        }
    }
}

/// The capture's frames, and whether the filter lets each through: those that only acknowledge it does not.
fn recorded() -> Vec<(Vec<u8>, bool)> {
    let mut frames = Vec::new();
    for_each_frame(Path::new(CAPTURE), |link, frame| {
        assert_eq!(link, LinkType::Ethernet);
        let segment = segment::decode(link, frame).expect("TCP");
        let control = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        frames.push((frame.bytes.to_vec(), !segment.payload.is_empty() || segment.flags.any(control)));
    })
    .expect("the capture is there");
    frames
}

/// A frame of IPv4 without options, its client at an address for this copy.
fn from_address(frame: &[u8], copy: u32) -> Vec<u8> {
    /// Behind the Ethernet header (RFC 791 section 3.1).
    const SOURCE: usize = 14 + 12;
    const DESTINATION: usize = 14 + 16;
    const PORTS: usize = 14 + 20;
    let client = if frame[PORTS..PORTS + 2] == SERVER_PORT { DESTINATION } else { SOURCE };
    let mut frame = frame.to_vec();
    frame[client..client + 4].copy_from_slice(&(0x0a00_0000 + copy).to_be_bytes());
    frame
}

/// What the capture threads have taken so far, in seconds, as the scheduler counts it (proc(5), `schedstat`).
fn thread_times(exporter: &Exporter) -> Vec<f64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", exporter.id())).expect("it runs");
    let tasks = tasks.map(|task| task.expect("a task").path());
    let mut capture: Vec<_> = tasks
        .filter_map(|task| {
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let times = fs::read_to_string(task.join("schedstat")).ok()?;
            let nanos: f64 = times.split(' ').next()?.parse().ok()?;
            name.starts_with("capture").then_some((name, nanos / 1e9))
        })
        .collect();
    capture.sort_by(|one, other| one.0.cmp(&other.0));
    capture.into_iter().map(|(_, seconds)| seconds).collect()
}
