//! `process_*`: what this process itself takes.

use std::mem::MaybeUninit;

use prometheus::{
    core::Collector as _,
    process_collector::ProcessCollector,
    proto::{self, MetricFamily},
};

/// Reads `/proc/self`.
#[derive(Debug)]
pub struct Process {
    collector: ProcessCollector,
}

impl Process {
    /// For the calling process.
    pub fn for_self() -> Self {
        Self { collector: ProcessCollector::for_self() }
    }

    /// The seven families of `prometheus`' collector. It counts CPU time in whole seconds, which hides a process
    /// that uses milliseconds; that one value is replaced by the kernel's own, in microseconds.
    pub fn families(&self) -> Vec<MetricFamily> {
        let mut families = self.collector.collect();
        let cpu = families.iter_mut().find(|family| family.name() == "process_cpu_seconds_total");
        for sample in cpu.into_iter().flat_map(|family| family.mut_metric()) {
            let mut counter = proto::Counter::default();
            counter.set_value(cpu_seconds());
            sample.set_counter(counter);
        }
        families
    }
}

/// CPU time of all threads of this process, user and system (getrusage(2)).
fn cpu_seconds() -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is writable memory of the size of the struct that RUSAGE_SELF fills in.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zeroes are valid for all of its fields, should the call have failed.
    let usage = unsafe { usage.assume_init() };
    [usage.ru_utime, usage.ru_stime].iter().map(|time| time.tv_sec as f64 + time.tv_usec as f64 / 1e6).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_has_a_fraction_and_rises() {
        let process = Process::for_self();
        let cpu = || {
            let families = process.families();
            let family = families.iter().find(|family| family.name() == "process_cpu_seconds_total").unwrap();
            family.get_metric()[0].get_counter().value()
        };
        let before = cpu();
        let mut after = cpu();
        while after - before < 0.001 {
            after = cpu();
        }
        assert!(after - before < 1.0, "{before} {after}");
    }
}
