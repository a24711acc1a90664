//! Clocks.

use std::time::Duration;

/// The clock that stamps captured packets.
#[cfg(feature = "capture")]
pub fn wall() -> crate::packet::Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    crate::packet::Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

/// CPU time the calling thread has used so far, in user space and in the kernel (`CLOCK_THREAD_CPUTIME_ID`).
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the whole call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0;
    // The clock exists since Linux 2.6.12; without it, nothing is known to have been used.
    if failed { Duration::ZERO } else { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_moves_the_clock_forward() {
        let before = thread_cpu_time();
        let mut rounds = 0_u64;
        while thread_cpu_time() <= before {
            rounds = std::hint::black_box(rounds + 1);
        }
        assert!(thread_cpu_time() > before);
    }
}
