//! `process_*`, by the names that Prometheus' client libraries agree on
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{
    family::Family,
    names::{self, Metric},
};

/// What a process takes of the host. What could not be read is `None`, and has no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Descriptors it has open.
    pub open_fds: Option<u64>,
    /// Descriptors it may have open; `u64::MAX` is no limit.
    pub max_fds: Option<u64>,
    /// What the kernel's line about it says.
    pub stat: Option<Stat>,
    /// When it started, since the Unix epoch.
    pub started: Option<Duration>,
}

/// Of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its threads.
    pub threads: u64,
    /// Bytes of its address space.
    pub virtual_bytes: u64,
    /// Bytes of it that are in RAM.
    pub resident_bytes: u64,
}

/// The families of [`Usage`]; those without a sample are not on a page.
pub fn families(usage: &Usage) -> [MetricFamily; 7] {
    let optional = |metric: &'static Metric, value: Option<f64>| {
        let family = Family::new(metric);
        value.into_iter().fold(family, |family, value| family.sample(&[], value)).build()
    };
    let of_stat = |number: fn(Stat) -> u64| usage.stat.map(|stat| number(stat) as f64);
    [
        Family::single(&names::PROCESS_CPU_SECONDS, usage.cpu.as_secs_f64()),
        optional(&names::PROCESS_OPEN_FDS, usage.open_fds.map(|number| number as f64)),
        optional(&names::PROCESS_MAX_FDS, usage.max_fds.map(|number| number as f64)),
        optional(&names::PROCESS_THREADS, of_stat(|stat| stat.threads)),
        optional(&names::PROCESS_VIRTUAL_MEMORY, of_stat(|stat| stat.virtual_bytes)),
        optional(&names::PROCESS_RESIDENT_MEMORY, of_stat(|stat| stat.resident_bytes)),
        optional(&names::PROCESS_START_TIME, usage.started.map(|since_epoch| since_epoch.as_secs_f64())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::text;

    #[test]
    fn what_could_not_be_read_is_not_on_the_page() {
        let usage = Usage {
            cpu: Duration::from_micros(1_500),
            open_fds: Some(9),
            max_fds: None,
            stat: Some(Stat { threads: 3, virtual_bytes: 4096, resident_bytes: 1024 }),
            started: Some(Duration::from_millis(1_500)),
        };
        let page = |usage| {
            let mut page = Vec::new();
            text::encode(Vec::from(families(&usage)), &mut page).unwrap();
            let page = String::from_utf8(page).unwrap();
            page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            page(usage),
            [
                "process_cpu_seconds_total 0.0015",
                "process_open_fds 9",
                "process_resident_memory_bytes 1024",
                "process_start_time_seconds 1.5",
                "process_threads 3",
                "process_virtual_memory_bytes 4096",
            ]
        );
        let unread = Usage { open_fds: None, stat: None, started: None, ..usage };
        assert_eq!(page(unread), ["process_cpu_seconds_total 0.0015"]);
    }
}
