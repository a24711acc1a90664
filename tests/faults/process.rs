//! What happens to the process itself.

use std::{
    fs::{self, File},
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Fault, fault,
    lab::{INTERFACE, Lab, PATIENCE, conversation, make_interface},
    support::{
        children::{command, output},
        exporter::{self, Exporter},
        wait,
    },
};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "a second instance on the same port",
        "it says so and exits with 1; the first goes on",
        port_in_use,
    ),
    fault("two instances on two ports", "both count the same", two_instances),
    fault("no CAP_NET_RAW", "the sockets half works, and one line says what to do", no_capability),
    fault("SIGHUP", "goes on", hangup),
    fault("SIGTERM in mid-scrape", "exit code 0", terminate),
    fault("SIGKILL", "the next one starts on the same port at once", kill),
    fault(
        "SIGSTOP and SIGCONT while packets come (ring overflow)",
        "the loss is counted; counts are low, never high",
        stop,
    ),
    fault("the log's disk is full", "serves", log_disk_full),
    fault("the log's reader is gone", "serves", log_reader_gone),
    fault("no descriptor is left", "pages are served again as soon as there is one", no_descriptors),
    fault("starved of the CPU", "serves, late", starved),
    fault("a service manager that watches", "READY=1, then WATCHDOG=1 again and again", watched),
    fault("a read of the sockets that hangs", "no more WATCHDOG=1; pages are served without", stuck_dump),
    fault(
        "a capture thread that hangs",
        "no more WATCHDOG=1; pages are served with what was there",
        stuck_capture,
    ),
];

fn served(exporter: &Exporter) {
    assert_eq!(exporter.request("GET", "/-/healthy").status, 200);
}

fn port_in_use() -> String {
    let first = Exporter::start(&[]);
    let second = exporter::run(&["--web.listen-address", first.address()]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.lines().count() == 1 && said.contains("Address already in use"), "{said}");
    served(&first);
    "exit code 1, one line".to_owned()
}

fn two_instances() -> String {
    let lab = Lab::new();
    let second = Exporter::start(&["--mysql.interface", INTERFACE]);
    lab.ask(40_000, 50);
    lab.assert_selects(50);
    let select = [("statement", "select")];
    wait::until(PATIENCE, "the second to have counted", || {
        (second.page().value("dbwire_mysql_statements_total", &select) == Some(50.0)).then_some(())
    });
    "50 and 50".to_owned()
}

fn no_capability() -> String {
    let mut unprivileged = exporter::command();
    exporter::without_capture_rights(&mut unprivileged).args(["--web.listen-address", "127.0.0.1:0"]);
    let exporter = Exporter::start_command(&mut unprivileged, 1);
    let page = exporter.page();
    assert_eq!(page.value("dbwire_capture_up", &[]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
    let lines = exporter.log().into_iter().filter(|line| line.contains("setcap")).count();
    assert_eq!(lines, 1);
    "dbwire_capture_up 0, one line".to_owned()
}

fn hangup() -> String {
    let mut exporter = Exporter::start(&[]);
    exporter.signal(libc::SIGHUP);
    exporter.wait_for_log("SIGHUP");
    served(&exporter);
    assert_eq!(exporter.stop().code(), Some(0));
    "served on".to_owned()
}

fn terminate() -> String {
    let exporter = Exporter::start(&["--sockets.cache-ttl", "0s"]);
    let address = exporter.address().to_owned();
    let scraper = std::thread::spawn(move || {
        while let Ok(mut stream) = std::net::TcpStream::connect(&address) {
            use std::io::{Read as _, Write as _};
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    served(&exporter);
    assert_eq!(exporter.stop().code(), Some(0));
    scraper.join().unwrap();
    "exit code 0".to_owned()
}

fn kill() -> String {
    let first = Exporter::start(&[]);
    let address = first.address().to_owned();
    let (status, _) = first.stop_with(libc::SIGKILL);
    assert_eq!(status.code(), None);
    served(&Exporter::start_on(&[&address], &[]));
    "started".to_owned()
}

fn stop() -> String {
    let lab = Lab::with(&["--mysql.buffer-size", "1MiB"]);
    lab.ask(40_000, 10);
    lab.assert_selects(10);
    lab.exporter.signal(libc::SIGSTOP);
    let mut sent = 10;
    for port in 0..200 {
        conversation(20_000 + 2 * port, 50).iter().for_each(|frame| lab.send(frame));
        sent += 50;
    }
    lab.exporter.signal(libc::SIGCONT);
    let dropped = lab.wait_for_more("dbwire_capture_dropped_packets_total", &[("where", "kernel")], 1.0);
    lab.ask(60_000, 10);
    let selects = lab.wait_for_more("dbwire_mysql_statements_total", &[("statement", "select")], 20.0);
    assert!(selects <= f64::from(sent + 10), "{selects} of {sent}");
    assert_eq!(lab.value("dbwire_capture_up", &[]), 1.0);
    format!("{dropped} packets dropped and told; {selects} of {} counted", sent + 10)
}

/// Starts the exporter on a fixed port, for its log cannot tell of one.
fn without_log(stderr: Stdio) -> (std::process::Child, String) {
    let address = "127.0.0.1:19098".to_owned();
    let mut command = exporter::command();
    command.args(["--web.listen-address", &address, "--log.level", "debug"]);
    let child = command.stdin(Stdio::null()).stderr(stderr).spawn().unwrap();
    wait::until(PATIENCE, "the exporter to listen", || std::net::TcpStream::connect(&address).ok());
    (child, address)
}

fn serves_without_log(stderr: Stdio) -> String {
    let (mut child, address) = without_log(stderr);
    for _ in 0..20 {
        assert_eq!(exporter::request(&address, "GET", "/metrics").status, 200);
    }
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    "20 pages".to_owned()
}

fn log_disk_full() -> String {
    serves_without_log(Stdio::from(File::options().write(true).open("/dev/full").unwrap()))
}

fn log_reader_gone() -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    serves_without_log(Stdio::from(writer))
}

fn no_descriptors() -> String {
    let lab = Lab::new();
    let process = lab.exporter.id().to_string();
    let limit = |number: usize| {
        output(command("prlimit").args(["--pid", &process, &format!("--nofile={number}:20000")]));
    };
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    // Not one more than there are: connections wait, and netlink's socket cannot be opened.
    limit(open);
    let waiting = std::net::TcpStream::connect(lab.exporter.address()).unwrap();
    for _ in 0..5 {
        lab.send(&conversation(40_000, 1)[0]);
        std::thread::sleep(Duration::from_millis(100));
    }
    limit(20_000);
    drop(waiting);
    assert_eq!(lab.value("dbwire_capture_up", &[]), 1.0);
    lab.ask(40_002, 10);
    lab.assert_selects(10);
    format!("{open} allowed; 10 of 10 counted after")
}

fn starved() -> String {
    let lab = Lab::new();
    let process = lab.exporter.id().to_string();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let thread = task.unwrap().file_name();
        output(command("chrt").args(["--idle", "--pid", "0"]).arg(thread));
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // Should anything in here panic, the spinning ends all the same.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lab.ask(40_000, 50);
            lab.assert_selects(50);
        }));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome.unwrap();
    });
    "50 of 50 counted".to_owned()
}

/// A service manager's end of the conversation.
struct Manager {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Manager {
    /// And what is to be run.
    fn of(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
        Self { socket, _folder: folder }
    }

    fn hear(&self) -> Option<String> {
        let mut buffer = [0; 64];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn wait_for(&self, state: &str) {
        wait::until(PATIENCE, state, || (self.hear().as_deref() == Some(state)).then_some(()));
    }

    /// Waits until nothing has come for three intervals.
    fn wait_for_silence(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < Duration::from_millis(1200) {
            assert!(Instant::now() < deadline, "signs of life go on");
            if self.hear().is_some() {
                quiet_since = Instant::now();
            }
        }
    }
}

fn watched() -> String {
    let mut command = exporter::command();
    let manager = Manager::of(&mut command);
    let exporter = Exporter::start_command(command.args(["--web.listen-address", "127.0.0.1:0"]), 1);
    manager.wait_for("READY=1");
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
    assert_eq!(exporter.stop().code(), Some(0));
    "5 signs of life".to_owned()
}

fn stuck_dump() -> String {
    let procfs = tempfile::tempdir().unwrap();
    fs::create_dir(procfs.path().join("net")).unwrap();
    // Opened for reading, it waits for somebody who writes.
    output(command("mkfifo").arg(procfs.path().join("net/tcp")));
    let mut command = exporter::command();
    let manager = Manager::of(&mut command);
    command.args(["--web.listen-address", "127.0.0.1:0", "--sockets.source", "procfs", "--path.procfs"]);
    let mut exporter = Exporter::start_command(command.arg(procfs.path()), 1);
    manager.wait_for("WATCHDOG=1");
    let address = exporter.address().to_owned();
    let mut scrape = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut scrape, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    exporter.wait_for_log("does not answer");
    manager.wait_for_silence();
    served(&exporter);
    "silence; /-/healthy is served".to_owned()
}

fn stuck_capture() -> String {
    make_interface();
    let mut command = exporter::command();
    let manager = Manager::of(&mut command);
    command.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", INTERFACE]);
    let mut exporter = Exporter::start_command(&mut command, 1);
    manager.wait_for("WATCHDOG=1");
    let thread = Held::named(exporter.id(), "capture");
    exporter.wait_for_log("does not answer");
    manager.wait_for_silence();
    let page = exporter.page();
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "mysql")]), Some(0.0));
    assert_eq!(page.value("dbwire_scrape_collector_success", &[("collector", "sockets")]), Some(1.0));
    drop(thread);
    manager.wait_for("WATCHDOG=1");
    "silence while it hangs; pages without it".to_owned()
}

/// A thread of another process that is held still, as a debugger does.
struct Held(libc::pid_t);

impl Held {
    fn named(process: u32, name: &str) -> Self {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let named = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let task = tasks.map(|task| task.unwrap().path()).find(|path| named(path)).expect("such a thread");
        let id: libc::pid_t = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // SAFETY: no memory is passed; the thread is a child's, and this thread lets it go again.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, id, 0, 0), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, id, 0, 0), 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(id, &raw mut status, libc::__WALL), id);
        }
        Self(id)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}
