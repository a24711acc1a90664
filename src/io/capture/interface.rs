//! Interfaces by their names: where one is now, and what it had no room for.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use crate::packet::filter::{LOOPBACK, Scope};

/// The pseudo-interface that captures on all others.
pub const ANY: &str = "any";

/// What an interface's name stands for now.
///
/// # Errors
/// If the kernel does not tell: the interface may be there or not.
pub(super) fn scope(socket: BorrowedFd<'_>, interface: &str) -> io::Result<Scope> {
    Ok(match interface {
        ANY => Scope::Any,
        name => index(socket, name)?.map_or(Scope::Nothing, Scope::Interface),
    })
}

/// Whether all that is captured arrives here and was sent here, too.
pub(super) fn is_loopback(scope: Scope) -> bool {
    scope == Scope::Interface(LOOPBACK)
}

/// What there is in this network namespace, and [`ANY`].
pub(super) fn names() -> Vec<String> {
    // Read, as no socket can be opened any more that would tell; and libpcap's list has things in it that are no
    // interfaces: bluetooth-monitor, nflog, usbmon…
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    names.chain([ANY]).map(str::to_owned).collect()
}

/// Packets for which the interface had no room, as libpcap counts them for a handle of one interface.
pub(super) fn dropped(name: &str) -> u64 {
    let read = |counter| fs::read_to_string(format!("/sys/class/net/{name}/statistics/{counter}"));
    ["rx_missed_errors", "rx_fifo_errors"]
        .into_iter()
        .filter_map(|counter| read(counter).ok()?.trim().parse::<u64>().ok())
        .sum()
}

/// Of the interface of that name, if there is one. Asked through a socket that is open, unlike if_nametoindex(3): the
/// process may have no descriptor left, and must not take that for an interface that is gone.
fn index(socket: BorrowedFd<'_>, name: &str) -> io::Result<Option<u32>> {
    // SAFETY: all-zero bytes are a valid ifreq: integers, and a union of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().take(room).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the descriptor is open while it is borrowed; SIOCGIFINDEX reads and writes an ifreq (netdevice(7)).
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFINDEX, &raw mut request) };
    if outcome == 0 {
        // SAFETY: the call succeeded, so it has written the index.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        return Ok(u32::try_from(index).ok());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        error => Err(error),
    }
}
