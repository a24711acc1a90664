//! Socket counts against the kernel's own tool, and against transports and files gone wrong.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests make sockets and run programs"
)]

#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/seccomp.rs"]
mod seccomp;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/unshare.rs"]
mod unshare;
#[path = "support/zoo.rs"]
mod zoo;

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbwire_exporter::{
    config::{Detail, Netns, PortSet, Ports, Sockets, SourceChoice},
    io::sockets::{SocketsHandle, start, start_with},
    sockets::{
        ports::Direction,
        report::Report,
        source::Source,
        state::{State, StateCounts},
    },
};
use scripted::{Answer, dumper};
use unshare::{enter_new, in_own_namespace, raise_descriptor_limit, thread_id};
use zoo::{Plan, Zoo, expected};

/// Long enough for any read here; no test waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn report(handle: &SocketsHandle) -> Report {
    report_within(handle, PATIENCE)
}

/// Of the first network namespace.
fn report_within(handle: &SocketsHandle, within: Duration) -> Report {
    block_on(handle.reports(within)).remove(0)
}

fn counts_by(source: SourceChoice) -> (Source, StateCounts) {
    let report = good(&start(&Sockets { source, ..Sockets::default() }).unwrap());
    let reading = report.snapshot.reading.as_ref().unwrap();
    (reading.source, reading.counts.states)
}

/// A report with current counts.
fn good(handle: &SocketsHandle) -> Report {
    let report = report(handle);
    assert!(report.success, "{report:?}");
    report
}

/// Counts as `ss -Htan` gives them.
fn counts_by_ss() -> StateCounts {
    let output = Command::new("ss").arg("-Htan").output().expect("ss, of iproute2");
    let mut counts = StateCounts::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let name = line.split_whitespace().next().unwrap();
        let state = match name {
            "ESTAB" => State::Established,
            "SYN-SENT" => State::SynSent,
            "SYN-RECV" => State::SynRecv,
            "FIN-WAIT-1" => State::FinWait1,
            "FIN-WAIT-2" => State::FinWait2,
            "TIME-WAIT" => State::TimeWait,
            "UNCONN" => State::Close,
            "CLOSE-WAIT" => State::CloseWait,
            "LAST-ACK" => State::LastAck,
            "LISTEN" => State::Listen,
            "CLOSING" => State::Closing,
            _ => panic!("{line}"),
        };
        counts.add(state);
    }
    counts
}

#[test]
fn twenty_thousand_sockets_in_ten_states_are_counted_as_ss_does() {
    in_own_namespace("twenty_thousand_sockets_in_ten_states_are_counted_as_ss_does", || {
        raise_descriptor_limit().unwrap();
        let plan = Plan {
            established_v4: 5000,
            established_v6: 2000,
            established_mapped: 1000,
            half_closed: 300,
            orphaned: 200,
            time_wait: 2500,
            syn_recv: 300,
            syn_sent: 20,
            fin_wait1: 50,
            last_ack: 40,
            closing: 30,
            not_accepted: 100,
        };
        let zoo = Zoo::build(&plan).unwrap();

        let before = counts_by_ss();
        let by_netlink = counts_by(SourceChoice::Netlink);
        let by_procfs = counts_by(SourceChoice::Procfs);
        let by_default = counts_by(SourceChoice::Auto);
        let after = counts_by_ss();

        assert_eq!(before, after, "the sockets were not at rest");
        assert_eq!(by_netlink, (Source::Netlink, before));
        assert_eq!(by_procfs, (Source::Procfs, before));
        assert_eq!(by_default, (Source::Netlink, before));
        for (state, count) in before.iter().filter(|(state, _)| *state != State::Listen) {
            assert_eq!(count as usize, expected(&plan, state), "{}", state.label());
        }
        assert_eq!(before.get(State::Listen) as usize, zoo.listeners());
        assert!(before.total() >= 20_000, "{before:?}");
    });
}

/// Reads everything again at every question, whatever it costs.
fn eager(detail: Detail, source: SourceChoice) -> Sockets {
    Sockets { detail, source, cache_ttl: Duration::ZERO, cpu_budget: 1.0, ..Sockets::default() }
}

#[test]
fn every_plan_counts_what_ss_counts() {
    in_own_namespace("every_plan_counts_what_ss_counts", || {
        raise_descriptor_limit().unwrap();
        let some = Plan {
            established_v4: 200,
            established_v6: 100,
            established_mapped: 50,
            half_closed: 30,
            orphaned: 50,
            time_wait: 300,
            syn_recv: 20,
            syn_sent: 5,
            fin_wait1: 10,
            last_ack: 10,
            closing: 10,
            not_accepted: 20,
        };
        let mut zoos = Vec::new();
        for plan in [Plan::default(), some, some] {
            zoos.push(Zoo::build(&plan).unwrap());
            let before = counts_by_ss();
            for (detail, source) in [
                (Detail::Totals, SourceChoice::Netlink),
                (Detail::Ports, SourceChoice::Netlink),
                (Detail::Full, SourceChoice::Netlink),
                (Detail::Full, SourceChoice::Procfs),
            ] {
                let handle = start(&eager(detail, source)).unwrap();
                // The first read of totals is a verification; the second is by the plan that came of it.
                for read in 1..=2 {
                    let report = good(&handle);
                    let counts = report.counts().unwrap();
                    assert_eq!(
                        counts.states,
                        before,
                        "{detail:?} {source:?}, read {read}, {}",
                        counts.plan.label()
                    );
                }
            }
            assert_eq!(counts_by_ss(), before, "the sockets were not at rest");
        }
    });
}

/// Connects and waits for the server to close, without end: one connection at a time, whoever is kept waiting.
fn churn(to: u16, stop: &AtomicBool) {
    for n in (1..=200).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // The server goes when it is told to stop, perhaps before this thread is.
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::new(127, 0, 4, n), to)) {
            let _ = stream.read(&mut [0]);
        }
    }
}

/// Ends the churn when it is dropped, so that a failed assertion is seen and not waited behind.
struct StopOnDrop<'a> {
    stop: &'a AtomicBool,
    port: u16,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the one that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

#[test]
fn while_connections_come_and_go_the_plans_agree_within_what_changed_between_two_dumps() {
    in_own_namespace("while_connections_come_and_go_the_plans_agree", || {
        const CHURNERS: u64 = 2;
        /// Each has one connection at a time, but a dump, which takes a while, may meet several, one after another.
        const SLACK: u64 = 8 * CHURNERS;
        let _zoo = Zoo::build(&Plan { established_v4: 500, half_closed: 50, ..Plan::default() }).unwrap();
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let totals = start(&eager(Detail::Totals, SourceChoice::Netlink)).unwrap();
        let full = start(&eager(Detail::Full, SourceChoice::Netlink)).unwrap();
        // Verified at rest; under churn it may take a few tries.
        good(&totals);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = StopOnDrop { stop: &stop, port };
            for _ in 0..CHURNERS {
                scope.spawn(|| churn(port, &stop));
            }
            let stop = &stop;
            // Its listener goes with it, and resets whom it did not accept.
            scope.spawn(move || listener.incoming().take_while(|_| !stop.load(Ordering::Relaxed)).count());
            let states = |handle| good(handle).counts().unwrap().states;
            for _ in 0..30 {
                let (before, between, after) = (states(&full), states(&totals), states(&full));
                for state in [State::Established, State::TimeWait, State::CloseWait, State::Listen] {
                    let (a, b) = (before.get(state), after.get(state));
                    let allowed = a.min(b).saturating_sub(SLACK)..=a.max(b) + SLACK;
                    assert!(
                        allowed.contains(&between.get(state)),
                        "{}: {before:?} {between:?} {after:?}",
                        state.label()
                    );
                }
            }
            assert!(good(&totals).counts().unwrap().plan.label().starts_with("counters"));
        });
    });
}

#[test]
fn totals_list_next_to_nothing_once_a_full_dump_has_borne_the_counters_out() {
    in_own_namespace("totals_list_next_to_nothing_once_a_full_dump_has_borne_the_counters_out", || {
        let _zoo = Zoo::build(&Plan { established_v4: 150, half_closed: 30, ..Plan::default() }).unwrap();
        let handle = start(&eager(Detail::Totals, SourceChoice::Netlink)).unwrap();
        assert_eq!(good(&handle).counts().unwrap().plan.label(), "full_dump");
        let report = good(&handle);
        let counts = report.counts().unwrap();
        // On kernels before CLOSE_WAIT was part of CurrEstab, the other.
        assert!(["counters_less_close_wait", "counters"].contains(&counts.plan.label()), "{counts:?}");
        assert!(counts.verified.is_some());
    });
}

#[test]
fn ports_have_their_states_by_direction_their_queue_and_what_waits_in_it() {
    in_own_namespace("ports_have_their_states_by_direction_their_queue_and_what_waits_in_it", || {
        let listener = TcpListener::bind(("0.0.0.0", 3306)).unwrap();
        let dual = TcpListener::bind(("::", 3307)).unwrap();
        let mut streams = Vec::new();
        for n in 0..10 {
            streams.push(TcpStream::connect(("127.0.0.1", 3306)).unwrap());
            if n < 7 {
                streams.push(listener.accept().unwrap().0);
            }
        }
        // Enough others that they are not simply all listed; nobody listens on their port any more.
        let crowd = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        for _ in 0..150 {
            streams.push(TcpStream::connect(crowd.local_addr().unwrap()).unwrap());
            streams.push(crowd.accept().unwrap().0);
        }
        drop(crowd);
        // IPv4 clients of an IPv6 listener.
        for _ in 0..4 {
            streams.push(TcpStream::connect(("127.0.0.1", 3307)).unwrap());
            streams.push(dual.accept().unwrap().0);
        }
        for (detail, source, ports) in [
            (Detail::Totals, SourceChoice::Netlink, Ports::Chosen(PortSet::new(&[3306, 3307]).unwrap())),
            (Detail::Totals, SourceChoice::Netlink, Ports::Listening),
            (Detail::Ports, SourceChoice::Netlink, Ports::Listening),
            (Detail::Full, SourceChoice::Netlink, Ports::Listening),
            (Detail::Ports, SourceChoice::Procfs, Ports::Listening),
        ] {
            let handle = start(&Sockets { ports, ..eager(detail, source) }).unwrap();
            for read in 1..=2 {
                let context = format!("{detail:?} {source:?}, read {read}");
                let report = good(&handle);
                let counts = report.counts().unwrap();
                let cheap = counts.plan.label().starts_with("counters");
                assert_eq!(cheap, detail == Detail::Totals && read == 2, "{context}: {counts:?}");
                let ports = counts.ports.as_ref().unwrap();
                let [(3306, plain), (3307, mapped)] =
                    ports.table.iter(&ports.watched).collect::<Vec<_>>()[..]
                else {
                    panic!("{context}: {ports:?}");
                };
                for (port, established) in [(plain, 10), (mapped, 4)] {
                    for direction in Direction::ALL {
                        let states = port.states(direction);
                        assert_eq!(states.get(State::Established), established, "{context}");
                    }
                    assert_eq!(port.states(Direction::Inbound).get(State::Listen), 1, "{context}");
                }
                assert_eq!((plain.not_accepted, mapped.not_accepted), (3, 0), "{context}");
                let queues: Vec<_> = counts.listeners.iter().map(|l| (l.local.port, l.queue)).collect();
                assert_eq!(queues, [(3306, 3), (3307, 0)], "{context}");
                let limits = counts.listeners.iter().all(|listener| listener.limit.is_some());
                assert_eq!(limits, source == SourceChoice::Netlink, "{context}");
                let worst = &ports.worst.as_ref().unwrap().pairs;
                let used = worst.iter().map(|(pair, used)| (pair.destination.port, *used));
                let used: Vec<_> = used.filter(|(port, _)| [3306, 3307].contains(port)).collect();
                assert_eq!(used, [(3306, 10), (3307, 4)], "{context}");
            }
        }
    });
}

#[test]
fn round_trip_times_and_retransmissions_are_told_on_request() {
    in_own_namespace("round_trip_times_and_retransmissions_are_told_on_request", || {
        let listener = TcpListener::bind(("127.0.0.1", 3306)).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", 3306)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        let config = Sockets { tcp_info: true, ..eager(Detail::Full, SourceChoice::Netlink) };
        let report = good(&start(&config).unwrap());
        let ports = report.counts().unwrap().ports.as_ref().unwrap();
        let [info] = &ports.info[..] else { panic!("{ports:?}") };
        // The client's and the server's end.
        assert_eq!((info.rtt.total(), info.retransmits.quantile(1.0)), (2, Some(0)));
        assert!(info.rtt.quantile(1.0).unwrap() < 1_000_000);
    });
}

#[test]
fn other_network_namespaces_are_reported_under_their_name() {
    in_own_namespace("other_network_namespaces_are_reported_under_their_name", || {
        let path = format!("/proc/self/task/{}/ns/net", thread_id());
        let _listener = TcpListener::bind(("127.0.0.1", 3306)).unwrap();
        let elsewhere = std::thread::spawn(move || {
            enter_new().unwrap();
            let netns = vec![Netns { name: "blue".to_owned(), path: path.into() }];
            let handle = start(&Sockets { netns, ..eager(Detail::Totals, SourceChoice::Auto) }).unwrap();
            block_on(handle.reports(PATIENCE))
        });
        let reports = elsewhere.join().unwrap();
        let [own, blue] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((own.netns.as_deref(), own.counts().unwrap().states.total()), (None, 0));
        let states = blue.counts().unwrap().states;
        assert_eq!((blue.netns.as_deref(), states.get(State::Listen), states.total()), (Some("blue"), 1, 1));
    });
}

#[test]
fn a_network_namespace_that_is_not_there_is_an_error_that_names_it() {
    let netns = vec![Netns { name: "none".to_owned(), path: "/run/netns/none".into() }];
    let error = start(&Sockets { netns, ..Sockets::default() }).unwrap_err().to_string();
    assert!(error.starts_with("cannot enter network namespace /run/netns/none "), "{error}");
}

#[test]
fn a_namespace_without_sockets_has_all_states_at_zero() {
    in_own_namespace("a_namespace_without_sockets_has_all_states_at_zero", || {
        for source in [SourceChoice::Netlink, SourceChoice::Procfs] {
            assert_eq!(counts_by(source).1, StateCounts::default());
        }
    });
}

const TCP_TABLE: &str = concat!(
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 12345\n",
);

/// A procfs with one listener in it.
fn procfs(tcp: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("net")).unwrap();
    fs::write(root.path().join("net/tcp"), tcp).unwrap();
    root
}

fn config(source: SourceChoice, procfs: &Path) -> Sockets {
    Sockets {
        source,
        procfs: procfs.to_owned(),
        cache_ttl: Duration::ZERO,
        cpu_budget: 1.0,
        ..Sockets::default()
    }
}

fn fallbacks(report: &Report) -> Vec<(&'static str, u64)> {
    let counts = report.snapshot.fallbacks.iter().map(|(reason, count)| (reason.label(), count));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn started(report: &Report) -> Option<Instant> {
    report.snapshot.reading.as_ref().map(|reading| reading.started)
}

#[test]
fn every_failure_of_netlink_is_counted_under_its_reason_and_procfs_is_read() {
    let message =
        |kind: u16, flags: u16, payload: &[u8]| Answer::Messages(vec![(kind, flags, payload.to_vec())]);
    let cases = [
        ("socket", vec![Answer::NoSocket(libc::EPERM)]),
        ("socket", vec![Answer::NoSocket(libc::EPROTONOSUPPORT)]),
        ("descriptors", vec![Answer::NoSocket(libc::EMFILE)]),
        ("handler", vec![message(3, 2, &(-libc::ENOENT).to_ne_bytes())]),
        ("handler", vec![message(2, 0, &(-libc::EOPNOTSUPP).to_ne_bytes())]),
        ("refused", vec![message(2, 0, &(-libc::EPERM).to_ne_bytes())]),
        ("refused", vec![Answer::empty(), message(3, 2, &(-libc::ENOMEM).to_ne_bytes())]),
        ("truncated", vec![Answer::empty(), Answer::TooLong]),
        ("interrupted", vec![Answer::empty(), message(3, 2 | 16, &[0; 4])]),
        ("overrun", vec![Answer::empty(), Answer::ReceiveFails(libc::ENOBUFS)]),
        ("overrun", vec![Answer::empty(), message(4, 0, &[])]),
        ("malformed", vec![Answer::empty(), message(18, 2, &[0; 71])]),
        ("timeout", vec![Answer::ReceiveFails(libc::EAGAIN)]),
        ("io", vec![Answer::ReceiveFails(libc::EIO)]),
    ];
    let root = procfs(TCP_TABLE);
    for (reason, script) in cases {
        let (netlink, _) = dumper(script.clone());
        let handle = start_with(&config(SourceChoice::Auto, root.path()), netlink).unwrap();
        let report = report(&handle);
        let reading = report.snapshot.reading.as_ref().unwrap();
        assert_eq!(fallbacks(&report), [(reason, 1)], "{script:?}");
        assert_eq!(
            (reading.source, reading.counts.states.get(State::Listen)),
            (Source::Procfs, 1),
            "{script:?}"
        );
        assert!(report.success, "{script:?}");
    }
}

#[test]
fn netlink_alone_says_why_it_failed_and_invents_nothing() {
    let (netlink, _) = dumper(vec![Answer::Messages(vec![(3, 2, (-2_i32).to_ne_bytes().to_vec())])]);
    let handle = start_with(&config(SourceChoice::Netlink, Path::new("/nonexistent")), netlink).unwrap();
    let report = report(&handle);
    assert!(!report.success && report.snapshot.reading.is_none(), "{report:?}");
    let error = report.snapshot.error.as_ref().unwrap();
    assert!(error.contains("refused") && error.contains("No such file"), "{error}");
}

#[test]
fn a_kernel_without_the_legacy_request_is_asked_for_each_family_and_not_asked_again() {
    let unknown = Answer::Messages(vec![(2, 0, (-libc::EINVAL).to_ne_bytes().to_vec())]);
    let (netlink, requests) = dumper(vec![unknown, Answer::empty()]);
    let handle = start_with(&config(SourceChoice::Netlink, Path::new("/nonexistent")), netlink).unwrap();
    // The question, then listeners and the rest, each of two families.
    for sent in [5, 9] {
        assert!(report(&handle).success);
        assert_eq!(requests.load(Ordering::Relaxed), sent);
    }
}

#[test]
fn a_dump_that_was_interrupted_is_made_again() {
    let interrupted = Answer::Messages(vec![(3, 2 | 16, vec![0; 4])]);
    let (netlink, requests) =
        dumper(vec![Answer::empty(), Answer::empty(), interrupted.clone(), interrupted, Answer::empty()]);
    let handle = start_with(&config(SourceChoice::Netlink, Path::new("/nonexistent")), netlink).unwrap();
    assert!(report(&handle).success);
    assert_eq!(requests.load(Ordering::Relaxed), 5);
}

#[test]
fn a_malformed_line_is_named_by_file_line_and_item() {
    let root = procfs(&TCP_TABLE.replace(" 0A ", " 0Z "));
    let handle = start(&config(SourceChoice::Procfs, root.path())).unwrap();
    let report = report(&handle);
    assert!(!report.success && report.snapshot.reading.is_none(), "{report:?}");
    let path = root.path().join("net/tcp");
    let expected = format!("cannot read {}: line 2: bad st", path.display());
    assert_eq!(report.snapshot.error.as_ref(), Some(&expected));
}

#[test]
fn a_stuck_read_delays_no_page_and_the_last_counts_are_served_with_their_age() {
    let root = procfs(TCP_TABLE);
    let handle = start(&config(SourceChoice::Procfs, root.path())).unwrap();
    let good = report(&handle);
    assert!(good.success);

    let table = root.path().join("net/tcp");
    fs::remove_file(&table).unwrap();
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    // The next read opens the FIFO and waits there for a writer. Its rest after the read before is over once a
    // report says that a read is overdue.
    let stale = loop {
        let report = report_within(&handle, Duration::from_millis(1));
        if !report.success {
            break report;
        }
    };
    assert_eq!(started(&stale), started(&good));
    assert!(stale.age() > good.age());

    let writer = table.clone();
    let writer = std::thread::spawn(move || fs::write(writer, TCP_TABLE));
    let again = report(&handle);
    assert!(again.success && started(&again) != started(&good), "{again:?}");
    writer.join().unwrap().unwrap();
}

#[test]
fn any_number_of_callers_cause_one_read() {
    let (netlink, requests) = dumper(vec![Answer::empty()]);
    let config = Sockets { cache_ttl: PATIENCE, ..config(SourceChoice::Netlink, Path::new("/nonexistent")) };
    let handle = start_with(&config, netlink).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert!(report(&handle).success));
        }
    });
    // The question which request the kernel takes, and dumps of the listeners and of the rest.
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

#[test]
fn a_seccomp_filter_that_refuses_netlink_makes_procfs_the_source() {
    std::thread::spawn(|| {
        seccomp::refuse_netlink(libc::EPERM as u16).unwrap();
        let root = procfs(TCP_TABLE);
        let handle = start(&config(SourceChoice::Auto, root.path())).unwrap();
        let report = good(&handle);
        let reading = report.snapshot.reading.as_ref().unwrap();
        assert_eq!(fallbacks(&report), [("socket", 1)]);
        assert_eq!((reading.source, reading.counts.states.get(State::Listen)), (Source::Procfs, 1));
    })
    .join()
    .unwrap();
}

/// Run by the test below in a process of its own, for the limit is a process's.
#[test]
#[ignore = "not a test by itself"]
fn without_descriptors_child() {
    let root = procfs(TCP_TABLE);
    let handle = start(&config(SourceChoice::Auto, root.path())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    let mut taken = Vec::new();
    let error = loop {
        match null.try_clone() {
            Ok(file) => taken.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    let report = runtime.block_on(handle.reports(PATIENCE)).remove(0);
    drop(taken);
    assert!(report.success, "{report:?}");
    let reading = report.snapshot.reading.as_ref().unwrap();
    assert_eq!(fallbacks(&report), [("descriptors", 1)]);
    assert_eq!((reading.source, reading.counts.states.get(State::Listen)), (Source::Procfs, 1));
}

#[test]
fn without_a_descriptor_left_procfs_is_read_with_the_one_kept_for_it() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_descriptors_child", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn forty_scrapes_at_a_time_of_a_stuck_procfs_cause_one_read_and_all_end_in_time() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("net")).unwrap();
    let table = root.path().join("net/tcp");
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    let handle = start(&config(SourceChoice::Procfs, root.path())).unwrap();
    // The read is stuck until somebody writes: every scrape ends by itself.
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let report = report_within(&handle, Duration::from_millis(5));
                    assert!(!report.success && report.counts().is_none(), "{report:?}");
                });
            }
        });
    }
    // Had there been a second read, it would wait at the FIFO for a second writer.
    let writer = std::thread::spawn(move || fs::write(table, TCP_TABLE));
    let report = good(&handle);
    assert_eq!(report.counts().unwrap().states.get(State::Listen), 1);
    writer.join().unwrap().unwrap();
    // It took long, so the collector rests long, and says so.
    assert!(report.cooldown > Duration::ZERO, "{report:?}");
    let resting = report_within(&handle, Duration::ZERO);
    assert_eq!(started(&resting), started(&report));
}
