//! What MariaDB does not speak, by real clients and a server of the Python Package Index (mysql-mimic): query attributes,
//! in text and prepared statements, and the full exchange of caching_sha2_password. Needs root.
#![cfg(feature = "capture")]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::Value;
use support::{
    children::tied,
    clients::Client,
    corpus::{Row, publish, table},
    skip,
    watcher::Watcher,
};

const SCRIPT: &str = "\
text SELECT n FROM numbers
text INSERT INTO items VALUES (1)
prepared 1,2,3 SELECT n FROM numbers WHERE n <= ?
prepared 4 UPDATE items SET amount = ?
ping
";

const CONNECTIONS: u32 = 2;

/// Clients that know caching_sha2_password and get on with this server, and what follows their mode.
const MODES: &[(&str, &str)] = &[
    ("connector-text", ""),
    ("connector-text", "-attributes"),
    ("connector-prepared", "-attributes"),
    ("mysql2-text", ""),
    ("mysql2-prepared", ""),
    ("c-text", ""),
    ("go-text", ""),
    ("go-prepared", ""),
    ("php-text", ""),
];

/// The server; it serves until its input is closed.
struct Mimic {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Mimic {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut server = tied(root.join("target/clients/python/bin/python"));
        server.arg(root.join("tests/clients/mysql8/server.py"));
        let mut process =
            server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let input = process.stdin.take().expect("an input");
        let mut output = BufReader::new(process.stdout.take().expect("an output"));
        let mut port = String::new();
        output.read_line(&mut port).expect("its port");
        let port = port.trim().parse().expect("a port");
        Self { process, input, output, port }
    }

    /// What it was asked.
    fn stop(mut self) -> Value {
        drop(self.input);
        let mut told = String::new();
        self.output.read_to_string(&mut told).expect("what it counted");
        assert!(self.process.wait().expect("its end").success());
        serde_json::from_str(&told).expect("JSON")
    }
}

#[test]
fn query_attributes_and_caching_sha2_are_read_right_by_real_clients() {
    let test = "query_attributes_and_caching_sha2_are_read_right_by_real_clients";
    if !skip::root(test) {
        return;
    }
    if !Client::named("pymysql-text").is_ready() {
        skip::unavailable(test, "the python client is not ready");
        return;
    }
    let server = Mimic::start();
    let watcher = Watcher::start("lo", server.port, 0, 0);
    let mut reports = Vec::new();
    for (mode, suffix) in MODES {
        let client = Client::named(mode);
        if client.is_ready() {
            reports.extend(client.run_over(suffix, "127.0.0.1", server.port, SCRIPT, CONNECTIONS));
        } else {
            skip::unavailable(test, &format!("client {mode} is not ready"));
        }
    }
    let rows = watcher.compare(&reports, 0);
    let told = server.stop();
    publish(
        "live_mysql8",
        &format!("{}the server: {told}\n", table("caching_sha2 and query attributes", &rows)),
    );
    let wrong: Vec<&Row> = rows.iter().filter(|row| !row.right).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let asked = |name: &str| -> u64 {
        let commands = reports.iter().map(|report| &report["com"][name]);
        commands.filter_map(Value::as_u64).sum()
    };
    assert_eq!(told["queries"].as_u64(), Some(asked("COM_QUERY") + asked("COM_STMT_EXECUTE")));
    // Three attributes with each statement of two modes' connections.
    assert!(told["attributes"].as_u64() >= Some(3 * 2 * 2 * u64::from(CONNECTIONS)), "{told}");
    assert!(told["full_exchanges"].as_u64() > Some(0), "{told}");
}
