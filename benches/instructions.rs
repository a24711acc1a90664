//! Instructions that decoding a packet takes, counted by valgrind's callgrind: the same in every run, so that a rise is a
//! change of the code.
//!
//! `cargo bench --bench instructions` compares with `benches/instructions.txt` and fails if a load takes over 5 % more;
//! with `-- --record` it writes that file. Counted is [`counted_decode`] and what it calls: headers, streams, MySQL, digests and
//! statistics, but not libpcap, and nothing that happens once. The figures are those of one compiler, which stands in the
//! file.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dbwire_exporter::{
    config::{Counting, PortSet},
    io::replay::for_each_frame,
    metrics::build::RUSTC,
    packet::{Frame, Timestamp, filter::Plan, link::LinkType},
    pipeline::{Options, Pipeline},
};

/// Captures of the corpus, and what they are called in the figures.
const LOADS: [(&str, &str); 2] = [("prepared", "sysbench_ps_small"), ("text", "sysbench_text_small")];
/// What a load may take more than was recorded.
const TOLERANCE: f64 = 0.05;
/// The name that this program is started by again, in valgrind.
const COUNTED: &str = "--counted";

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    if env::args().any(|word| word == COUNTED) {
        let load = words.find(|word| LOADS.iter().any(|(name, _)| name == word)).ok_or("which load?")?;
        return run(&load);
    }
    let mut figures = Vec::new();
    for (load, _) in LOADS {
        figures.push((load, count(load)?));
    }
    if words.any(|word| word == "--record") {
        return Ok(fs::write(recorded_path(), table(&figures))?);
    }
    compare(&figures)
}

/// One frame of a capture.
struct Captured {
    link: LinkType,
    timestamp: Timestamp,
    wire_length: u32,
    bytes: Vec<u8>,
}

/// Decodes a load, the first half of it uncounted: then every connection is open and every shape known.
fn run(load: &str) -> Result<(), Box<dyn Error>> {
    let frames = frames(load)?;
    let mut pipeline = Pipeline::new(Options {
        multiplier: dbwire_exporter::sample::multiplier::Multiplier::Auto,
        census: false,
        plan: Plan::whole(PortSet::default()),
        max_flows: 1024,
        seed: 1,
        counting: Counting::default(),
    });
    let (first, second) = frames.split_at(frames.len() / 2);
    first.iter().for_each(|captured| captured.decode(&mut pipeline));
    counted_decode(&mut pipeline, second);
    println!("{}", second.len());
    Ok(())
}

/// Callgrind finds it by its name.
#[inline(never)]
fn counted_decode(pipeline: &mut Pipeline, frames: &[Captured]) {
    frames.iter().for_each(|captured| captured.decode(pipeline));
}

impl Captured {
    fn decode(&self, pipeline: &mut Pipeline) {
        let Self { link, timestamp, wire_length, ref bytes } = *self;
        pipeline.frame(link, &Frame { timestamp, wire_length, bytes });
    }
}

fn frames(load: &str) -> Result<Vec<Captured>, Box<dyn Error>> {
    let (_, capture) = LOADS.iter().find(|(name, _)| *name == load).ok_or("no such load")?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/corpus/{capture}.pcap"));
    let mut frames = Vec::new();
    for_each_frame(&path, |link, frame| {
        let Frame { timestamp, wire_length, bytes } = *frame;
        frames.push(Captured { link, timestamp, wire_length, bytes: bytes.to_vec() });
    })?;
    Ok(frames)
}

/// Instructions per packet of a load.
fn count(load: &str) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_decode*"])
        .arg(env::current_exe()?)
        .args([COUNTED, load])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // "==1234== Collected : 5678"
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let instructions: f64 = collected.ok_or_else(|| format!("valgrind: {said}"))?.1.trim().parse()?;
    let packets: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    if instructions == 0.0 {
        return Err("counted_decode was not found".into());
    }
    Ok(instructions / packets)
}

fn recorded_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

fn table(figures: &[(&str, f64)]) -> String {
    let mut table = format!(
        "# Instructions per packet, by `cargo bench --bench instructions -- --record`.\nrustc {RUSTC}\n"
    );
    for (load, instructions) in figures {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{load} {instructions:.1}");
    }
    table
}

fn compare(figures: &[(&str, f64)]) -> Result<(), Box<dyn Error>> {
    let recorded = fs::read_to_string(recorded_path())?;
    let value = |name: &str| {
        let mut lines = recorded.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value).ok_or(format!("{name} is not recorded"))
    };
    println!("rustc {RUSTC}, recorded with {}", value("rustc")?);
    let mut risen = Vec::new();
    for (load, instructions) in figures {
        let recorded: f64 = value(load)?.parse()?;
        let change = instructions / recorded - 1.0;
        println!(
            "{load}: {instructions:.1} instructions a packet, recorded {recorded:.1}, {:+.1} %",
            change * 100.0
        );
        if change > TOLERANCE {
            risen.push(*load);
        }
    }
    if value("rustc")? != RUSTC {
        println!("another compiler: not compared");
        return Ok(());
    }
    match &risen[..] {
        [] => Ok(()),
        risen => Err(format!("more instructions than recorded: {}", risen.join(", ")).into()),
    }
}
