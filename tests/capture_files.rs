//! Reading capture files: what is accepted, and what is said of the rest.

#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

use std::{fs, path::PathBuf};

use dbwire_exporter::{
    io::replay::for_each_frame,
    packet::{Timestamp, link::LinkType},
};
use tempfile::TempDir;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// A pcap file's header (draft-ietf-opsawg-pcap section 4).
fn file_header(magic: u32, link: u32) -> Vec<u8> {
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    bytes.extend(link.to_le_bytes());
    bytes
}

/// A record of `data` that was `wire_length` long, stamped 1,700,000,000 seconds and `fraction`.
fn record(fraction: u32, wire_length: u32, data: &[u8]) -> Vec<u8> {
    let lengths = [1_700_000_000, fraction, data.len() as u32, wire_length];
    [&lengths.map(u32::to_le_bytes).concat()[..], data].concat()
}

/// Section header, one Ethernet interface with nanoseconds, one enhanced packet (draft-ietf-opsawg-pcapng section 4).
fn pcapng(timestamp: u64, data: &[u8; 4]) -> Vec<u8> {
    let words: Vec<u32> = vec![
        0x0a0d_0d0a,
        28,
        0x1a2b_3c4d,
        1,
        0xffff_ffff,
        0xffff_ffff,
        28, // version 1.0, length unknown
        1,
        32,
        1,
        0,
        0x0001_0009,
        9,
        0,
        32, // link type 1, if_tsresol 10^-9
        6,
        36,
        0,
        (timestamp >> 32) as u32,
        timestamp as u32,
        4,
        4,
        u32::from_le_bytes(*data),
        36,
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

type Read = (LinkType, Timestamp, u32, Vec<u8>);

fn read(path: &std::path::Path) -> (Vec<Read>, Result<u64, String>) {
    let mut frames = Vec::new();
    let result = for_each_frame(path, |link, frame| {
        frames.push((link, frame.timestamp, frame.wire_length, frame.bytes.to_vec()));
    });
    (frames, result.map_err(|error| error.to_string()))
}

#[test]
fn timestamps_are_nanoseconds_whatever_the_file_has() {
    let files = Files::new();
    let stamp = |nanos: u64| Timestamp(1_700_000_000_000_000_000 + nanos);
    let micro = [file_header(MICROSECONDS, 1), record(123_456, 90, &[1, 2, 3])].concat();
    let nano = [file_header(NANOSECONDS, 113), record(123_456_789, 3, &[1, 2, 3])].concat();
    let ng = pcapng(stamp(7).0, &[9, 8, 7, 6]);
    let table = [
        ("micro.pcap", micro, (LinkType::Ethernet, stamp(123_456_000), 90, vec![1, 2, 3])),
        ("nano.pcap", nano, (LinkType::LinuxSll, stamp(123_456_789), 3, vec![1, 2, 3])),
        ("file.pcapng", ng, (LinkType::Ethernet, stamp(7), 4, vec![9, 8, 7, 6])),
    ];
    for (name, bytes, frame) in table {
        assert_eq!(read(&files.write(name, &bytes)), (vec![frame], Ok(1)), "{name}");
    }
}

#[test]
fn a_file_that_ends_in_mid_packet_gives_what_it_has_and_an_error() {
    let files = Files::new();
    let whole = [file_header(MICROSECONDS, 1), record(1, 3, &[1, 2, 3]), record(2, 3, &[4, 5, 6])].concat();
    let path = files.write("cut.pcap", &whole[..whole.len() - 1]);
    let (frames, result) = read(&path);
    assert_eq!(frames.len(), 1);
    let error = result.unwrap_err();
    assert!(error.starts_with(&format!("{} is damaged after 1 packets: ", path.display())), "{error}");
}

#[test]
fn what_is_no_capture_is_named_with_what_it_is() {
    let files = Files::new();
    let table: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "it is empty"),
        ("gzip", &[0x1f, 0x8b, 8, 0], "it is compressed, decompress it with gunzip"),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0], "it is compressed, decompress it with unzstd"),
        ("xz", &[0xfd, b'7', b'z', b'X', b'Z'], "it is compressed, decompress it with unxz"),
        ("text", b"select 1 from dual where 1 = 1", "libpcap error: unknown file format"),
    ];
    for (name, bytes, what) in table {
        let path = files.write(name, bytes);
        let message = format!("{} is not a pcap or pcapng file: {what}", path.display());
        assert_eq!(read(&path), (vec![], Err(message)), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_the_systems_reason() {
    let files = Files::new();
    let directory = files.0.path().to_owned();
    let missing = directory.join("missing.pcap");
    let wlan = files.write("wlan.pcap", &file_header(MICROSECONDS, 105));
    let table = [
        (&missing, format!("cannot read {}: No such file or directory (os error 2)", missing.display())),
        (&directory, format!("cannot read {}: Is a directory (os error 21)", directory.display())),
        (&wlan, format!("cannot replay {}: its link type, IEEE802_11, is not supported", wlan.display())),
    ];
    for (path, message) in table {
        assert_eq!(read(path), (vec![], Err(message)));
    }
}
