//! Whether, and from where, packets can be captured.

use super::Finding;

const SECTION: &str = "capture";

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
}

/// What was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// What is to be captured: an interface's name, or `any`.
    pub wanted: String,
    /// What there is.
    pub present: Vec<Interface>,
    /// Why the capture could not be opened, if it could not.
    pub opened: Result<(), String>,
    /// Whether the ring can have blocks of variable frames (TPACKET_V3, Linux 3.2); `None` if no packet socket could
    /// be opened.
    pub block_ring: Option<bool>,
    /// Connections seen in a short look, if there was one.
    pub look: Option<Look>,
}

/// What a short look at the traffic showed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Look {
    /// Seconds it took.
    pub seconds: u64,
    /// The share of one CPU that capturing took meanwhile.
    pub cpu_share: f64,
    /// Packets that passed the filter.
    pub packets: u64,
    /// Connections whose statements can be read.
    pub readable: u64,
    /// Connections inside TLS.
    pub encrypted: u64,
    /// Connections of which too little was seen to tell.
    pub untold: u64,
}

impl Capture {
    /// Judges it.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.interface()];
        findings.push(match &self.opened {
            Ok(()) => Finding::ok(SECTION, format!("the capture on {} could be opened", self.wanted)),
            Err(error) => Finding::bad(
                SECTION,
                error.clone(),
                "see above; without it the sockets are still counted, and dbwire_capture_up is 0",
            ),
        });
        if self.block_ring == Some(false) {
            findings.push(Finding::warn(
                SECTION,
                "no TPACKET_V3: the kernel wakes the exporter for each packet",
                "Linux 3.2 or later",
            ));
        }
        findings.extend(self.look.map(Look::finding));
        findings
    }

    fn interface(&self) -> Finding {
        let names = |up| {
            let names = self.present.iter().filter(|interface| interface.up == up);
            names.map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        if self.wanted == "any" {
            return Finding::ok(SECTION, format!("all interfaces (any); up are: {}", names(true)));
        }
        match self.present.iter().find(|interface| interface.name == self.wanted) {
            Some(Interface { up: true, .. }) => {
                Finding::ok(SECTION, format!("interface {} is up", self.wanted))
            }
            Some(_) => Finding::warn(
                SECTION,
                format!("interface {} is down", self.wanted),
                format!("ip link set {} up", self.wanted),
            ),
            None => Finding::bad(
                SECTION,
                format!("there is no interface {}; up are: {}", self.wanted, names(true)),
                "choose one of these, or any, with --mysql.interface",
            ),
        }
    }
}

impl Look {
    fn finding(self) -> Finding {
        let Self { seconds, packets, readable, encrypted, untold, cpu_share: _ } = self;
        let told = readable + encrypted;
        if packets == 0 {
            return Finding::warn(
                SECTION,
                format!("no MySQL packet in {seconds} s"),
                "check --mysql.port and --mysql.interface, or look longer (--look); Unix sockets are on no network",
            );
        }
        let share = match told {
            0 => "too little was seen of any of them to tell whether they use TLS".to_owned(),
            _ => format!("{} % inside TLS", 100 * encrypted / told),
        };
        let what = format!("{packets} packets of {} connections in {seconds} s: {share}", told + untold);
        if encrypted == 0 {
            return Finding::ok(SECTION, what);
        }
        Finding::warn(
            SECTION,
            what,
            "inside TLS requests are counted and timed (statement=\"encrypted\"), not read; where the network is \
             trusted, clients can be told to do without (--ssl-mode=DISABLED)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, worst};

    fn capture(wanted: &str) -> Capture {
        let interface = |name: &str, up| Interface { name: name.to_owned(), up };
        Capture {
            wanted: wanted.to_owned(),
            present: vec![interface("lo", true), interface("eth0", true), interface("eth1", false)],
            opened: Ok(()),
            block_ring: Some(true),
            look: None,
        }
    }

    #[test]
    fn an_interface_that_is_up_or_any_is_fine() {
        for wanted in ["any", "eth0"] {
            assert_eq!(worst(&capture(wanted).findings()), Status::Ok, "{wanted}");
        }
    }

    #[test]
    fn one_that_is_down_is_a_warning_and_one_that_is_not_there_is_bad_and_names_those_that_are() {
        assert_eq!(worst(&capture("eth1").findings()), Status::Warn);
        let findings = capture("eth9").findings();
        assert_eq!(worst(&findings), Status::Bad);
        assert!(findings[0].what.ends_with("lo, eth0"), "{}", findings[0].what);
    }

    #[test]
    fn a_capture_that_could_not_be_opened_is_bad() {
        let refused = Capture { opened: Err("no permission".to_owned()), block_ring: None, ..capture("any") };
        assert_eq!(worst(&refused.findings()), Status::Bad);
    }

    #[test]
    fn the_look_tells_the_share_inside_tls_of_the_connections_that_could_be_told() {
        let look = Look { seconds: 3, packets: 100, readable: 3, encrypted: 1, untold: 6, cpu_share: 0.0 };
        let cases = [
            (look, Status::Warn, "100 packets of 10 connections in 3 s: 25 % inside TLS"),
            (
                Look { encrypted: 0, ..look },
                Status::Ok,
                "100 packets of 9 connections in 3 s: 0 % inside TLS",
            ),
            (Look { packets: 0, ..look }, Status::Warn, "no MySQL packet in 3 s"),
        ];
        for (look, status, what) in cases {
            let finding = look.finding();
            assert_eq!((finding.status, finding.what.as_str()), (status, what));
        }
    }
}
