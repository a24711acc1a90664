//! `make demo`: what it starts shows live traffic, and Ctrl-C leaves nothing behind, even if nobody reads what it says.

#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and read files"
)]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use support::{
    children::{command, free_port},
    curl::curl,
    exporter,
    exposition::Exposition,
    mariadb::MariaDb,
    prometheus::Prometheus,
    skip, wait,
};
use tempfile::TempDir;

/// Two minutes are promised to people; a machine that tests other things at the same time gets more.
const LIMIT: Duration = Duration::from_secs(240);

/// The demo and all it has started: a process group, as a terminal makes one.
struct Demo(Child);

impl Demo {
    fn signal(&self, signal: i32) -> bool {
        let group = i32::try_from(self.0.id()).expect("a process id");
        // SAFETY: kill(2) takes plain numbers; the group is that of a child of ours.
        unsafe { libc::kill(-group, signal) == 0 }
    }

    /// As a terminal does it.
    fn control_c(&mut self) -> ExitStatus {
        assert!(self.signal(libc::SIGINT));
        wait::until(LIMIT, "the demo to end", || self.0.try_wait().expect("a child of ours"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It ends what it has started, and so does each of them.
            self.signal(libc::SIGTERM);
            let _ = self.0.wait();
        }
    }
}

#[test]
fn the_demo_shows_live_traffic_and_leaves_nothing_behind() {
    let test = "the_demo_shows_live_traffic_and_leaves_nothing_behind";
    let programs = [Prometheus::PROGRAMS, MariaDb::PROGRAMS, &["sysbench", "bash"]].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let [page_port, prometheus_port, mysql_port] = [free_port(), free_port(), free_port()];
    // Whoever runs tests in the background has them ignore Ctrl-C, and a shell cannot trap what it was told to ignore.
    let mut script = command("env");
    script
        .args(["--default-signal=INT", "bash"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/demo/demo.sh"));
    script.arg(exporter::command().get_program()).env("TMPDIR", folder.path());
    script.env("DEMO_PORT", page_port.to_string()).env("DEMO_MYSQL_PORT", mysql_port.to_string());
    script.env("DEMO_PROMETHEUS_PORT", prometheus_port.to_string());
    let started = Instant::now();
    let mut demo = Demo(script.process_group(0).stdout(Stdio::piped()).spawn().expect("bash runs"));
    let said = BufReader::new(demo.0.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let said: Vec<String> = said.take_while(|line| line != "Ctrl-C ends it.").collect();
    for port in [page_port, prometheus_port] {
        let address = format!("http://localhost:{port}/");
        assert!(said.iter().any(|line| line.contains(&address)), "no {address} in {said:#?}");
    }

    let statements = || {
        let page = curl(&format!("http://127.0.0.1:{page_port}/metrics"), &[]);
        Exposition::parse(&page.text()).value("dbwire_mysql_statements_total", &[]).unwrap_or(0.0)
    };
    let first = wait::until(LIMIT, "statements on the page", || Some(statements()).filter(|n| *n > 0.0));
    println!("{first} statements seen {:?} after the start", started.elapsed());
    wait::until(LIMIT, "the count to go on", || (statements() > first).then_some(()));
    assert_eq!(curl(&format!("http://127.0.0.1:{page_port}/"), &[]).status, 200);
    let query =
        format!("http://127.0.0.1:{prometheus_port}/api/v1/query?query=sum(dbwire_mysql_statements_total)");
    wait::until(LIMIT, "Prometheus to have scraped it", || {
        curl(&query, &["--globoff"]).text().contains(r#""value":["#).then_some(())
    });

    assert_eq!(demo.control_c().code(), Some(0));
    assert!(!demo.signal(0), "something it started still runs");
    assert_eq!(fs::read_dir(folder.path()).expect("our folder").count(), 0, "files are left");
}
