//! Files: the exporter's decoder against a libpcap loop that only counts, and against programs that people use for this.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dbwire_exporter::io::clock::thread_cpu_time;
use pcap::{Capture, Precision};

use super::{
    Outcome, median,
    plot::{self, Bar},
    support::skip,
};

/// Packets that slow programs are given: enough for their start to be a small part of what they take.
const FEW: usize = 100_000;

/// What a run took.
struct Took {
    cpu_seconds: f64,
    wall_seconds: f64,
    /// The most memory that one of its processes had.
    peak_bytes: f64,
}

pub(crate) fn run(given: Option<&str>, port: u16, rounds: u64, plots: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/sysbench_text_small.pcap");
    let file = given.map_or(default, PathBuf::from);
    let few = folder.path().join("few.pcap");
    let (packets, fewer) = (copy_start(&file, &few, usize::MAX)?, copy_start(&file, &few, FEW)?);
    let programs = programs(&file, &few, port);
    let mut taken: Vec<Vec<Took>> = programs.iter().map(|_| Vec::new()).collect();
    let mut counting = Vec::new();
    for _ in 0..rounds.max(1) {
        counting.push(count(&file)?);
        for ((_, _, program), taken) in programs.iter().zip(&mut taken) {
            taken.push(time(program)?);
        }
    }
    let counting = median(counting) / packets as f64 * 1e9;
    println!("\n## Files: {} packets of {}\n", packets, file.display());
    println!(
        "| | CPU, ns a packet | to counting | packets a CPU-second | replay to it | wall, ns a packet | peak RSS, MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    println!(
        "| a libpcap loop that only counts | {counting:.0} | 1.00 | {} | | | |",
        plot::short(1e9 / counting)
    );
    let ruler =
        Bar { label: "libpcap loop that only counts".to_owned(), value: 1e9 / counting, is_ruler: true };
    let mut bars = vec![ruler];
    let mut ours = None;
    for ((name, all, _), taken) in programs.iter().zip(taken) {
        let of = |value: fn(&Took) -> f64| median(taken.iter().map(value).collect());
        let packets = if *all { packets } else { fewer } as f64;
        let cpu = of(|took| took.cpu_seconds) / packets * 1e9;
        let wall = of(|took| took.wall_seconds) / packets * 1e9;
        let replay = *ours.get_or_insert(cpu);
        println!(
            "| {name} | {cpu:.0} | {:.2} | {} | {:.2} | {wall:.0} | {:.0} |",
            cpu / counting,
            plot::short(1e9 / cpu),
            cpu / replay,
            of(|took| took.peak_bytes) / 1e6,
        );
        bars.push(Bar { label: name.to_string(), value: 1e9 / cpu, is_ruler: false });
    }
    plot::bars(plots, "capture-files", "Packets a CPU-second, from files", "packets", &bars)?;
    Ok(())
}

/// What to compare: its name, whether it is given the whole file, and its shell command.
fn programs(file: &Path, few: &Path, port: u16) -> Vec<(&'static str, bool, String)> {
    let exporter = format!("{} replay --mysql.port {port}", env!("CARGO_BIN_EXE_dbwire_exporter"));
    let (file, few) = (file.display(), few.display());
    let mut programs = vec![
        ("dbwire_exporter replay", true, format!("{exporter} {file}")),
        (
            "dbwire_exporter replay, replies cut at 256",
            true,
            format!("{exporter} --mysql.reply-bytes 256 {file}"),
        ),
        ("dbwire_exporter replay, two threads", true, format!("{exporter} --mysql.threads 2 {file}")),
        ("tcpdump", true, format!("tcpdump -nn -r {file}")),
        (
            "tshark, MySQL's fields",
            false,
            format!("tshark -r {few} -d tcp.port=={port},mysql -T fields -e mysql.command -e mysql.query"),
        ),
        (
            "tcpdump and pt-query-digest",
            false,
            format!(
                "tcpdump -s 65535 -x -nn -q -tttt -r {few} | pt-query-digest --type tcpdump --watch-server 127.0.0.1:{port}"
            ),
        ),
    ];
    let installed = |command: &str| {
        let words = ["tcpdump", "tshark", "pt-query-digest"].map(|name| (name, command.contains(name)));
        words.into_iter().all(|(name, used)| !used || skip::programs("bench-capture", &[name]))
    };
    programs.retain(|(_, _, command)| command.contains("dbwire_exporter") || installed(command));
    programs
}

/// Copies at most so many packets, and tells how many.
fn copy_start(from: &Path, to: &Path, most: usize) -> Result<usize, Box<dyn Error>> {
    let mut source = Capture::from_file_with_precision(from, Precision::Nano)?;
    let mut copy = source.savefile(to)?;
    let mut packets = 0;
    while packets < most
        && let Ok(packet) = source.next_packet()
    {
        // The whole file is only counted.
        if most < usize::MAX {
            copy.write(&packet);
        }
        packets += 1;
    }
    copy.flush()?;
    Ok(packets)
}

fn count(file: &Path) -> Result<f64, Box<dyn Error>> {
    let before = thread_cpu_time();
    let mut bytes = 0_u64;
    let mut capture = Capture::from_file_with_precision(file, Precision::Nano)?;
    capture.for_each(None, |packet| bytes += u64::from(packet.header.len))?;
    std::hint::black_box(bytes);
    Ok((thread_cpu_time() - before).as_secs_f64())
}

/// Runs a shell command whose output goes nowhere.
fn time(command: &str) -> Result<Took, Box<dyn Error>> {
    let start = Instant::now();
    let child = Command::new("bash")
        .args(["-o", "pipefail", "-c", command])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // SAFETY: a rusage is numbers only, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: the child is ours and nobody else waits for it; both places are writable for the whole call.
    if unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    if status != 0 {
        return Err(format!("{command}: status {status:#x}").into());
    }
    let duration = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Ok(Took {
        cpu_seconds: (duration(usage.ru_utime) + duration(usage.ru_stime)).as_secs_f64(),
        wall_seconds: start.elapsed().as_secs_f64(),
        peak_bytes: usage.ru_maxrss as f64 * 1024.0,
    })
}
