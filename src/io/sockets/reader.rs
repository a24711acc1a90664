//! One read of the sockets: the source in force, the plan in force, and what to do when one of them fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::{Detail, Ports, Sockets, SourceChoice},
    io::{
        clock::thread_cpu_time,
        netlink::{Dumper, NetlinkError},
        procfs::{ProcError, ProcNet},
    },
    sockets::{
        backoff::Backoff,
        census::{Census, PairScope},
        counters::Gauges,
        inet_diag::{Extensions, Query},
        listeners::Listeners,
        pairs::Pairs,
        plan::{Estimate, LISTED, Plan, Planner, ports_rest},
        port_filter::PortFilter,
        ports::WatchedPorts,
        report::{Counts, PortReading},
        source::{Fallbacks, Source},
        state::{State, StateCounts, StateSet},
    },
};

const LISTENING: StateSet = StateSet::NONE.with(State::Listen);

/// Counts sockets.
#[derive(Debug)]
pub(super) struct SocketReader {
    choice: SourceChoice,
    detail: Detail,
    tcp_info: bool,
    /// Watch every port with a listener.
    watch_listening: bool,
    watched: Arc<WatchedPorts>,
    netlink: Dumper,
    procfs: ProcNet,
    planner: Planner,
    /// The last counts by port, which are not made anew by every read.
    ports: Option<Arc<PortReading>>,
    /// How long those are kept, from what making them by themselves cost last.
    ports_rest: Duration,
    backoff: Backoff,
    fallbacks: Fallbacks,
    /// Why netlink last failed, while it does: logged once.
    netlink_error: Option<String>,
}

/// A failed read, for the log and the status page.
pub(super) type ReadError = Box<dyn std::error::Error>;

impl SocketReader {
    pub(super) fn new(config: &Sockets, netlink: Dumper) -> Self {
        let (watch_listening, chosen) = match &config.ports {
            Ports::Listening => (true, &[][..]),
            Ports::Chosen(ports) => (false, ports.as_slice()),
        };
        Self {
            choice: config.source,
            detail: config.detail,
            tcp_info: config.tcp_info,
            watch_listening,
            watched: Arc::new(WatchedPorts::new(chosen.iter().copied())),
            netlink,
            procfs: ProcNet::new(&config.procfs),
            planner: Planner::default(),
            ports: None,
            ports_rest: Duration::ZERO,
            backoff: Backoff::default(),
            fallbacks: Fallbacks::default(),
            netlink_error: None,
        }
    }

    /// Whatever was under way is forgotten.
    pub(super) fn start_afresh(&mut self) {
        self.netlink.close();
    }

    pub(super) fn fallbacks(&self) -> Fallbacks {
        self.fallbacks
    }

    /// Counts the sockets; the source is the one read last, whose cost it was.
    pub(super) fn read(&mut self, now: Instant) -> (Source, Result<Counts, ReadError>) {
        match self.choice {
            SourceChoice::Netlink => (Source::Netlink, self.by_netlink(now).map_err(Into::into)),
            SourceChoice::Procfs => (Source::Procfs, self.by_procfs(now).map_err(Into::into)),
            SourceChoice::Auto => match self.try_netlink(now) {
                Some(counts) => (Source::Netlink, Ok(counts)),
                None => (Source::Procfs, self.by_procfs(now).map_err(Into::into)),
            },
        }
    }

    /// The listeners alone.
    pub(super) fn listeners(&mut self) -> Result<Listeners, NetlinkError> {
        let watched = Arc::clone(&self.watched);
        self.netlink.dump(Query::of(LISTENING), &Listeners::default(), |listeners, row, _| {
            listeners.add(row, watched.contains(row.local.port));
        })
    }

    /// Netlink, unless it failed lately.
    fn try_netlink(&mut self, now: Instant) -> Option<Counts> {
        if !self.backoff.due(now) {
            return None;
        }
        match self.by_netlink(now) {
            Ok(counts) => {
                self.backoff.succeeded();
                if self.netlink_error.take().is_some() {
                    tracing::info!("netlink works again: TCP sockets are counted by inet_diag");
                }
                Some(counts)
            }
            Err(error) => {
                self.backoff.failed(now);
                self.fallbacks.add(error.reason());
                self.log_fallback(&error);
                None
            }
        }
    }

    fn log_fallback(&mut self, error: &NetlinkError) {
        let text = error.to_string();
        if self.netlink_error.as_ref() != Some(&text) {
            tracing::warn!(
                error = %text,
                reason = error.reason().label(),
                "netlink failed: TCP sockets are counted from procfs, which costs more, until it works again"
            );
            self.netlink_error = Some(text);
        }
    }

    fn by_netlink(&mut self, now: Instant) -> Result<Counts, NetlinkError> {
        if self.watch_listening {
            let listeners = self.listeners()?;
            self.watch(&listeners);
        }
        let watched = Arc::clone(&self.watched);
        let start = self.census(&watched);
        let listening = self.netlink.dump(Query::of(LISTENING), &start, |census, row, _| census.add(row))?;
        match self.detail {
            Detail::Totals => self.totals(now, &listening),
            Detail::Ports | Detail::Full => {
                let gauges = self.procfs.gauges().ok();
                self.full(now, &listening, gauges)
            }
        }
    }

    /// All states by the cheapest plan that is exact, and the watched ports.
    fn totals(&mut self, now: Instant, listening: &Census<'_>) -> Result<Counts, NetlinkError> {
        let Ok(gauges) = self.procfs.gauges() else { return self.full(now, listening, None) };
        if !self.planner.wants_estimate(now, &gauges) {
            return self.full(now, listening, Some(gauges));
        }
        let (before, census) = self.estimate(listening, gauges)?;
        if let Some(states) = self.planner.derive(now, &before) {
            self.refresh_ports(now, census)?;
            let plan = self.planner.plan();
            return Ok(self.counts(states, plan, &listening.listeners, Some(before.gauges)));
        }
        let mut counts = self.full(now, listening, Some(gauges))?;
        if let Ok(gauges) = self.procfs.gauges() {
            let (after, _) = self.estimate(listening, gauges)?;
            self.planner.verify(now, &before, &counts.states, &after);
            counts.verified = self.planner.verified();
        }
        Ok(counts)
    }

    /// What the kernel's counters, `gauges` being a first reading of them, and a dump without the two big states say.
    /// The census lacks those states.
    fn estimate<'a>(
        &mut self,
        listening: &Census<'a>,
        gauges: Gauges,
    ) -> Result<(Estimate, Census<'a>), NetlinkError> {
        let census = self.netlink.dump(Query::of(LISTED), listening, |census, row, _| census.add(row))?;
        let gauges = self.settle(gauges);
        Ok((Estimate { tally: census.tally, gauges }, census))
    }

    /// The counters now, `before` being what they were a moment ago.
    fn settle(&mut self, before: Gauges) -> Gauges {
        let Ok(after) = self.procfs.gauges() else { return before };
        if before.agrees_with(&after) {
            return after;
        }
        self.procfs.gauges().map_or(after, |last| Gauges::middle([before, after, last]))
    }

    /// Lists everything; `gauges` are the counters, if they were read.
    fn full(
        &mut self,
        now: Instant,
        listening: &Census<'_>,
        gauges: Option<Gauges>,
    ) -> Result<Counts, NetlinkError> {
        let rest = Query::of(StateSet::ALL.without(State::Listen));
        let census = if self.tcp_info {
            let query = Query { extensions: Extensions::INFO, ..rest };
            self.netlink.dump(query, listening, |census, row, attributes| {
                census.add(row);
                census.add_info(row, attributes);
            })?
        } else {
            self.netlink.dump(rest, listening, |census, row, _| census.add(row))?
        };
        Ok(self.whole(now, census, Plan::FullDump, gauges))
    }

    /// Completes `census`, which lacks the two big states, for the watched ports, if that is due.
    fn refresh_ports(&mut self, now: Instant, census: Census<'_>) -> Result<(), NetlinkError> {
        let due = self.ports.as_ref().is_none_or(|ports| {
            !Arc::ptr_eq(&ports.watched, &self.watched)
                || now.saturating_duration_since(ports.started) >= self.ports_rest
        });
        if !due || self.watched.ports().is_empty() {
            return Ok(());
        }
        let states = StateSet::NONE.with(State::Established).with(State::TimeWait);
        let filter = PortFilter::new(self.watched.ports());
        let query = Query { filter: Some(&filter), ..Query::of(states) };
        let cpu_before = thread_cpu_time();
        let census = self.netlink.dump(query, &census, |census, row, _| census.add_to_ports(row))?;
        self.ports_rest = ports_rest(thread_cpu_time().saturating_sub(cpu_before));
        self.ports = Some(Arc::new(PortReading::new(now, &self.watched, census)));
        Ok(())
    }

    fn by_procfs(&mut self, now: Instant) -> Result<Counts, ProcError> {
        if self.watch_listening {
            let mut listeners = Listeners::default();
            self.procfs.rows(|row| {
                if row.state == State::Listen {
                    listeners.add(row, self.watched.contains(row.local.port));
                }
            })?;
            self.watch(&listeners);
        }
        let watched = Arc::clone(&self.watched);
        let mut census = self.census(&watched);
        self.procfs.rows(|row| census.add(row))?;
        let gauges = self.procfs.gauges().ok();
        Ok(self.whole(now, census, Plan::Tables, gauges))
    }

    /// Watches the ports of `listeners`.
    fn watch(&mut self, listeners: &Listeners) {
        let watched = WatchedPorts::new(listeners.ports());
        if watched.ports() != self.watched.ports() {
            self.watched = Arc::new(watched);
        }
    }

    fn census<'a>(&mut self, watched: &'a WatchedPorts) -> Census<'a> {
        let pairs_of = match self.detail {
            Detail::Totals => PairScope::Watched,
            Detail::Ports | Detail::Full => PairScope::All,
        };
        let census = Census::new(watched, self.procfs.port_range().map(Pairs::new), pairs_of);
        if self.tcp_info { census.with_info() } else { census }
    }

    /// The counts of a census of all sockets.
    fn whole(&mut self, now: Instant, census: Census<'_>, plan: Plan, gauges: Option<Gauges>) -> Counts {
        let (tally, listeners) = (census.tally, census.listeners.clone());
        self.ports = (!self.watched.ports().is_empty() || census.pairs.is_some())
            .then(|| Arc::new(PortReading::new(now, &self.watched, census)));
        let counts = self.counts(tally.states(), plan, &listeners, gauges);
        Counts { families: (self.detail == Detail::Full).then_some(tally), ..counts }
    }

    fn counts(
        &mut self,
        states: StateCounts,
        plan: Plan,
        listeners: &Listeners,
        gauges: Option<Gauges>,
    ) -> Counts {
        Counts {
            states,
            families: None,
            plan,
            verified: self.planner.verified(),
            listeners: Arc::new(listeners.clone()),
            ports: self.ports.clone(),
            gauges,
            events: self.procfs.events().ok(),
            time_wait_limit: self.procfs.time_wait_limit(),
        }
    }
}
