//! What a process holds on to over time.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::support::exporter::Exporter;

const HOUR: f64 = 3600.0;
/// Memory that it may take more after an hour.
const SLOPE: f64 = (1 << 20) as f64;
/// Shorter runs than this tell what settles from what grows no better than by [`SETTLES`].
const LONG: f64 = HOUR / 2.0;
/// Memory that a short run may end with more than it began with.
const SETTLES: f64 = (6 << 20) as f64;

/// Readings of one process.
pub(crate) struct Vitals {
    started: Instant,
    readings: Vec<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Since the start.
    seconds: f64,
    /// Resident, in bytes.
    memory: f64,
    descriptors: usize,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), readings: Vec::new() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn read(&mut self, exporter: &Exporter) {
        let process = format!("/proc/{}", exporter.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory = memory.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0;
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
        self.readings.push(Reading { seconds: self.started.elapsed().as_secs_f64(), memory, descriptors });
    }

    /// Neither memory nor descriptors have grown since the first quarter.
    pub(crate) fn assert_flat(&self) -> String {
        let settled = self.elapsed().as_secs_f64() / 4.0;
        let (early, late) = self.readings.split_at(self.readings.partition_point(|it| it.seconds < settled));
        let last = &late[late.len() / 2..];
        let (before, after) = (typical(early), typical(last));
        // A scrape under way has one.
        assert!(after.descriptors <= before.descriptors + 1, "{before:?} {after:?}");
        let slope = slope(late) * HOUR;
        if self.elapsed().as_secs_f64() >= LONG {
            assert!(slope <= SLOPE, "{slope} bytes an hour: {before:?} {after:?}");
        } else {
            assert!(after.memory <= before.memory + SETTLES, "{before:?} {after:?}");
        }
        format!(
            "{:.1} MB resident, {:+.0} KB an hour, {} descriptors",
            after.memory / f64::from(1 << 20),
            slope / 1024.0,
            after.descriptors
        )
    }
}

/// Bytes a second, by least squares.
fn slope(readings: &[Reading]) -> f64 {
    let count = readings.len() as f64;
    let mean = |value: fn(&Reading) -> f64| readings.iter().map(value).sum::<f64>() / count;
    let (time, memory) = (mean(|it| it.seconds), mean(|it| it.memory));
    let along: f64 = readings.iter().map(|it| (it.seconds - time) * (it.memory - memory)).sum();
    let across: f64 = readings.iter().map(|it| (it.seconds - time).powi(2)).sum();
    along / across
}

/// Medians.
fn typical(readings: &[Reading]) -> Reading {
    let mut sorted = readings.to_vec();
    sorted.sort_by(|a, b| a.memory.total_cmp(&b.memory));
    let middle = sorted[sorted.len() / 2];
    sorted.sort_by_key(|reading| reading.descriptors);
    Reading { descriptors: sorted[sorted.len() / 2].descriptors, ..middle }
}
