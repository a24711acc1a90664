//! Validated configuration: what the rest of the program is given.
//!
//! [`Config::from_cli`] is the one place where values are checked against each other and against what is allowed.

#![forbid(unsafe_code)]

mod check;
mod listen;
#[cfg(feature = "capture")]
mod mysql;
mod ports;
mod sockets;

use std::path::PathBuf;

use crate::cli::{self, Cli};
pub use crate::cli::{Detail, LogArgs, SourceChoice};
pub use check::Check;
pub use listen::ListenAddress;
#[cfg(feature = "capture")]
pub use mysql::{Counting, Decode, Mysql, Replay, ReportFormat};
pub use ports::PortSet;
pub use sockets::{Netns, Ports, Sockets};

/// A value that was understood but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag}={value}: {allowed}; see --help")]
pub struct Invalid {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// What it was given.
    pub value: String,
    /// What is allowed, and how to mend it.
    pub allowed: String,
}

impl Invalid {
    fn new(flag: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self { flag, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Everything the program needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What to log, and how.
    pub log: LogArgs,
    /// What to do.
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Action {
    /// Serve until told to stop.
    Serve(Serve),
    /// Print what capture files hold.
    #[cfg(feature = "capture")]
    Replay(Replay),
    /// Print what this host allows.
    Check(Box<Check>),
}

/// The daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Serve {
    /// The HTTP server.
    pub web: Web,
    /// Whether to give up files and system calls that are not needed.
    pub sandbox: bool,
    /// The socket collector, unless switched off.
    pub sockets: Option<Sockets>,
    /// The MySQL collector, unless switched off.
    #[cfg(feature = "capture")]
    pub mysql: Option<Mysql>,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Never empty.
    pub listen: Vec<ListenAddress>,
    /// Path of the metrics: starts with `/`.
    pub telemetry_path: String,
    /// Most scrapes answered at a time.
    pub max_requests: usize,
    /// TLS and passwords, if any.
    pub config_file: Option<PathBuf>,
    /// Serve on the sockets that systemd passes on, not on `listen`.
    pub systemd_socket: bool,
    /// Have `_created` samples on OpenMetrics pages.
    pub created_samples: bool,
}

impl Config {
    /// Checks the flags.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn from_cli(cli: Cli) -> Result<Self, Invalid> {
        let (log, action) = match cli.command {
            #[cfg(feature = "capture")]
            Some(cli::Command::Replay(args)) => (args.log, Action::Replay(Replay::from_cli(args)?)),
            Some(cli::Command::Check(args)) => {
                (Check::log(&args), Action::Check(Box::new(Check::from_cli(*args)?)))
            }
            None => (cli.serve.log, Action::Serve(Serve::from_cli(cli.serve)?)),
        };
        Ok(Self { log, action })
    }
}

impl Serve {
    fn from_cli(args: cli::ServeArgs) -> Result<Self, Invalid> {
        #[cfg(feature = "capture")]
        // Ports that make no sense are the MySQL collector's to complain of.
        let mysql_ports = PortSet::new(&args.decode.ports).unwrap_or_default();
        #[cfg(not(feature = "capture"))]
        let mysql_ports = PortSet::default();
        let sockets = || Sockets::from_cli(args.sockets, mysql_ports);
        let serve = Self {
            web: Web::from_cli(args.web)?,
            sandbox: args.process.sandbox(),
            sockets: args.collectors.sockets().then(sockets).transpose()?,
            #[cfg(feature = "capture")]
            mysql: args.collectors.mysql().then(|| Mysql::from_cli(args.capture, args.decode)).transpose()?,
        };
        if serve.has_collector() {
            return Ok(serve);
        }
        Err(Invalid::new("--collector.sockets", false, "nothing is left to export; leave a collector on"))
    }

    fn has_collector(&self) -> bool {
        #[cfg(feature = "capture")]
        if self.mysql.is_some() {
            return true;
        }
        self.sockets.is_some()
    }
}

impl Web {
    /// Most that `--web.max-requests` may be.
    pub const MAX_REQUESTS: u32 = 1024;

    fn from_cli(args: cli::WebArgs) -> Result<Self, Invalid> {
        let listen =
            args.listen_address.iter().map(|text| ListenAddress::parse(text)).collect::<Result<_, _>>()?;
        if !is_plain_path(&args.telemetry_path) {
            let allowed =
                "must start with / and hold only letters, digits and -._~/, like /metrics; /-/… is taken";
            return Err(Invalid::new("--web.telemetry-path", args.telemetry_path, allowed));
        }
        if !(1..=Self::MAX_REQUESTS).contains(&args.max_requests) {
            let allowed = format!("must be 1 to {}", Self::MAX_REQUESTS);
            return Err(Invalid::new("--web.max-requests", args.max_requests, allowed));
        }
        Ok(Self {
            listen,
            telemetry_path: args.telemetry_path,
            max_requests: args.max_requests as usize,
            config_file: args.config_file,
            systemd_socket: args.systemd_socket,
            created_samples: args.created_samples,
        })
    }
}

/// Whether `path` can be asked for as it is written (RFC 3986's unreserved characters only), and does not shadow
/// the program's own `/-/` paths.
fn is_plain_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.starts_with('/') && path.bytes().all(plain) && !path.starts_with("/-/")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn configured(line: &str) -> Result<Serve, Invalid> {
        let words = std::iter::once("dbwire_exporter").chain(line.split_whitespace());
        let cli = cli::parse(words.map(Into::into), "").unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        Config::from_cli(cli).map(|config| match config.action {
            Action::Serve(serve) => serve,
            _ => panic!("{line} does not serve"),
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        let serve = configured("").unwrap();
        let web = Web {
            listen: vec![ListenAddress::Everywhere(9098)],
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            config_file: None,
            systemd_socket: false,
            created_samples: false,
        };
        assert_eq!(serve.web, web);
        assert!(serve.sandbox);
        assert_eq!(serve.sockets, Some(Sockets::default()));
    }

    #[test]
    fn a_value_out_of_range_is_told_with_its_flag_and_the_range() {
        let cases = [
            ("--web.max-requests 1025", "--web.max-requests=1025: must be 1 to 1024; see --help"),
            ("--sockets.cache-ttl 301s", "--sockets.cache-ttl=5m 1s: must be 0s to 5m; see --help"),
            (
                "--sockets.cpu-budget -0.5",
                "--sockets.cpu-budget=-0.5: must be 0.001 to 1, a share of one CPU; for 2 % write 0.02; see --help",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(configured(line).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_ends_of_the_ranges_are_allowed() {
        for line in [
            "--web.max-requests 1",
            "--web.max-requests 1024",
            "--sockets.cache-ttl 0s",
            "--sockets.cache-ttl 5m",
            "--sockets.cpu-budget 0.001",
            "--sockets.cpu-budget 1",
            "--web.telemetry-path /",
            "--web.telemetry-path /a/b-c_d.e~f",
        ] {
            configured(line).unwrap();
        }
    }

    #[test]
    fn a_telemetry_path_is_plain_and_shadows_none_of_the_programs_own() {
        for path in ["metrics", "/a b", "/a?b", "/a#b", "/a%20b", "/é", "/-/healthy", "/-/x"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }
}
