//! The client ports, whose bits choose the connections that are sampled.

use super::Finding;

const SECTION: &str = "ports";

/// Connections fewer than this say nothing about which ports clients get.
const ENOUGH: u64 = 20;

/// The ephemeral ports, and the connections that there are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports {
    /// First and last of the ports that connect(2) hands out here.
    pub range: Option<(u16, u16)>,
    /// Whether anything listens on a MySQL port here.
    pub listening: bool,
    /// Connections to a MySQL port, of this host's server or to another's, whose client port is even.
    pub even: u64,
    /// The same with an odd one.
    pub odd: u64,
    /// Of both, those that are in the class to be captured.
    pub sampled: u64,
    /// N: one of 2^N connections is to be captured.
    pub sample_bits: u8,
    /// The lowest bit of the client port that chooses; anything where none does.
    pub first_bit: u32,
}

impl Ports {
    /// Judges them.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.connections()];
        findings.extend(self.parity());
        findings
    }

    fn connections(&self) -> Finding {
        let count = self.even + self.odd;
        let server = if self.listening { "a server listens here" } else { "no server listens here" };
        let what = format!("{server}, {count} connections are on its ports");
        if self.listening || count > 0 {
            return Finding::ok(SECTION, what);
        }
        Finding::warn(SECTION, what, "check --mysql.port; Unix sockets are on no network, and are not seen")
    }

    /// connect(2) tries the ports of the parity of the range's first before the others (`__inet_hash_connect` in
    /// net/ipv4/inet_hashtables.c), so the lowest bit of a client port says nothing.
    fn parity(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some((first, last)) = self.range {
            let parity = if first % 2 == 0 { "even" } else { "odd" };
            let what = format!("clients on this host get {parity} ports first, of {first} to {last}");
            findings.push(Finding::ok(SECTION, what));
        }
        let count = self.even + self.odd;
        let lopsided = count >= ENOUGH && self.even.min(self.odd) * 4 < count;
        if count > 0 {
            findings.push(Finding::ok(
                SECTION,
                format!("of the client ports now in use {} are even and {} odd", self.even, self.odd),
            ));
        }
        if self.sample_bits > 0 && self.first_bit == 0 {
            let how = if lopsided { "as they do here, " } else { "" };
            findings.push(Finding::warn(
                SECTION,
                format!("--mysql.sample-first-bit=0: {how}clients share the lowest bit, so a class gets too many or none"),
                "--mysql.sample-first-bit=1",
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, worst};

    #[test]
    fn the_parity_that_clients_get_is_told() {
        let ports = Ports {
            range: Some((32768, 60999)),
            listening: true,
            even: 30,
            first_bit: 1,
            ..Ports::default()
        };
        let findings = ports.findings();
        assert_eq!(worst(&findings), Status::Ok);
        assert!(findings[1].what.contains("even ports first"), "{findings:?}");
        let odd = Ports { range: Some((32769, 60999)), ..ports };
        assert!(odd.findings()[1].what.contains("odd ports first"));
    }

    #[test]
    fn sampling_by_the_lowest_bit_is_advised_against() {
        let ports = Ports { listening: true, even: 30, sample_bits: 1, first_bit: 0, ..Ports::default() };
        assert_eq!(worst(&ports.findings()), Status::Warn);
        assert_eq!(worst(&Ports { first_bit: 1, ..ports }.findings()), Status::Ok);
        assert_eq!(worst(&Ports { sample_bits: 0, ..ports }.findings()), Status::Ok);
    }

    #[test]
    fn a_host_with_neither_server_nor_clients_is_told_so() {
        assert_eq!(worst(&Ports::default().findings()), Status::Warn);
        assert_eq!(worst(&Ports { odd: 1, ..Ports::default() }.findings()), Status::Ok);
    }
}
