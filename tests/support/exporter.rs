//! Runs the binary: starts it, waits until it serves, asks it for pages, stops it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::{children, exposition::Exposition, wait};

/// Longest wait for anything that must happen: a guard against hanging for ever, not a measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with none of the caller's `DBWIRE_` variables.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbwire_exporter"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DBWIRE_")) {
        command.env_remove(name);
    }
    // Tests compare counts; a slow machine must not make estimates of them.
    #[cfg(feature = "capture")]
    command.env("DBWIRE_MYSQL_CPU_BUDGET", "0");
    // A sanitizer does what the sandbox forbids (`make sanitize`).
    if std::env::var_os("ASAN_OPTIONS").is_some() {
        command.env("DBWIRE_SANDBOX", "false");
    }
    command
}

/// Takes the right to capture packets from what `command` will start, should it have it.
pub fn without_capture_rights(command: &mut Command) -> &mut Command {
    /// `CAP_NET_RAW` of linux/capability.h.
    const CAP_NET_RAW: libc::c_ulong = 13;
    // SAFETY: prctl(2) with numbers only is safe to call between fork and exec. Root may take it out of what an exec
    // can gain (capabilities(7)); anybody else may not, and has not got it.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0);
            Ok(())
        })
    }
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("the binary runs")
}

/// A serving exporter; killed when dropped.
pub struct Exporter {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<Vec<String>>>,
    /// Where it serves, as its log says, in the order of its listen addresses.
    pub urls: Vec<String>,
}

impl Exporter {
    /// Starts it on a free port of 127.0.0.1 and waits until it serves.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_on(&["127.0.0.1:0"], arguments)
    }

    /// Starts it on `addresses` and waits until it serves.
    pub fn start_on(addresses: &[&str], arguments: &[&str]) -> Self {
        let mut command = command();
        for address in addresses {
            command.args(["--web.listen-address", address]);
        }
        Self::start_command(command.args(arguments), addresses.len())
    }

    /// Starts `command` and waits until it serves on `addresses` addresses.
    pub fn start_command(command: &mut Command, addresses: usize) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = mpsc::channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                let _ = sender.send(line);
            }
        });
        let mut exporter = Self { child, lines, log, urls: Vec::new() };
        while exporter.urls.len() < addresses {
            let line = exporter.wait_for_log("://");
            let url = line.split("://").nth(1).and_then(|rest| rest.split([' ', '"']).next());
            exporter.urls.push(url.expect("the address after the scheme").to_owned());
        }
        exporter
    }

    /// The next line of its log that contains `text`.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in the log: {:#?}", self.log()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {text:?}: {:#?}", self.log()),
            }
        }
    }

    /// All it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// `HOST:PORT` of its first address.
    pub fn address(&self) -> &str {
        let url = &self.urls[0];
        url.split_once('/').map_or(url, |(address, _)| address)
    }

    /// A response to `METHOD path` from the first address.
    pub fn request(&self, method: &str, path: &str) -> Response {
        request(self.address(), method, path)
    }

    /// Its page of metrics.
    pub fn page(&self) -> Exposition {
        let response = self.request("GET", "/metrics");
        assert_eq!(response.status, 200, "{}", response.body);
        Exposition::parse(&response.body)
    }

    /// Its page with estimates of everything up to now. While it samples, they are those of the last census, which is made
    /// anew for a page if it is more than a second old.
    pub fn page_of_a_new_census(&self) -> Exposition {
        let censuses = |page: &Exposition| page.value("dbwire_mysql_censuses_total", &[]);
        let first = self.page();
        if censuses(&first).is_none() {
            return first;
        }
        wait::until(PATIENCE, "another census", || {
            let page = self.page();
            (censuses(&page) > censuses(&first)).then_some(page)
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        children::signal(self.id(), signal);
    }

    /// Sends a signal and waits for the end.
    pub fn stop_with(mut self, signal: i32) -> (ExitStatus, Vec<String>) {
        self.signal(signal);
        // The pipe closes when the process ends.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after signal {signal}: {:#?}", self.log())
                }
            }
        }
        let status = self.child.wait().expect("the child can be waited for");
        (status, self.log())
    }

    /// Stops it in order.
    pub fn stop(self) -> ExitStatus {
        self.stop_with(libc::SIGTERM).0
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP response.
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Asks `HOST:PORT` for one page.
pub fn request(address: &str, method: &str, path: &str) -> Response {
    let mut stream = TcpStream::connect(address).expect("the exporter accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Response { status, headers, body: body.to_owned() }
}
