//! Being asked to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM (service managers) and SIGINT (Ctrl-C); and SIGHUP, which would end a process that does not expect it.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// From here on these signals no longer kill the process. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The system's, which leaves the program unable to stop in order.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for either; its name, for the log. SIGHUP does not end it: what can change while it runs is read again
    /// when it changes.
    pub async fn wait(mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => tracing::info!("SIGHUP: files of the configuration are read again when they change"),
            }
        }
    }
}
