//! The MySQL collector: the capture thread and what its counts stand for; and the same for files.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    sync::Arc,
    time::Duration,
};

use prometheus::proto::MetricFamily;

use super::{
    capture::{
        live::Settings,
        measure::SampleSettings,
        threads::{Captures, CapturesHandle, OpenCaptures, Threads},
    },
    replay::{self, ReplayError},
};
use crate::{
    config::{Decode, Mysql, PortSet, Replay, ReportFormat},
    metrics::{self, build},
    packet::filter::Plan,
    pipeline::{Options, Pipeline},
    report,
    stats::{Stats, capture::Snapshot, profile::Profile},
    status,
};

/// Decodes live packets. Dropping it ends the capture.
#[derive(Debug)]
pub struct MysqlCollector {
    captures: Captures,
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
        let options = options(&config.decode, seed);
        let sample = SampleSettings { rotate: config.rotate, cpu_budget: config.cpu_budget };
        let captures = Captures::open(&settings(config), &options, sample, &threads(config))?;
        Ok(OpenMysql { captures, ports: config.decode.ports.clone() })
    }

    /// What was counted up to now; `None` if the thread has ended.
    pub async fn snapshot(&self, within: Duration) -> Option<Arc<Snapshot>> {
        self.handle().snapshot(within).await
    }

    /// To ask the threads for signs of life.
    pub fn handle(&self) -> CapturesHandle {
        self.captures.handle()
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
    captures: OpenCaptures,
    ports: PortSet,
}

impl OpenMysql {
    /// Starts the capture's thread.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(self) -> io::Result<MysqlCollector> {
        let Self { captures, ports } = self;
        Ok(MysqlCollector { captures: captures.start()?, ports })
    }
}

/// What capture files hold.
#[derive(Debug)]
pub struct Replayed {
    stats: Stats,
    profile: Option<Profile>,
    /// Why the last one was not read to its end, if it was not; what came before is counted.
    pub damage: Option<ReplayError>,
}

impl Replayed {
    /// As metrics.
    pub fn families(&self) -> Vec<MetricFamily> {
        let mut families = metrics::mysql::families(&self.stats);
        families.push(build::family());
        families
    }

    /// As a report, which the configuration must have asked for.
    pub fn report(&self, format: ReportFormat) -> String {
        let profile = self.profile.as_ref();
        match format {
            ReportFormat::Table => profile.map(report::table).unwrap_or_default(),
            ReportFormat::Json => profile.map(report::json).unwrap_or_default().to_string() + "\n",
        }
    }
}

/// Decodes capture files.
///
/// # Errors
/// The first file that cannot be read; one that ends in mid-packet is no error, and the last.
pub fn replay(config: &Replay) -> Result<Replayed, ReplayError> {
    // The files are finite, and two runs over them are to be alike.
    let pipeline = || Pipeline::new(options(&config.decode, 0));
    let mut pipelines: Vec<_> = (0..config.decode.threads).map(|_| pipeline()).collect();
    let read = match &mut pipelines[..] {
        [only] => replay::replay(&config.files, only),
        several => replay::threads::replay(&config.files, several),
    };
    let damage = match read {
        Ok(()) => None,
        Err(damage @ ReplayError::Damaged { .. }) => Some(damage),
        Err(error) => return Err(error),
    };
    let mut counted = pipelines.into_iter().map(Pipeline::finished);
    let first = counted.next().unwrap_or_else(|| pipeline().finished());
    let (stats, profile) = counted.fold(first, |(mut stats, mut profile), (more, more_profile)| {
        stats.add(&more);
        if let (Some(profile), Some(more)) = (&mut profile, more_profile) {
            profile.add(more);
        }
        (stats, profile)
    });
    if damage.is_none() && stats.observed.request_bytes + stats.observed.response_bytes == 0 {
        let ports = config.decode.ports.as_slice();
        tracing::warn!(
            packets = stats.packets,
            ?ports,
            "no packet with payload is of these ports: see --mysql.port"
        );
    }
    Ok(Replayed { stats, profile, damage })
}

/// What to open.
pub(super) fn settings(config: &Mysql) -> Settings {
    Settings {
        interface: config.interface.clone(),
        plan: plan(&config.decode),
        buffer_bytes: config.buffer_bytes,
        fanout: None,
    }
}

fn threads(config: &Mysql) -> Threads {
    Threads { count: config.decode.threads, nice: config.nice, cpus: config.cpus.clone() }
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
fn plan(decode: &Decode) -> Plan {
    Plan { ports: decode.ports.clone(), class: decode.class, reply_bytes: decode.reply_bytes }
}
