//! tcpdump into a file: the capture that the exporter is compared with.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{ChildStderr, Stdio},
};

use super::children::{Running, tied};

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Running,
    messages: BufReader<ChildStderr>,
}

impl Capture {
    /// Captures what `filter` selects on `interface` into `file`; returns when packets are being captured. Needs root.
    ///
    /// # Panics
    ///
    /// When tcpdump cannot capture.
    pub fn start(interface: &str, filter: &str, file: &Path) -> Self {
        // Before the load that it captures, which starves it on a busy machine.
        let mut command = tied("nice");
        command.args(["-n", "-10", "tcpdump"]);
        // -U: each packet is in the file at once; -Z root: stay able to write into the test's folder. In immediate mode
        // each packet takes the room of the longest, here a super-frame: 256 MiB hold 4,000.
        command.args(["-i", interface, "-U", "--immediate-mode", "-Z", "root"]);
        command.args(["-s", "66000", "-B", "262144", "-w"]).arg(file);
        command.arg(filter).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tcpdump = Running::start(&mut command);
        let mut said = String::new();
        let mut messages = BufReader::new(tcpdump.stderr());
        while !said.contains("listening on") {
            let read = messages.read_line(&mut said).expect("its standard error");
            assert!(read > 0, "tcpdump: {said}");
        }
        Self { tcpdump, messages }
    }

    /// Ends the capture; the file is complete when this returns.
    ///
    /// # Panics
    ///
    /// When packets are missing from it: nothing can be compared with it then.
    pub fn stop(mut self) {
        self.tcpdump.stop();
        let mut said = String::new();
        self.messages.read_to_string(&mut said).expect("its closing words");
        assert!(said.contains("\n0 packets dropped by kernel"), "tcpdump: {said}");
    }
}
