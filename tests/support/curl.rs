//! Asks by curl, which speaks TLS.

use super::children::command;

/// What curl got.
#[derive(Debug, PartialEq, Eq)]
pub struct Got {
    /// The HTTP status; 0 if there was no response.
    pub status: u16,
    /// The headers as they came, in lower case.
    pub head: String,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Got {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks `url`, with further arguments.
pub fn curl(url: &str, arguments: &[&str]) -> Got {
    let mut curl = command("curl");
    curl.args(["-s", "-D", "/dev/stderr", "-o", "-", "--max-time", "60"]).args(arguments).arg(url);
    let output = curl.output().expect("curl runs");
    let head = String::from_utf8_lossy(&output.stderr).to_lowercase();
    let status = head.lines().rfind(|line| line.starts_with("http/")).and_then(|line| line.split(' ').nth(1));
    Got { status: status.and_then(|code| code.parse().ok()).unwrap_or(0), head, body: output.stdout }
}
