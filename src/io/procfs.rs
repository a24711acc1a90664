//! The socket tables and TCP counters of procfs.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
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

/// Reads TCP's files below a procfs root, of the network namespace of the thread that does.
#[derive(Debug)]
pub struct ProcNet {
    root: PathBuf,
    buffer: Box<[u8]>,
    snmp: Small,
    sockstat: Small,
    netstat: Small,
    port_range: Small,
    time_wait_limit: Small,
    /// Given up to open a table when no other descriptor is left: that is when netlink may have none either.
    spare: Option<File>,
}

impl ProcNet {
    /// A reader of the procfs mounted at `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            snmp: Small::default(),
            sockstat: Small::default(),
            netstat: Small::default(),
            port_range: Small::default(),
            time_wait_limit: Small::default(),
            spare: spare(),
        }
    }

    /// Sockets in the two states that need no listing.
    pub fn gauges(&mut self) -> Result<Gauges, ProcError> {
        let (first, second) = self.buffer.split_at_mut(BUFFER_BYTES / 2);
        let snmp = self.snmp.read(&self.root, "net/snmp", first)?;
        let sockstat = self.sockstat.read(&self.root, "net/sockstat", second)?;
        let gauges = Gauges::parse(snmp, sockstat, page_bytes());
        gauges.map_err(|source| ProcError::Counter { path: below(&self.root, "net").0, source })
    }

    /// Counters of what went wrong.
    pub fn events(&mut self) -> Result<Events, ProcError> {
        let events = Events::parse(self.netstat.read(&self.root, "net/netstat", &mut self.buffer)?);
        events.map_err(|source| ProcError::Counter { path: below(&self.root, "net/netstat").0, source })
    }

    /// First and last of the ports that `connect()` hands out; `None` if that cannot be read.
    pub fn port_range(&mut self) -> Option<(u16, u16)> {
        let name = "sys/net/ipv4/ip_local_port_range";
        parse_port_range(self.port_range.read(&self.root, name, &mut self.buffer).ok()?)
    }

    /// How many sockets may be in TIME_WAIT; `None` if that cannot be read.
    pub fn time_wait_limit(&mut self) -> Option<u64> {
        let name = "sys/net/ipv4/tcp_max_tw_buckets";
        parse_time_wait_limit(self.time_wait_limit.read(&self.root, name, &mut self.buffer).ok()?)
    }

    /// Hands every row of both tables to `each`; on an error they are void. Without `tcp6` (IPv6 is off) there
    /// are no IPv6 rows.
    pub fn rows(&mut self, mut each: impl FnMut(&Row)) -> Result<(), ProcError> {
        let (tcp, tcp6) = (below(&self.root, "net/tcp").0, below(&self.root, "net/tcp6").0);
        let outcome = self.table(Family::Ipv4, tcp, &mut each).and_then(|()| {
            match self.table(Family::Ipv6, tcp6, &mut each) {
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

/// A small file. In a procfs it is kept open: the kernel writes it anew whenever it is read from its start.
#[derive(Debug, Default)]
struct Small(Option<File>);

impl Small {
    /// The text of the file `name` below `root`, as far as the buffer holds it.
    fn read<'a>(&mut self, root: &Path, name: &str, buffer: &'a mut [u8]) -> Result<&'a str, ProcError> {
        let kept = self.0.as_ref().and_then(|file| fill(file, buffer).ok());
        let length = kept.map_or_else(|| self.open(root, name, buffer), Ok)?;
        let text = str::from_utf8(buffer.get(..length).unwrap_or_default());
        text.map_err(|error| ProcError::Read { path: below(root, name).0, source: io::Error::other(error) })
    }

    fn open(&mut self, root: &Path, name: &str, buffer: &mut [u8]) -> Result<usize, ProcError> {
        let (path, in_procfs) = below(root, name);
        let filled = File::open(&path).and_then(|file| {
            let length = fill(&file, buffer)?;
            self.0 = in_procfs.then_some(file);
            Ok(length)
        });
        filled.map_err(|source| ProcError::Read { path, source })
    }
}

/// Reads `file` from its start and returns its length, or the buffer's.
fn fill(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, filled as u64)? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}

/// Where `name` is below `root`, and whether that is a procfs. There `thread-self` follows the calling thread's network
/// namespace, and `net` that of the process's first thread; a root that is not procfs (a copy, a test) may have
/// only the second.
fn below(root: &Path, name: &str) -> (PathBuf, bool) {
    let own = root.join("thread-self");
    let in_procfs = own.is_dir();
    let path = if in_procfs && name.starts_with("net") { own.join(name) } else { root.join(name) };
    (path, in_procfs)
}

/// A descriptor to give up later.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Of a page of memory.
pub(super) fn page_bytes() -> u64 {
    // SAFETY: sysconf takes a name and touches no memory of the caller's.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It is defined on every Linux.
    u64::try_from(bytes).unwrap_or(4096)
}
