//! What this process itself takes, from /proc/self.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    time::Duration,
};

use procfs_core::{FromRead as _, process};
use prometheus::proto::MetricFamily;

use super::{clock::process_cpu_time, procfs::page_bytes};
use crate::metrics::{
    process::{self as usage, Stat, Usage},
    sandbox::{self, Sandbox},
};

/// Longer than the line ever is: 52 numbers and a name.
const STAT_BYTES: usize = 2048;

/// Reads `/proc/self`.
#[derive(Debug)]
pub struct Process {
    /// Kept open: the kernel writes it anew whenever it is read from its start.
    stat: Option<File>,
    started: Option<Duration>,
    sandbox: Option<Sandbox>,
}

impl Process {
    /// For the calling process.
    pub fn for_self() -> Self {
        let stat = File::open("/proc/self/stat").ok();
        let started = stat.as_ref().and_then(read_stat).and_then(|line| started(line.starttime));
        Self { stat, started, sandbox: None }
    }

    /// The same, held by `sandbox`.
    #[must_use]
    pub fn held_by(self, sandbox: Sandbox) -> Self {
        Self { sandbox: Some(sandbox), ..self }
    }

    /// `process_*`, and what holds the process.
    pub fn families(&self) -> Vec<MetricFamily> {
        let mut families = Vec::from(usage::families(&self.usage()));
        families.extend(self.sandbox.as_ref().map(sandbox::family));
        families
    }

    fn usage(&self) -> Usage {
        let stat = self.stat.as_ref().and_then(read_stat).map(|line| Stat {
            threads: u64::try_from(line.num_threads).unwrap_or_default(),
            virtual_bytes: line.vsize,
            resident_bytes: line.rss * page_bytes(),
        });
        let cpu = process_cpu_time();
        Usage { cpu, open_fds: open_fds().ok(), max_fds: max_fds(), stat, started: self.started }
    }
}

fn read_stat(file: &File) -> Option<process::Stat> {
    let mut line = [0; STAT_BYTES];
    let length = file.read_at(&mut line, 0).ok()?;
    process::Stat::from_read(line.get(..length)?).ok()
}

/// When a process started that did so `ticks` after the kernel: since the Unix epoch.
fn started(ticks: u64) -> Option<Duration> {
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let booted = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    // SAFETY: sysconf takes a name and touches no memory of the caller's.
    let ticks_a_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    Some(Duration::from_secs(booted) + Duration::from_secs_f64(ticks as f64 / ticks_a_second as f64))
}

fn open_fds() -> io::Result<u64> {
    // Linux 6.2 and later tell the number as the folder's size: no need to list it.
    match fs::metadata("/proc/self/fd")?.len() {
        // The descriptor that it is listed by is not one.
        0 => Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1)),
        number => Ok(number),
    }
}

/// The soft limit: setrlimit(2).
fn max_fds() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0;
    (!failed).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_has_a_fraction_and_rises() {
        let process = Process::for_self();
        let before = process.usage().cpu;
        let mut after = process.usage().cpu;
        while after - before < Duration::from_millis(1) {
            after = process.usage().cpu;
        }
        assert!(after - before < Duration::from_secs(1), "{before:?} {after:?}");
    }

    #[test]
    fn an_open_file_is_one_descriptor_more() {
        // Other tests of this process open and close files: some time they do not.
        let more = || {
            let before = open_fds().unwrap();
            let file = File::open("/dev/null").unwrap();
            let after = open_fds().unwrap();
            drop(file);
            after == before + 1
        };
        assert!((0..10_000).any(|_| more()));
    }

    #[test]
    fn it_started_after_the_kernel_and_before_now() {
        let usage = Process::for_self().usage();
        let now = crate::io::clock::unix_time();
        let (started, stat) = (usage.started.unwrap(), usage.stat.unwrap());
        assert!(
            started < now + Duration::from_secs(2) && now - started < Duration::from_secs(86_400),
            "{started:?}"
        );
        assert!(stat.threads > 0 && stat.resident_bytes > 0 && stat.virtual_bytes > stat.resident_bytes);
        assert!(usage.max_fds > usage.open_fds && usage.open_fds > Some(2));
    }
}
