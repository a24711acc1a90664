//! What the kernel offers a packet socket, and lets through to it.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use crate::packet::filter::Program;

/// Makes `program` the filter of a packet socket, in place of the one it has: each packet is seen by one of the two.
///
/// # Errors
/// If the kernel does not take it.
pub(super) fn attach(socket: BorrowedFd<'_>, program: &Program) -> io::Result<()> {
    let mut instructions: Vec<libc::sock_filter> = program
        .instructions()
        .iter()
        .map(|instruction| libc::sock_filter {
            code: instruction.code,
            jt: instruction.jt,
            jf: instruction.jf,
            k: instruction.k,
        })
        .collect();
    let length =
        u16::try_from(instructions.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_mut_ptr() };
    // SAFETY: `program` points at as many instructions as it says; both outlive the call, and the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a packet socket is to be offered what this host sends: where it has it again as what arrives, it need not be run
/// through the program twice (packet(7), `PACKET_IGNORE_OUTGOING`, Linux 4.20).
///
/// # Errors
/// If the kernel does not know it.
pub(super) fn ignore_outgoing(socket: BorrowedFd<'_>, ignored: bool) -> io::Result<()> {
    let value = libc::c_int::from(ignored);
    // SAFETY: the descriptor is borrowed, so open; the option's value is an int that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
