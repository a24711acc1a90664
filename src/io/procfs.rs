//! The socket tables of procfs.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::sockets::{
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
}

/// Reads `tcp` and `tcp6` below a procfs root.
#[derive(Debug)]
pub struct ProcNet {
    root: PathBuf,
    buffer: Box<[u8]>,
}

impl ProcNet {
    /// A reader of the procfs mounted at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), buffer: vec![0; BUFFER_BYTES].into_boxed_slice() }
    }

    /// Hands every row of both tables to `each`; on an error they are void. Without `tcp6` (IPv6 is off) there
    /// are no IPv6 rows.
    pub fn rows(&mut self, mut each: impl FnMut(&Row)) -> Result<(), ProcError> {
        let net = self.net();
        self.table(Family::Ipv4, net.join("tcp"), &mut each)?;
        match self.table(Family::Ipv6, net.join("tcp6"), &mut each) {
            Err(ProcError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// `thread-self` follows the calling thread's network namespace, `net` that of the process's first thread.
    /// A root that is not procfs (a copy, a test) may have only the second.
    fn net(&self) -> PathBuf {
        let own = self.root.join("thread-self/net");
        if own.is_dir() { own } else { self.root.join("net") }
    }

    fn table(&mut self, family: Family, path: PathBuf, mut each: impl FnMut(&Row)) -> Result<(), ProcError> {
        let mut file = match File::open(&path) {
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
