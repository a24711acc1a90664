//! Clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(feature = "capture")]
use crate::packet::Timestamp;

/// The clock that stamps captured packets.
#[cfg(feature = "capture")]
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

/// Time since the Unix epoch, to the millisecond.
pub fn unix_time() -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::new(since_epoch.as_secs(), since_epoch.subsec_millis() * 1_000_000)
}

/// CPU time the calling thread has used so far, in user space and in the kernel.
pub fn thread_cpu_time() -> Duration {
    cpu_time(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time all threads of this process have used so far.
pub fn process_cpu_time() -> Duration {
    cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the whole call.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) } != 0;
    // Both clocks exist since Linux 2.6.12; without them, nothing is known to have been used.
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
