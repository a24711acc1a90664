//! What is known of the TCP sockets of one network namespace.

use std::sync::Arc;

use serde::Serialize;

use super::Labelled;
use crate::sockets::report::{Counts, Report};

/// One network namespace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sockets {
    /// Its name; `None` for the program's own.
    pub namespace: Option<Arc<str>>,
    /// Whether the counts are current.
    pub works: bool,
    /// Why the last read failed, if it did.
    pub error: Option<String>,
    /// How long the collector still rests to stay within its CPU budget.
    pub cooldown_seconds: f64,
    /// The last good read; `None` before the first.
    pub reading: Option<Reading>,
}

/// One good read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// `netlink` or `procfs`.
    pub source: &'static str,
    /// How they were counted: the `plan` of `dbwire_tcp_plan_info`.
    pub plan: &'static str,
    /// Time since the read.
    pub age_seconds: f64,
    /// How long it took.
    pub read_seconds: f64,
    /// Sockets by state: all eleven, in the order of the kernel's numbers.
    pub states: Labelled<u64>,
    /// Those with the lowest ports, ascending.
    pub listeners: Vec<Listener>,
    /// Listeners beyond those.
    pub listeners_not_shown: u64,
    /// The kernel's counters since boot; `None` where they cannot be read.
    pub kernel: Option<Kernel>,
}

/// An address and port that is listened on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listener {
    /// Without the port.
    pub address: String,
    /// Of TCP.
    pub port: u16,
    /// Connections that wait to be accepted.
    pub queue: u64,
    /// How many may; `None` where the kernel does not tell.
    pub limit: Option<u64>,
}

/// What explains trouble with connections, since boot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kernel {
    /// Connections refused because an accept queue was full.
    pub listen_overflows: u64,
    /// Connections dropped on their way into an accept queue, for that or another reason.
    pub listen_drops: u64,
    /// Retransmission timers that ran out.
    pub timeouts: u64,
    /// SYNs sent again.
    pub syn_retransmits: u64,
}

impl Sockets {
    /// What `report` says.
    pub fn new(report: &Report) -> Self {
        Self {
            namespace: report.netns.clone(),
            works: report.success,
            error: report.snapshot.error.clone(),
            cooldown_seconds: report.cooldown.as_secs_f64(),
            reading: Reading::new(report),
        }
    }
}

impl Reading {
    fn new(report: &Report) -> Option<Self> {
        let reading = report.snapshot.reading.as_ref()?;
        let Counts { states, plan, listeners, events, .. } = &reading.counts;
        let listener = |listener: &crate::sockets::listeners::Listener| Listener {
            address: listener.local.ip().to_string(),
            port: listener.local.port,
            queue: listener.queue,
            limit: listener.limit,
        };
        Some(Self {
            source: reading.source.label(),
            plan: plan.label(),
            age_seconds: report.since(reading.started).as_secs_f64(),
            read_seconds: reading.elapsed.as_secs_f64(),
            states: states.iter().map(|(state, count)| (state.label(), count)).collect(),
            listeners: listeners.iter().map(listener).collect(),
            listeners_not_shown: listeners.refused(),
            kernel: events.map(|events| Kernel {
                listen_overflows: events.listen_overflows,
                listen_drops: events.listen_drops,
                timeouts: events.timeouts,
                syn_retransmits: events.syn_retransmits,
            }),
        })
    }
}
