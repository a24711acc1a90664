//! tcpdump into a file: the capture that the exporter is compared with.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStderr, Stdio},
};

use super::children::{Running, tied};

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Running,
    // Open to the end: its closing words must not meet a broken pipe.
    _messages: BufReader<ChildStderr>,
}

impl Capture {
    /// Captures what `filter` selects on `interface` into `file`; returns when packets are being captured. Needs root.
    ///
    /// # Panics
    ///
    /// When tcpdump cannot capture.
    pub fn start(interface: &str, filter: &str, file: &Path) -> Self {
        let mut command = tied("tcpdump");
        // -U: each packet is in the file at once; -Z root: stay able to write into the test's folder.
        command.args(["-i", interface, "-U", "--immediate-mode", "-Z", "root"]);
        command.args(["-s", "262144", "-B", "16384", "-w"]).arg(file);
        command.arg(filter).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tcpdump = Running::start(&mut command);
        let mut said = String::new();
        let mut messages = BufReader::new(tcpdump.stderr());
        while !said.contains("listening on") {
            let read = messages.read_line(&mut said).expect("its standard error");
            assert!(read > 0, "tcpdump: {said}");
        }
        Self { tcpdump, _messages: messages }
    }

    /// Ends the capture; the file is complete when this returns.
    pub fn stop(mut self) {
        self.tcpdump.stop();
    }
}
