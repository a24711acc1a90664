//! Asks the collectors for one page, each with the same deadline.

#[cfg(feature = "capture")]
use std::sync::Arc;
use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use prometheus::proto::MetricFamily;

use crate::{
    metrics::{self, build, family::Family, names, scrape, scrape::Outcome},
    sockets::report::Report,
    status::{self, Status},
    web::select::Selection,
};

#[cfg(feature = "capture")]
use super::{capture::threads::CapturesHandle, mysql::MysqlCollector};
use super::{log, process::Process, sockets::SocketsHandle};
#[cfg(feature = "capture")]
use crate::stats::capture::Snapshot;

/// Values of the `collector` label, and names in `?collect[]=`.
const SOCKETS: &str = "sockets";
#[cfg(feature = "capture")]
const MYSQL: &str = "mysql";

/// All that a page is made of.
#[derive(Debug)]
pub struct Collector {
    /// About when the program started.
    started: Instant,
    process: Process,
    sockets: Option<SocketsHandle>,
    #[cfg(feature = "capture")]
    mysql: Option<MysqlCollector>,
    /// Whether all have answered once; they need not again.
    ready: AtomicBool,
}

/// What the collectors had, and how long each took to say so.
struct Answers {
    sockets: Option<Timed<Vec<Report>>>,
    #[cfg(feature = "capture")]
    mysql: Option<Timed<Option<Arc<Snapshot>>>>,
}

struct Timed<T> {
    value: T,
    waited: Duration,
}

impl Answers {
    /// Whether each collector that was asked has counted, or told why it cannot.
    fn all_there(&self) -> bool {
        let mut sockets = self.sockets.iter().flat_map(|answer| &answer.value);
        let counted =
            sockets.all(|report| report.snapshot.reading.is_some() || report.snapshot.error.is_some());
        #[cfg(feature = "capture")]
        {
            // A thread that has ended has failed for good.
            let snapshot = self.mysql.as_ref().and_then(|answer| answer.value.as_ref());
            counted && snapshot.is_none_or(|snapshot| snapshot.capture.up || snapshot.capture.error.is_some())
        }
        #[cfg(not(feature = "capture"))]
        counted
    }
}

impl Collector {
    /// Of this process and the collectors that are switched on.
    pub fn new(
        process: Process,
        sockets: Option<SocketsHandle>,
        #[cfg(feature = "capture")] mysql: Option<MysqlCollector>,
    ) -> Self {
        Self {
            started: Instant::now(),
            process,
            sockets,
            #[cfg(feature = "capture")]
            mysql,
            ready: AtomicBool::new(false),
        }
    }

    /// Names of the collectors that are switched on.
    pub fn enabled(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        names.extend(self.sockets.as_ref().map(|_| SOCKETS));
        #[cfg(feature = "capture")]
        names.extend(self.mysql.as_ref().map(|_| MYSQL));
        names
    }

    /// The families of one page, in no particular order: those of the selected collectors, and the program's own. A
    /// collector that has nothing new `within` that time is on it with what it last had, and its
    /// `dbwire_scrape_collector_success` is 0.
    pub async fn families(&self, selection: &Selection, within: Duration) -> Vec<MetricFamily> {
        let answers = self.ask(selection, within).await;
        let mut families = self.process.families();
        families.push(build::family());
        families.push(Family::single(&names::LOG_SUPPRESSED, log::suppressed() as f64));
        let mut outcomes = Vec::new();
        if let Some(Timed { value: reports, waited }) = answers.sockets {
            families.extend(metrics::sockets::families(&reports));
            let success = reports.iter().all(|report| report.success);
            let panics = self.sockets.as_ref().map_or(0, SocketsHandle::panics);
            outcomes.push(Outcome { collector: SOCKETS, success, waited, panics });
        }
        #[cfg(feature = "capture")]
        if let (Some(mysql), Some(Timed { value: snapshot, waited })) = (&self.mysql, answers.mysql) {
            families.extend(snapshot.iter().flat_map(|snapshot| mysql.families(snapshot)));
            let up = snapshot.is_some_and(|snapshot| snapshot.capture.up);
            let panics = mysql.handle().panics();
            outcomes.push(Outcome { collector: MYSQL, success: up && waited < within, waited, panics });
        }
        families.extend(scrape::families(&outcomes));
        families
    }

    /// The same for people, and for programs of theirs.
    pub async fn status(&self, within: Duration) -> Status {
        let answers = self.ask(&Selection::All, within).await;
        let sockets = answers.sockets.map(|answer| answer.value.iter().map(status::Sockets::new).collect());
        #[cfg(feature = "capture")]
        let mysql = self.mysql.as_ref().zip(answers.mysql);
        #[cfg(feature = "capture")]
        let mysql = mysql.map(|(mysql, answer)| mysql.status(answer.value.as_deref()));
        #[cfg(not(feature = "capture"))]
        let mysql = None;
        Status::new(self.started.elapsed(), sockets, mysql)
    }

    /// What to ask for signs of life.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            sockets: self.sockets.clone(),
            #[cfg(feature = "capture")]
            mysql: self.mysql.as_ref().map(MysqlCollector::handle),
        }
    }

    /// Whether each collector has answered by now, or failed for good. Asks them until it is so.
    pub async fn ready(&self, within: Duration) -> bool {
        if !self.ready.load(Ordering::Relaxed) {
            let answers = self.ask(&Selection::All, within).await;
            self.ready.store(answers.all_there(), Ordering::Relaxed);
        }
        self.ready.load(Ordering::Relaxed)
    }

    async fn ask(&self, selection: &Selection, within: Duration) -> Answers {
        let sockets = self.sockets.as_ref().filter(|_| selection.includes(SOCKETS));
        let sockets = timed(sockets.map(|sockets| sockets.reports(within)));
        #[cfg(feature = "capture")]
        {
            let mysql = self.mysql.as_ref().filter(|_| selection.includes(MYSQL));
            let mysql = timed(mysql.map(|mysql| mysql.snapshot(within)));
            let (sockets, mysql) = tokio::join!(sockets, mysql);
            Answers { sockets, mysql }
        }
        #[cfg(not(feature = "capture"))]
        Answers { sockets: sockets.await }
    }
}

/// Asks the collectors for signs of life.
#[derive(Debug)]
pub struct Pulse {
    sockets: Option<SocketsHandle>,
    #[cfg(feature = "capture")]
    mysql: Option<CapturesHandle>,
}

impl Pulse {
    /// The collector that is stuck: one that has not answered `within` that time, or reads for longer.
    pub async fn stuck(&self, within: Duration) -> Option<&'static str> {
        #[cfg(feature = "capture")]
        if let Some(mysql) = &self.mysql
            && !mysql.answers(within).await
        {
            return Some(MYSQL);
        }
        let reading = self.sockets.as_ref().and_then(|sockets| sockets.reading_for(Instant::now()));
        reading.filter(|time| *time > within).map(|_| SOCKETS)
    }
}

/// What `question` is answered, and after how long; `None` if there is none.
async fn timed<T>(question: Option<impl Future<Output = T>>) -> Option<Timed<T>> {
    let asked = Instant::now();
    let value = question?.await;
    Some(Timed { value, waited: asked.elapsed() })
}
