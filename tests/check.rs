//! `dbwire_exporter check`, through the binary.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts programs and talks to them"
)]

mod support;

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use serde_json::Value;
use support::{exporter, skip};

/// An address on which a test can surely serve.
const FREE: [&str; 2] = ["--web.listen-address", "127.0.0.1:0"];

fn check(arguments: &[&str]) -> Command {
    let mut command = exporter::command();
    command.arg("check").args(FREE).args(arguments);
    if cfg!(feature = "capture") {
        command.args(["--look", "0s"]);
    }
    command
}

fn findings(output: &Output) -> (String, Vec<Value>) {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = value["findings"].as_array().expect("findings").clone();
    (value["status"].as_str().expect("a status").to_owned(), findings)
}

fn of<'a>(findings: &'a [Value], section: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["section"] == section).collect()
}

#[test]
fn people_get_a_section_for_each_thing_that_can_be_wrong() {
    let output = check(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut sections = vec!["privileges", "kernel", "web"];
    if cfg!(feature = "capture") {
        sections.extend(["capture", "ports", "sampling"]);
    }
    for section in sections {
        assert!(text.lines().any(|line| line == section), "{section} is not in\n{text}");
    }
}

#[test]
fn with_every_right_nothing_is_bad_and_the_exit_code_is_0() {
    if !skip::root("with_every_right_nothing_is_bad_and_the_exit_code_is_0") {
        return;
    }
    let output = check(&["--json"]).output().unwrap();
    let (status, findings) = findings(&output);
    assert_ne!(status, "bad", "{findings:#?}");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(feature = "capture")]
#[test]
fn without_the_right_to_capture_it_is_bad_the_exit_code_is_1_and_the_advice_grants_it() {
    let mut unprivileged = check(&["--json"]);
    let output = exporter::without_capture_rights(&mut unprivileged).output().unwrap();
    let (status, findings) = findings(&output);
    assert_eq!((status.as_str(), output.status.code()), ("bad", Some(1)));
    let advice = of(&findings, "privileges")[0]["advice"].as_str().unwrap().to_owned();
    assert!(advice.contains("setcap cap_net_raw+ep"), "{advice}");
    let switched_off =
        exporter::without_capture_rights(&mut check(&["--json", "--no-collector.mysql"])).output();
    assert_eq!(switched_off.unwrap().status.code(), Some(0), "nothing that was asked for is missing");
}

#[test]
fn nobody_can_run_it_too() {
    if !skip::root("nobody_can_run_it_too") {
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(env!("CARGO_BIN_EXE_dbwire_exporter")).arg("check").args(FREE).arg("--json");
    let output = command.output().unwrap();
    if output.status.code() == Some(126) {
        skip::skipped("nobody_can_run_it_too", "the build directory is closed to others");
        return;
    }
    let (_, findings) = findings(&output);
    let privileges = of(&findings, "privileges");
    assert!(
        privileges.last().unwrap()["what"].as_str().unwrap().starts_with("user id 65534"),
        "{privileges:#?}"
    );
}

#[test]
fn a_port_that_is_taken_is_bad() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = check(&["--json", "--web.listen-address", &address]).output().unwrap();
    let (_, findings) = findings(&output);
    assert_eq!(of(&findings, "web")[0]["status"], "bad", "{findings:#?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_variable_that_is_no_setting_is_a_warning() {
    let output = check(&["--json"]).env("DBWIRE_WEB_LISTEN_ADRESS", ":1").output().unwrap();
    let (_, findings) = findings(&output);
    let settings = of(&findings, "settings");
    assert_eq!((settings.len(), settings[0]["status"].as_str()), (1, Some("warn")), "{findings:#?}");
    assert!(settings[0]["what"].as_str().unwrap().contains("DBWIRE_WEB_LISTEN_ADRESS"), "{settings:#?}");
}

#[test]
fn a_procfs_that_is_not_there_is_a_warning_that_names_it() {
    let output = check(&["--json", "--path.procfs", "/no/such/proc"]).output().unwrap();
    let (_, findings) = findings(&output);
    let kernel = of(&findings, "kernel");
    let named = |finding: &&&Value| finding["what"].as_str().unwrap().contains("/no/such/proc");
    assert_eq!(kernel.iter().find(named).expect("a finding")["status"], "warn", "{findings:#?}");
}

#[cfg(feature = "capture")]
#[test]
fn an_interface_that_is_not_there_is_bad_and_those_that_are_are_named() {
    let output = check(&["--json", "--mysql.interface", "nosuchinterface"]).output().unwrap();
    let (_, findings) = findings(&output);
    let capture = of(&findings, "capture");
    assert_eq!(capture[0]["status"], "bad");
    assert!(capture[0]["what"].as_str().unwrap().contains("lo"), "{capture:#?}");
}

#[cfg(feature = "capture")]
#[test]
fn the_daemons_flags_are_checked_and_bad_usage_is_exit_code_2() {
    for flags in [&["check", "--look", "1h"][..], &["check", "--mysql.port", "0"], &["--json"]] {
        assert_eq!(exporter::run(flags).status.code(), Some(2), "{flags:?}");
    }
}
