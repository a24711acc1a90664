//! Asks the collectors for one page, each with the same deadline.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use prometheus::proto::MetricFamily;

use crate::{
    metrics::{self, build, scrape, scrape::Outcome},
    sockets::report::Report,
    web::landing::Source,
};

use super::{process::Process, sockets::SocketsHandle};

/// All that a page is made of. A collector that is switched off is `None`.
#[derive(Debug)]
pub struct Collector {
    /// This process itself.
    pub process: Process,
    /// The socket collector.
    pub sockets: Option<SocketsHandle>,
}

/// What the collectors had, and how long each took to say so.
struct Answers {
    sockets: Option<Timed<std::sync::Arc<Report>>>,
}

struct Timed<T> {
    value: T,
    waited: Duration,
}

impl Collector {
    /// The families of one page, in no particular order. A collector that has nothing new `within` that time is
    /// on it with what it last had, and its `dbwire_scrape_collector_success` is 0.
    pub async fn families(&self, within: Duration) -> Vec<MetricFamily> {
        let answers = self.ask(within).await;
        let mut families = self.process.families();
        families.push(build::family());
        let mut outcomes = Vec::new();
        if let Some(Timed { value: report, waited }) = answers.sockets {
            families.extend(metrics::sockets::families(&report));
            outcomes.push(Outcome { collector: "sockets", success: report.success, waited });
        }
        families.extend(scrape::families(&outcomes));
        families
    }

    /// What works, for people.
    pub async fn sources(&self, within: Duration) -> Vec<Source> {
        let answers = self.ask(within).await;
        answers.sockets.iter().map(|sockets| of_sockets(&sockets.value)).collect()
    }

    async fn ask(&self, within: Duration) -> Answers {
        let sockets = timed(self.sockets.as_ref().map(|sockets| sockets.report(within)));
        Answers { sockets: sockets.await }
    }
}

/// What `question` is answered, and after how long; `None` if there is none.
async fn timed<T>(question: Option<impl Future<Output = T>>) -> Option<Timed<T>> {
    let asked = Instant::now();
    let value = question?.await;
    Some(Timed { value, waited: asked.elapsed() })
}

fn of_sockets(report: &Report) -> Source {
    let detail = match (&report.snapshot.error, report.snapshot.reading) {
        (Some(error), _) => error.clone(),
        (None, Some(reading)) => format!("counted from {}", reading.source.label()),
        (None, None) => "not counted yet".to_owned(),
    };
    Source { name: "TCP socket states", works: report.success, detail }
}
