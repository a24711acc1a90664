//! How the kernel is to schedule a thread.

use std::io;

/// What is asked for a thread; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// 0 to 19: makes it a batch thread (sched(7), `SCHED_BATCH`), which gives way to those that wake up, of this nice value.
    pub nice: Option<u8>,
    /// The one CPU that it runs on.
    pub cpu: Option<usize>,
}

impl Schedule {
    /// For the calling thread. None of it takes a privilege.
    ///
    /// # Errors
    /// If the kernel refuses: there is no such CPU, or it is not among those the process may use.
    pub(super) fn apply(self) -> io::Result<()> {
        if let Some(nice) = self.nice {
            set_batch()?;
            set_nice(nice)?;
        }
        self.cpu.map_or(Ok(()), pin)
    }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn set_batch() -> io::Result<()> {
    // SAFETY: a sched_param is numbers only, for which zeros are valid.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread; the parameters outlive the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) })
}

fn set_nice(nice: u8) -> io::Result<()> {
    // SAFETY: numbers only; 0 is the calling thread.
    checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) })
}

fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: a cpu_set_t is bits only, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `cpu` is within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: 0 is the calling thread; the set outlives the call.
    checked(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })
}
