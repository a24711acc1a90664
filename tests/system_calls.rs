//! The list of system calls that the sandbox allows, held to a trace of the program under all that it is made for.
//!
//! strace follows the program from its start while it captures a real server, serves TLS with passwords, text, OpenMetrics,
//! protobuf and the pages for people over TCP, a Unix socket and sockets of systemd, reads its configuration again, is
//! short of descriptors, and stops. What it called once the filter was in force must have been allowed, and the table
//! in `docs/privileges.md` must name it. The table of this run is written to `target/tables/system-calls.md`.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

use support::{
    certificates::Authority,
    children::{command, output},
    clients::{SYSBENCH, prepare_sysbench, sysbench},
    curl::curl,
    exporter::Exporter,
    mariadb::{MariaDb, Options},
    skip, wait,
};

const LIMIT: Duration = Duration::from_secs(60);
const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
/// crypt(3)'s bcrypt of `change-me`, of the lowest cost.
const USERS: &str =
    "basic_auth_users: {prometheus: $2y$10$gYFeRKecsNO.CWEMF1YjZeMD2bx3yn/PralcY/nIHd3uQl4tmlHNi}\n";

/// The exporter under strace, which writes to `file`, on sockets that are passed on as systemd does: one of TCP, and one
/// at `unix`.
fn traced(file: &Path, unix: &Path, arguments: &[&str]) -> Command {
    let passer = "import os, socket, sys\n\
                  tcp = socket.create_server(('127.0.0.1', 0)); unix = socket.socket(socket.AF_UNIX)\n\
                  unix.bind(sys.argv[1]); unix.listen(); low = os.dup2(tcp.fileno(), 13), os.dup2(unix.fileno(), 14)\n\
                  os.dup2(13, 3, inheritable=True); os.dup2(14, 4, inheritable=True)\n\
                  os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n\
                  os.execvp('strace', ['strace', '-D', '-f', '-qq', '-e', 'signal=none', '-o', sys.argv[2]] + sys.argv[3:])\n";
    let mut command = command("python3");
    command.args(["-c", passer]).arg(unix).arg(file).arg(env!("CARGO_BIN_EXE_dbwire_exporter"));
    command.args(["--web.systemd-socket", "--mysql.interface", "lo"]).args(arguments);
    command
}

/// The trace's calls behind the last of those that put the filters in force: how often each was made, and each that was
/// refused.
fn calls(trace: &str) -> (BTreeMap<String, u64>, Vec<&str>) {
    let lines: Vec<_> = trace.lines().collect();
    let start = lines.iter().rposition(|line| line.contains(" seccomp(")).expect("a filter");
    let (mut counts, mut refused) = (BTreeMap::new(), Vec::new());
    for line in &lines[start + 1..] {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        // The end of a call that another thread's interrupted, `<... read resumed>`, and the process' own, `+++`.
        let name: String = call.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if line.contains(" = -1 EPERM") {
            refused.push(*line);
        }
        if !name.is_empty() && call[name.len()..].starts_with('(') {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    (counts, refused)
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every call in the table of the documentation on the list.
fn documented() -> BTreeSet<String> {
    let text = read("docs/privileges.md");
    let (_, section) = text.split_once("## How the list of calls was made").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let rows = section.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_documented_calls_are_those_of_the_filter() {
    let source = read("src/io/sandbox/system_calls.rs");
    let names = source.split("libc::SYS_").skip(1);
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let listed: BTreeSet<String> = names.map(name).collect();
    assert_eq!(documented(), listed);
}

fn load(exporter: &mut Exporter, server: &MariaDb, authority: &Authority, unix: &Path) {
    for (threads, prepared) in [(4, true), (2, false)] {
        sysbench(server, "127.0.0.1", threads, 20, prepared);
    }
    let ca = authority.path("ca.crt").display().to_string();
    let base = format!("https://{}", exporter.address());
    let ask = |path: &str, more: &[&str]| {
        curl(&format!("{base}{path}"), &[&["--cacert", &ca, "-u", "prometheus:change-me"], more].concat())
            .status
    };
    for accept in ["text/plain", "application/openmetrics-text", "application/vnd.google.protobuf"] {
        for coding in ["identity", "gzip", "zstd"] {
            let headers = [format!("Accept: {accept}"), format!("Accept-Encoding: {coding}")];
            assert_eq!(ask("/metrics", &["-H", &headers[0], "-H", &headers[1]]), 200);
        }
    }
    for path in ["/", "/api/v1/status", "/-/healthy", "/-/ready", "/docs/"] {
        ask(path, &[]);
    }
    assert_eq!(ask("/metrics", &["-u", "prometheus:wrong"]), 401);
    assert_eq!(ask("/metrics", &["--tlsv1.2", "--tls-max", "1.2"]), 200);
    let through = ["--unix-socket", unix.to_str().unwrap()];
    assert_eq!(ask("/metrics", &through), 200);
    // Read again, and refused.
    authority.write("web.yml", "[");
    wait::until(LIMIT, "the file to be refused", || {
        ask("/-/healthy", &[]);
        exporter.log().iter().any(|line| line.contains("cannot be used")).then_some(())
    });
    authority.write("web.yml", &format!("{TLS}{USERS}rate_limit: {{burst: 100, interval: 10ms}}\n"));
    assert_eq!(ask("/metrics", &[]), 200);
    exporter.signal(libc::SIGHUP);
    exporter.wait_for_log("SIGHUP");
    let process = exporter.id().to_string();
    let limit = |number: &str| {
        output(command("prlimit").args(["--pid", &process, &format!("--nofile={number}:20000")]))
    };
    limit("5");
    let waiting = std::net::TcpStream::connect(exporter.address()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    limit("20000");
    drop(waiting);
    assert_eq!(ask("/metrics", &[]), 200);
}

#[test]
fn under_its_full_load_it_makes_no_call_that_is_refused_and_none_that_is_not_documented() {
    let test = "under_its_full_load_it_makes_no_call_that_is_refused_and_none_that_is_not_documented";
    let programs =
        [MariaDb::PROGRAMS, SYSBENCH, &["strace", "python3", "curl", "openssl", "prlimit"]].concat();
    if !skip::root(test) || !skip::programs(test, &programs) {
        return;
    }
    let server = MariaDb::start(&Options::default());
    prepare_sysbench(&server);
    let authority = Authority::new();
    authority.sign("server", "DNS:localhost,IP:127.0.0.1");
    let config = authority.write("web.yml", &format!("{TLS}{USERS}"));
    let (file, unix) = (authority.path("trace"), authority.path("web.sock"));
    let port = server.port().to_string();
    let flags = ["--mysql.port", &port, "--mysql.threads=2", "--web.config.file", config.to_str().unwrap()];
    let flags =
        [&flags[..], &["--sockets.detail=full", "--sockets.cache-ttl=0s", "--mysql.multiplier=measured"]]
            .concat();
    let mut exporter = Exporter::start_command(&mut traced(&file, &unix, &flags), 2);
    load(&mut exporter, &server, &authority, &unix);
    assert_eq!(exporter.stop().code(), Some(0));
    // strace writes its last lines when the program has gone.
    let trace = wait::until(LIMIT, "the trace to be whole", || {
        fs::read_to_string(&file).ok().filter(|trace| trace.contains(" exit_group(0"))
    });
    let (counts, refused) = calls(&trace);
    let mut table = String::from("| call | times |\n|---|---:|\n");
    for (call, count) in &counts {
        let _ = writeln!(table, "| `{call}` | {count} |");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tables");
    fs::create_dir_all(folder).and_then(|()| fs::write(format!("{folder}/system-calls.md"), &table)).unwrap();
    assert!(refused.is_empty(), "{refused:#?}");
    let documented = documented();
    let missing: Vec<_> = counts.keys().filter(|call| !documented.contains(*call)).collect();
    assert!(missing.is_empty(), "docs/privileges.md does not name {missing:?}\n{table}");
    assert!(["accept4", "recvfrom", "openat"].iter().all(|call| counts.contains_key(*call)), "{table}");
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn calls_are_read_from_a_trace() {
        let trace = "7 seccomp(SECCOMP_SET_MODE_FILTER, 0, 0x1) = 0\n\
                     7 read(3,  <unfinished ...>\n\
                     8 socket(AF_INET, SOCK_STREAM, 0) = -1 EPERM (Operation not permitted)\n\
                     7 <... read resumed>\"\", 9) = 0\n\
                     7 +++ exited with 0 +++\n";
        let (counts, refused) = calls(trace);
        assert_eq!(counts, [("read".to_owned(), 1), ("socket".to_owned(), 1)].into());
        assert_eq!(refused.len(), 1);
    }
}
