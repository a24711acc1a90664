//! A live libpcap capture: opening it right, and taking frames from its ring.

use std::{
    env,
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    path::PathBuf,
};

use pcap::{Active, Capture, Device, Linktype, Packet, Precision};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::packet::{
    Frame, Timestamp,
    filter::{self, Selection},
    link::LinkType,
};

/// The pseudo-interface that captures on all others.
pub const ANY: &str = "any";

/// Whole super-frames: with segmentation offload they have up to 65,549 bytes, and more with BIG TCP.
const SNAPLEN: i32 = 262_144;

/// How long the kernel fills a block of the ring before it shows it to the reader. Never immediate mode: waking
/// the reader for each packet costs the database's own thread 2 µs a packet.
pub const RING_TIMEOUT_MS: i32 = 100;

/// `DLT_LINUX_SLL2`, which the `pcap` crate has no name for.
const LINUX_SLL2: Linktype = Linktype(276);

/// What to capture, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An interface's name, or [`ANY`].
    pub interface: String,
    /// What the kernel lets through.
    pub selection: Selection,
    /// Bytes of the kernel's ring.
    pub buffer_bytes: u32,
}

/// Why a capture could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The process lacks `CAP_NET_RAW`, the one capability that creating the socket takes.
    #[error(
        "no permission to capture on {interface}: CAP_NET_RAW is missing; run `setcap cap_net_raw+ep {}`, \
         or set AmbientCapabilities=CAP_NET_RAW in the systemd unit, and restart", binary.display()
    )]
    Permission {
        /// As asked for.
        interface: String,
        /// This program's own file.
        binary: PathBuf,
    },
    /// There is no such interface in this network namespace.
    #[error("no interface {interface}; there are: {}", present.join(", "))]
    NoSuchInterface {
        /// As asked for.
        interface: String,
        /// What could be asked for.
        present: Vec<String>,
    },
    /// Its frames have a link header this program does not read.
    #[error(
        "cannot capture on {interface}: its link type, {link}, is not supported; use another interface, or any"
    )]
    LinkType {
        /// As asked for.
        interface: String,
        /// libpcap's name or number for it.
        link: String,
    },
    /// libpcap refused.
    #[error("cannot capture on {interface}: {step}: {reason}")]
    Pcap {
        /// As asked for.
        interface: String,
        /// What was being done.
        step: &'static str,
        /// libpcap's words.
        reason: String,
    },
}

/// Packets lost since a handle was opened. Both wrap at 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    /// The ring was full.
    pub kernel: u32,
    /// The interface could not hand them over.
    pub interface: u32,
}

impl Drops {
    /// What was lost between `earlier` and `self`, if that was less than 2^32 packets.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            kernel: self.kernel.wrapping_sub(earlier.kernel),
            interface: self.interface.wrapping_sub(earlier.interface),
        }
    }
}

/// An open capture. Its descriptor is readable when the ring has packets.
pub struct Live {
    handle: Capture<Active>,
    link: LinkType,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Live {
    /// Opens a capture that never blocks, with timestamps in nanoseconds. Only this needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let interface = settings.interface.as_str();
        let loopback = find_interface(interface)?;
        check_permission(interface)?;

        let failed = |step| {
            move |error: pcap::Error| OpenError::Pcap {
                interface: interface.to_owned(),
                step,
                reason: error.to_string(),
            }
        };
        let mut handle = Capture::from_device(interface)
            .map_err(failed("create"))?
            .snaplen(SNAPLEN)
            .buffer_size(i32::try_from(settings.buffer_bytes).unwrap_or(i32::MAX))
            .timeout(RING_TIMEOUT_MS)
            .precision(Precision::Nano)
            .open()
            .map_err(failed("activate"))?;

        let mut filter = settings.selection.to_pcap_filter();
        match loopback {
            Loopback::Among { index } if handle.set_datalink(LINUX_SLL2).is_ok() => {
                filter = filter::without_outgoing(&filter, index);
            }
            Loopback::Itself => ignore_outgoing(&handle),
            Loopback::Among { .. } | Loopback::Not => {}
        }
        handle.filter(&filter, true).map_err(failed("set the filter"))?;
        let handle = handle.setnonblock().map_err(failed("set non-blocking"))?;

        let dlt = handle.get_datalink();
        let link = LinkType::from_dlt(dlt.0).ok_or_else(|| OpenError::LinkType {
            interface: interface.to_owned(),
            link: dlt.get_name().unwrap_or_else(|_| dlt.0.to_string()),
        })?;
        Ok(Self { handle, link })
    }

    /// Of every frame.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Hands at most `most` frames that the ring has ready to `sink`, and tells how many left the ring. Fewer
    /// than `most`: it is empty now.
    ///
    /// # Errors
    /// If the interface went away; the handle is of no more use.
    pub fn dispatch(&mut self, most: usize, mut sink: impl FnMut(&Frame<'_>)) -> Result<usize, pcap::Error> {
        self.handle.dispatch(Some(most), |packet| sink(&frame(&packet)))
    }

    /// What was lost since the handle was opened.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn drops(&mut self) -> Result<Drops, pcap::Error> {
        let stat = self.handle.stats()?;
        Ok(Drops { kernel: stat.dropped, interface: stat.if_dropped })
    }
}

impl AsFd for Live {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// A packet as libpcap hands it over, of a handle opened with [`Precision::Nano`]: `tv_usec` holds nanoseconds.
#[inline]
pub(super) fn frame<'a>(packet: &Packet<'a>) -> Frame<'a> {
    let seconds = u64::try_from(packet.header.ts.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(packet.header.ts.tv_usec).unwrap_or_default();
    Frame {
        timestamp: Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)),
        wire_length: packet.header.len,
        bytes: packet.data,
    }
}

/// Where the loopback interface is in a capture. Its packets come to the ring twice: as sent, as received. libpcap
/// drops the sender's copy as it reads (`linux_check_direction_ll`), but only after the kernel has copied it.
enum Loopback {
    /// It is what is captured.
    Itself,
    /// It is one of those captured.
    Among {
        index: u32,
    },
    Not,
}

/// Checks that `interface` exists, which libpcap's own errors do not tell from others.
fn find_interface(interface: &str) -> Result<Loopback, OpenError> {
    let devices = Device::list().unwrap_or_default();
    let loopback = devices.iter().find(|device| device.flags.is_loopback());
    if interface == ANY {
        let index = loopback.and_then(|device| interface_index(&device.name));
        return Ok(index.map_or(Loopback::Not, |index| Loopback::Among { index }));
    }
    if interface_index(interface).is_none() {
        let names = devices.into_iter().map(|device| device.name);
        // libpcap also lists things that are not interfaces: bluetooth-monitor, nflog, usbmon…
        let present = names.filter(|name| name == ANY || interface_index(name).is_some()).collect();
        return Err(OpenError::NoSuchInterface { interface: interface.to_owned(), present });
    }
    Ok(if loopback.is_some_and(|device| device.name == interface) { Loopback::Itself } else { Loopback::Not })
}

fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: `name` is a C string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Asks the kernel outright: libpcap's error would have to be told from others by its wording.
fn check_permission(interface: &str) -> Result<(), OpenError> {
    match Socket::new(Domain::from(libc::AF_PACKET), Type::RAW, None) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(OpenError::Permission {
            interface: interface.to_owned(),
            binary: env::current_exe().unwrap_or_else(|_| PathBuf::from("dbwire_exporter")),
        }),
        // Any other failure libpcap will meet, too, and report.
        _ => Ok(()),
    }
}

/// Keeps the sender's copy of each packet out of the ring. On the loopback interface only: elsewhere what this
/// host sends is captured once, and is half of each conversation. Kernels before 4.20 refuse, and copy in vain.
fn ignore_outgoing(handle: &Capture<Active>) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open while `handle` lives; the option's value is a c_int that outlives the call.
    let _ = unsafe {
        libc::setsockopt(
            handle.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counters_go_on_rising_when_the_kernels_wrap() {
        let earlier = Drops { kernel: u32::MAX - 1, interface: 7 };
        let now = Drops { kernel: 3, interface: 9 };
        assert_eq!(now.since(earlier), Drops { kernel: 5, interface: 2 });
    }

    #[test]
    fn a_missing_permission_says_exactly_what_to_do() {
        let error = OpenError::Permission {
            interface: "any".to_owned(),
            binary: PathBuf::from("/usr/bin/dbwire_exporter"),
        };
        assert_eq!(
            error.to_string(),
            "no permission to capture on any: CAP_NET_RAW is missing; \
             run `setcap cap_net_raw+ep /usr/bin/dbwire_exporter`, \
             or set AmbientCapabilities=CAP_NET_RAW in the systemd unit, and restart"
        );
    }
}
