//! A MariaDB server of the test's own: empty data directory, free port, gone when dropped.
//!
//! The test's own questions go through the Unix socket, so that they are never on the wire.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    children::{Running, command, free_port, output, signal, tied},
    skip::is_root,
    wait,
};

/// What the test's clients log in as, and its password.
pub const USER: &str = "app";
/// See [`USER`].
pub const PASSWORD: &str = "app-password";
/// The default schema; `tests/support/schema.sql` is loaded into it.
pub const DATABASE: &str = "test";

const SCHEMA: &str = include_str!("schema.sql");

/// Counters of `SHOW GLOBAL STATUS`, by name; those that are not numbers are left out.
pub type Status = BTreeMap<String, i64>;

/// How to start a [`MariaDb`].
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Instruments and tables of `performance_schema`.
    pub performance_schema: bool,
    /// Log what each connection does into `mysql.general_log`.
    pub general_log: bool,
    /// A certificate of its own, so that clients may use TLS.
    pub tls: bool,
    /// Run it inside this network namespace.
    pub namespace: Option<String>,
    /// Further options for the server.
    pub arguments: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct MariaDb {
    // Before the folder: fields are dropped in this order.
    server: Running,
    folder: TempDir,
    port: u16,
    options: Options,
}

impl MariaDb {
    /// Programs it needs.
    pub const PROGRAMS: &'static [&'static str] =
        &["mariadbd", "mariadb-install-db", "mariadb", "setpriv", "openssl"];

    /// Starts a server and returns when it answers.
    ///
    /// # Panics
    ///
    /// When it does not: with the end of its error log.
    pub fn start(options: &Options) -> Self {
        let folder = TempDir::with_prefix("dbwire-mariadb-").expect("a temporary folder");
        install(folder.path());
        let port = free_port();
        if options.tls {
            make_certificate(folder.path());
        }
        let server = launch(folder.path(), port, options);
        let mut started = Self { server, folder, port, options: options.clone() };
        started.wait_until_it_answers();
        started.admin_file(SCHEMA);
        started
    }

    /// Ends the server, and starts another on the same data and port; its counters begin at 0.
    pub fn restart(&mut self) {
        self.server.stop();
        self.start_again();
    }

    /// The same without a word to its clients.
    pub fn crash(&mut self) {
        signal(self.server.id(), libc::SIGKILL);
        wait::until(Duration::from_secs(60), "MariaDB to be gone", || self.server.ended());
        self.start_again();
    }

    fn start_again(&mut self) {
        let _ = fs::remove_file(self.socket());
        self.server = launch(self.folder.path(), self.port, &self.options);
        self.wait_until_it_answers();
    }

    /// The TCP port it listens on, on every loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Certificate authority of a server started with [`Options::tls`].
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Runs `sql` as root through the Unix socket; the rows' fields as text.
    ///
    /// # Panics
    ///
    /// When the server reports an error.
    pub fn admin(&self, sql: &str) -> Vec<Vec<String>> {
        let mut client = command("mariadb");
        client.args(["--no-defaults", "--user=root", "-N", "-B", "--socket"]).arg(self.socket());
        let printed = output(client.args(["-e", sql]));
        printed.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// `SHOW GLOBAL STATUS` as numbers.
    pub fn status(&self) -> Status {
        let rows = self.admin("SHOW GLOBAL STATUS");
        rows.into_iter()
            .filter_map(|row| match &row[..] {
                [name, value] => Some((name.clone(), value.parse().ok()?)),
                _ => None,
            })
            .collect()
    }

    /// How the counters changed while `work` ran, without what asking for them adds.
    ///
    /// A session's COM_QUIT is counted some time after its client has gone, so readings are repeated until one adds
    /// exactly what the one before it added: then nothing is under way any more.
    pub fn status_delta<T>(&self, work: impl FnOnce() -> T) -> (T, Status) {
        let (_, before, asked) = self.settled_status(None);
        let result = work();
        let (readings, after, _) = self.settled_status(Some(&asked));
        let delta = after
            .iter()
            .map(|(name, value)| {
                let own = readings * asked.get(name).unwrap_or(&0);
                (name.clone(), value - before.get(name).unwrap_or(&0) - own)
            })
            .filter(|(_, delta)| *delta != 0)
            .collect();
        (result, delta)
    }

    /// Reads until a reading adds `asked`, or, without that, what the one before it added: how many readings it took,
    /// the last of them, and what one adds.
    fn settled_status(&self, asked: Option<&Status>) -> (i64, Status, Status) {
        let mut last = self.status();
        let mut usual = asked.cloned();
        for readings in 2..100 {
            let now = self.status();
            let added: Status = now
                .iter()
                .map(|(name, value)| (name.clone(), value - last.get(name).unwrap_or(&0)))
                .collect();
            let settled = |usual: &Status| {
                ["Questions", "Connections", "Com_show_status"]
                    .iter()
                    .all(|name| usual.get(*name) == added.get(*name))
            };
            if usual.as_ref().is_some_and(settled) {
                return (readings, now, added);
            }
            if asked.is_none() {
                usual = Some(added);
            }
            last = now;
        }
        panic!("the server's counters do not settle");
    }

    fn admin_file(&self, sql: &str) {
        let path = self.folder.path().join("admin.sql");
        fs::write(&path, sql).expect("the temporary folder is writable");
        self.admin(&format!("source {}", path.display()));
    }

    fn wait_until_it_answers(&mut self) {
        let log = self.folder.path().join("error.log");
        wait::until(Duration::from_secs(60), "MariaDB to answer", || {
            if let Some(status) = self.server.ended() {
                panic!("mariadbd: {status}\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            UnixStream::connect(self.folder.path().join("socket")).ok()
        });
    }
}

fn install(folder: &Path) {
    let mut install = command("mariadb-install-db");
    // --force: no question about a host name that cannot be looked up.
    install.args(["--no-defaults", "--force", "--skip-test-db", "--auth-root-authentication-method=normal"]);
    if is_root() {
        install.arg("--user=root");
    }
    // Two installations at a time would meet in a common folder for temporary tables.
    install.arg("--innodb-log-file-size=8M").arg(format!("--tmpdir={}", folder.display()));
    output(install.arg(format!("--datadir={}", folder.join("data").display())));
}

fn launch(folder: &Path, port: u16, options: &Options) -> Running {
    let mut mariadbd = match &options.namespace {
        Some(namespace) => {
            let mut inside = tied("ip");
            inside.args(["netns", "exec", namespace, "mariadbd"]);
            inside
        }
        None => tied("mariadbd"),
    };
    mariadbd.args(arguments(folder, port, options)).stdout(Stdio::null()).stderr(log_file(folder));
    Running::start(&mut mariadbd)
}

fn arguments(folder: &Path, port: u16, options: &Options) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<String> = [
        "--no-defaults",
        "--bind-address=0.0.0.0,::1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=8M",
        "--innodb-flush-log-at-trx-commit=0",
        "--max-allowed-packet=64M",
        "--max-connections=500",
        "--local-infile=1",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--datadir={}", path("data")));
    arguments.push(format!("--socket={}", path("socket")));
    arguments.push(format!("--pid-file={}", path("pid")));
    arguments.push(format!("--tmpdir={}", folder.display()));
    arguments.push(format!("--port={port}"));
    arguments.push(format!("--performance-schema={}", if options.performance_schema { "ON" } else { "OFF" }));
    if is_root() {
        arguments.push("--user=root".to_owned());
    }
    if options.general_log {
        arguments.extend(["--log-output=TABLE", "--general-log=ON"].map(str::to_owned));
    }
    if options.tls {
        arguments.push(format!("--ssl-cert={}", path("cert.pem")));
        arguments.push(format!("--ssl-key={}", path("key.pem")));
    }
    arguments.extend(options.arguments.iter().cloned());
    arguments
}

/// A self-signed certificate for `localhost`, valid for a day.
fn make_certificate(folder: &Path) {
    let mut openssl = command("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-keyout"]);
    output(openssl.arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem")));
}

fn log_file(folder: &Path) -> File {
    File::create(folder.join("error.log")).expect("the temporary folder is writable")
}
