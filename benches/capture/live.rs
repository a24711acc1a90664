//! A MariaDB under sysbench on loopback, with the exporter beside it in several ways, and without it.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use dbwire_exporter::io::clock::thread_cpu_time;

use super::{
    Outcome,
    counting::{Counted, Counting},
    median,
    plot::{self, Bar},
    support::{
        children::{command, output},
        clients::prepare_sysbench,
        exporter::Exporter,
        exposition::Exposition,
        mariadb::{MariaDb, Options, PASSWORD, USER},
        skip,
    },
};

/// Who captures meanwhile.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// With these flags.
    Exporter(&'static [&'static str]),
    /// A loop that counts, with so much of each reply segment.
    Counting(Option<u16>),
}

const WAYS: [(&str, Way); 7] = [
    ("N=0", Way::Exporter(&[])),
    ("a loop that only counts", Way::Counting(None)),
    ("N=3", Way::Exporter(&["--mysql.sample-bits=3"])),
    ("N=8", Way::Exporter(&["--mysql.sample-bits=8"])),
    ("N=0, cut at 256", Way::Exporter(&["--mysql.reply-bytes=256"])),
    ("a loop that only counts, cut at 256", Way::Counting(Some(256))),
    ("N=3, cut at 256", Way::Exporter(&["--mysql.sample-bits=3", "--mysql.reply-bytes=256"])),
];

/// What is measured of one run.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    queries_a_second: f64,
    /// Queries, to those right before with nobody capturing.
    to_none: f64,
    /// Share of one CPU that the capture thread used.
    share: f64,
    cpu_a_million: f64,
    nanos_a_packet: f64,
    ring_bytes_a_query: f64,
    dropped: f64,
}

pub(crate) fn run(only: Option<&str>, rounds: u64, seconds: u64, plots: &Path) -> Outcome {
    let name = "bench-capture";
    if !skip::root(name) || !skip::programs(name, MariaDb::PROGRAMS) || !skip::programs(name, &["sysbench"]) {
        return Ok(());
    }
    let server = MariaDb::start(&Options::default());
    prepare_sysbench(&server);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/capture/large_rows.lua");
    let large = script.to_str().ok_or("a path in UTF-8")?;
    let loads = [
        ("oltp_point_select", "point selects"),
        ("oltp_read_write", "oltp_read_write"),
        (large, "rows of 16 to 64 KB"),
    ];
    for (load, title) in loads.into_iter().filter(|(_, title)| only.is_none_or(|only| only == *title)) {
        let mut measured: BTreeMap<usize, Vec<Measured>> = BTreeMap::new();
        for _ in 0..rounds.max(1) {
            for (index, (_, way)) in WAYS.iter().enumerate() {
                let without = sysbench(&server, load, seconds)?;
                let with = measure(&server, load, seconds, *way)?;
                let to_none = with.queries_a_second * seconds as f64 / without;
                measured.entry(index).or_default().push(Measured { to_none, ..with });
            }
        }
        print(title, &measured, plots)?;
    }
    if only.is_none() { sender(rounds) } else { Ok(()) }
}

fn print(title: &str, measured: &BTreeMap<usize, Vec<Measured>>, plots: &Path) -> Outcome {
    let of = |way: usize, value: fn(&Measured) -> f64| median(measured[&way].iter().map(value).collect());
    println!(
        "\n## {title}\n\n| | queries/s | to no capture | capture, share of a CPU | CPU-seconds a million queries | ns a packet | ring bytes a query | dropped |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut bars = Vec::new();
    for (way, (name, who)) in WAYS.iter().enumerate() {
        let cpu = of(way, |run| run.cpu_a_million);
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} % | {cpu:.2} | {:.0} | {:.0} | {:.0} |",
            of(way, |run| run.queries_a_second),
            of(way, |run| run.to_none),
            100.0 * of(way, |run| run.share),
            of(way, |run| run.nanos_a_packet),
            of(way, |run| run.ring_bytes_a_query),
            of(way, |run| run.dropped),
        );
        let is_ruler = matches!(who, Way::Counting(_));
        bars.push(Bar { label: (*name).to_owned(), value: cpu, is_ruler });
    }
    let file = format!("capture-{}", title.replace(' ', "-"));
    plot::bars(plots, &file, &format!("CPU-seconds a million queries, {title}"), "s", &bars)?;
    Ok(())
}

fn measure(server: &MariaDb, load: &str, seconds: u64, way: Way) -> Result<Measured, Box<dyn Error>> {
    let run = || sysbench(server, load, seconds);
    let (queries, counted) = match way {
        Way::Counting(reply_bytes) => {
            let counting = Counting::start(server.port(), reply_bytes);
            (run()?, counting.finish())
        }
        Way::Exporter(flags) => {
            let port = server.port().to_string();
            let common = ["--mysql.interface=lo", "--mysql.port", &port, "--no-collector.sockets"];
            let exporter = Exporter::start(&[&common[..], flags].concat());
            let before = exporter.page();
            let queries = run()?;
            (queries, counted(&before, &exporter.page()))
        }
    };
    Ok(Measured {
        queries_a_second: queries / seconds as f64,
        share: counted.cpu_seconds / seconds as f64,
        cpu_a_million: counted.cpu_seconds / queries * 1e6,
        nanos_a_packet: counted.cpu_seconds / counted.packets * 1e9,
        ring_bytes_a_query: counted.ring_bytes / queries,
        dropped: counted.dropped,
        ..Measured::default()
    })
}

/// What an exporter captured between two pages.
fn counted(before: &Exposition, after: &Exposition) -> Counted {
    let rise = |name: &str| sum(after, name) - sum(before, name);
    Counted {
        cpu_seconds: rise("dbwire_capture_cpu_seconds_total"),
        packets: rise("dbwire_capture_packets_total"),
        ring_bytes: rise("dbwire_capture_ring_bytes_total"),
        dropped: rise("dbwire_capture_dropped_packets_total"),
    }
}

fn sum(page: &Exposition, name: &str) -> f64 {
    page.of(name).map(|sample| sample.value).sum()
}

/// Runs a load by eight connections, and tells how many queries there were.
fn sysbench(server: &MariaDb, load: &str, seconds: u64) -> Result<f64, Box<dyn Error>> {
    let mut program = command("sysbench");
    program.arg(load).args(["--tables=1", "--table-size=10000", "--mysql-db=sbtest", "--threads=8"]);
    program.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    program.args(["--mysql-host=127.0.0.1".to_owned(), format!("--mysql-port={}", server.port())]);
    program.args([
        format!("--time={seconds}"),
        "--events=0".to_owned(),
        "--mysql-ignore-errors=all".to_owned(),
    ]);
    let printed = output(program.arg("run"));
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("queries:")).ok_or("a summary")?;
    Ok(line.split_whitespace().next().ok_or("a number")?.parse()?)
}

/// What capturing costs whoever sends: CPU time of a thread that is client and server on loopback at once.
fn sender(rounds: u64) -> Outcome {
    const EXCHANGES: usize = 20_000;
    println!(
        "\n## The sender's CPU, ns a packet\n\n| reply | no capture | whole | cut at 256 |\n|---|---:|---:|---:|"
    );
    for reply in [200, 16_384] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port().to_string();
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut run = || -> Result<f64, Box<dyn Error>> {
            let (request, answer) = ([1; 100], vec![1; reply]);
            let mut buffer = vec![0; reply];
            let before = thread_cpu_time();
            for _ in 0..EXCHANGES {
                client.write_all(&request)?;
                server.read_exact(&mut buffer[..100])?;
                server.write_all(&answer)?;
                client.read_exact(&mut buffer)?;
            }
            Ok((thread_cpu_time() - before).as_secs_f64() / (2 * EXCHANGES) as f64 * 1e9)
        };
        let ways: [Option<&[&str]>; 3] = [None, Some(&[]), Some(&["--mysql.reply-bytes=256"])];
        let mut taken = [const { Vec::new() }; 3];
        for _ in 0..rounds.max(1) {
            for (way, taken) in ways.iter().zip(&mut taken) {
                let common = ["--mysql.interface=lo", "--mysql.port", &port, "--no-collector.sockets"];
                let _exporter = way.map(|flags| Exporter::start(&[&common[..], flags].concat()));
                thread::yield_now();
                taken.push(run()?);
            }
        }
        let [none, whole, cut] = taken.map(median);
        println!(
            "| {reply} bytes | {none:.0} | {whole:.0} (+{:.0}) | {cut:.0} (+{:.0}) |",
            whole - none,
            cut - none
        );
    }
    Ok(())
}
