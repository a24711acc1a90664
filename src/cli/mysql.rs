//! Flags of the MySQL half.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use clap::{ArgAction, Args, ValueEnum, builder::BoolishValueParser};

use super::LogArgs;
use crate::sample::multiplier::Multiplier;

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files to read, in this order, as one capture.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print which statements took the time, for people or as JSON, in place of the metrics.
    #[arg(long = "report", env = "DBWIRE_REPORT", hide_env_values = true)]
    #[arg(value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "table")]
    pub report: Option<ReportFormat>,
    /// Which packets are MySQL's, and how they are counted.
    #[command(flatten)]
    pub decode: DecodeArgs,
    /// Logging, to stderr.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `--report`: the form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Where MySQL's packets come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "MySQL capture")]
pub struct CaptureArgs {
    /// Network interface to capture on; any is all of them.
    #[arg(long = "mysql.interface", env = "DBWIRE_MYSQL_INTERFACE", hide_env_values = true)]
    #[arg(value_name = "NAME", default_value = "any")]
    pub interface: String,
    /// Size of the kernel's ring of packets not yet decoded.
    #[arg(long = "mysql.buffer-size", env = "DBWIRE_MYSQL_BUFFER_SIZE", hide_env_values = true)]
    #[arg(value_name = "SIZE", default_value = "8MiB")]
    pub buffer_size: ByteSize,
    /// Make the threads that decode batch threads of this nice value, 0 to 19.
    #[arg(long = "mysql.capture-nice", env = "DBWIRE_MYSQL_CAPTURE_NICE", hide_env_values = true)]
    #[arg(value_name = "NICE", allow_negative_numbers = true)]
    pub nice: Option<u8>,
    /// Pin the threads that decode to these CPUs, in turns. Repeatable, or separated by commas.
    #[arg(long = "mysql.capture-cpu", env = "DBWIRE_MYSQL_CAPTURE_CPU", hide_env_values = true)]
    #[arg(value_name = "CPU", value_delimiter = ',', allow_negative_numbers = true)]
    pub cpus: Vec<u16>,
    /// Move on to the next class that has connections this often; 0 stays with one.
    #[arg(long = "mysql.sample-rotate", env = "DBWIRE_MYSQL_SAMPLE_ROTATE", hide_env_values = true)]
    #[arg(value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub sample_rotate: Duration,
    /// Share of one CPU that capture may take: above it replies are cut, then N is raised; 0 is no limit.
    #[arg(
        id = "mysql.cpu_budget",
        long = "mysql.cpu-budget",
        env = "DBWIRE_MYSQL_CPU_BUDGET",
        hide_env_values = true
    )]
    #[arg(value_name = "SHARE", default_value = "0.25", allow_negative_numbers = true)]
    pub cpu_budget: f64,
}

/// Which packets are MySQL's, and how they are counted.
#[derive(Debug, Args)]
#[command(next_help_heading = "MySQL")]
pub struct DecodeArgs {
    /// Port the servers listen on. Repeatable, or separated by commas.
    #[arg(long = "mysql.port", env = "DBWIRE_MYSQL_PORT", hide_env_values = true)]
    #[arg(value_name = "PORT", default_value = "3306", value_delimiter = ',', allow_negative_numbers = true)]
    pub ports: Vec<u16>,
    /// N of 0 to 8: capture one of 2^N connections.
    #[arg(long = "mysql.sample-bits", env = "DBWIRE_MYSQL_SAMPLE_BITS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "0", allow_negative_numbers = true)]
    pub sample_bits: u8,
    /// Lowest bit of the client's port that chooses. Linux clients have even ports, so bit 0 chooses badly.
    #[arg(long = "mysql.sample-first-bit", env = "DBWIRE_MYSQL_SAMPLE_FIRST_BIT", hide_env_values = true)]
    #[arg(value_name = "BIT", default_value = "1", allow_negative_numbers = true)]
    pub sample_first_bit: u8,
    /// Which of the 2^N classes of connections to capture.
    #[arg(long = "mysql.sample-class", env = "DBWIRE_MYSQL_SAMPLE_CLASS", hide_env_values = true)]
    #[arg(value_name = "CLASS", default_value = "0", allow_negative_numbers = true)]
    pub sample_class: u16,
    /// How much of the payload of each segment from a server is captured: whole, or 128 to 65535 bytes. Times and bytes
    /// stay exact; of replies that are longer, rows and late errors are unknown.
    #[arg(long = "mysql.reply-bytes", env = "DBWIRE_MYSQL_REPLY_BYTES", hide_env_values = true)]
    #[arg(value_name = "BYTES", default_value = "whole", allow_negative_numbers = true)]
    pub reply_bytes: String,
    /// What each event of a captured connection counts for: auto (2^N), measured (by what the kernel knows of all
    /// connections), or a number of at least 1.
    #[arg(long = "mysql.multiplier", env = "DBWIRE_MYSQL_MULTIPLIER", hide_env_values = true)]
    #[arg(value_name = "MULTIPLIER", default_value = "auto", allow_negative_numbers = true)]
    pub multiplier: Multiplier,
    /// Threads that decode, each other connections.
    #[arg(long = "mysql.threads", env = "DBWIRE_MYSQL_THREADS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "1", allow_negative_numbers = true)]
    pub threads: u8,
    /// Most connections followed at a time.
    #[arg(long = "mysql.max-flows", env = "DBWIRE_MYSQL_MAX_FLOWS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "32768", allow_negative_numbers = true)]
    pub max_flows: u32,
    /// Digests with counters of their own; the others are counted together.
    #[arg(long = "mysql.max-digests", env = "DBWIRE_MYSQL_MAX_DIGESTS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "100", allow_negative_numbers = true)]
    pub max_digests: u32,
    /// Export the normalised texts of digests; `--no-mysql.digest-text` exports their ids only.
    #[arg(long = "mysql.digest-text", env = "DBWIRE_MYSQL_DIGEST_TEXT", hide_env_values = true)]
    #[arg(value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new())]
    #[arg(overrides_with = "no_digest_text")]
    digest_text: bool,
    /// Export no texts.
    #[arg(long = "no-mysql.digest-text", hide = true, overrides_with = "digest_text")]
    no_digest_text: bool,
    /// Export a latency histogram for each digest, too: thirteen series.
    #[arg(long = "mysql.digest-histograms", env = "DBWIRE_MYSQL_DIGEST_HISTOGRAMS", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub digest_histograms: bool,
    /// Users with counters of their own; the others are counted together. 0: users are not counted.
    #[arg(long = "mysql.max-users", env = "DBWIRE_MYSQL_MAX_USERS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "0", allow_negative_numbers = true)]
    pub max_users: u32,
    /// Clients' addresses with counters of their own; the others are counted together. 0: they are not counted.
    #[arg(long = "mysql.max-clients", env = "DBWIRE_MYSQL_MAX_CLIENTS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "0", allow_negative_numbers = true)]
    pub max_clients: u32,
    /// Upper bounds of the latency histograms' buckets.
    #[arg(long = "mysql.latency-buckets", env = "DBWIRE_MYSQL_LATENCY_BUCKETS", hide_env_values = true)]
    #[arg(value_name = "DURATION", value_delimiter = ',', value_parser = humantime::parse_duration)]
    #[arg(default_value = "100us,300us,1ms,3ms,10ms,30ms,100ms,300ms,1s,10s")]
    pub latency_buckets: Vec<Duration>,
    /// Count statements that take longer, by kind. Repeatable, or separated by commas.
    #[arg(long = "mysql.slow-threshold", env = "DBWIRE_MYSQL_SLOW_THRESHOLD", hide_env_values = true)]
    #[arg(value_name = "DURATION", value_delimiter = ',', value_parser = humantime::parse_duration)]
    pub slow_thresholds: Vec<Duration>,
}

impl DecodeArgs {
    /// Whether texts of digests are exported.
    pub fn digest_text(&self) -> bool {
        self.digest_text && !self.no_digest_text
    }
}
