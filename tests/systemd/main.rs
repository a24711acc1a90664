//! The systemd unit: systemd's own tools accept it and rate it, and the program, started with exactly the unit's user,
//! capabilities, filters, files and limits, captures and serves. What is applied is read from the unit, key by key; a key
//! that this test does not know fails it.

#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and read files"
)]

mod filters;
mod launch;
#[path = "../support/mod.rs"]
mod support;
mod unit;

use std::{fs, path::Path, time::Duration};

use launch::Launch;
use support::{
    children::{command, output},
    clients::{SYSBENCH, prepare_sysbench, sysbench},
    exporter::Exporter,
    mariadb::{MariaDb, Options},
    skip, wait,
};
use unit::Unit;

const LIMIT: Duration = Duration::from_secs(30);
/// `systemd-analyze security`: the exposure that is allowed, in tenths.
const EXPOSURE: &str = "--threshold=20";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd"))
}

#[test]
fn systemd_accepts_the_unit_and_the_socket_and_rates_the_exposure_at_two_or_less() {
    let test = "systemd_accepts_the_unit_and_the_socket_and_rates_the_exposure_at_two_or_less";
    if !skip::programs(test, &["systemd-analyze"]) {
        return;
    }
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut units = Vec::new();
    for name in ["dbwire-exporter.service", "dbwire-exporter.socket"] {
        let text = fs::read_to_string(folder().join(name)).expect(name);
        // The program is looked for, too: where it was built, as nothing is installed here.
        let text = text.replace(
            "ExecStart=/usr/bin/dbwire_exporter",
            concat!("ExecStart=", env!("CARGO_BIN_EXE_dbwire_exporter")),
        );
        let path = temporary.path().join(name);
        fs::write(&path, text).expect("writable");
        units.push(path);
    }
    let verified =
        command("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().expect("it runs");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");

    let mut security = command("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager", EXPOSURE]).arg(&units[0]);
    let table = output(&mut security);
    println!("{}", table.lines().last().unwrap_or_default());
}

#[test]
fn started_with_exactly_what_the_unit_gives_it_captures_and_serves() {
    let test = "started_with_exactly_what_the_unit_gives_it_captures_and_serves";
    let programs = [Launch::PROGRAMS, MariaDb::PROGRAMS, SYSBENCH].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let unit = Unit::read(&folder().join("dbwire-exporter.service"));
    let server = MariaDb::start(&Options::default());
    prepare_sysbench(&server);
    let launch = Launch::of(&unit, &folder().join("dbwire-exporter.sysusers"));
    // What an administrator would write into the environment file.
    let mut command = launch.command();
    command.env("DBWIRE_WEB_LISTEN_ADDRESS", "127.0.0.1:0").env("DBWIRE_MYSQL_INTERFACE", "lo");
    let exporter = Exporter::start_command(command.env("DBWIRE_MYSQL_PORT", server.port().to_string()), 1);
    wait::until(LIMIT, "the capture to be up", || {
        (exporter.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
    });

    let (_, delta) = server.status_delta(|| sysbench(&server, "127.0.0.1", 2, 20, true));
    for (statement, counter) in [("select", "Com_select"), ("update", "Com_update"), ("commit", "Com_commit")]
    {
        let label = [("statement", statement)];
        let expected = delta[counter] as f64;
        wait::until(LIMIT, &format!("{expected} of {statement}"), || {
            exporter.page().value("dbwire_mysql_statements_total", &label).filter(|seen| *seen == expected)
        });
    }
    let page = exporter.page();
    let sandbox = [("landlock", "enforced"), ("seccomp", "enforced")];
    assert_eq!(page.value("dbwire_sandbox_info", &sandbox), Some(1.0), "{:#?}", exporter.log());
    for collector in ["sockets", "mysql"] {
        let success = page.value("dbwire_scrape_collector_success", &[("collector", collector)]);
        assert_eq!(success, Some(1.0), "{collector}");
    }
    assert_eq!(exporter.request("GET", "/-/ready").status, 200);
    launch.assert_in_force(exporter.id());
    assert_eq!(exporter.stop().code(), Some(0));
}
