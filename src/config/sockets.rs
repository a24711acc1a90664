//! The socket collector: what to count, how, and how often.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Invalid, PortSet};
use crate::cli::{self, Detail, SourceChoice};

/// The socket collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Sockets {
    /// Where procfs is mounted.
    pub procfs: PathBuf,
    /// Where the counts come from.
    pub source: SourceChoice,
    /// Shortest time between the starts of two reads.
    pub cache_ttl: Duration,
    /// Share of one CPU that reading may take.
    pub cpu_budget: f64,
    /// What to count.
    pub detail: Detail,
    /// Ports with series of their own.
    pub ports: Ports,
    /// Quantiles of round-trip times and retransmissions.
    pub tcp_info: bool,
    /// Other network namespaces to report.
    pub netns: Vec<Netns>,
}

/// Ports with series of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// These.
    Chosen(PortSet),
    /// Every port with a listener.
    Listening,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    /// Value of the `netns` label: what the flag was given.
    pub name: String,
    /// Where it is mounted.
    pub path: PathBuf,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            procfs: PathBuf::from("/proc"),
            source: SourceChoice::Auto,
            cache_ttl: Duration::from_secs(1),
            cpu_budget: 0.02,
            detail: Detail::Totals,
            ports: Ports::Chosen(PortSet::default()),
            tcp_info: false,
            netns: Vec::new(),
        }
    }
}

impl Sockets {
    /// Most that `--sockets.cache-ttl` may be: older counts would be taken for current ones.
    pub const MAX_CACHE_TTL: Duration = Duration::from_secs(300);

    /// `mysql_ports` are watched where no port is chosen.
    pub(super) fn from_cli(args: cli::SocketsArgs, mysql_ports: PortSet) -> Result<Self, Invalid> {
        if args.cache_ttl > Self::MAX_CACHE_TTL {
            let value = humantime::format_duration(args.cache_ttl);
            return Err(Invalid::new("--sockets.cache-ttl", value, "must be 0s to 5m"));
        }
        if !(0.001..=1.0).contains(&args.cpu_budget) {
            let allowed = "must be 0.001 to 1, a share of one CPU; for 2 % write 0.02";
            return Err(Invalid::new("--sockets.cpu-budget", args.cpu_budget, allowed));
        }
        if args.procfs.as_os_str().is_empty() {
            return Err(Invalid::new("--path.procfs", "", "must be a directory, like /proc"));
        }
        if args.tcp_info && args.detail != Detail::Full {
            return Err(Invalid::new("--sockets.tcp-info", true, "needs --sockets.detail=full"));
        }
        let ports = Ports::parse(&args.ports, mysql_ports)?;
        let netns = args.netns.iter().map(|text| Netns::parse(text)).collect::<Result<_, _>>()?;
        let cli::SocketsArgs { procfs, source, cache_ttl, cpu_budget, detail, tcp_info, .. } = args;
        Ok(Self { procfs, source, cache_ttl, cpu_budget, detail, ports, tcp_info, netns })
    }
}

impl Ports {
    fn parse(texts: &[String], mysql_ports: PortSet) -> Result<Self, Invalid> {
        match texts {
            [] => return Ok(Self::Chosen(mysql_ports)),
            [word] if word == "listening" => return Ok(Self::Listening),
            _ => {}
        }
        // `u16::from_str` takes a sign.
        let digits = |text: &&String| text.bytes().all(|b| b.is_ascii_digit());
        let port = |text: &String| Some(text).filter(digits)?.parse().ok();
        let chosen: Option<Vec<u16>> = texts.iter().map(port).collect();
        chosen.and_then(|ports| PortSet::new(&ports)).map(Self::Chosen).ok_or_else(|| {
            let allowed = format!("must be 1 to {} ports of 1 to 65535, or only listening", PortSet::MAX);
            Invalid::new("--sockets.ports", texts.join(","), allowed)
        })
    }
}

impl Netns {
    /// A name is looked up where `ip netns` has it.
    fn parse(text: &str) -> Result<Self, Invalid> {
        let path = match text {
            "" | "." | ".." => {
                let allowed = "must be a name of `ip netns`, or a path like /proc/4711/ns/net";
                return Err(Invalid::new("--sockets.netns", text, allowed));
            }
            path if path.contains('/') => PathBuf::from(path),
            name => Path::new("/run/netns").join(name),
        };
        Ok(Self { name: text.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::configured, *};

    fn sockets(line: &str) -> Result<Sockets, String> {
        configured(line).map(|serve| serve.sockets.unwrap()).map_err(|invalid| invalid.to_string())
    }

    fn chosen(ports: &[u16]) -> Ports {
        Ports::Chosen(PortSet::new(ports).unwrap())
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        assert_eq!(sockets(""), Ok(Sockets::default()));
    }

    #[test]
    fn ports_are_chosen_by_number_or_by_who_listens() {
        for (line, ports) in [
            ("--sockets.ports listening", Ports::Listening),
            ("--sockets.ports 3307 --sockets.ports 3306", chosen(&[3306, 3307])),
            ("--sockets.ports 3307,80", chosen(&[80, 3307])),
        ] {
            assert_eq!(sockets(line).unwrap().ports, ports, "{line}");
        }
    }

    #[cfg(feature = "capture")]
    #[test]
    fn the_mysql_ports_are_watched_unless_others_are_chosen() {
        assert_eq!(sockets("--mysql.port 3310").unwrap().ports, chosen(&[3310]));
        assert_eq!(sockets("--mysql.port 3310 --sockets.ports 1").unwrap().ports, chosen(&[1]));
    }

    #[test]
    fn namespaces_are_names_or_paths() {
        let netns = sockets("--sockets.netns blue,/proc/1/ns/net").unwrap().netns;
        let paths: Vec<_> = netns.iter().map(|netns| (netns.name.as_str(), netns.path.as_path())).collect();
        let expected =
            [("blue", Path::new("/run/netns/blue")), ("/proc/1/ns/net", Path::new("/proc/1/ns/net"))];
        assert_eq!(paths, expected);
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_what_is_allowed() {
        let ports = "must be 1 to 16 ports of 1 to 65535, or only listening; see --help";
        for (line, message) in [
            ("--sockets.ports 0", format!("--sockets.ports=0: {ports}")),
            ("--sockets.ports +80", format!("--sockets.ports=+80: {ports}")),
            ("--sockets.ports 80,listening", format!("--sockets.ports=80,listening: {ports}")),
            ("--sockets.ports mysql", format!("--sockets.ports=mysql: {ports}")),
            (
                "--sockets.tcp-info",
                "--sockets.tcp-info=true: needs --sockets.detail=full; see --help".to_owned(),
            ),
            (
                "--sockets.netns ..",
                "--sockets.netns=..: must be a name of `ip netns`, or a path like /proc/4711/ns/net; see --help"
                    .to_owned(),
            ),
        ] {
            assert_eq!(sockets(line), Err(message), "{line}");
        }
    }
}
