//! A live libpcap capture: opening it right, and taking frames from its ring.

use std::{
    env, io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    sync::Arc,
};

use pcap::{Active, Capture, Linktype, Packet, Precision};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use super::{
    fanout::Fanout,
    filter::{attach, ignore_outgoing},
    interface::{self, ANY},
};
use crate::{
    io::clock,
    packet::{
        CLOCK_STEP_NANOS, Frame, Timestamp,
        filter::{Plan, SNAPLEN, Scope, program::program, text::to_pcap_filter},
        link::LinkType,
    },
};

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
    pub plan: Plan,
    /// Bytes of the kernel's ring.
    pub buffer_bytes: u32,
    /// The captures that it shares packets with, if there are any.
    pub fanout: Option<Arc<Fanout>>,
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

/// There is no such interface in this network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no interface {interface}; there are: {}", present.join(", "))]
pub struct NoSuchInterface {
    /// As asked for.
    pub interface: String,
    /// What could be asked for.
    pub present: Vec<String>,
}

/// Packets lost: a handle's counter wraps at 2^32, an interface's does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    /// The ring was full.
    pub kernel: u32,
    /// The interface dropped them; 0 for [`ANY`].
    pub interface: u64,
}

impl Drops {
    /// What was lost between `earlier` and `self`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            kernel: self.kernel.wrapping_sub(earlier.kernel),
            // It starts again with each interface of the name.
            interface: self.interface.checked_sub(earlier.interface).unwrap_or(self.interface),
        }
    }
}

/// An open capture. Its descriptor is readable when the ring has packets.
///
/// It always listens on all interfaces, cooked, and the program in the kernel leaves out those that were not asked for:
/// so an interface may come, go and change while nothing but the program does, which takes no privilege.
pub struct Live {
    handle: Capture<Active>,
    link: LinkType,
    interface: String,
    plan: Plan,
    scope: Scope,
    /// Whether libpcap's own filter serves, because the kernel did not take the program.
    by_text: bool,
    /// Packets from before the first program was in force may be anything; `None` once they are past.
    stale_before: Option<Timestamp>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("interface", &self.interface)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Opens a capture that never blocks, with timestamps in nanoseconds. Only this needs `CAP_NET_RAW`.
    ///
    /// Nothing is captured before the first [`Self::follow`]. The interface need not be there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let interface = settings.interface.as_str();
        check_permission(interface)?;
        let failed = |step| {
            move |error: pcap::Error| OpenError::Pcap {
                interface: interface.to_owned(),
                step,
                reason: error.to_string(),
            }
        };
        let mut handle = Capture::from_device(ANY)
            .map_err(failed("create"))?
            .snaplen(SNAPLEN as i32)
            .buffer_size(i32::try_from(settings.buffer_bytes).unwrap_or(i32::MAX))
            .timeout(RING_TIMEOUT_MS)
            .precision(Precision::Nano)
            .open()
            .map_err(failed("activate"))?;
        // libpcap before 1.10 has version 1 only.
        let link =
            if handle.set_datalink(LINUX_SLL2).is_ok() { LinkType::LinuxSll2 } else { LinkType::LinuxSll };
        let handle = handle.setnonblock().map_err(failed("set non-blocking"))?;
        let mut live = Self {
            handle,
            link,
            interface: interface.to_owned(),
            plan: settings.plan.clone(),
            scope: Scope::Nothing,
            by_text: false,
            stale_before: None,
        };
        live.filter().map_err(failed("set the filter"))?;
        if let Some(fanout) = &settings.fanout {
            let loopback = interface::scope(live.handle.as_fd(), interface).is_ok_and(interface::is_loopback);
            fanout
                .join(live.handle.as_fd(), loopback)
                .map_err(|error| failed("share packets among threads")(error.into()))?;
        }
        live.stale_before = Some(clock::wall());
        Ok(live)
    }

    /// Of every frame.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Captures something else from now on. What is in the ring already is still of the old plan.
    ///
    /// # Errors
    /// If neither the kernel takes the program nor libpcap its text; the old plan stays in force.
    pub fn set_plan(&mut self, plan: &Plan) -> Result<(), pcap::Error> {
        let old = std::mem::replace(&mut self.plan, plan.clone());
        self.filter().inspect_err(|_| self.plan = old)
    }

    /// Looks where the interface is now: it may have gone away, come back, or be another one of that name.
    ///
    /// # Errors
    /// If there is none: nothing is captured. It may come later.
    pub fn follow(&mut self) -> Result<(), NoSuchInterface> {
        // Not told is not gone.
        let now = interface::scope(self.handle.as_fd(), &self.interface).unwrap_or(self.scope);
        if now != self.scope {
            self.scope = now;
            // Where the kernel does not know it the program leaves them out, as well.
            let _ = ignore_outgoing(self.handle.as_fd(), interface::is_loopback(now));
            if let Err(error) = self.filter() {
                tracing::error!(interface = self.interface, "cannot follow the interface: {error}");
            }
        }
        if now == Scope::Nothing {
            Err(NoSuchInterface { interface: self.interface.clone(), present: interface::names() })
        } else {
            Ok(())
        }
    }

    /// Puts plan and scope in force.
    fn filter(&mut self) -> Result<(), pcap::Error> {
        if !self.by_text {
            let program =
                program(&self.plan, self.scope).map_err(|invalid| io::Error::other(invalid.to_string()));
            match program.and_then(|program| attach(self.handle.as_fd(), &program)) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(
                        "the kernel does not take the filter, libpcap's serves in its place: {error}"
                    );
                    self.by_text = true;
                }
            }
        }
        self.handle.filter(&to_pcap_filter(&self.plan, self.scope), true)
    }

    /// Hands at most `most` frames that the ring has ready to `sink`, and tells how many left the ring. Fewer
    /// than `most`: it is empty now.
    ///
    /// # Errors
    /// If the capture is of no more use.
    pub fn dispatch(&mut self, most: usize, mut sink: impl FnMut(&Frame<'_>)) -> Result<usize, pcap::Error> {
        let stale_before = &mut self.stale_before;
        self.handle.dispatch(Some(most), |packet| {
            let frame = frame(&packet);
            if let Some(since) = *stale_before {
                // Stamped long before, it is the clock that was set back.
                if frame.timestamp < since && since.nanos_since(frame.timestamp) < CLOCK_STEP_NANOS {
                    return;
                }
                *stale_before = None;
            }
            sink(&frame);
        })
    }

    /// What was lost.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn drops(&mut self) -> Result<Drops, pcap::Error> {
        let stat = self.handle.stats()?;
        let interface = if self.interface == ANY { 0 } else { interface::dropped(&self.interface) };
        Ok(Drops { kernel: stat.dropped, interface })
    }
}

impl AsFd for Live {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// A packet as libpcap hands it over, of a handle opened with [`Precision::Nano`]: `tv_usec` holds nanoseconds.
#[inline]
pub(in crate::io) fn frame<'a>(packet: &Packet<'a>) -> Frame<'a> {
    let seconds = u64::try_from(packet.header.ts.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(packet.header.ts.tv_usec).unwrap_or_default();
    Frame {
        timestamp: Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)),
        wire_length: packet.header.len,
        bytes: packet.data,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counters_go_on_rising_when_the_kernels_wrap() {
        let earlier = Drops { kernel: u32::MAX - 1, interface: 7 };
        let now = Drops { kernel: 3, interface: 9 };
        assert_eq!(now.since(earlier), Drops { kernel: 5, interface: 2 });
        let another = Drops { kernel: 3, interface: 1 };
        assert_eq!(another.since(now), Drops { kernel: 0, interface: 1 });
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
