//! What counting sockets costs: this program by every plan, and others, in turns, in one network namespace.
//!
//! ```text
//! make bench-sockets SIZES="1000 50000 250000 1000000"     as root; 50000 takes a minute, 1000000 needs 6 GB
//! make bench-sockets SUSTAINED=300                          50,000 sockets, a scrape a second for so many seconds
//! make bench-sockets LATENCY=5                              50,000 sockets, what dumps do to others, in so many turns
//! ```
//!
//! CPU time is that of the whole process for one scrape, in user space and in the kernel. The ruler is `dump.c`: a
//! full dump of IPv4 and then IPv6, without anything around it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures them and prints"
)]

mod holder;
mod latency;
mod rivals;
#[path = "../../tests/support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/support/unshare.rs"]
mod unshare;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/support/zoo.rs"]
mod zoo;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use dbwire_exporter::{
    io::clock::thread_cpu_time,
    sockets::{
        census::{Census, PairScope, Tally},
        inet_diag::{Pass, walk},
        pairs::Pairs,
        ports::WatchedPorts,
        row::Row,
    },
};
use rivals::Daemon;

type Outcome = Result<(), Box<dyn Error>>;

/// Turns of small comparisons, after one that does not count.
const ROUNDS: usize = 11;
/// Turns where each takes long.
const FEW_ROUNDS: usize = 7;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [holder::HOLD, sockets, number] => Ok(holder::hold(sockets.parse()?, number.parse()?)?),
        // SAFETY: geteuid has no preconditions and cannot fail.
        _ if unsafe { libc::geteuid() } != 0 => {
            println!("SKIPPED bench sockets: needs root");
            Ok(())
        }
        ["--sustained", seconds] => in_namespace(|| sustained(50_000, seconds.parse()?)),
        ["--latency", turns] => in_namespace(|| disturbance(50_000, turns.parse()?)),
        [] => in_namespace(|| compare(1000)),
        ref sizes => {
            parsing();
            for size in sizes.iter() {
                let size = size.parse()?;
                in_namespace(move || compare(size))?;
            }
            Ok(())
        }
    }
}

/// On this thread: what it starts inherits the namespace, and the next call makes another.
fn in_namespace(body: impl FnOnce() -> Outcome) -> Outcome {
    unshare::enter_new()?;
    body()
}

/// The exporter without its MySQL half.
fn exporter(port: u16, flags: &[&str]) -> Result<Daemon, Box<dyn Error>> {
    exporter_by(Command::new(EXPORTER), port, flags)
}

const EXPORTER: &str = env!("CARGO_BIN_EXE_dbwire_exporter");

/// The exporter, `command` being it, or what starts it.
fn exporter_by(mut command: Command, port: u16, flags: &[&str]) -> Result<Daemon, Box<dyn Error>> {
    command.args(["--web.listen-address", &format!("127.0.0.1:{port}"), "--log.level", "error"]);
    if cfg!(feature = "capture") {
        command.arg("--no-collector.mysql");
    }
    Ok(Daemon::start(command.args(flags), port)?)
}

/// Counts at every scrape whatever it costs, so that what it costs shows.
const EAGER: [&str; 4] = ["--sockets.cache-ttl", "0s", "--sockets.cpu-budget", "1"];

struct Method {
    name: &'static str,
    metric: &'static str,
    daemon: Daemon,
    costs: Vec<Duration>,
    counted: f64,
    rest: Duration,
}

impl Method {
    /// One scrape that reads, after the rest that the last one asked for.
    fn scrape(&mut self) -> Result<(Duration, String), Box<dyn Error>> {
        thread::sleep(self.rest);
        let (cost, page) = self.daemon.scrape()?;
        self.rest = Duration::from_secs_f64(rivals::sum(&page, "dbwire_tcp_cooldown_seconds "));
        Ok((cost, page))
    }
}

/// The daemons of the comparison.
fn methods() -> Result<Vec<Method>, Box<dyn Error>> {
    let own: [(&str, &[&str]); 4] = [
        ("dbwire_exporter, totals", &[]),
        ("dbwire_exporter, ports", &["--sockets.detail", "ports"]),
        ("dbwire_exporter, full", &["--sockets.detail", "full"]),
        ("dbwire_exporter, procfs", &["--sockets.source", "procfs"]),
    ];
    let mut methods = Vec::new();
    for ((name, flags), port) in own.into_iter().zip(9201..) {
        let daemon = exporter(port, &[&EAGER[..], flags].concat())?;
        let metric = "dbwire_tcp_connection_states{";
        methods.push(Method { name, metric, daemon, costs: Vec::new(), counted: 0.0, rest: Duration::ZERO });
    }
    let mut node = Command::new("prometheus-node-exporter");
    node.args(["--collector.disable-defaults", "--collector.tcpstat", "--web.disable-exporter-metrics"]);
    match Daemon::start(node.arg("--web.listen-address=127.0.0.1:9301"), 9301) {
        Ok(daemon) => methods.push(Method {
            name: "node_exporter, tcpstat",
            metric: "node_tcp_connection_states{",
            daemon,
            costs: Vec::new(),
            counted: 0.0,
            rest: Duration::ZERO,
        }),
        Err(error) => println!("node_exporter left out: {error}"),
    }
    Ok(methods)
}

/// Every method in turns; prints a table.
fn compare(sockets: usize) -> Outcome {
    let _holders = holder::Holders::start(sockets)?;
    let ruler = ruler_path();
    rivals::compile_ruler(&ruler)?;
    let mut methods = methods()?;
    let (mut ruler_costs, mut ss_costs, mut ss_memory) = (Vec::new(), Vec::new(), 0);
    let mut counted = (0, 0);
    let rounds = if sockets > 100_000 { FEW_ROUNDS } else { ROUNDS };
    for round in 0..=rounds {
        for method in &mut methods {
            let (cost, page) = method.scrape()?;
            method.counted = rivals::sum(&page, method.metric);
            method.costs.extend((round > 0).then_some(cost));
        }
        let (cost, sockets) = rivals::ruler(&ruler)?;
        ruler_costs.extend((round > 0).then_some(cost));
        let (cost, memory, lines) = rivals::run_once(Command::new("ss").args(["-Htan", "state", "all"]))?;
        ss_costs.extend((round > 0).then_some(cost));
        (counted, ss_memory) = ((sockets, lines), memory);
    }
    let in_a_row = in_a_row(&mut methods, rounds)?;
    let base = median(&mut ruler_costs);
    println!("\n| {sockets} sockets | CPU, ms | mean | worst | to the C dump | RSS, MB | peak | counted |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    line("C dump, IPv4 then IPv6", ruler_costs, base, None, counted.0 as f64);
    for method in methods {
        let memory = method.daemon.memory()?;
        line(method.name, method.costs, base, Some(memory), method.counted);
    }
    line("dbwire_exporter, totals, scrape after scrape", in_a_row, base, None, counted.0 as f64);
    line("ss -Htan state all", ss_costs, base, Some((ss_memory, ss_memory)), counted.1 as f64);
    Ok(())
}

/// What scrapes of the first method cost with nothing in between: caches are warm, and no CPU has to be woken from far.
fn in_a_row(methods: &mut [Method], rounds: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let method = methods.first_mut().ok_or("a method")?;
    method.scrape()?;
    (0..rounds).map(|_| Ok(method.scrape()?.0)).collect()
}

fn line(name: &str, mut costs: Vec<Duration>, base: Duration, memory: Option<(u64, u64)>, counted: f64) {
    let cost = median(&mut costs);
    let mean = costs.iter().sum::<Duration>() / costs.len() as u32;
    let ratio = cost.as_secs_f64() / base.as_secs_f64();
    let megabytes = |kilobytes: u64| format!("{:.1}", kilobytes as f64 / 1024.0);
    let (now, peak) = memory.map_or_else(Default::default, |(a, b)| (megabytes(a), megabytes(b)));
    let worst = costs.last().copied().unwrap_or_default();
    let [cost, mean, worst] = [cost, mean, worst].map(|cost| cost.as_secs_f64() * 1e3);
    println!("| {name} | {cost:.2} | {mean:.2} | {worst:.2} | {ratio:.2} | {now} | {peak} | {counted} |");
}

fn median(costs: &mut [Duration]) -> Duration {
    costs.sort_unstable();
    costs[costs.len() / 2]
}

fn ruler_path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("inet_diag_dump")
}

/// One scrape a second, with the flags a person would have: the share of a CPU that takes.
fn sustained(sockets: usize, seconds: u32) -> Outcome {
    let _holders = holder::Holders::start(sockets)?;
    println!("\n| {sockets} sockets, a scrape a second for {seconds} s | share of one CPU |");
    println!("|---|---:|");
    let mut daemons = Vec::new();
    for (detail, port) in ["totals", "full"].into_iter().zip(9201..) {
        daemons.push((detail, exporter(port, &["--sockets.detail", detail])?));
    }
    let mut before = Vec::new();
    for (_, daemon) in &daemons {
        before.push(daemon.cpu_time()?);
    }
    let start = Instant::now();
    for second in 1..=seconds {
        for (_, daemon) in &mut daemons {
            daemon.scrape()?;
        }
        thread::sleep((start + Duration::from_secs(second.into())).saturating_duration_since(Instant::now()));
    }
    let elapsed = start.elapsed().as_secs_f64();
    for ((detail, daemon), before) in daemons.iter().zip(before) {
        let share = (daemon.cpu_time()? - before).as_secs_f64() / elapsed;
        println!("| dbwire_exporter, {detail} | {:.2} % |", share * 100.0);
    }
    Ok(())
}

/// The 99th percentile of loopback round trips on one core while the other dumps without a pause.
fn disturbance(sockets: usize, turns: usize) -> Outcome {
    const QUIET: usize = 0;
    const BUSY: usize = 1;
    let _holders = holder::Holders::start(sockets)?;
    let ruler = ruler_path();
    rivals::compile_ruler(&ruler)?;
    let mut daemons = Vec::new();
    for (detail, port) in ["totals", "full"].into_iter().zip(9201..) {
        let mut command = Command::new("taskset");
        command.args(["-c", &BUSY.to_string(), EXPORTER]);
        daemons.push(exporter_by(command, port, &[&EAGER[..], &["--sockets.detail", detail]].concat())?);
    }
    latency::pin(QUIET)?;
    let mut conversation = latency::PingPong::new()?;
    let mut p99s = [const { Vec::new() }; 4];
    for _ in 0..turns {
        p99s[0].push(conversation.p99()?);
        let dumping = latency::RulerLoop::start(&ruler, BUSY)?;
        p99s[1].push(conversation.p99()?);
        drop(dumping);
        for (daemon, p99s) in daemons.iter_mut().zip(&mut p99s[2..]) {
            p99s.push(latency::while_scraping(daemon, BUSY, || conversation.p99())?);
        }
    }
    println!(
        "\n| {sockets} sockets, the other core | p99 of a round trip, µs | best | worst | to the C dump |"
    );
    println!("|---|---:|---:|---:|---:|");
    let names = ["idle", "C dump", "dbwire_exporter, totals", "dbwire_exporter, full"];
    let base = p99s[1].clone();
    for (name, mut p99s) in names.into_iter().zip(p99s) {
        // Turn by turn: what else the machine does changes slowly.
        let mut ratios: Vec<_> =
            p99s.iter().zip(&base).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        let middle = micros(median(&mut p99s));
        let (best, worst, ratio) = (micros(p99s[0]), micros(p99s[turns - 1]), ratios[turns / 2]);
        println!("| {name} | {middle:.1} | {best:.1} | {worst:.1} | {ratio:.2} |");
    }
    Ok(())
}

/// What user space adds for each socket: rows of established connections to many destinations.
fn parsing() {
    const ROWS: u32 = 300;
    let mut buffer = Vec::new();
    for row in 0..ROWS {
        let mut message = [0; 88];
        message[..4].copy_from_slice(&88_u32.to_ne_bytes());
        message[4..6].copy_from_slice(&18_u16.to_ne_bytes());
        message[16..20].copy_from_slice(&[2, 1, 0, 0]);
        message[20..22].copy_from_slice(&(40_000 + row as u16).to_be_bytes());
        message[22..24].copy_from_slice(&(3300 + row as u16 % 10).to_be_bytes());
        message[40..44].copy_from_slice(&(row % 50).to_be_bytes());
        buffer.extend(message);
    }
    let watched = WatchedPorts::new([3306]);
    let census = |scope| Census::new(&watched, Some(Pairs::new((32768, 60999))), scope);
    parse("parsing, and counting by state", &buffer, Tally::default, |tally, row| tally.add(row));
    parse("by watched port too", &buffer, || census(PairScope::Watched), |census, row| census.add(row));
    parse("by pair too", &buffer, || census(PairScope::All), |census, row| census.add(row));
}

fn parse<T>(name: &str, rows: &[u8], start: impl Fn() -> T, add: impl Fn(&mut T, &Row)) {
    const TIMES: u32 = 1000;
    let mut counted = 0;
    let mut costs: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let mut total = start();
            let before = thread_cpu_time();
            for _ in 0..TIMES {
                let walked = walk(Pass::BothFamilies, 0, rows, |row, _| {
                    counted += 1;
                    add(&mut total, row);
                });
                assert!(walked.is_ok(), "{walked:?}");
            }
            std::hint::black_box(total);
            thread_cpu_time() - before
        })
        .collect();
    let each = median(&mut costs).as_nanos() as f64 / (f64::from(counted) / ROUNDS as f64);
    println!("{name}: {each:.1} ns a socket");
}
