//! Validated configuration: what the rest of the program is given.

use std::{path::PathBuf, time::Duration};

/// A non-empty set of TCP ports, at most [`PortSet::MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet(Vec<u16>);

impl PortSet {
    /// Most ports a set holds: each is a comparison in the capture filter.
    pub const MAX: usize = 16;

    /// Sorts and de-duplicates `ports`; `None` if there is none, a port is 0, or there are too many.
    pub fn new(ports: &[u16]) -> Option<Self> {
        let mut ports = ports.to_vec();
        ports.sort_unstable();
        ports.dedup();
        let valid = !ports.is_empty() && ports.len() <= Self::MAX && !ports.contains(&0);
        valid.then_some(Self(ports))
    }

    /// Whether `port` is in the set.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }

    /// The ports, ascending.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

/// Where socket counts may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceChoice {
    /// Netlink, and procfs while netlink fails.
    #[default]
    Auto,
    /// Netlink only.
    Netlink,
    /// Procfs only.
    Procfs,
}

/// The socket collector's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Sockets {
    /// Where counts may come from.
    pub source: SourceChoice,
    /// No two reads start closer together than this.
    pub cache_ttl: Duration,
    /// Where procfs is mounted.
    pub procfs: PathBuf,
    /// Share of one CPU reads may take, above 0.
    pub cpu_budget: f64,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            source: SourceChoice::Auto,
            cache_ttl: Duration::from_secs(1),
            procfs: PathBuf::from("/proc"),
            cpu_budget: 0.02,
        }
    }
}
