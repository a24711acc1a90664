//! Several packet sockets that share the packets: the kernel gives each connection to one of them (packet(7), `PACKET_FANOUT`).

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    sync::OnceLock,
};

/// A group of sockets, none at first. Both directions of a connection have the same hash, and so go to the same socket.
#[derive(Debug, Default)]
pub struct Fanout {
    /// Unique in the network namespace; the first member asks the kernel for it.
    id: OnceLock<u16>,
}

impl Fanout {
    /// Makes a bound socket a member. Whether the group is offered what this host sends is for the first of them to say, and
    /// for good: inside a group `PACKET_IGNORE_OUTGOING` itself is not looked at.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(super) fn join(&self, socket: BorrowedFd<'_>, ignore_outgoing: bool) -> io::Result<()> {
        let flags = if ignore_outgoing { libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING } else { 0 };
        let mode = libc::PACKET_FANOUT_HASH | flags;
        if let Some(id) = self.id.get() {
            return set(socket, u32::from(*id) | mode << 16);
        }
        set(socket, (mode | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16)?;
        let id = get(socket)? as u16;
        let _ = self.id.set(id);
        Ok(())
    }
}

fn set(socket: BorrowedFd<'_>, value: u32) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, so open; the option's value is four bytes that outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut value = 0_u32;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, so open; the kernel writes at most `length` bytes into the value.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}
