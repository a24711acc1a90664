//! seccomp: which system calls can be made.
//!
//! The list was made from traces of the full test load (`docs/privileges.md` says how to make one), and holds what the
//! C library, the allocator and the event loop may call in their place on other versions. A call that is not on it
//! fails with EPERM: it does not kill a process that people rely on.

use std::{collections::BTreeMap, io};

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction,
    SeccompCmpArgLen::{Dword, Qword},
    SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Calls that are allowed whatever their arguments.
const ALLOWED: &[c_long] = &[
    // Descriptors that are open, and files, which Landlock chooses.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_openat,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_fcntl,
    // Sockets that are open. `bind` is for netlink; Landlock keeps it from TCP ports.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    // Time, randomness, and who and where one is.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_sched_getaffinity,
    // Memory; what makes some of it executable is below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads: their beginning (`clone` is below), signals and end.
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The same under the names that only older architectures have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_BY_OLDER_NAMES: &[c_long] = &[
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_readlink,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_time,
    libc::SYS_gettimeofday,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_BY_OLDER_NAMES: &[c_long] = &[];

/// Requests about a network interface: its index, flags and hardware type; and non-blocking mode.
const IOCTLS: &[u64] = &[libc::SIOCGIFINDEX, libc::SIOCGIFFLAGS, libc::SIOCGIFHWADDR, libc::FIONBIO];

/// Puts the calling thread, and those it will start, under the filter.
///
/// # Errors
/// If the kernel refuses, or the architecture is not one of those that the filter can be made for.
pub(super) fn restrict() -> io::Result<()> {
    for program in programs().map_err(io::Error::other)? {
        apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Two, as the first says what `clone3` fails with, and the last forbids to add another. Its flags are in memory, where no filter can look, so it must not
/// pass; and only after ENOSYS does the C library use `clone`, which can be filtered.
fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let errno = |number: libc::c_int| SeccompAction::Errno(number.unsigned_abs());
    let allowed = SeccompFilter::new(rules()?, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    let only_clone3 = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    let missing = SeccompFilter::new(only_clone3, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    Ok([missing.try_into()?, allowed.try_into()?])
}

/// What is allowed: for each call the rules of which one must hold, or none if there are none.
fn rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<_, _> =
        ALLOWED.iter().chain(ALLOWED_BY_OLDER_NAMES).map(|&call| (call, vec![])).collect();
    let is = |argument, value: libc::c_int| masked(argument, u64::MAX, value as u64);
    let lacks = |argument, bits: libc::c_int| masked(argument, bits as u64, 0);
    let has = |argument, bits: libc::c_int| masked(argument, bits as u64, bits as u64);
    let conditional = [
        // Netlink for the socket tables, should it have to be opened again.
        (libc::SYS_socket, vec![vec![is(0, libc::AF_NETLINK)?, is(2, libc::NETLINK_SOCK_DIAG)?]]),
        // Nothing becomes executable.
        (libc::SYS_mmap, vec![vec![lacks(2, libc::PROT_EXEC)?]]),
        (libc::SYS_mprotect, vec![vec![lacks(2, libc::PROT_EXEC)?]]),
        // Threads, not processes.
        (libc::SYS_clone, vec![vec![has(0, libc::CLONE_THREAD)?]]),
        // A thread's name, and names of memory areas, which the allocator may give.
        (libc::SYS_prctl, vec![vec![is(0, libc::PR_SET_NAME)?], vec![is(0, libc::PR_SET_VMA)?]]),
        // Limits are read, not set.
        (libc::SYS_prlimit64, vec![vec![null(2)?]]),
        (
            libc::SYS_ioctl,
            IOCTLS
                .iter()
                .map(|&request| Ok(vec![masked(1, u64::MAX, request)?]))
                .collect::<Result<_, _>>()?,
        ),
    ];
    for (call, alternatives) in conditional {
        let alternatives = alternatives.into_iter().map(SeccompRule::new).collect::<Result<_, _>>()?;
        rules.insert(call, alternatives);
    }
    Ok(rules)
}

/// Of the low half of an argument, all that the kernel looks at in those that are asked about here.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    let low = u64::from(u32::MAX);
    SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask & low), value & low)
}

/// Of an argument that is a pointer.
fn null(argument: u8) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, Qword, SeccompCmpOp::Eq, 0)
}
