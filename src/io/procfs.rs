//! The socket tables and TCP counters of procfs.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::sockets::{
    counters::{CounterError, Events, Gauges, parse_port_range, parse_time_wait_limit},
    proc_net::{LineError, Table},
    row::{Family, Row},
};

/// Bytes asked for at a time. The kernel fills a page or so a read, whatever is asked for.
const BUFFER_BYTES: usize = 32 * 1024;

/// Why a table gave no rows.
#[derive(Debug, Error)]
pub enum ProcError {
    /// It could not be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// Of the table.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Of the table.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not in the kernel's format.
    #[error("cannot read {}: {source}", path.display())]
    Line {
        /// Of the table.
        path: PathBuf,
        /// Where and what.
        source: LineError,
    },
    /// A counter is not there.
    #[error("cannot read {}: {source}", path.display())]
    Counter {
        /// Of the directory it was looked for in.
        path: PathBuf,
        /// Which.
        source: CounterError,
    },
}

/// Reads TCP's files below a procfs root.
#[derive(Debug)]
pub struct ProcNet {
    root: PathBuf,
    buffer: Box<[u8]>,
    /// Given up to open a table when no other descriptor is left: that is when netlink may have none either.
    spare: Option<File>,
}

impl ProcNet {
    /// A reader of the procfs mounted at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), spare: spare() }
    }

    /// Sockets in the two states that need no listing.
    pub fn gauges(&mut self) -> Result<Gauges, ProcError> {
        let net = self.net();
        let snmp = self.text(net.join("snmp"))?.to_owned();
        let sockstat = self.text(net.join("sockstat"))?;
        let gauges = Gauges::parse(&snmp, sockstat, page_bytes());
        gauges.map_err(|source| ProcError::Counter { path: net, source })
    }

    /// Counters of what went wrong.
    pub fn events(&mut self) -> Result<Events, ProcError> {
        let path = self.net().join("netstat");
        let events = Events::parse(self.text(path.clone())?);
        events.map_err(|source| ProcError::Counter { path, source })
    }

    /// First and last of the ports that `connect()` hands out; `None` if that cannot be read.
    pub fn port_range(&mut self) -> Option<(u16, u16)> {
        parse_port_range(self.text(self.root.join("sys/net/ipv4/ip_local_port_range")).ok()?)
    }

    /// How many sockets may be in TIME_WAIT; `None` if that cannot be read.
    pub fn time_wait_limit(&mut self) -> Option<u64> {
        parse_time_wait_limit(self.text(self.root.join("sys/net/ipv4/tcp_max_tw_buckets")).ok()?)
    }

    /// A small file, in the buffer.
    fn text(&mut self, path: PathBuf) -> Result<&str, ProcError> {
        let read = File::open(&path).and_then(|mut file| {
            let mut filled = 0;
            while let Some(room) = self.buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
                match file.read(room)? {
                    0 => break,
                    length => filled += length,
                }
            }
            let text = self.buffer.get(..filled).unwrap_or_default();
            str::from_utf8(text).map_err(io::Error::other)
        });
        read.map_err(|source| ProcError::Read { path, source })
    }

    /// Hands every row of both tables to `each`; on an error they are void. Without `tcp6` (IPv6 is off) there
    /// are no IPv6 rows.
    pub fn rows(&mut self, mut each: impl FnMut(&Row)) -> Result<(), ProcError> {
        let net = self.net();
        let outcome = self.table(Family::Ipv4, net.join("tcp"), &mut each).and_then(|()| {
            match self.table(Family::Ipv6, net.join("tcp6"), &mut each) {
                Err(ProcError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
                outcome => outcome,
            }
        });
        self.spare = self.spare.take().or_else(spare);
        outcome
    }

    fn open(&mut self, path: &Path) -> io::Result<File> {
        File::open(path).or_else(|error| match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) if self.spare.take().is_some() => File::open(path),
            _ => Err(error),
        })
    }

    /// `thread-self` follows the calling thread's network namespace, `net` that of the process's first thread.
    /// A root that is not procfs (a copy, a test) may have only the second.
    fn net(&self) -> PathBuf {
        let own = self.root.join("thread-self/net");
        if own.is_dir() { own } else { self.root.join("net") }
    }

    fn table(&mut self, family: Family, path: PathBuf, mut each: impl FnMut(&Row)) -> Result<(), ProcError> {
        let mut file = match self.open(&path) {
            Ok(file) => file,
            Err(source) => return Err(ProcError::Open { path, source }),
        };
        let mut table = Table::new(family);
        loop {
            let length = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ProcError::Read { path, source }),
            };
            let fed = table.feed(&self.buffer[..length], &mut each);
            fed.map_err(|source| ProcError::Line { path: path.clone(), source })?;
        }
        table.finish().map_err(|source| ProcError::Line { path, source })
    }
}

/// A descriptor to give up later.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf takes a name and touches no memory of the caller's.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It is defined on every Linux.
    u64::try_from(bytes).unwrap_or(4096)
}
