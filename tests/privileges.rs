//! What the running process can still do, by the kernel's account of each of its threads.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts programs and reads /proc"
)]

mod support;

use std::{fs, os::unix::process::CommandExt as _, process::Command};

use support::{exporter::Exporter, skip};

/// Capabilities and filters of each thread, as `/proc/PID/task/*/status` has them.
fn threads(exporter: &Exporter) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", exporter.id())).unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    status.collect()
}

fn assert_everything_is_given_up(exporter: &Exporter) {
    let threads = threads(exporter);
    assert!(threads.len() > 1, "collectors have threads of their own");
    let none = format!("\t{:016x}", 0);
    for status in &threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:{none}")), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Seccomp:\t2"), "{status}");
    }
    let page = exporter.page();
    assert_eq!(page.value("dbwire_sandbox_info", &[("seccomp", "enforced")]), Some(1.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
}

/// The exporter as user nobody, with these capabilities.
fn as_nobody(capabilities: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    if !capabilities.is_empty() {
        command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
    }
    command.arg(env!("CARGO_BIN_EXE_dbwire_exporter")).args(["--web.listen-address", "127.0.0.1:0"]);
    command
}

#[test]
fn as_root_every_thread_has_given_up_everything() {
    let exporter = Exporter::start(&[]);
    assert_everything_is_given_up(&exporter);
    if cfg!(feature = "capture") && skip::is_root() {
        assert_eq!(exporter.page().value("dbwire_capture_up", &[]), Some(1.0));
    }
    assert_eq!(exporter.stop().code(), Some(0));
}

#[test]
fn an_ordinary_user_with_one_ambient_capability_captures_and_holds_none() {
    if !skip::root("an_ordinary_user_with_one_ambient_capability_captures_and_holds_none") {
        return;
    }
    for (capabilities, up) in [("+net_raw", 1.0), ("", 0.0)] {
        let exporter = Exporter::start_command(&mut as_nobody(capabilities), 1);
        assert_everything_is_given_up(&exporter);
        if cfg!(feature = "capture") {
            assert_eq!(exporter.page().value("dbwire_capture_up", &[]), Some(up), "{capabilities:?}");
        }
    }
}

#[test]
fn where_core_dumps_were_forbidden_before_it_starts_all_the_same() {
    if !skip::root("where_core_dumps_were_forbidden_before_it_starts_all_the_same") {
        return;
    }
    for limit in [0, 1, 4096] {
        let started = as_nobody("");
        let mut command = Command::new("prlimit");
        command.arg(format!("--core={limit}:{limit}")).arg(started.get_program()).args(started.get_args());
        let exporter = Exporter::start_command(&mut command, 1);
        let limits = fs::read_to_string(format!("/proc/{}/limits", exporter.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        let left = limit.min(1).to_string();
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), [&left, &left], "of {limit}");
    }
}

#[test]
fn a_thread_that_entered_another_namespace_has_given_up_the_same() {
    let test = "a_thread_that_entered_another_namespace_has_given_up_the_same";
    if !skip::root(test) || !skip::programs(test, &["ip"]) {
        return;
    }
    let namespace = support::netns::Namespace::new("privileges", 77);
    let exporter = Exporter::start(&["--sockets.netns", namespace.name()]);
    assert_everything_is_given_up(&exporter);
    let netns = [("netns", namespace.name()), ("state", "listen")];
    assert_eq!(exporter.page().value("dbwire_tcp_connection_states", &netns), Some(0.0));
}

#[test]
fn without_the_sandbox_it_says_so_and_capabilities_are_given_up_all_the_same() {
    let exporter = Exporter::start(&["--no-sandbox"]);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_sandbox_info", &[("landlock", "off"), ("seccomp", "off")]), Some(1.0));
    for status in threads(&exporter) {
        assert!(
            status.contains(&format!("CapEff:\t{:016x}", 0)) && status.contains("Seccomp:\t0"),
            "{status}"
        );
    }
}

#[test]
fn where_the_kernel_refuses_to_be_asked_it_serves_and_says_so() {
    let mut command = support::exporter::command();
    // SAFETY: installs a filter between fork and exec; it only makes system calls and touches its own stack.
    unsafe { command.pre_exec(|| refuse(&[libc::SYS_landlock_create_ruleset, libc::SYS_seccomp])) };
    let exporter = Exporter::start_command(command.args(["--web.listen-address", "127.0.0.1:0"]), 1);
    let guards = [("landlock", "unavailable"), ("seccomp", "unavailable")];
    assert_eq!(exporter.page().value("dbwire_sandbox_info", &guards), Some(1.0));
    let warnings = exporter.log().into_iter().filter(|line| line.contains("docs/privileges.md"));
    assert_eq!(warnings.count(), 2, "{:#?}", exporter.log());
}

#[test]
fn where_capabilities_cannot_be_given_up_it_does_not_start() {
    let test = "where_capabilities_cannot_be_given_up_it_does_not_start";
    if !skip::root(test) {
        return;
    }
    let mut command = support::exporter::command();
    // SAFETY: as above.
    unsafe { command.pre_exec(|| refuse(&[libc::SYS_capset])) };
    let output = command.args(["--web.listen-address", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("cannot give up capabilities") && log.contains("@privileged"), "{log}");
}

/// What a container's seccomp profile may do: these calls fail with ENOSYS from here on.
fn refuse(calls: &[libc::c_long]) -> std::io::Result<()> {
    let op = |code: u32, k: u32, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for call in calls {
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *call as u32, 0, 1));
        program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0, 0));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers, and a valid program that the kernel copies; they affect this process alone.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
