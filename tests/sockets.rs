//! Socket counts against the kernel's own tool, and against transports and files gone wrong.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests make sockets and run programs"
)]

#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/unshare.rs"]
mod unshare;
#[path = "support/zoo.rs"]
mod zoo;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dbwire_exporter::{
    config::{Sockets, SourceChoice},
    io::sockets::{SocketsHandle, start, start_with},
    sockets::{
        report::Report,
        source::Source,
        state::{State, StateCounts},
    },
};
use scripted::{Answer, dumper};
use unshare::{in_own_namespace, raise_descriptor_limit};
use zoo::{Plan, Zoo, expected};

/// Long enough for any read here; no test waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn report(handle: &SocketsHandle) -> Arc<Report> {
    block_on(handle.report(PATIENCE))
}

fn counts_by(source: SourceChoice) -> (Source, StateCounts) {
    let handle = start(&Sockets { source, ..Sockets::default() }).unwrap();
    let report = report(&handle);
    let reading = report.snapshot.reading.unwrap_or_else(|| panic!("{report:?}"));
    assert!(report.success, "{report:?}");
    (reading.source, reading.states)
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
    Sockets { source, procfs: procfs.to_owned(), cache_ttl: Duration::ZERO, cpu_budget: 1.0 }
}

fn fallbacks(report: &Report) -> Vec<(&'static str, u64)> {
    let counts = report.snapshot.fallbacks.iter().map(|(reason, count)| (reason.label(), count));
    counts.filter(|(_, count)| *count > 0).collect()
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
        let reading = report.snapshot.reading.unwrap();
        assert_eq!(fallbacks(&report), [(reason, 1)], "{script:?}");
        assert_eq!((reading.source, reading.states.get(State::Listen)), (Source::Procfs, 1), "{script:?}");
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
    for sent in [3, 5] {
        assert!(report(&handle).success);
        assert_eq!(requests.load(Ordering::Relaxed), sent);
    }
}

#[test]
fn a_dump_that_was_interrupted_is_made_again() {
    let interrupted = Answer::Messages(vec![(3, 2 | 16, vec![0; 4])]);
    let (netlink, requests) =
        dumper(vec![Answer::empty(), interrupted.clone(), interrupted, Answer::empty()]);
    let handle = start_with(&config(SourceChoice::Netlink, Path::new("/nonexistent")), netlink).unwrap();
    assert!(report(&handle).success);
    assert_eq!(requests.load(Ordering::Relaxed), 4);
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
        let report = block_on(handle.report(Duration::from_millis(1)));
        if !report.success {
            break report;
        }
    };
    assert_eq!(stale.snapshot.reading, good.snapshot.reading);
    assert!(stale.age > good.age);

    let writer = table.clone();
    let writer = std::thread::spawn(move || fs::write(writer, TCP_TABLE));
    let again = report(&handle);
    assert!(again.success && again.snapshot.reading != good.snapshot.reading, "{again:?}");
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
    // The question which request the kernel takes, and the dump.
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}
