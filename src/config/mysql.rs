//! The MySQL half: what to capture or replay, and how to count it.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{Invalid, PortSet};
pub use crate::cli::ReportFormat;
use crate::{
    cli,
    sample::{
        class::{InvalidClass, SampleClass},
        multiplier::Multiplier,
    },
};

/// The MySQL collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Mysql {
    /// A network interface's name, or `any`.
    pub interface: String,
    /// Bytes of the kernel's ring.
    pub buffer_bytes: u32,
    /// Nice value of the threads that decode, which are then batch threads.
    pub nice: Option<u8>,
    /// CPUs to pin them to, in turns; none for no pinning.
    pub cpus: Vec<usize>,
    /// Move to the next occupied class this often.
    pub rotate: Option<Duration>,
    /// Share of one CPU that capture may take; `None` for no limit.
    pub cpu_budget: Option<f64>,
    /// Which packets count, and how much.
    pub decode: Decode,
}

/// Capture files to print the metrics of.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// In order; never empty.
    pub files: Vec<PathBuf>,
    /// Which packets count, and how much.
    pub decode: Decode,
    /// What to print in place of the metrics.
    pub report: Option<ReportFormat>,
}

impl Replay {
    pub(super) fn from_cli(args: cli::ReplayArgs) -> Result<Self, Invalid> {
        let mut decode = Decode::from_cli(args.decode)?;
        if decode.multiplier.is_measured() {
            let allowed = "a file does not tell of all connections; use auto or a number";
            return Err(Invalid::new("--mysql.multiplier", decode.multiplier, allowed));
        }
        decode.counting.profile = args.report.is_some();
        Ok(Self { files: args.files, decode, report: args.report })
    }
}

/// Which packets are MySQL's, and how they are counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Decode {
    /// Ports the servers listen on.
    pub ports: PortSet,
    /// Connections to decode.
    pub class: SampleClass,
    /// Payload bytes captured of each segment from a server; `None` for all.
    pub reply_bytes: Option<u16>,
    /// What each of their events counts for.
    pub multiplier: Multiplier,
    /// Threads that decode; at least 1.
    pub threads: usize,
    /// Most connections followed at a time.
    pub max_flows: usize,
    /// What to count, and how finely.
    pub counting: Counting,
}

/// What to count, and how finely.
#[derive(Debug, Clone, PartialEq)]
pub struct Counting {
    /// Most digests with counters of their own.
    pub max_digests: usize,
    /// Whether their texts are kept.
    pub digest_text: bool,
    /// Whether latency histograms are exported by digest, too.
    pub digest_histograms: bool,
    /// Users with counters of their own; 0 for none.
    pub max_users: usize,
    /// Clients' addresses with counters of their own; 0 for none.
    pub max_clients: usize,
    /// Upper bounds of the latency histograms' buckets; ascending, at most [`Self::MAX_BUCKETS`].
    pub latency_buckets: Vec<Duration>,
    /// Statements that take longer are counted; ascending, at most [`Self::MAX_THRESHOLDS`].
    pub slow_thresholds: Vec<Duration>,
    /// Whether everything about every digest is kept, for a report.
    pub profile: bool,
}

impl Counting {
    /// Most buckets; each takes up to fourteen series.
    pub const MAX_BUCKETS: usize = 24;
    /// Most thresholds; each takes a series for every kind of statement.
    pub const MAX_THRESHOLDS: usize = 4;
    /// A third of a decade each, from 100 µs to 1 s, and 10 s.
    const BUCKETS_MICROS: [u64; 10] =
        [100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 10_000_000];
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            max_digests: 100,
            digest_text: true,
            digest_histograms: false,
            max_users: 0,
            max_clients: 0,
            latency_buckets: Self::BUCKETS_MICROS.map(Duration::from_micros).to_vec(),
            slow_thresholds: Vec::new(),
            profile: false,
        }
    }
}

impl Mysql {
    /// What `--mysql.buffer-size` may be, in bytes: room for a few super-frames, and no more than a host can miss.
    pub const BUFFER_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 30;
    /// A connection's requests and replies should mostly fall into one turn.
    const LEAST_ROTATE: Duration = Duration::from_secs(1);

    pub(super) fn from_cli(capture: cli::CaptureArgs, decode: cli::DecodeArgs) -> Result<Self, Invalid> {
        if !is_interface_name(&capture.interface) {
            let allowed = "must be the name of a network interface (see `ip link`), or any";
            return Err(Invalid::new("--mysql.interface", capture.interface, allowed));
        }
        let bytes = Some(capture.buffer_size.as_u64()).filter(|bytes| Self::BUFFER_BYTES.contains(bytes));
        let buffer_bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok()).ok_or_else(|| {
            Invalid::new("--mysql.buffer-size", capture.buffer_size, "must be 1MiB to 1GiB, like 8MiB")
        })?;
        if let Some(nice) = capture.nice.filter(|nice| *nice > 19) {
            return Err(Invalid::new("--mysql.capture-nice", nice, "must be 0 to 19"));
        }
        let rotate = Some(capture.sample_rotate).filter(|every| !every.is_zero());
        if rotate.is_some_and(|every| every < Self::LEAST_ROTATE) {
            let given = humantime::format_duration(capture.sample_rotate);
            return Err(Invalid::new("--mysql.sample-rotate", given, "must be 0s, or at least 1s"));
        }
        if !(0.0..=1.0).contains(&capture.cpu_budget) {
            let allowed = "must be above 0 and up to 1, or 0 for no limit";
            return Err(Invalid::new("--mysql.cpu-budget", capture.cpu_budget, allowed));
        }
        let cpu_budget = Some(capture.cpu_budget).filter(|budget| *budget > 0.0);
        Ok(Self {
            interface: capture.interface,
            buffer_bytes,
            nice: capture.nice,
            cpus: capture.cpus.into_iter().map(usize::from).collect(),
            rotate,
            cpu_budget,
            decode: Decode::from_cli(decode)?,
        })
    }
}

/// What the kernel takes for a name (net/core/dev.c, `dev_valid_name`), in ASCII.
fn is_interface_name(name: &str) -> bool {
    let valid = |b: u8| b.is_ascii_graphic() && !b"/:".contains(&b);
    (1..16).contains(&name.len()) && name.bytes().all(valid) && ![".", ".."].contains(&name)
}

impl Decode {
    /// What `--mysql.threads` may be; each takes the memory of one.
    pub const THREADS: RangeInclusive<u8> = 1..=16;
    /// What `--mysql.max-flows` may be; a connection takes up to a few kilobytes.
    pub const MAX_FLOWS: RangeInclusive<u32> = 64..=1 << 20;
    /// What `--mysql.reply-bytes` may be: an OK, an error and most small results are in 128 bytes.
    pub const REPLY_BYTES: RangeInclusive<u16> = 128..=u16::MAX;
    /// What `--mysql.max-digests` may be; each takes six series, and the decoder watches sixteen times as many.
    pub const MAX_DIGESTS: RangeInclusive<u32> = 0..=10_000;

    /// What `--mysql.max-users` and `--mysql.max-clients` may be; each takes three series.
    pub const MAX_ASKERS: RangeInclusive<u32> = 0..=1_000;

    pub(super) fn from_cli(args: cli::DecodeArgs) -> Result<Self, Invalid> {
        let ports = PortSet::new(&args.ports).ok_or_else(|| {
            let given: Vec<_> = args.ports.iter().map(u16::to_string).collect();
            let allowed = format!("must be 1 to {} ports of 1 to 65535", PortSet::MAX);
            Invalid::new("--mysql.port", given.join(","), allowed)
        })?;
        let class = SampleClass::new(args.sample_bits, args.sample_first_bit, args.sample_class);
        let class = class.map_err(|error| match error {
            InvalidClass::Bits(bits) => Invalid::new("--mysql.sample-bits", bits, error.to_string()),
            InvalidClass::FirstBit { first_bit, .. } => {
                Invalid::new("--mysql.sample-first-bit", first_bit, error.to_string())
            }
            InvalidClass::Class { class, .. } => {
                Invalid::new("--mysql.sample-class", class, error.to_string())
            }
        })?;
        if !Self::THREADS.contains(&args.threads) {
            return Err(Invalid::new("--mysql.threads", args.threads, "must be 1 to 16"));
        }
        if !Self::MAX_FLOWS.contains(&args.max_flows) {
            let allowed = format!("must be {} to {}", Self::MAX_FLOWS.start(), Self::MAX_FLOWS.end());
            return Err(Invalid::new("--mysql.max-flows", args.max_flows, allowed));
        }
        let counting = counting(&args)?;
        let max_flows = args.max_flows as usize;
        Ok(Self {
            ports,
            class,
            reply_bytes: reply_bytes(&args.reply_bytes)?,
            multiplier: args.multiplier,
            threads: usize::from(args.threads),
            max_flows,
            counting,
        })
    }
}

/// `whole`, or a number of bytes.
fn reply_bytes(given: &str) -> Result<Option<u16>, Invalid> {
    if given == "whole" {
        return Ok(None);
    }
    let bytes = given.parse().ok().filter(|bytes| Decode::REPLY_BYTES.contains(bytes));
    let allowed = "must be whole, or 128 to 65535";
    bytes.map(Some).ok_or_else(|| Invalid::new("--mysql.reply-bytes", given, allowed))
}

fn counting(args: &cli::DecodeArgs) -> Result<Counting, Invalid> {
    Ok(Counting {
        max_digests: within("--mysql.max-digests", args.max_digests, Decode::MAX_DIGESTS)?,
        digest_text: args.digest_text(),
        digest_histograms: args.digest_histograms,
        max_users: within("--mysql.max-users", args.max_users, Decode::MAX_ASKERS)?,
        max_clients: within("--mysql.max-clients", args.max_clients, Decode::MAX_ASKERS)?,
        latency_buckets: durations("--mysql.latency-buckets", &args.latency_buckets, Counting::MAX_BUCKETS)?,
        slow_thresholds: durations(
            "--mysql.slow-threshold",
            &args.slow_thresholds,
            Counting::MAX_THRESHOLDS,
        )?,
        profile: false,
    })
}

/// A number out of a range.
fn within(flag: &'static str, given: u32, range: RangeInclusive<u32>) -> Result<usize, Invalid> {
    if !range.contains(&given) {
        return Err(Invalid::new(flag, given, format!("must be {} to {}", range.start(), range.end())));
    }
    Ok(given as usize)
}

/// Durations of which there may be `most`, each longer than the one before.
fn durations(flag: &'static str, given: &[Duration], most: usize) -> Result<Vec<Duration>, Invalid> {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let ascending = given.is_sorted_by(|one, next| one < next);
    let in_range = given.iter().all(|duration| !duration.is_zero() && *duration <= LONGEST);
    if ascending && in_range && given.len() <= most {
        return Ok(given.to_vec());
    }
    let words: Vec<_> =
        given.iter().map(|duration| humantime::format_duration(*duration).to_string()).collect();
    let allowed = format!("must be at most {most} durations, ascending, above 0 and up to 1day");
    Err(Invalid::new(flag, words.join(","), allowed))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Action, Config, tests::configured},
        *,
    };

    #[test]
    fn mysql_is_captured_whole_on_every_interface_by_default() {
        let decode = Decode {
            ports: PortSet::new(&[3306]).unwrap(),
            class: SampleClass::ALL,
            reply_bytes: None,
            multiplier: Multiplier::Auto,
            threads: 1,
            max_flows: 32_768,
            counting: Counting::default(),
        };
        let mysql = Mysql {
            interface: "any".to_owned(),
            buffer_bytes: 8 << 20,
            nice: None,
            cpus: vec![],
            rotate: None,
            cpu_budget: Some(0.25),
            decode,
        };
        assert_eq!(configured("").unwrap().mysql, Some(mysql));
        assert_eq!(configured("--no-collector.mysql").unwrap().mysql, None);
    }

    #[test]
    fn mysqls_flags_are_told_with_their_ranges_too() {
        let cases = [
            ("--mysql.port 0", "--mysql.port=0: must be 1 to 16 ports of 1 to 65535; see --help"),
            ("--mysql.sample-bits 9", "--mysql.sample-bits=9: sample bits must be 0 to 8, not 9; see --help"),
            (
                "--mysql.sample-bits 8 --mysql.sample-first-bit 9",
                "--mysql.sample-first-bit=9: a port has 16 bits: 8 bits from bit 9 on do not fit; see --help",
            ),
            (
                "--mysql.sample-bits 2 --mysql.sample-class 4",
                "--mysql.sample-class=4: with 2 sample bits the class must be 0 to 3, not 4; see --help",
            ),
            (
                "--mysql.latency-buckets 1s,1ms",
                "--mysql.latency-buckets=1s,1ms: must be at most 24 durations, ascending, above 0 and up to 1day; see --help",
            ),
            (
                "--mysql.slow-threshold 1s,2s,3s --mysql.slow-threshold 4s,5s",
                "--mysql.slow-threshold=1s,2s,3s,4s,5s: must be at most 4 durations, ascending, above 0 and up to 1day; see --help",
            ),
            (
                "--mysql.reply-bytes 127",
                "--mysql.reply-bytes=127: must be whole, or 128 to 65535; see --help",
            ),
            ("--mysql.threads 0", "--mysql.threads=0: must be 1 to 16; see --help"),
            ("--mysql.capture-nice 20", "--mysql.capture-nice=20: must be 0 to 19; see --help"),
            ("--mysql.max-digests 10001", "--mysql.max-digests=10001: must be 0 to 10000; see --help"),
            ("--mysql.max-users 1001", "--mysql.max-users=1001: must be 0 to 1000; see --help"),
            ("--mysql.max-clients 1001", "--mysql.max-clients=1001: must be 0 to 1000; see --help"),
            ("--mysql.max-flows 63", "--mysql.max-flows=63: must be 64 to 1048576; see --help"),
            (
                "--mysql.buffer-size 1023KiB",
                "--mysql.buffer-size=1023.0 KiB: must be 1MiB to 1GiB, like 8MiB; see --help",
            ),
            (
                "--mysql.interface an/other",
                "--mysql.interface=an/other: must be the name of a network interface (see `ip link`), or any; see --help",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(configured(line).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn replay_takes_files_and_the_decoders_flags() {
        let line = "dbwire_exporter replay a.pcap b.pcapng --mysql.port 3307 --mysql.multiplier 2.5";
        let cli = cli::parse(line.split_whitespace().map(Into::into), "").unwrap();
        let Action::Replay(replay) = Config::from_cli(cli).unwrap().action else {
            panic!("it does not replay")
        };
        assert_eq!(replay.files, [PathBuf::from("a.pcap"), PathBuf::from("b.pcapng")]);
        assert_eq!(replay.decode.ports.as_slice(), [3307]);
        assert_eq!(replay.decode.multiplier, Multiplier::Fixed(2.5));
    }
}
