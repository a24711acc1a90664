//! What decoding costs over merely reading: CPU time of the whole pipeline against a libpcap loop that only counts,
//! over the same million packets, in one run.
//!
//! The packets are sysbench's oltp_read_write from `tests/data/corpus`, repeated from other client addresses and at later
//! times until there are as many as wanted: `cargo bench --bench replay -- [PACKETS]`.
//!
//! Then the same for several threads that each have a pipeline, as live capture with `--mysql.threads` has them: frames
//! stand in memory, as in a ring, and what counts is the CPU time of the busiest thread.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::{error::Error, path::Path, thread, time::Duration};

use dbwire_exporter::{
    config::{Counting, PortSet},
    io::{clock::thread_cpu_time, replay},
    packet::{Frame, Timestamp, filter::Plan, link::LinkType},
    pipeline::{Options, Pipeline},
    sample::multiplier::Multiplier,
};
use pcap::{Capture, Linktype, Packet, PacketHeader, Precision};

const ROUNDS: usize = 7;
/// Copies that run side by side, as connections of a server do.
const SIDE_BY_SIDE: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    for (name, source) in [("prepared", "sysbench_ps_small"), ("text", "sysbench_text_small")] {
        let file = folder.path().join(format!("{name}.pcap"));
        let packets = repeat(source, wanted, &file)?;
        compare(name, packets, &file)?;
        share(name, &file)?;
    }
    Ok(())
}

/// A frame in memory.
struct Held {
    link: LinkType,
    timestamp: Timestamp,
    wire_length: u32,
    bytes: Box<[u8]>,
}

/// Compares one thread that decodes all with two that decode half of the connections each, at the same time.
fn share(name: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut halves = [Vec::new(), Vec::new()];
    replay::for_each_frame(file, |link, &Frame { timestamp, wire_length, bytes }| {
        // The low byte of the client's address, as `repeat` numbers its copies.
        let copy = usize::from(bytes.get(29).copied().unwrap_or_default());
        halves[copy % 2].push(Held { link, timestamp, wire_length, bytes: bytes.into() });
    })?;
    let (mut alone, mut busiest) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(thread::scope(|scope| scope.spawn(|| cpu_of(&halves)).join()).map_err(|_| "a panic")?);
        let each = thread::scope(|scope| {
            let threads = halves.each_ref().map(|half| scope.spawn(|| cpu_of(std::slice::from_ref(half))));
            threads.map(|thread| thread.join().unwrap_or_default())
        });
        busiest.extend(each.into_iter().max());
    }
    let (alone, busiest) = (median(&mut alone), median(&mut busiest));
    println!(
        "{name}, from memory: one thread {alone:.0?}, the busier of two {busiest:.0?} (CPU, medians of {ROUNDS}): {:.2} times \
         the throughput",
        alone.as_secs_f64() / busiest.as_secs_f64()
    );
    Ok(())
}

/// CPU time that this thread takes to decode the frames.
fn cpu_of(frames: &[Vec<Held>]) -> Duration {
    let mut pipeline = pipeline();
    let before = thread_cpu_time();
    for Held { link, timestamp, wire_length, bytes } in frames.iter().flatten() {
        pipeline.frame(*link, &Frame { timestamp: *timestamp, wire_length: *wire_length, bytes });
    }
    thread_cpu_time() - before
}

fn pipeline() -> Pipeline {
    Pipeline::new(Options {
        plan: Plan::whole(PortSet::default()),
        max_flows: 32_768,
        multiplier: Multiplier::Auto,
        census: false,
        seed: 1,
        counting: Counting::default(),
    })
}

fn compare(name: &str, packets: u64, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut counting = Vec::new();
    let mut decoding = Vec::new();
    let mut queries = 0;
    for _ in 0..ROUNDS {
        counting.push(timed(|| count(file))?);
        decoding.push(timed(|| {
            queries = decode(file)?;
            Ok(())
        })?);
    }
    let (counting, decoding) = (median(&mut counting), median(&mut decoding));
    let nanos = |time: Duration| time.as_nanos() as f64 / packets as f64;
    println!(
        "{name}: {packets} packets, {queries} statements; counting {:.1} ns, decoding {:.1} ns a packet (CPU, medians of \
         {ROUNDS}); ratio {:.2}",
        nanos(counting),
        nanos(decoding),
        decoding.as_secs_f64() / counting.as_secs_f64(),
    );
    Ok(())
}

fn timed(run: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let before = thread_cpu_time();
    run()?;
    Ok(thread_cpu_time() - before)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The limit: what libpcap takes to hand the packets over.
fn count(file: &Path) -> Result<(), Box<dyn Error>> {
    let (mut packets, mut bytes) = (0_u64, 0_u64);
    Capture::from_file(file)?.for_each(None, |packet| {
        packets += 1;
        bytes += u64::from(packet.header.len) + u64::from(packet.data.get(40).copied().unwrap_or(0));
    })?;
    std::hint::black_box((packets, bytes));
    Ok(())
}

fn decode(file: &Path) -> Result<u64, Box<dyn Error>> {
    let mut pipeline = pipeline();
    replay::replay(&[file], &mut pipeline)?;
    pipeline.finish();
    Ok(pipeline.stats().observed.statements().map(|(_, stats)| stats.count).sum())
}

/// Writes a capture of about `wanted` packets made of copies of one of the corpus.
fn repeat(source: &str, wanted: u64, file: &Path) -> Result<u64, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/corpus/{source}.pcap"));
    let mut frames: Vec<(PacketHeader, Vec<u8>)> = Vec::new();
    replay::for_each_frame(&path, |_, frame: &Frame<'_>| {
        let timestamp = frame.timestamp.0;
        let ts = libc::timeval {
            tv_sec: (timestamp / 1_000_000_000) as libc::time_t,
            tv_usec: (timestamp % 1_000_000_000) as libc::suseconds_t,
        };
        let header = PacketHeader { ts, caplen: frame.bytes.len() as u32, len: frame.wire_length };
        frames.push((header, frame.bytes.to_vec()));
    })?;
    let mut out = Capture::dead_with_precision(Linktype::ETHERNET, Precision::Nano)?.savefile(file)?;
    let (mut packets, mut round) = (0, 0);
    while packets < wanted {
        for (header, frame) in &mut frames {
            header.ts.tv_sec += 10;
            for copy in 0..SIDE_BY_SIDE {
                // 127.0.0.1 becomes an address of this copy, on the client's side and the server's alike.
                let [.., low] = (copy as u32).to_be_bytes();
                frame[28] = round as u8;
                frame[29] = low;
                frame[32] = round as u8;
                frame[33] = low;
                out.write(&Packet::new(header, frame));
                packets += 1;
            }
        }
        round += 1;
    }
    out.flush()?;
    Ok(packets)
}
