//! What a loop of dumps on one core does to a conversation on another.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::rivals::Daemon;

/// Round trips of one measurement.
const TRIPS: usize = 20_000;

/// Keeps the calling thread on one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    // SAFETY: all-zero bytes are an empty cpu_set_t; CPU_SET stays within it, as cores are few; the kernel copies it.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A connection of which this thread has both ends.
#[derive(Debug)]
pub(crate) struct PingPong {
    client: TcpStream,
    server: TcpStream,
}

impl PingPong {
    pub(crate) fn new() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok(Self { client, server })
    }

    /// The 99th percentile of the round trips.
    pub(crate) fn p99(&mut self) -> io::Result<Duration> {
        let mut trips = Vec::with_capacity(TRIPS);
        for _ in 0..TRIPS {
            let start = Instant::now();
            self.client.write_all(&[1])?;
            self.server.read_exact(&mut [0])?;
            self.server.write_all(&[1])?;
            self.client.read_exact(&mut [0])?;
            trips.push(start.elapsed());
        }
        trips.sort_unstable();
        Ok(trips[TRIPS * 99 / 100])
    }
}

/// The ruler, dumping for ever on one core, until it is dropped.
#[derive(Debug)]
pub(crate) struct RulerLoop(Child);

impl RulerLoop {
    pub(crate) fn start(program: &Path, core: usize) -> io::Result<Self> {
        let core = core.to_string();
        let mut command = Command::new("taskset");
        Ok(Self(command.args(["-c", &core]).arg(program).arg("forever").stdout(Stdio::null()).spawn()?))
    }
}

impl Drop for RulerLoop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `body` while another thread scrapes `daemon` without a pause, on `core`.
pub(crate) fn while_scraping<T>(
    daemon: &mut Daemon,
    core: usize,
    body: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            pin(core)?;
            while !stop.load(Ordering::Relaxed) {
                daemon.scrape()?;
            }
            Ok(())
        });
        let outcome = body();
        stop.store(true, Ordering::Relaxed);
        scraper.join().unwrap_or_else(|_| Err(io::Error::other("the scraper panicked"))).and(outcome)
    })
}
