//! The command line, the exit codes, the signals and the pages, through the binary.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test talks to the program it starts"
)]

mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Output,
};

#[cfg(feature = "capture")]
use support::exporter::without_capture_rights;
use support::exporter::{Exporter, command, request, run};

/// The only line of stderr.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one line expected:\n{text}");
    assert!(output.stdout.is_empty());
    text.trim_end().to_owned()
}

/// The only line of stderr, beside a page.
#[cfg(feature = "capture")]
fn told(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one line expected:\n{text}");
    assert!(!output.stdout.is_empty());
    text
}

/// Each command line is refused with a line that has all the parts.
fn assert_bad_usage(cases: &[(&[&str], &[&str])]) {
    for (arguments, parts) in cases {
        let output = run(arguments);
        let line = complaint(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        for part in *parts {
            assert!(line.contains(part), "{arguments:?}: {part:?} is not in {line:?}");
        }
    }
}

#[test]
fn bad_usage_is_one_line_that_names_the_flag_and_exit_code_2() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--no-such-flag"], &["--no-such-flag", "--help"]),
        (&["--web.max-request", "3"], &["--web.max-request", "--web.max-requests"]),
        (&["serve"], &["serve"]),
        (&["--web.max-requests", "0"], &["--web.max-requests=0", "1 to 1024"]),
        (&["--web.max-requests", "-1"], &["--web.max-requests", "-1"]),
        (&["--web.max-requests", "x"], &["--web.max-requests", "x"]),
        (&["--web.listen-address", "9098"], &["--web.listen-address=9098", ":PORT"]),
        (&["--web.listen-address", ":70000"], &["--web.listen-address=:70000"]),
        (&["--web.telemetry-path", "metrics"], &["--web.telemetry-path=metrics", "start with /"]),
        (&["--log.level", "loud"], &["--log.level", "loud", "debug, info, warn, error"]),
        (&["--log.format", "xml"], &["--log.format", "xml", "logfmt, json"]),
        (&["--sockets.source", "ss"], &["--sockets.source", "auto, netlink, procfs"]),
        (&["--sockets.cache-ttl", "1"], &["--sockets.cache-ttl", "1"]),
        (&["--sockets.cache-ttl", "6m"], &["--sockets.cache-ttl=6m", "0s to 5m"]),
        (&["--sockets.cpu-budget", "2"], &["--sockets.cpu-budget=2", "0.001 to 1"]),
        (&["--sockets.cpu-budget", "NaN"], &["--sockets.cpu-budget=NaN", "0.001 to 1"]),
        (&["--collector.sockets=perhaps"], &["--collector.sockets", "perhaps"]),
    ];
    assert_bad_usage(cases);
}

#[cfg(feature = "capture")]
#[test]
fn bad_usage_of_mysqls_flags_is_one_line_and_exit_code_2_too() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--mysql.port", "0"], &["--mysql.port=0", "1 to 65535"]),
        (&["--mysql.port", "70000"], &["--mysql.port", "70000"]),
        (&["--mysql.sample-bits", "9"], &["--mysql.sample-bits=9", "0 to 8"]),
        (&["--mysql.sample-bits", "-1"], &["--mysql.sample-bits", "-1"]),
        (&["--mysql.sample-class", "1"], &["--mysql.sample-class=1", "0 to 0"]),
        (&["--mysql.sample-first-bit", "17"], &["--mysql.sample-first-bit=17", "16 bits"]),
        (&["--mysql.multiplier", "0.5"], &["--mysql.multiplier", "0.5", "auto"]),
        (&["--mysql.buffer-size", "1"], &["--mysql.buffer-size=1", "1MiB to 1GiB"]),
        (&["--mysql.buffer-size", "lots"], &["--mysql.buffer-size", "lots"]),
        (&["--mysql.max-flows", "0"], &["--mysql.max-flows=0", "64 to"]),
        (&["--mysql.interface", ""], &["--mysql.interface", "ip link"]),
        (&["replay"], &["<FILE>"]),
        (&["--mysql.port", "3307", "replay", "x.pcap"], &["replay", "--mysql.port"]),
        (&["replay", "x.pcap", "--web.max-requests", "3"], &["--web.max-requests"]),
    ];
    assert_bad_usage(cases);
}

#[test]
fn a_bad_value_from_the_environment_is_bad_usage_too() {
    let output = command().env("DBWIRE_WEB_MAX_REQUESTS", "0").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = complaint(&output);
    assert!(line.contains("--web.max-requests=0") && line.contains("DBWIRE_WEB_MAX_REQUESTS"), "{line}");
    let output = command().env("DBWIRE_WEB_MAX_REQUESTS", "").output().unwrap();
    assert!(complaint(&output).contains("DBWIRE_WEB_MAX_REQUESTS"));
    // The one on the command line counts, and is to blame.
    let mut both = command();
    both.env("DBWIRE_WEB_MAX_REQUESTS", "3").args(["--web.max-requests", "0"]);
    assert!(!complaint(&both.output().unwrap()).contains("DBWIRE_"));
}

#[test]
fn with_every_collector_off_there_is_nothing_to_do() {
    let mut arguments = vec!["--no-collector.sockets"];
    if cfg!(feature = "capture") {
        arguments.push("--no-collector.mysql");
    }
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("nothing is left to export"));
}

#[test]
fn help_and_version_go_to_stdout_with_exit_code_0() {
    for (flag, text) in [("--help", "--web.listen-address"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(text), "{flag}");
        assert!(output.stderr.is_empty(), "{flag}");
    }
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    let line = complaint(&output);
    assert!(line.contains(&format!("cannot listen on {address}: Address already in use")), "{line}");
    assert!(line.contains("--web.listen-address"), "{line}");
}

#[test]
fn an_address_of_another_host_is_one_line_and_exit_code_1() {
    // TEST-NET-1, RFC 5737.
    let output = run(&["--web.listen-address", "192.0.2.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("cannot listen on 192.0.2.1:0"));
}

#[test]
fn why_it_could_not_start_is_told_once() {
    for arguments in [["--web.config.file", "/no/such/file"], ["--sockets.netns", "no-such-namespace"]] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }
}

#[cfg(feature = "capture")]
#[test]
fn a_file_that_is_no_capture_is_one_line_and_exit_code_1() {
    for (file, part) in [
        ("/no/such/file.pcap", "No such file"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "is not a pcap or pcapng file"),
        (env!("CARGO_MANIFEST_DIR"), "cannot read"),
    ] {
        let output = run(&["replay", file]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let line = complaint(&output);
        assert!(line.contains(part) && line.contains(file), "{line}");
    }
}

/// One that was cut short, or is still being written, is the usual case.
#[cfg(feature = "capture")]
#[test]
fn a_capture_that_ends_in_mid_packet_gives_what_it_has_and_exit_code_1() {
    let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/corpus/cli_text.pcap");
    let bytes = std::fs::read(whole).unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &bytes[..bytes.len() - 1]).unwrap();
    let cut = cut.path().to_str().unwrap();
    for flags in [&[][..], &["--report"], &["--mysql.threads", "2"]] {
        let [output, complete] = [cut, whole].map(|file| run(&[&["replay", file], flags].concat()));
        assert_eq!((output.status.code(), complete.status.code()), (Some(1), Some(0)), "{flags:?}");
        let told = told(&output);
        assert!(told.contains("is damaged after "), "{flags:?}: {told}");
        let lines = |stdout: &[u8]| String::from_utf8_lossy(stdout).lines().count();
        // Only its last packet, which ends a connection, is missing.
        assert_eq!(lines(&output.stdout), lines(&complete.stdout), "{flags:?}");
    }
}

#[cfg(feature = "capture")]
#[test]
fn a_capture_without_anything_on_the_ports_is_told_of() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/corpus/cli_text.pcap");
    let output = run(&["replay", file, "--mysql.port", "3307,3308"]);
    assert_eq!(output.status.code(), Some(0));
    let told = told(&output);
    assert!(told.contains("3307, 3308") && told.contains("--mysql.port"), "{told}");
    assert!(run(&["replay", file]).stderr.is_empty());
}

#[cfg(feature = "capture")]
#[test]
fn without_the_right_to_capture_the_rest_is_served_and_one_log_line_says_how_to_grant_it() {
    let mut unprivileged = command();
    without_capture_rights(&mut unprivileged).args(["--web.listen-address", "127.0.0.1:0"]);
    let exporter = Exporter::start_command(&mut unprivileged, 1);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_capture_up", &[("interface", "any")]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "mysql")]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
    let warnings: Vec<_> = exporter.log().into_iter().filter(|line| line.contains("level=warn")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("setcap cap_net_raw+ep"), "{warnings:#?}");
    assert_eq!(exporter.stop().code(), Some(0));
}

#[cfg(feature = "capture")]
#[test]
fn without_the_interface_the_rest_is_served_and_one_log_line_says_what_is_wrong() {
    let exporter = Exporter::start(&["--mysql.interface", "nosuchinterface"]);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_capture_up", &[("interface", "nosuchinterface")]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "mysql")]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
    assert_eq!(page.of("dbwire_mysql_commands_total").count(), 0, "zeros would be taken for a quiet server");
    assert!(exporter.request("GET", "/").body.contains("MySQL is not captured: "));
    let warnings: Vec<_> = exporter.log().into_iter().filter(|line| line.contains("level=warn")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("nosuchinterface"), "{warnings:#?}");
}

#[cfg(feature = "capture")]
#[test]
fn a_collector_that_is_off_is_not_on_the_page() {
    let exporter = Exporter::start(&["--no-collector.sockets", "--mysql.interface", "lo"]);
    let page = exporter.page();
    assert!(page.value("dbwire_capture_up", &[("interface", "lo")]).is_some());
    assert!(page.samples.iter().all(|sample| !sample.name.starts_with("dbwire_tcp_")));
    let exporter = Exporter::start(&["--no-collector.mysql"]);
    let page = exporter.page();
    assert!(page.value("dbwire_tcp_connection_states", &[]).is_some());
    let of_mysql = |prefix: &str| page.samples.iter().any(|sample| sample.name.starts_with(prefix));
    assert!(!of_mysql("dbwire_mysql_") && !of_mysql("dbwire_capture_"));
}

#[test]
fn sigterm_and_sigint_end_it_with_exit_code_0() {
    for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
        let exporter = Exporter::start(&[]);
        let (status, log) = exporter.stop_with(signal);
        assert_eq!(status.code(), Some(0), "{name}: {log:#?}");
        assert!(log.iter().any(|line| line.contains(name)), "{log:#?}");
    }
}

#[test]
fn clients_that_are_silent_idle_or_stuck_in_a_request_do_not_keep_it_from_ending() {
    let exporter = Exporter::start(&[]);
    let _silent = TcpStream::connect(exporter.address()).unwrap();
    let mut idle = TcpStream::connect(exporter.address()).unwrap();
    write!(idle, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut stuck = TcpStream::connect(exporter.address()).unwrap();
    write!(stuck, "GET /metrics HTTP/1.1\r\nHost: ").unwrap();
    assert_eq!(exporter.stop().code(), Some(0));
}

#[test]
fn it_no_longer_listens_once_it_has_ended() {
    // An address of its own: on the usual one another test might be given the port in between.
    let exporter = Exporter::start_on(&["127.0.0.3:0"], &[]);
    let address = exporter.address().to_owned();
    exporter.stop();
    assert!(TcpStream::connect(&address).is_err());
    // And the port is free for the next one at once, whatever connections are in TIME_WAIT.
    let next = Exporter::start_on(&[&address], &[]);
    assert_eq!(next.address(), address);
}

#[test]
fn each_page_answers_get_and_head_and_refuses_other_methods() {
    let exporter = Exporter::start(&[]);
    for (path, content_type) in [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/-/healthy", "text/plain; charset=utf-8"),
    ] {
        let get = exporter.request("GET", path);
        assert_eq!((get.status, get.headers["content-type"].as_str()), (200, content_type), "{path}");
        assert_eq!(get.headers["content-length"], get.body.len().to_string(), "{path}");
        let head = exporter.request("HEAD", path);
        assert_eq!((head.status, head.headers["content-type"].as_str()), (200, content_type), "{path}");
        assert!(head.headers.contains_key("content-length") && head.body.is_empty(), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let refused = exporter.request(method, path);
            assert_eq!(
                (refused.status, refused.headers["allow"].as_str()),
                (405, "GET, HEAD"),
                "{method} {path}"
            );
        }
    }
    assert_eq!(exporter.request("GET", "/elsewhere").status, 404);
    assert_eq!(exporter.request("GET", "/metrics?collect[]=sockets").status, 200);
}

#[test]
fn the_page_for_people_links_to_the_metrics_and_may_load_nothing_from_elsewhere() {
    let exporter = Exporter::start(&["--web.telemetry-path", "/numbers"]);
    let page = exporter.request("GET", "/");
    assert!(page.body.contains("href=\"numbers\""));
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert_eq!(exporter.request("GET", "/numbers").status, 200);
    assert_eq!(exporter.request("GET", "/metrics").status, 404);
    assert!(exporter.urls[0].ends_with("/numbers"));
}

#[test]
fn what_is_not_http_gets_status_400_and_the_next_request_is_answered() {
    let exporter = Exporter::start(&[]);
    let mut stream = TcpStream::connect(exporter.address()).unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is as good as a status: bytes may have been left unread.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    assert_eq!(exporter.request("GET", "/-/healthy").status, 200);
}

#[test]
fn one_connection_can_carry_several_requests() {
    let exporter = Exporter::start(&[]);
    let mut stream = TcpStream::connect(exporter.address()).unwrap();
    for _ in 0..3 {
        write!(stream, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn it_serves_on_each_of_several_addresses() {
    let exporter = Exporter::start_on(&["127.0.0.1:0", "127.0.0.2:0", ":0", "localhost:0"], &[]);
    assert_eq!(exporter.urls.len(), 4);
    for url in &exporter.urls {
        let (address, path) = url.split_once('/').unwrap();
        assert_eq!(request(address, "GET", &format!("/{path}")).status, 200, "{url}");
    }
}

#[test]
fn flags_can_come_from_the_environment_and_the_command_line_wins() {
    let mut with_environment = command();
    with_environment
        .env("DBWIRE_WEB_LISTEN_ADDRESS", "127.0.0.1:0,127.0.0.2:0")
        .env("DBWIRE_WEB_TELEMETRY_PATH", "/environment")
        .args(["--web.telemetry-path", "/flag"]);
    let exporter = Exporter::start_command(&mut with_environment, 2);
    assert!(exporter.urls[1].starts_with("127.0.0.2:"));
    assert_eq!(exporter.request("GET", "/flag").status, 200);
    assert_eq!(exporter.request("GET", "/environment").status, 404);
}

/// A misspelled one would otherwise be as good as none: nobody reads the environment but for the names that exist.
#[test]
fn a_variable_that_is_no_setting_is_named_in_the_log_but_its_value_is_not() {
    let mut misspelled = command();
    misspelled.env("DBWIRE_WEB_LISTEN_ADRESS", "s3cret").args(["--web.listen-address", "127.0.0.1:0"]);
    let exporter = Exporter::start_command(&mut misspelled, 1);
    let log = exporter.log();
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("level=warn")).collect();
    let named = warnings.iter().filter(|line| line.contains("variable=DBWIRE_WEB_LISTEN_ADRESS")).count();
    assert_eq!(named, 1, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("s3cret")), "{log:#?}");
    assert!(!Exporter::start(&[]).log().iter().any(|line| line.contains("variable=")));
}

#[test]
fn the_log_is_logfmt_or_one_json_object_a_line() {
    let exporter = Exporter::start(&[]);
    for line in exporter.log() {
        assert!(line.starts_with("ts=") && line.contains(" level="), "{line}");
    }
    let exporter = Exporter::start(&["--log.format", "json"]);
    for line in exporter.log() {
        let message: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(message["level"].is_string() && message["message"].is_string(), "{line}");
    }
}
