#![allow(clippy::disallowed_methods, reason = "std makes an `Instant` in no other way")]

use std::{sync::Arc, time::Instant};

use prometheus::{Encoder, TextEncoder};

use super::*;
use crate::sockets::{
    cache::Scope,
    census::{Census, PairScope, Tally},
    counters::{Events, Gauges},
    pairs::Pairs,
    plan::{Identity, Plan},
    ports::WatchedPorts,
    report::{Counts, Reading, Snapshot},
    row::{Endpoint, Row, Timer},
    source::{FallbackReason, Source},
    state::State,
};

fn row(state: State, local: u16, remote: u16) -> Row {
    let end = |port| Endpoint { address: "::ffff:10.0.0.1".parse().unwrap(), port };
    Row {
        family: AddressFamily::Ipv4,
        state,
        timer: Timer::Off,
        local: end(local),
        remote: end(remote),
        receive_queue: 3,
        send_queue: 80,
        inode: 0,
        cookie: 0,
    }
}

/// A listener on 3306, a connection to it not yet accepted, and its client's end.
fn counts(now: Instant) -> Counts {
    let watched = Arc::new(WatchedPorts::new([3306]));
    let mut census = Census::new(&watched, Some(Pairs::new((32768, 60999))), PairScope::Watched).with_info();
    let timer = Timer::Retransmit;
    for row in [
        row(State::Listen, 3306, 0),
        row(State::Established, 3306, 50000),
        Row { timer, ..row(State::Established, 50000, 3306) },
    ] {
        census.add(&row);
    }
    census.info[0].rtt.add(1000);
    Counts {
        states: census.tally.states(),
        families: None,
        plan: Plan::Counters(Identity::WithCloseWait),
        verified: Some(now),
        listeners: Arc::new(census.listeners.clone()),
        ports: Some(Arc::new(PortReading::new(now, &watched, census))),
        gauges: Some(Gauges { current_established: 2, time_wait: 0, orphans: 5, memory_bytes: 4096 }),
        events: Some(Events { listen_overflows: 1, listen_drops: 2, timeouts: 3, syn_retransmits: 4 }),
        time_wait_limit: Some(65536),
    }
}

fn snapshot(started: Instant, counts: Counts) -> Arc<Snapshot> {
    let reading = Reading { source: Source::Netlink, started, elapsed: Duration::ZERO, counts };
    let mut snapshot = Snapshot { reading: Some(reading), ..Snapshot::default() };
    snapshot.spent.add(Scope::Everything, Duration::from_millis(20));
    snapshot.spent.add(Scope::Listeners, Duration::from_millis(5));
    Arc::new(snapshot)
}

fn page(reports: &[Report]) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&families(reports), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn report(netns: Option<&str>, snapshot: Arc<Snapshot>, now: Instant) -> Report {
    Report::new(netns.map(Into::into), snapshot, now, Duration::from_millis(1500), false)
}

#[track_caller]
fn assert_has(page: &str, lines: &[&str]) {
    for line in lines {
        assert!(page.lines().any(|found| found == *line), "{line} is not in\n{page}");
    }
}

#[test]
fn all_eleven_states_are_there_once_they_are_known() {
    let started = Instant::now();
    let page = page(&[report(None, snapshot(started, counts(started)), started)]);
    for state in State::ALL {
        let value = match state {
            State::Established => 2,
            State::Listen => 1,
            _ => 0,
        };
        let line = format!("dbwire_tcp_connection_states{{state=\"{}\"}} {value}", state.label());
        assert_has(&page, &[&line]);
    }
    assert!(!page.contains("dbwire_tcp_family_connection_states"), "{page}");
}

#[test]
fn the_watched_port_has_its_states_queue_timers_and_ephemeral_ports() {
    let started = Instant::now();
    let page = page(&[report(None, snapshot(started, counts(started)), started)]);
    assert_has(
        &page,
        &[
            "dbwire_tcp_port_connection_states{port=\"3306\",direction=\"inbound\",state=\"established\"} 1",
            "dbwire_tcp_port_connection_states{port=\"3306\",direction=\"outbound\",state=\"established\"} 1",
            "dbwire_tcp_port_connection_states{port=\"3306\",direction=\"outbound\",state=\"time_wait\"} 0",
            "dbwire_tcp_unaccepted_connections{port=\"3306\"} 1",
            "dbwire_tcp_timer_connections{port=\"3306\",timer=\"retransmit\"} 1",
            "dbwire_tcp_timer_connections{port=\"3306\",timer=\"keepalive\"} 0",
            "dbwire_tcp_listen_queue_length{port=\"3306\",address=\"10.0.0.1\"} 3",
            "dbwire_tcp_listen_queue_limit{port=\"3306\",address=\"10.0.0.1\"} 80",
            "dbwire_tcp_ephemeral_ports_used{source=\"10.0.0.1\",destination=\"10.0.0.1:3306\"} 1",
            "dbwire_tcp_ephemeral_ports_limit{source=\"10.0.0.1\",destination=\"10.0.0.1:3306\"} 28232",
            "dbwire_tcp_unlisted_entries{kind=\"pairs\"} 0",
        ],
    );
    assert!(page.contains("dbwire_tcp_port_rtt_seconds{port=\"3306\",quantile=\"0.99\"} 0.001"), "{page}");
    assert!(!page.contains("dbwire_tcp_port_retransmitted_segments"), "{page}");
}

#[test]
fn the_page_says_where_the_counts_come_from_and_how_old_they_are() {
    let started = Instant::now();
    let now = started + Duration::from_millis(250);
    let page = page(&[report(None, snapshot(started, counts(started)), now)]);
    assert_has(
        &page,
        &[
            "dbwire_tcp_source_info{source=\"netlink\"} 1",
            "dbwire_tcp_plan_info{plan=\"counters_less_close_wait\"} 1",
            "dbwire_tcp_plan_verified_age_seconds 0.25",
            "dbwire_tcp_snapshot_age_seconds 0.25",
            "dbwire_tcp_port_snapshot_age_seconds 0.25",
            "dbwire_tcp_cooldown_seconds 1.5",
            "dbwire_tcp_reads_total 1",
            "dbwire_tcp_read_cpu_seconds_total 0.025",
        ],
    );
}

#[test]
fn the_kernels_own_counters_stand_beside_the_sockets() {
    let started = Instant::now();
    let page = page(&[report(None, snapshot(started, counts(started)), started)]);
    assert_has(
        &page,
        &[
            "dbwire_tcp_listen_overflows_total 1",
            "dbwire_tcp_listen_drops_total 2",
            "dbwire_tcp_timeouts_total 3",
            "dbwire_tcp_syn_retransmits_total 4",
            "dbwire_tcp_orphans 5",
            "dbwire_tcp_memory_bytes 4096",
            "dbwire_tcp_time_wait_limit 65536",
        ],
    );
}

#[test]
fn families_are_split_where_every_socket_was_listed() {
    let started = Instant::now();
    let mut tally = Tally::default();
    tally.add(&row(State::TimeWait, 1, 2));
    let counts = Counts { families: Some(tally), ..counts(started) };
    let page = page(&[report(None, snapshot(started, counts), started)]);
    assert_has(
        &page,
        &[
            "dbwire_tcp_family_connection_states{family=\"ipv4\",state=\"time_wait\"} 1",
            "dbwire_tcp_family_connection_states{family=\"ipv6\",state=\"time_wait\"} 0",
        ],
    );
}

#[test]
fn only_other_namespaces_have_a_label_and_the_host_is_told_of_once() {
    let started = Instant::now();
    let snapshot = snapshot(started, counts(started));
    let page = page(&[report(None, Arc::clone(&snapshot), started), report(Some("blue"), snapshot, started)]);
    assert_has(
        &page,
        &[
            "dbwire_tcp_connection_states{state=\"listen\"} 1",
            "dbwire_tcp_connection_states{state=\"listen\",netns=\"blue\"} 1",
            "dbwire_tcp_snapshot_age_seconds{netns=\"blue\"} 0",
        ],
    );
    assert_eq!(page.matches("# TYPE dbwire_tcp_connection_states ").count(), 1);
    assert_eq!(page.matches("\ndbwire_tcp_orphans").count(), 1, "{page}");
}

#[test]
fn counts_that_were_never_read_are_absent() {
    let text = page(&[report(None, Arc::default(), Instant::now())]);
    for name in ["connection_states", "source_info", "plan_info", "snapshot_age", "unlisted"] {
        assert!(!text.contains(name), "{text}");
    }
}

#[test]
fn every_fallback_reason_is_there_from_the_start() {
    let mut snapshot = Snapshot::default();
    snapshot.fallbacks.add(FallbackReason::Handler);
    let text = page(&[report(None, Arc::new(snapshot), Instant::now())]);
    for reason in FallbackReason::ALL {
        let value = u64::from(reason == FallbackReason::Handler);
        assert_has(&text, &[&format!("dbwire_tcp_fallbacks_total{{reason=\"{}\"}} {value}", reason.label())]);
    }
}
