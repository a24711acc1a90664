//! `process_*`: what this process itself takes.

use prometheus::{
    core::Collector as _,
    process_collector::ProcessCollector,
    proto::{self, MetricFamily},
};

use super::clock::process_cpu_time;
use crate::metrics::sandbox::{self, Sandbox};

/// Reads `/proc/self`.
#[derive(Debug)]
pub struct Process {
    collector: ProcessCollector,
    sandbox: Option<Sandbox>,
}

impl Process {
    /// For the calling process.
    pub fn for_self() -> Self {
        Self { collector: ProcessCollector::for_self(), sandbox: None }
    }

    /// The same, held by `sandbox`.
    #[must_use]
    pub fn held_by(self, sandbox: Sandbox) -> Self {
        Self { sandbox: Some(sandbox), ..self }
    }

    /// What holds it, and the seven families of `prometheus`' collector. That counts CPU time in whole seconds, which hides a process
    /// that uses milliseconds; that one value is replaced by the kernel's own.
    pub fn families(&self) -> Vec<MetricFamily> {
        let mut families = self.collector.collect();
        let cpu = families.iter_mut().find(|family| family.name() == "process_cpu_seconds_total");
        for sample in cpu.into_iter().flat_map(|family| family.mut_metric()) {
            let mut counter = proto::Counter::default();
            counter.set_value(process_cpu_time().as_secs_f64());
            sample.set_counter(counter);
        }
        families.extend(self.sandbox.as_ref().map(sandbox::family));
        families
    }
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
