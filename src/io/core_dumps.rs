//! No core dumps: the memory of this process holds other people's statements.

use std::io;

/// Forbids the kernel to write one of this process, for good.
///
/// A limit of 1 byte, not of 0: a file shorter than a page is never written, and where `core_pattern` names a program,
/// which no other limit keeps from being fed, 1 means not to start it (fs/coredump.c, core(5)). `PR_SET_DUMPABLE`
/// would do as well, but takes `/proc/self` away from a process that is not root. Where the limit was 0 before, and may
/// not be raised, it stays: no file is written, and that program is the affair of who set it.
///
/// # Errors
/// The system's.
pub fn forbid() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: `limit` is a valid rlimit for the time of the call, which only reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) } {
        0 => Ok(()),
        _ => {
            let refused = io::Error::last_os_error();
            if hard_limit()? == 0 { Ok(()) } else { Err(refused) }
        }
    }
}

fn hard_limit() -> io::Result<libc::rlim_t> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the time of the call.
    match unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) } {
        0 => Ok(limit.rlim_max),
        _ => Err(io::Error::last_os_error()),
    }
}
