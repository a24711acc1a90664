//! Talking to the service manager: sd_notify(3), over a socket that is connected before the process gives up the right
//! to open one.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process,
    time::Duration,
};

/// The service manager that started this process.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    /// How long it waits for a sign of life, if it does.
    pub watchdog: Option<Duration>,
}

impl Manager {
    /// The one that `NOTIFY_SOCKET` names; `None` if nobody asked to be notified.
    ///
    /// # Errors
    /// If its socket cannot be connected to.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
        let name = path.as_encoded_bytes().strip_prefix(b"@");
        let address = match name {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not listen must not keep the event loop waiting.
        socket.set_nonblocking(true)?;
        Ok(Some(Self { socket, watchdog: watchdog() }))
    }

    /// The process serves.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The process is alive, and so are its collectors.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, state: &str) {
        if let Err(error) = self.socket.send(state.as_bytes()) {
            tracing::warn!(%error, state, "the service manager cannot be told");
        }
    }
}

/// `WATCHDOG_USEC`, unless `WATCHDOG_PID` says that it is meant for another process (sd_watchdog_enabled(3)).
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|microseconds| *microseconds > 0).map(Duration::from_micros)
}
