//! The client programs of `tests/clients`, run against a server, and what they report.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    children::{command, output},
    mariadb::{MariaDb, PASSWORD, USER},
};

/// A client library in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Name and mode, as its program takes them.
    pub mode: &'static str,
    /// The program and its first arguments; `{out}` is `target/clients`, `{src}` is `tests/clients`.
    program: &'static [&'static str],
    /// A file that is there when the client is ready to run.
    needs: &'static str,
}

const fn client(mode: &'static str, needs: &'static str, program: &'static [&'static str]) -> Client {
    Client { mode, program, needs }
}

const PYTHON: (&str, &[&str]) =
    ("{out}/python/.key", &["{out}/python/bin/python", "{src}/python/scenario.py"]);
const NODE: (&str, &[&str]) = ("{out}/node/.key", &["node", "{src}/node/scenario.js"]);
const JAVA: (&str, &[&str]) = (
    "{out}/java/.key",
    &[
        "java",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        "/usr/share/java/mariadb-java-client.jar:{out}/java",
        "Scenario",
    ],
);
const C: (&str, &[&str]) = ("{out}/c/.key", &["{out}/c/scenario"]);
const GO: (&str, &[&str]) = ("{out}/go/.key", &["{out}/go/scenario"]);
const PHP: (&str, &[&str]) = ("/usr/bin/php", &["php", "{src}/php/scenario.php"]);
const PERL: (&str, &[&str]) = ("/usr/bin/perl", &["perl", "{src}/perl/scenario.pl"]);
const RUBY: (&str, &[&str]) = ("/usr/bin/ruby", &["ruby", "{src}/ruby/scenario.rb"]);

/// Every client and mode.
pub const CLIENTS: &[Client] = &[
    client("pymysql-text", PYTHON.0, PYTHON.1),
    client("connector-text", PYTHON.0, PYTHON.1),
    client("connector-prepared", PYTHON.0, PYTHON.1),
    client("asyncmy-text", PYTHON.0, PYTHON.1),
    client("mysql2-text", NODE.0, NODE.1),
    client("mysql2-prepared", NODE.0, NODE.1),
    client("mariadb-text", NODE.0, NODE.1),
    client("mariadb-prepared", NODE.0, NODE.1),
    client("mariadb-pipelined", NODE.0, NODE.1),
    client("java-text", JAVA.0, JAVA.1),
    client("java-prepared", JAVA.0, JAVA.1),
    client("c-text", C.0, C.1),
    client("c-prepared", C.0, C.1),
    client("c-cursor", C.0, C.1),
    client("go-text", GO.0, GO.1),
    client("go-prepared", GO.0, GO.1),
    client("php-text", PHP.0, PHP.1),
    client("php-prepared", PHP.0, PHP.1),
    client("perl-text", PERL.0, PERL.1),
    client("perl-prepared", PERL.0, PERL.1),
    client("ruby-text", RUBY.0, RUBY.1),
    client("ruby-prepared", RUBY.0, RUBY.1),
];

impl Client {
    /// The client of this mode.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn named(mode: &str) -> Self {
        *CLIENTS.iter().find(|client| client.mode == mode).unwrap_or_else(|| panic!("no client {mode}"))
    }

    /// Whether `make test` could prepare it here.
    pub fn is_ready(&self) -> bool {
        PathBuf::from(place(self.needs)).exists()
    }

    /// Runs `script` on `connections` connections to `host:port`; one report for each of them.
    ///
    /// # Panics
    ///
    /// When the program fails: with what it said.
    pub fn run(&self, host: &str, port: u16, script: &str, connections: u32) -> Vec<Value> {
        self.run_over("", host, port, script, connections)
    }

    /// The same over a `transport` of the mode's: `-compress` or `-tls`.
    ///
    /// # Panics
    ///
    /// When the program fails, or does not know the transport: with what it said.
    pub fn run_over(
        &self,
        transport: &str,
        host: &str,
        port: u16,
        script: &str,
        connections: u32,
    ) -> Vec<Value> {
        let mode = format!("{}{transport}", self.mode);
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("script");
        fs::write(&file, script).expect("the temporary folder is writable");
        let mut program = command(place(self.program[0]));
        program.args(self.program[1..].iter().map(|argument| place(argument)));
        program.args([&mode, host, &port.to_string()]).arg(file).arg(connections.to_string());
        let printed = output(&mut program);
        let lines = printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
        let reports: Vec<Value> = lines.collect();
        assert_eq!(reports.len(), connections as usize, "{mode}: {printed}");
        reports
    }
}

/// What one run of sysbench tells.
#[derive(Debug)]
pub struct Sysbench {
    /// Each thread's connection: the server's id for it, and the client's port.
    pub connections: Vec<(String, u16)>,
    /// Statements that failed and were tried again (deadlocks).
    pub ignored_errors: u64,
}

/// Programs that [`sysbench`] needs.
pub const SYSBENCH: &[&str] = &["sysbench"];

/// Makes the table of [`sysbench`] through the Unix socket, off the wire.
pub fn prepare_sysbench(server: &MariaDb) {
    let mut program = command("sysbench");
    program.args(["oltp_read_write", "--tables=1", "--table-size=10000", "--mysql-db=sbtest"]);
    program.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    output(program.arg(format!("--mysql-socket={}", server.socket().display())).arg("prepare"));
}

/// Runs oltp_read_write with `threads` connections, as prepared statements or text.
pub fn sysbench(server: &MariaDb, host: &str, threads: u32, events: u32, prepared: bool) -> Sysbench {
    let mut program = command("sysbench");
    program.arg(place("{src}/sysbench/scenario.lua"));
    program.args(["--tables=1", "--table-size=10000", "--time=0", "--mysql-db=sbtest"]);
    program.args([format!("--mysql-user={USER}"), format!("--mysql-password={PASSWORD}")]);
    program.args([format!("--mysql-host={host}"), format!("--mysql-port={}", server.port())]);
    program.args([format!("--threads={threads}"), format!("--events={events}")]);
    program.arg(format!("--db-ps-mode={}", if prepared { "auto" } else { "disable" })).arg("run");
    let printed = output(&mut program);
    let connections = printed.lines().filter_map(|line| line.strip_prefix("connection ")).map(|line| {
        let (id, host) = line.split_once(' ').expect("an id and a host");
        let (_, port) = host.rsplit_once(':').expect("a port");
        (id.to_owned(), port.parse().expect("a number"))
    });
    let connections: Vec<_> = connections.collect();
    assert_eq!(connections.len(), threads as usize, "{printed}");
    let ignored = printed.lines().find_map(|line| line.trim().strip_prefix("ignored errors:"));
    let ignored = ignored.and_then(|rest| rest.split_whitespace().next()).expect("its summary");
    Sysbench { connections, ignored_errors: ignored.parse().expect("a number") }
}

/// One report for each connection of `runs`, from the log of a server started with `general_log`.
pub fn sysbench_reports(server: &MariaDb, runs: &[Sysbench]) -> Vec<Value> {
    let log = server.admin(
        "SELECT thread_id, command_type, lower(regexp_substr(convert(argument USING utf8mb4), '^[A-Za-z]*')), \
         count(*) FROM mysql.general_log GROUP BY 1, 2, 3",
    );
    let connections = runs.iter().flat_map(|run| &run.connections);
    connections.map(|(id, port)| report_of(id, *port, &log)).collect()
}

/// What connection `id` did, from the rows (id, kind of entry, keyword, count) of the general log.
fn report_of(id: &str, port: u16, log: &[Vec<String>]) -> Value {
    let mut com: BTreeMap<&str, u64> = BTreeMap::new();
    let mut texts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut executes: BTreeMap<&str, u64> = BTreeMap::new();
    for row in log.iter().filter(|row| row[0] == id) {
        let count: u64 = row[3].parse().expect("a count");
        let name = match row[1].as_str() {
            "Query" => "COM_QUERY",
            "Prepare" => "COM_STMT_PREPARE",
            "Execute" => "COM_STMT_EXECUTE",
            "Close stmt" => "COM_STMT_CLOSE",
            "Reset stmt" => "COM_STMT_RESET",
            "Quit" => "COM_QUIT",
            "Connect" => continue,
            other => panic!("{other} in the log"),
        };
        *com.entry(name).or_default() += count;
        match name {
            "COM_QUERY" => *texts.entry(&row[2]).or_default() += count,
            "COM_STMT_EXECUTE" => *executes.entry(&row[2]).or_default() += count,
            _ => {}
        }
    }
    json!({
        "client": "sysbench", "port": port, "connections": 1, "com": com, "text_statements": texts,
        "prepared_executes": executes, "errors": {},
    })
}

fn place(text: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    text.replace("{out}", &format!("{root}/target/clients"))
        .replace("{src}", &format!("{root}/tests/clients"))
}
