//! Programs that count sockets, and what a count costs them.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A daemon that answers `GET /metrics`.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    address: (&'static str, u16),
    connection: BufReader<TcpStream>,
    scraped: Instant,
}

/// Daemons close connections that idle for longer (node_exporter after five minutes, this program after 75 s): where
/// others take their time, a new one is made.
const KEPT: Duration = Duration::from_secs(30);

impl Daemon {
    /// Starts `command`, which must listen on `port` of 127.0.0.1, and connects to it.
    pub(crate) fn start(command: &mut Command, port: u16) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let address = ("127.0.0.1", port);
        let connection = loop {
            match TcpStream::connect(address) {
                Ok(connection) => break BufReader::new(connection),
                Err(_) if child.try_wait()?.is_none() => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error),
            }
        };
        Ok(Self { child, address, connection, scraped: Instant::now() })
    }

    /// CPU time of one scrape, all threads and the kernel included, and the page.
    pub(crate) fn scrape(&mut self) -> io::Result<(Duration, String)> {
        if self.scraped.elapsed() > KEPT {
            self.connection = BufReader::new(TcpStream::connect(self.address)?);
        }
        self.scraped = Instant::now();
        let before = self.cpu_time()?;
        self.connection.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let page = read_page(&mut self.connection)?;
        Ok((self.cpu_time()? - before, page))
    }

    /// CPU time used so far.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both calls write to the valid places given, and keep no pointer.
        let failed = unsafe {
            libc::clock_getcpuclockid(self.child.id() as libc::pid_t, &mut clock) != 0
                || libc::clock_gettime(clock, &mut time) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Resident memory in kilobytes: now, and at its peak.
    pub(crate) fn memory(&self) -> io::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        };
        field("VmRSS:").zip(field("VmHWM:")).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a response with a length, or in chunks (whose heads stay in it).
fn read_page(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        length = length.or_else(|| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    }
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body)?;
    while length.is_none() && !body.ends_with(b"\r\n0\r\n\r\n") {
        if connection.read_until(b'\n', &mut body)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    String::from_utf8(body).map_err(io::Error::other)
}

/// The sockets of the states of one metric on a page.
pub(crate) fn sum(page: &str, metric: &str) -> f64 {
    let own = |line: &&str| line.starts_with(metric) && !line.contains("rx_") && !line.contains("tx_");
    page.lines().filter(own).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The C program of this folder, compiled.
pub(crate) fn compile_ruler(into: &Path) -> io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sockets/dump.c");
    let status = Command::new("cc").args(["-O2", "-o"]).arg(into).arg(source).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("cc failed")) }
}

/// CPU time the ruler measured, and the sockets it counted.
pub(crate) fn ruler(program: &Path) -> io::Result<(Duration, u64)> {
    let output = Command::new(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    match (words.next(), words.next()) {
        (Some(Ok(nanoseconds)), Some(Ok(sockets))) => Ok((Duration::from_nanos(nanoseconds), sockets)),
        _ => Err(io::Error::other(String::from_utf8_lossy(&output.stderr))),
    }
}

/// CPU time and peak memory in kilobytes of a program that is run once, and the lines it printed.
pub(crate) fn run_once(command: &mut Command) -> io::Result<(Duration, u64, u64)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = 0;
    let mut output = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match output.read(&mut buffer)? {
            0 => break,
            length => lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
    // SAFETY: all-zero bytes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the child is this process's own and was not waited for; `usage` is valid and writable.
    if unsafe { libc::wait4(child.id() as libc::pid_t, std::ptr::null_mut(), 0, &mut usage) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Ok((time(usage.ru_utime) + time(usage.ru_stime), usage.ru_maxrss as u64, lines))
}
