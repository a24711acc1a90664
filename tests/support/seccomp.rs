//! A kernel that refuses netlink, as container runtimes' seccomp profiles may.

use std::io;

/// Lets the calling thread, and threads it starts, open no socket of `AF_NETLINK` any more: `socket` fails with
/// `errno`.
pub(crate) fn refuse_netlink(errno: u16) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// `struct seccomp_data`: the system call's number, and the low half of its first argument.
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        op(LOAD, NUMBER, 0, 0),
        op(JUMP_IF_EQUAL, libc::SYS_socket as u32, 0, 3),
        op(LOAD, FIRST_ARGUMENT, 0, 0),
        op(JUMP_IF_EQUAL, libc::AF_NETLINK as u32, 0, 1),
        op(RETURN, libc::SECCOMP_RET_ERRNO | u32::from(errno), 0, 0),
        op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both take numbers only, or a valid program that the kernel copies; they affect this thread alone.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
