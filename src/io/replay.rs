//! Capture files, pcap and pcapng, through the very pipeline live packets take.

pub mod threads;

use std::{
    ffi::{c_int, c_void},
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use pcap::{Capture, Offline, Precision};
use thiserror::Error;

use super::capture::live::frame;
use crate::{
    packet::{Frame, link::LinkType},
    pipeline::Pipeline,
};

/// Read of a file at once. The C library reads 4 KiB, a dozen packets, and the system call costs more than they do.
const READ_BYTES: usize = 128 * 1024;

/// Why a file could not be read to its end.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It is missing, forbidden, or not a file.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It does not begin as a capture does.
    #[error("{} is not a pcap or pcapng file: {what}", path.display())]
    NotCapture {
        /// As given.
        path: PathBuf,
        /// What it is instead, or libpcap's words.
        what: String,
    },
    /// Its frames have a link header this program does not read.
    #[error("cannot replay {}: its link type, {link}, is not supported", path.display())]
    LinkType {
        /// As given.
        path: PathBuf,
        /// libpcap's name or number for it.
        link: String,
    },
    /// There are no threads left.
    #[error("cannot start a thread: {0}; see ulimit -u")]
    Thread(std::io::Error),
    /// It ends, or goes wrong, in mid-packet. The packets before that were decoded.
    #[error("{} is damaged after {frames} packets: {reason}", path.display())]
    Damaged {
        /// As given.
        path: PathBuf,
        /// Good ones.
        frames: u64,
        /// libpcap's words.
        reason: String,
    },
}

/// Decodes the files one after the other, as one capture: a connection may go on from one into the next.
///
/// Nothing is filtered here: the pipeline looks at ports and sample class itself. Call [`Pipeline::finish`] after
/// the last file.
///
/// # Errors
/// See [`ReplayError`]; what was decoded before stays counted.
pub fn replay<P: AsRef<Path>>(files: &[P], pipeline: &mut Pipeline) -> Result<(), ReplayError> {
    files.iter().try_for_each(|path| {
        for_each_frame(path.as_ref(), |link, frame| pipeline.frame(link, frame)).map(|_| ())
    })
}

/// Hands every frame of one file to `sink`, and tells how many there were.
///
/// # Errors
/// See [`ReplayError`].
pub fn for_each_frame(path: &Path, mut sink: impl FnMut(LinkType, &Frame<'_>)) -> Result<u64, ReplayError> {
    let mut file = Buffered::open(path).map_err(|error| why_not_opened(path, &error))?;
    let capture = &mut file.capture;
    let dlt = capture.get_datalink();
    let link = LinkType::from_dlt(dlt.0).ok_or_else(|| ReplayError::LinkType {
        path: path.to_owned(),
        link: dlt.get_name().unwrap_or_else(|_| dlt.0.to_string()),
    })?;
    let mut frames = 0;
    capture
        .for_each(None, |packet| {
            frames += 1;
            sink(link, &frame(&packet));
        })
        .map_err(|error| ReplayError::Damaged { path: path.to_owned(), frames, reason: error.to_string() })?;
    Ok(frames)
}

/// A capture file that is read in large pieces.
struct Buffered {
    capture: Capture<Offline>,
    /// Where the C library reads to. Dropped after `capture`, which closes the file.
    _buffer: Vec<u8>,
}

// SAFETY: both are declared as their headers (pcap/pcap.h, stdio_ext.h) do.
unsafe extern "C" {
    /// <https://www.tcpdump.org/manpages/pcap_file.3pcap.html>
    fn pcap_file(handle: *mut c_void) -> *mut libc::FILE;
    /// stdio_ext(3): glibc and musl have it.
    fn __fsetlocking(stream: *mut libc::FILE, how: c_int) -> c_int;
}

/// `FSETLOCKING_BYCALLER` of stdio_ext.h.
const LOCKED_BY_CALLER: c_int = 2;

impl Buffered {
    fn open(path: &Path) -> Result<Self, pcap::Error> {
        let capture = Capture::from_file_with_precision(path, Precision::Nano)?;
        let mut buffer = Vec::new();
        // SAFETY: the handle is open and one of a file, so that it has a stream.
        let stream = unsafe { pcap_file(capture.as_ptr().cast()) };
        // SAFETY: the stream is open, and used by one thread at a time, since reading a capture takes a `&mut`: no lock
        // is needed, of which each packet would take two.
        unsafe { __fsetlocking(stream, LOCKED_BY_CALLER) };
        // What opening it has read of a pipe would be lost with the old buffer; a file is read there again.
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            buffer.resize(READ_BYTES, 0);
            // SAFETY: the stream is open and nothing else uses it; setvbuf(3) may be used on any open stream. The buffer
            // is as long as told, does not move while the stream is open, and outlives it.
            unsafe { libc::setvbuf(stream, buffer.as_mut_ptr().cast(), libc::_IOFBF, buffer.len()) };
        }
        Ok(Self { capture, _buffer: buffer })
    }
}

/// Says in words what libpcap refused: the system's error if the file cannot be read, else what it looks like.
fn why_not_opened(path: &Path, error: &pcap::Error) -> ReplayError {
    let unreadable = |reason: String| ReplayError::Unreadable { path: path.to_owned(), reason };
    if path.to_str().is_none() {
        return unreadable("libpcap takes names in UTF-8 only".to_owned());
    }
    let mut start = [0; 4];
    let length = match File::open(path).and_then(|mut file| file.read(&mut start)) {
        Ok(length) => length,
        Err(error) => return unreadable(error.to_string()),
    };
    let what = match start.get(..length) {
        Some([]) => "it is empty".to_owned(),
        Some([0x1f, 0x8b, ..]) => "it is compressed, decompress it with gunzip".to_owned(),
        Some([0x28, 0xb5, 0x2f, 0xfd]) => "it is compressed, decompress it with unzstd".to_owned(),
        Some([0xfd, b'7', b'z', b'X']) => "it is compressed, decompress it with unxz".to_owned(),
        _ => error.to_string(),
    };
    ReplayError::NotCapture { path: path.to_owned(), what }
}
