//! An exporter that captures on an interface of the row's own, and a hose to send frames through it.

use std::{
    cell::RefCell,
    ffi::CString,
    fs,
    mem::{size_of, zeroed},
    process::Command,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::support::{
    children::{command, output},
    dialogue::{Conversation, OK},
    exporter::{self, Exporter},
    exposition::Exposition,
    wait,
};

/// Longest wait for anything: a guard, not a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// The interface that frames are sent through; nothing answers on it (an ifb drops what nobody redirects).
pub(crate) const INTERFACE: &str = "wire0";
/// What the process may take at most, whatever comes.
pub(crate) const MOST_MEMORY: u64 = 64 << 20;

/// Runs ip(8) in the row's namespace.
pub(crate) fn ip(arguments: &str) {
    output(command("ip").args(arguments.split_whitespace()));
}

/// Sends frames through an interface, as they are.
pub(crate) struct Hose(Socket);

impl Hose {
    pub(crate) fn on(interface: &str) -> Self {
        let name = CString::new(interface).unwrap();
        // SAFETY: `name` is a C string that outlives the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        assert_ne!(index, 0, "{interface}");
        // SAFETY: all-zero bytes are a valid sockaddr_storage, which sockaddr_ll fits in and is written to whole.
        let address = unsafe {
            let mut storage: SockAddrStorage = zeroed();
            let link = storage.view_as::<libc::sockaddr_ll>();
            link.sll_family = libc::AF_PACKET as u16;
            link.sll_ifindex = index as i32;
            SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32)
        };
        let socket = Socket::new(Domain::from(libc::AF_PACKET), Type::RAW, None).unwrap();
        socket.bind(&address).unwrap();
        Self(socket)
    }

    /// One frame. Waits where the interface's queue is full.
    pub(crate) fn send(&self, frame: &[u8]) {
        while let Err(error) = self.0.send(frame) {
            assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS), "{error}");
            std::thread::yield_now();
        }
    }
}

/// The exporter, its interface, and a way to send through it.
pub(crate) struct Lab {
    pub(crate) exporter: Exporter,
    hose: RefCell<Hose>,
}

impl Lab {
    /// Captures on [`INTERFACE`].
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with further flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        make_interface();
        let mut command = exporter::command();
        command.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", INTERFACE]).args(flags);
        Self::of(&mut command)
    }

    /// The same of a command that starts it; the interface is there.
    pub(crate) fn of(command: &mut Command) -> Self {
        let lab =
            Self { exporter: Exporter::start_command(command, 1), hose: RefCell::new(Hose::on(INTERFACE)) };
        lab.wait("dbwire_capture_up", &[], 1.0);
        lab
    }

    /// The interface is another one now.
    pub(crate) fn reconnect(&self, interface: &str) {
        *self.hose.borrow_mut() = Hose::on(interface);
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        self.hose.borrow().send(frame);
    }

    /// Sends many frames no faster than they are decoded, so that none is lost on the way.
    pub(crate) fn pour<'a>(&self, frames: impl Iterator<Item = &'a [u8]>) {
        let mut sent = 0;
        for frame in frames {
            self.send(frame);
            sent += frame.len() + 200;
            // A quarter of the ring.
            if sent > 2 << 20 {
                sent = 0;
                self.page();
            }
        }
        self.page();
    }

    /// A client that logs in from this port, asks so many times, and leaves.
    pub(crate) fn ask(&self, port: u16, queries: usize) {
        let frames = conversation(port, queries);
        self.pour(frames.iter().map(Vec::as_slice));
    }

    pub(crate) fn page(&self) -> Exposition {
        self.exporter.page()
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.page().value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    }

    /// Waits until a value is there.
    pub(crate) fn wait(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while last != Some(wanted) {
            assert!(Instant::now() < deadline, "{name} {labels:?} is {last:?}, not {wanted}");
            last = self.page().value(name, labels);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a value is at least that.
    pub(crate) fn wait_for_more(&self, name: &str, labels: &[(&str, &str)], least: f64) -> f64 {
        wait::until(PATIENCE, name, || self.page().value(name, labels).filter(|value| *value >= least))
    }

    /// Exactly so many SELECTs are counted once all that was sent is.
    pub(crate) fn assert_selects(&self, wanted: usize) {
        self.settle();
        assert_eq!(self.selects(), wanted as f64, "SELECTs");
    }

    /// Waits until all that was sent is counted: a last ping is.
    pub(crate) fn settle(&self) {
        let pings = self.value("dbwire_mysql_commands_total", &[("command", "ping")]);
        let mut frames = Vec::new();
        let mut marker =
            Conversation::open(MARKER_PORT, "marker", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
        marker.exchange(b"\x0e", OK);
        marker.close();
        frames.iter().for_each(|frame| self.send(frame));
        self.wait_for_more("dbwire_mysql_commands_total", &[("command", "ping")], pings + 1.0);
    }

    pub(crate) fn selects(&self) -> f64 {
        self.value("dbwire_mysql_statements_total", &[("statement", "select")])
    }

    pub(crate) fn limit_hits(&self, limit: &str) -> f64 {
        self.value("dbwire_limit_hits_total", &[("limit", limit)])
    }

    /// Most memory it has ever had, which must be within the promise.
    pub(crate) fn assert_memory(&self) -> String {
        let peak = peak_memory(self.exporter.id());
        assert!(peak <= MOST_MEMORY, "{} MB", peak >> 20);
        format!("{} MB at most", peak >> 20)
    }
}

/// A port for the last conversation of a row.
const MARKER_PORT: u16 = 64_999;

pub(crate) fn make_interface() {
    ip(&format!("link add {INTERFACE} type ifb"));
    ip(&format!("link set {INTERFACE} up"));
}

/// The frames of a client that logs in, asks so many times, and leaves.
pub(crate) fn conversation(port: u16, queries: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut conversation = Conversation::open(port, "shop", 0, |_, frame: &[u8]| frames.push(frame.to_vec()));
    for number in 0..queries {
        conversation.query(format!("SELECT c FROM t WHERE id = {number}").as_bytes(), OK);
    }
    conversation.close();
    frames
}

/// Of a process, in bytes.
pub(crate) fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
