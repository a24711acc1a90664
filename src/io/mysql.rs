//! The MySQL collector: the capture thread and what its counts stand for; and the same for files.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    sync::Arc,
    time::Duration,
};

use prometheus::proto::MetricFamily;

use super::{
    capture::{CaptureHandle, CaptureThread, OpenCapture},
    measure::SampleSettings,
    replay::{ReplayError, replay},
};
use crate::{
    config::{Decode, Mysql, PortSet, Replay, ReportFormat},
    metrics::{self, build},
    packet::filter::Plan,
    pipeline::{Options, Pipeline},
    report,
    stats::capture::Snapshot,
    status,
};

/// Decodes live packets. Dropping it ends the capture.
#[derive(Debug)]
pub struct MysqlCollector {
    thread: CaptureThread,
    ports: PortSet,
}

impl MysqlCollector {
    /// [`Self::open`] and [`OpenMysql::start`] in one.
    ///
    /// # Errors
    /// If the system has no descriptors or threads left.
    pub fn start(config: &Mysql) -> io::Result<Self> {
        Self::open(config)?.start()
    }

    /// Opens the capture: the only part that needs a privilege. A capture that cannot be opened is told of on the
    /// page and in the log; the collector then waits for the interface to come.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn open(config: &Mysql) -> io::Result<OpenMysql> {
        // Nobody outside may know which ports and addresses collide in the connection table.
        let seed = RandomState::new().hash_one(0);
        let options = Options { census: true, ..options(&config.decode, seed) };
        let sample = SampleSettings {
            multiplier: config.decode.multiplier,
            rotate: config.rotate,
            cpu_budget: config.cpu_budget,
        };
        let capture = CaptureThread::open(config.interface.clone(), config.buffer_bytes, options, sample)?;
        Ok(OpenMysql { capture, ports: config.decode.ports.clone() })
    }

    /// What was counted up to now; `None` if the thread has ended.
    pub async fn snapshot(&self, within: Duration) -> Option<Arc<Snapshot>> {
        self.thread.handle().snapshot(within).await
    }

    /// To ask the thread for signs of life.
    pub fn handle(&self) -> CaptureHandle {
        self.thread.handle()
    }

    /// The families of a snapshot. Before the capture was up for the first time there are none of traffic: zeros
    /// would be taken for a quiet server.
    pub fn families(&self, snapshot: &Snapshot) -> Vec<MetricFamily> {
        let mut families = Vec::from(metrics::capture::families(&snapshot.capture));
        if snapshot.capture.link.is_some() {
            families.extend(metrics::mysql::families(&snapshot.stats));
        }
        families
    }

    /// The same for people; `None` for a thread that has ended.
    pub fn status(&self, snapshot: Option<&Snapshot>) -> status::Mysql {
        status::Mysql::new(snapshot, self.ports.as_slice())
    }
}

/// A collector whose capture nobody reads yet.
#[derive(Debug)]
pub struct OpenMysql {
    capture: OpenCapture,
    ports: PortSet,
}

impl OpenMysql {
    /// Starts the capture's thread.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(self) -> io::Result<MysqlCollector> {
        let Self { capture, ports } = self;
        Ok(MysqlCollector { thread: capture.start()?, ports })
    }
}

/// The families of what capture files hold.
///
/// # Errors
/// The first file that cannot be read to its end.
pub fn replay_families(config: &Replay) -> Result<Vec<MetricFamily>, ReplayError> {
    let mut pipeline = replayed(config)?;
    let mut families = metrics::mysql::families(pipeline.stats());
    families.push(build::family());
    Ok(families)
}

/// The report on what capture files hold.
///
/// # Errors
/// The first file that cannot be read to its end.
pub fn replay_report(config: &Replay, format: ReportFormat) -> Result<String, ReplayError> {
    let pipeline = replayed(config)?;
    let profile = pipeline.profile();
    Ok(match format {
        ReportFormat::Table => profile.map(report::table).unwrap_or_default(),
        ReportFormat::Json => profile.map(report::json).unwrap_or_default().to_string() + "\n",
    })
}

fn replayed(config: &Replay) -> Result<Pipeline, ReplayError> {
    // The files are finite, and two runs over them are to be alike.
    let mut pipeline = Pipeline::new(options(&config.decode, 0));
    replay(&config.files, &mut pipeline)?;
    pipeline.finish();
    Ok(pipeline)
}

fn options(decode: &Decode, seed: u64) -> Options {
    Options {
        plan: plan(decode),
        max_flows: decode.max_flows,
        seed,
        counting: decode.counting.clone(),
        multiplier: decode.multiplier,
        census: false,
    }
}

/// What to capture at the start.
pub(super) fn plan(decode: &Decode) -> Plan {
    Plan { ports: decode.ports.clone(), class: decode.class, reply_bytes: decode.reply_bytes }
}
