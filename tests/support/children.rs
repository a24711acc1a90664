//! Child processes that end with the test, however it ends.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    net::TcpListener,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use super::wait;

/// A running program, told to stop (SIGTERM) and waited for when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts a program given by [`tied`].
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { child, name }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard error, which must have been piped; once.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("a piped standard error")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Panics
    ///
    /// When it has not within a minute.
    pub fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        signal(self.id(), libc::SIGTERM);
        wait::until(Duration::from_secs(60), &format!("{} to stop", self.name), || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else {
            self.stop();
        }
    }
}

/// A [`Command`] on the path where Debian keeps servers, too.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
    command
}

/// A [`command`] for [`Running::start`]: the kernel kills it should the thread that starts it die without cleaning up.
pub fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut tied = command("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"]).arg(program);
    tied
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
///
/// When it fails: with what it said.
pub fn output(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{shown}: {}\n{}", output.status, String::from_utf8_lossy(&said));
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{shown}: {error}"))
}

/// A TCP port that nothing listens on, outside the range that `connect` hands out.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs side by side start apart; inside one run the counter keeps tests apart.
    let start = (std::process::id() % 200) as u16 * 50;
    for _ in 0..1000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        match TcpListener::bind(("0.0.0.0", port)) {
            Ok(_) => return port,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => panic!("port {port}: {error}"),
        }
    }
    panic!("no free port");
}

/// Sends a signal to a child of ours that has not been waited for.
///
/// # Panics
///
/// When the kernel refuses it.
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a process id");
    // SAFETY: kill(2) takes plain numbers; the child has not been waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "signal {signal} to {pid}");
}
