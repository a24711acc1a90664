//! Sources of the socket counts that fail, and heal.

use std::{io, os::unix::process::CommandExt as _, time::Duration};

use dbwire_exporter::{
    config::{Sockets, SourceChoice},
    io::{
        netlink::{Dumper, Transport},
        sockets::start_with,
    },
};

use crate::{
    Fault, fault,
    lab::PATIENCE,
    scripted::{Answer, dumper},
    seccomp,
    support::{
        exporter::{self, Exporter},
        wait,
    },
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("netlink is forbidden", "counted from procfs, and it says why", netlink_forbidden),
    fault("netlink fails, and heals", "procfs meanwhile, netlink after", netlink_heals),
    fault("procfs is not there", "the page says so; the other half works", no_procfs),
    fault("a collector panics", "counted, and it begins afresh", panics),
];

fn netlink_forbidden() -> String {
    let mut command = exporter::command();
    // SAFETY: installs a filter between fork and exec; it only makes system calls and touches its own stack.
    unsafe { command.pre_exec(|| seccomp::refuse_netlink(libc::EACCES as u16)) };
    let exporter = Exporter::start_command(command.args(["--web.listen-address", "127.0.0.1:0"]), 1);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_tcp_source_info", &[("source", "procfs")]), Some(1.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
    let fallbacks = page.value("dbwire_tcp_fallbacks_total", &[]).unwrap();
    assert!(fallbacks >= 1.0);
    format!("{fallbacks} fallback")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn eager() -> Sockets {
    Sockets { cache_ttl: Duration::ZERO, cpu_budget: 1.0, ..Sockets::default() }
}

fn netlink_heals() -> String {
    let (netlink, requests) = dumper(vec![Answer::ReceiveFails(libc::ENOBUFS), Answer::empty()]);
    let handle = start_with(&eager(), netlink).unwrap();
    let (runtime, mut seen) = (runtime(), Vec::new());
    wait::until(PATIENCE, "netlink to be tried again", || {
        let reports = runtime.block_on(handle.reports(Duration::from_secs(5)));
        let source = reports[0].snapshot.reading.as_ref().map(|reading| reading.source.label());
        if seen.last() != Some(&source) {
            seen.push(source);
        }
        (source == Some("netlink")).then_some(())
    });
    assert_eq!(seen, [Some("procfs"), Some("netlink")]);
    format!("procfs, then netlink after {} requests", requests.load(std::sync::atomic::Ordering::Relaxed))
}

fn no_procfs() -> String {
    let mut exporter = Exporter::start(&["--path.procfs", "/nonexistent", "--sockets.source", "procfs"]);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(0.0));
    assert_eq!(page.value("dbwire_capture_up", &[]), Some(1.0));
    exporter.wait_for_log("/nonexistent");
    "success 0 and 1".to_owned()
}

/// A transport that panics once, in the middle of a collector.
struct Mine(bool);

impl Transport for Mine {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        assert!(!self.0, "as the test wants it");
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn receive(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

fn panics() -> String {
    let mut armed = true;
    let netlink = Dumper::new(Box::new(move || Ok(Box::new(Mine(std::mem::take(&mut armed))))));
    let handle = start_with(&Sockets { source: SourceChoice::Auto, ..eager() }, netlink).unwrap();
    let runtime = runtime();
    let mut errors = 0;
    let report = wait::until(PATIENCE, "the collector to count again", || {
        let reports = runtime.block_on(handle.reports(Duration::from_secs(5)));
        let report = reports.into_iter().next().expect("one namespace");
        errors += usize::from(report.snapshot.error.is_some());
        report.snapshot.reading.is_some().then_some(report)
    });
    assert!(report.success && handle.panics() == 1 && errors > 0, "{errors} {}", handle.panics());
    format!("{} panic, told of, and counted again", handle.panics())
}
