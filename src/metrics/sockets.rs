//! [`Report`]s → the `dbwire_tcp_*` families.

use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{
    family::Family,
    names::{self, Metric},
};
use crate::sockets::{
    ports::{Direction, PortCounts},
    report::{PortReading, Report},
    row::Family as AddressFamily,
    tcp_info::Quantiles,
};

/// Takes the samples of one family.
type Sink<'a> = &'a mut dyn FnMut(&[&str], f64);

/// The quantiles exported of a distribution over sockets.
const QUANTILES: [(&str, f64); 4] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("1", 1.0)];

/// Every socket family that has samples. Counts that were never read are absent, not zero. Samples of a network
/// namespace other than the program's own have a label `netns`.
pub fn families(reports: &[Report]) -> Vec<MetricFamily> {
    let families = [
        states(reports),
        by_port(reports),
        ephemeral_ports(reports),
        quantiles(reports),
        listeners(reports),
        host(reports),
        provenance(reports),
    ];
    families.into_iter().flatten().filter(|family| !family.get_metric().is_empty()).collect()
}

/// Where the counts come from, and how old they are.
fn provenance(reports: &[Report]) -> Vec<MetricFamily> {
    vec![
        family(&names::TCP_SOURCE_INFO, reports, |report, add| {
            if let Some(reading) = &report.snapshot.reading {
                add(&[reading.source.label()], 1.0);
            }
        }),
        family(&names::TCP_PLAN_INFO, reports, |report, add| {
            if let Some(counts) = report.counts() {
                add(&[counts.plan.label()], 1.0);
            }
        }),
        family(&names::TCP_PLAN_VERIFIED_AGE, reports, |report, add| {
            if let Some(verified) = report.counts().and_then(|counts| counts.verified) {
                add(&[], seconds(report.since(verified)));
            }
        }),
        family(&names::TCP_SNAPSHOT_AGE, reports, |report, add| {
            if let Some(age) = report.age() {
                add(&[], seconds(age));
            }
        }),
        family(&names::TCP_COOLDOWN, reports, |report, add| add(&[], seconds(report.cooldown))),
        family(&names::TCP_READS, reports, |report, add| add(&[], report.snapshot.spent.reads as f64)),
        family(&names::TCP_READ_CPU, reports, |report, add| add(&[], seconds(report.snapshot.spent.cpu))),
        family(&names::TCP_FALLBACKS, reports, |report, add| {
            for (reason, count) in report.snapshot.fallbacks.iter() {
                add(&[reason.label()], count as f64);
            }
        }),
    ]
}

fn states(reports: &[Report]) -> Vec<MetricFamily> {
    vec![
        family(&names::TCP_CONNECTION_STATES, reports, |report, add| {
            for (state, count) in report.counts().iter().flat_map(|counts| counts.states.iter()) {
                add(&[state.label()], count as f64);
            }
        }),
        family(&names::TCP_FAMILY_CONNECTION_STATES, reports, |report, add| {
            let Some(tally) = report.counts().and_then(|counts| counts.families) else { return };
            for family in AddressFamily::ALL {
                for (state, count) in tally.family(family).iter() {
                    add(&[family.label(), state.label()], count as f64);
                }
            }
        }),
    ]
}

fn by_port(reports: &[Report]) -> Vec<MetricFamily> {
    vec![
        each_port(&names::TCP_PORT_CONNECTION_STATES, reports, |port, counts, add| {
            for direction in Direction::ALL {
                for (state, count) in counts.states(direction).iter() {
                    add(&[port, direction.label(), state.label()], count as f64);
                }
            }
        }),
        each_port(&names::TCP_UNACCEPTED_CONNECTIONS, reports, |port, counts, add| {
            add(&[port], counts.not_accepted as f64);
        }),
        each_port(&names::TCP_TIMER_CONNECTIONS, reports, |port, counts, add| {
            for (timer, count) in counts.timers() {
                add(&[port, timer], count as f64);
            }
        }),
        family(&names::TCP_PORT_SNAPSHOT_AGE, reports, |report, add| {
            if let Some(ports) = port_reading(report) {
                add(&[], seconds(report.since(ports.started)));
            }
        }),
    ]
}

fn ephemeral_ports(reports: &[Report]) -> Vec<MetricFamily> {
    let of_pairs = |metric, value: fn(u32, u32) -> u32| {
        family(metric, reports, move |report, add| {
            let Some(worst) = port_reading(report).and_then(|ports| ports.worst.as_ref()) else { return };
            for (pair, used) in &worst.pairs {
                let source = pair.source.to_canonical().to_string();
                let destination = std::net::SocketAddr::new(pair.destination.ip(), pair.destination.port);
                add(&[&source, &destination.to_string()], f64::from(value(*used, worst.limit)));
            }
        })
    };
    vec![
        of_pairs(&names::TCP_EPHEMERAL_PORTS_USED, |used, _limit| used),
        of_pairs(&names::TCP_EPHEMERAL_PORTS_LIMIT, |_used, limit| limit),
    ]
}

fn quantiles(reports: &[Report]) -> Vec<MetricFamily> {
    let of_ports = |metric, quantiles: fn(&crate::sockets::census::PortInfo) -> &Quantiles, unit: f64| {
        family(metric, reports, move |report, add| {
            let Some(ports) = port_reading(report) else { return };
            for (port, info) in ports.watched.ports().iter().zip(&ports.info) {
                for (label, share) in QUANTILES {
                    if let Some(value) = quantiles(info).quantile(share) {
                        add(&[&port.to_string(), label], f64::from(value) * unit);
                    }
                }
            }
        })
    };
    vec![
        of_ports(&names::TCP_PORT_RTT, |info| &info.rtt, 1e-6),
        of_ports(&names::TCP_PORT_RETRANSMITTED, |info| &info.retransmits, 1.0),
    ]
}

fn listeners(reports: &[Report]) -> Vec<MetricFamily> {
    let of_listeners = |metric, value: fn(&crate::sockets::listeners::Listener) -> Option<u64>| {
        family(metric, reports, move |report, add| {
            for listener in report.counts().iter().flat_map(|counts| counts.listeners.iter()) {
                if let Some(value) = value(listener) {
                    let (port, address) = (listener.local.port.to_string(), listener.local.ip().to_string());
                    add(&[&port, &address], value as f64);
                }
            }
        })
    };
    vec![
        of_listeners(&names::TCP_LISTEN_QUEUE_LENGTH, |listener| Some(listener.queue)),
        of_listeners(&names::TCP_LISTEN_QUEUE_LIMIT, |listener| listener.limit),
    ]
}

fn host(reports: &[Report]) -> Vec<MetricFamily> {
    use crate::sockets::counters::{Events, Gauges};

    let event = |metric, value: fn(&Events) -> u64| {
        family(metric, reports, move |report, add| {
            if let Some(events) = report.counts().and_then(|counts| counts.events.as_ref()) {
                add(&[], value(events) as f64);
            }
        })
    };
    // Of the host, not of a namespace.
    let gauge = |metric, value: fn(&Gauges) -> u64| {
        family(metric, reports.get(..1).unwrap_or_default(), move |report, add| {
            if let Some(gauges) = report.counts().and_then(|counts| counts.gauges.as_ref()) {
                add(&[], value(gauges) as f64);
            }
        })
    };
    vec![
        event(&names::TCP_LISTEN_OVERFLOWS, |events| events.listen_overflows),
        event(&names::TCP_LISTEN_DROPS, |events| events.listen_drops),
        event(&names::TCP_TIMEOUTS, |events| events.timeouts),
        event(&names::TCP_SYN_RETRANSMITS, |events| events.syn_retransmits),
        gauge(&names::TCP_ORPHANS, |gauges| gauges.orphans),
        gauge(&names::TCP_MEMORY, |gauges| gauges.memory_bytes),
        family(&names::TCP_UNLISTED_ENTRIES, reports, |report, add| {
            let Some(counts) = report.counts() else { return };
            let ports = counts.ports.as_ref();
            let refused_ports = ports.map_or(0, |ports| ports.watched.refused());
            let pairs = ports.and_then(|ports| ports.worst.as_ref()).map_or(0, |worst| worst.refused);
            add(&["listeners"], counts.listeners.refused() as f64);
            add(&["ports"], refused_ports as f64);
            add(&["pairs"], pairs as f64);
        }),
    ]
}

/// A family with the samples `samples` gives for each report.
fn family(metric: &'static Metric, reports: &[Report], samples: impl Fn(&Report, Sink<'_>)) -> MetricFamily {
    let mut family = Family::new(metric);
    for report in reports {
        family.label(report.netns.as_ref().map(|netns| ("netns", &**netns)));
        samples(report, &mut |labels, value| family.push(labels, value));
    }
    family.build()
}

/// A family with the samples `samples` gives for each watched port, given as a label's value.
fn each_port(
    metric: &'static Metric,
    reports: &[Report],
    samples: impl Fn(&str, &PortCounts, Sink<'_>),
) -> MetricFamily {
    family(metric, reports, |report, add| {
        let Some(ports) = port_reading(report) else { return };
        for (port, counts) in ports.table.iter(&ports.watched) {
            samples(&port.to_string(), counts, add);
        }
    })
}

fn port_reading(report: &Report) -> Option<&PortReading> {
    report.counts()?.ports.as_deref()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests;
