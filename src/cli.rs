//! Command-line flags and environment variables, as typed.
//!
//! Syntax only: what is a number, a duration or a size. Which of them make sense is [`crate::config`]'s business.
//! Each flag can also be given as an environment variable: `DBWIRE_` and the flag's name in capitals, with `_` for
//! `.` and `-`; the command line wins.

#![forbid(unsafe_code)]

mod environment;
#[cfg(feature = "capture")]
mod mysql;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::BoolishValueParser,
};

pub use environment::{unknown_variables, with_origin};
#[cfg(feature = "capture")]
pub use mysql::{CaptureArgs, DecodeArgs, ReplayArgs, ReportFormat};

/// Prometheus exporter for hosts that run, or talk to, MySQL and MariaDB: TCP socket states by netlink, queries
/// decoded from packets.
#[derive(Debug, Parser)]
#[command(
    name = "dbwire_exporter",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit status: 0 asked to stop, 1 could not start, 2 bad usage."
)]
pub struct Cli {
    /// Flags of the daemon.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read pcap or pcapng files as if they were captured now, and print the metrics.
    #[cfg(feature = "capture")]
    Replay(ReplayArgs),
    /// Say what this host allows, and what to do about it; exit status 1 if a part will not work.
    Check(Box<CheckArgs>),
}

/// Flags of `check`: its own, and those of the daemon that is to be.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print JSON in place of text for people.
    #[arg(long = "json", env = "DBWIRE_JSON", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// How long to look at the traffic, for the share of connections inside TLS; 0s does not look.
    #[cfg(feature = "capture")]
    #[arg(long = "look", env = "DBWIRE_LOOK", hide_env_values = true)]
    #[arg(value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    pub look: Duration,
    /// What the daemon would be given.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Flags of the daemon.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The HTTP server.
    #[command(flatten)]
    pub web: WebArgs,
    /// Logging, to stderr.
    #[command(flatten)]
    pub log: LogArgs,
    /// What the process gives up.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Which collectors run.
    #[command(flatten)]
    pub collectors: CollectorArgs,
    /// The socket collector.
    #[command(flatten)]
    pub sockets: SocketsArgs,
    /// Where MySQL's packets come from.
    #[cfg(feature = "capture")]
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Which packets are MySQL's, and how they are counted.
    #[cfg(feature = "capture")]
    #[command(flatten)]
    pub decode: DecodeArgs,
}

/// The HTTP server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Web")]
pub struct WebArgs {
    /// Address to serve on: `:PORT` means every address, IPv6 and IPv4; `unix:/PATH` a Unix socket. Repeatable, or
    /// separated by commas.
    #[arg(long = "web.listen-address", env = "DBWIRE_WEB_LISTEN_ADDRESS", hide_env_values = true)]
    #[arg(value_name = "ADDRESS", default_value = ":9098", value_delimiter = ',')]
    pub listen_address: Vec<String>,
    /// Path of the metrics.
    #[arg(long = "web.telemetry-path", env = "DBWIRE_WEB_TELEMETRY_PATH", hide_env_values = true)]
    #[arg(value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: String,
    /// Most scrapes answered at a time; those above get status 503.
    #[arg(long = "web.max-requests", env = "DBWIRE_WEB_MAX_REQUESTS", hide_env_values = true)]
    #[arg(value_name = "N", default_value = "40", allow_negative_numbers = true)]
    pub max_requests: u32,
    /// TLS, client certificates, basic auth and headers: a file as the Prometheus exporter toolkit reads it.
    #[arg(long = "web.config.file", env = "DBWIRE_WEB_CONFIG_FILE", hide_env_values = true)]
    #[arg(value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Serve on the sockets that systemd passes on instead of --web.listen-address.
    #[arg(long = "web.systemd-socket", env = "DBWIRE_WEB_SYSTEMD_SOCKET", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub systemd_socket: bool,
    /// Add `_created` samples to OpenMetrics pages: one more for each counter and histogram.
    #[arg(long = "web.created-samples", env = "DBWIRE_WEB_CREATED_SAMPLES", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub created_samples: bool,
}

/// Logging, to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Least severe messages to log.
    #[arg(long = "log.level", env = "DBWIRE_LOG_LEVEL", hide_env_values = true)]
    #[arg(value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,
    /// Form of a message.
    #[arg(long = "log.format", env = "DBWIRE_LOG_FORMAT", hide_env_values = true)]
    #[arg(value_name = "FORMAT", default_value = "logfmt")]
    pub format: LogFormat,
}

/// `--log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each variant is the level it is named for")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// `--log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value`, one message a line.
    Logfmt,
    /// A JSON object a line.
    Json,
}

/// What the process gives up.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Give up files (Landlock) and system calls (seccomp) that are not needed; `--no-sandbox` is for debuggers and
    /// kernels this was not tried on. Capabilities are given up either way.
    #[arg(long = "sandbox", env = "DBWIRE_SANDBOX", hide_env_values = true)]
    #[arg(value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new())]
    #[arg(overrides_with = "no_sandbox")]
    sandbox: bool,
    /// Keep files and system calls.
    #[arg(long = "no-sandbox", hide = true, overrides_with = "sandbox")]
    no_sandbox: bool,
}

impl ProcessArgs {
    /// Whether files and system calls are to be given up.
    pub fn sandbox(self) -> bool {
        self.sandbox && !self.no_sandbox
    }
}

/// Which collectors run. Each has a `--no-` form, as Go's exporters have.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Collectors")]
pub struct CollectorArgs {
    /// Count TCP sockets by state; `--no-collector.sockets` turns it off.
    #[arg(long = "collector.sockets", env = "DBWIRE_COLLECTOR_SOCKETS", hide_env_values = true)]
    #[arg(value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new())]
    #[arg(overrides_with = "no_sockets")]
    sockets: bool,
    /// Do not count TCP sockets.
    #[arg(long = "no-collector.sockets", hide = true, overrides_with = "sockets")]
    no_sockets: bool,
    /// Decode MySQL traffic; `--no-collector.mysql` turns it off.
    #[cfg(feature = "capture")]
    #[arg(long = "collector.mysql", env = "DBWIRE_COLLECTOR_MYSQL", hide_env_values = true)]
    #[arg(value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new())]
    #[arg(overrides_with = "no_mysql")]
    mysql: bool,
    /// Do not decode MySQL traffic.
    #[cfg(feature = "capture")]
    #[arg(long = "no-collector.mysql", hide = true, overrides_with = "mysql")]
    no_mysql: bool,
}

impl CollectorArgs {
    /// Whether sockets are to be counted.
    pub fn sockets(self) -> bool {
        self.sockets && !self.no_sockets
    }

    /// Whether MySQL traffic is to be decoded.
    #[cfg(feature = "capture")]
    pub fn mysql(self) -> bool {
        self.mysql && !self.no_mysql
    }
}

/// The socket collector.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sockets")]
pub struct SocketsArgs {
    /// Where procfs is mounted.
    #[arg(long = "path.procfs", env = "DBWIRE_PATH_PROCFS", hide_env_values = true)]
    #[arg(value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Where socket states come from; auto is netlink, and procfs where netlink fails.
    #[arg(long = "sockets.source", env = "DBWIRE_SOCKETS_SOURCE", hide_env_values = true)]
    #[arg(value_name = "SOURCE", default_value = "auto")]
    pub source: SourceChoice,
    /// Shortest time between two reads of the socket table; a page in between repeats the last counts.
    #[arg(long = "sockets.cache-ttl", env = "DBWIRE_SOCKETS_CACHE_TTL", hide_env_values = true)]
    #[arg(value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub cache_ttl: Duration,
    /// What to count: totals is the cheapest exact plan, ports and full list every socket.
    #[arg(long = "sockets.detail", env = "DBWIRE_SOCKETS_DETAIL", hide_env_values = true)]
    #[arg(value_name = "DETAIL", default_value = "totals")]
    pub detail: Detail,
    /// Port with series of its own, or `listening` for every port with a listener [default: the MySQL ports].
    #[arg(
        id = "sockets.ports",
        long = "sockets.ports",
        env = "DBWIRE_SOCKETS_PORTS",
        hide_env_values = true
    )]
    #[arg(value_name = "PORT", value_delimiter = ',', action = ArgAction::Append)]
    pub ports: Vec<String>,
    /// Quantiles of round-trip times and retransmissions by port; needs --sockets.detail=full, and makes it a
    /// quarter dearer.
    #[arg(long = "sockets.tcp-info", env = "DBWIRE_SOCKETS_TCP_INFO", hide_env_values = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub tcp_info: bool,
    /// Another network namespace to report: a name of `ip netns`, or a path.
    #[arg(long = "sockets.netns", env = "DBWIRE_SOCKETS_NETNS", hide_env_values = true)]
    #[arg(value_name = "NAMESPACE", value_delimiter = ',', action = ArgAction::Append)]
    pub netns: Vec<String>,
    /// Share of one CPU that reading the socket table may take; above it, reads are spaced out.
    #[arg(long = "sockets.cpu-budget", env = "DBWIRE_SOCKETS_CPU_BUDGET", hide_env_values = true)]
    #[arg(value_name = "SHARE", default_value = "0.02", allow_negative_numbers = true)]
    pub cpu_budget: f64,
}

/// `--sockets.source`: where socket counts may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SourceChoice {
    /// Netlink, and procfs while netlink fails.
    #[default]
    Auto,
    /// Netlink only.
    Netlink,
    /// Procfs only.
    Procfs,
}

/// `--sockets.detail`: what to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Detail {
    /// States, and those of the chosen ports.
    #[default]
    Totals,
    /// Every socket: ephemeral ports of all destinations too.
    Ports,
    /// By address family too.
    Full,
}

/// Parses a command line, with the environment for what it leaves out. `version` is what `--version` prints after
/// the name.
///
/// # Errors
/// [`Stop::Print`] for `--help` and `--version`, [`Stop::Usage`] for a mistake.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, version: &'static str) -> Result<Cli, Stop> {
    Cli::command()
        .version(version)
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| {
            if error.use_stderr() {
                Stop::Usage(one_line(&error))
            } else {
                Stop::Print(error.render().to_string())
            }
        })
}

/// Why a command line leads no further.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The text asked for, for stdout.
    Print(String),
    /// What is wrong, in one line.
    Usage(String),
}

/// clap's message without its usage block, in one line: what is wrong, what is allowed, what was perhaps meant.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let parts: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let message = parts.join(" ").replace(" tip: ", "; ");
    format!("{}; see --help", message.strip_prefix("error: ").unwrap_or(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, Stop> {
        parse(std::iter::once("dbwire_exporter").chain(line.split_whitespace()).map(Into::into), "1.2.3 (x)")
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_also_an_environment_variable_named_after_it() {
        let command = Cli::command();
        let commands = std::iter::once(&command).chain(command.get_subcommands());
        for flag in commands.flat_map(clap::Command::get_arguments).filter(|flag| !flag.is_hide_set()) {
            let Some(long) = flag.get_long().filter(|long| !["help", "version"].contains(long)) else {
                continue;
            };
            let expected = format!("DBWIRE_{}", long.to_uppercase().replace(['.', '-'], "_"));
            assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(&*expected), "--{long}");
        }
    }

    #[test]
    fn a_collector_has_gos_two_forms_and_the_last_one_counts() {
        let cases = [
            ("", true),
            ("--collector.sockets", true),
            ("--no-collector.sockets", false),
            ("--collector.sockets=false", false),
            ("--collector.sockets=yes", true),
            ("--no-collector.sockets --collector.sockets", true),
            ("--collector.sockets --no-collector.sockets", false),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line).unwrap().serve.collectors.sockets(), expected, "{line:?}");
        }
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        let cases = [
            (
                "--web.max-request 3",
                "unexpected argument '--web.max-request' found; a similar argument exists: \
              '--web.max-requests'; see --help",
            ),
            (
                "--web.max-requests many",
                "invalid value 'many' for '--web.max-requests <N>': invalid digit found in \
              string; see --help",
            ),
            (
                "--log.level loud",
                "invalid value 'loud' for '--log.level <LEVEL>' [possible values: debug, info, \
              warn, error]; see --help",
            ),
            (
                "--sockets.cache-ttl 1",
                "invalid value '1' for '--sockets.cache-ttl <DURATION>': time unit needed, for \
              example 1sec or 1ms; see --help",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line).unwrap_err(), Stop::Usage(expected.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn version_is_the_one_given() {
        let Err(Stop::Print(text)) = parsed("--version") else { panic!("--version is not an error") };
        assert_eq!(text, "dbwire_exporter 1.2.3 (x)\n");
    }
}
