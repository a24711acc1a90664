//! Who the process is, and what it may do.

use super::Finding;

const SECTION: &str = "privileges";

/// What the process may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileges {
    /// Its effective user.
    pub uid: u32,
    /// Its effective capabilities, as capabilities(7) names them, in lower case.
    pub capabilities: Vec<String>,
    /// The file of this program, for advice.
    pub binary: String,
    /// Network namespaces that are to be entered.
    pub enters_namespaces: bool,
    /// Whether MySQL traffic is to be captured.
    pub captures: bool,
}

impl Privileges {
    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|held| held == capability)
    }

    /// Judges them.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.captures {
            findings.push(self.capture());
        }
        if self.enters_namespaces && !self.has("cap_sys_admin") {
            findings.push(Finding::bad(
                SECTION,
                "CAP_SYS_ADMIN is missing: other network namespaces (--sockets.netns) cannot be entered",
                "start it as root or with AmbientCapabilities=CAP_SYS_ADMIN; it is given up before anything is served",
            ));
        }
        findings.push(self.others());
        findings
    }

    fn capture(&self) -> Finding {
        if self.has("cap_net_raw") {
            return Finding::ok(SECTION, "CAP_NET_RAW is held: packets can be captured");
        }
        let advice = format!(
            "setcap cap_net_raw+ep {}, or AmbientCapabilities=CAP_NET_RAW in the systemd unit; or switch the half \
             off with --no-collector.mysql",
            self.binary
        );
        Finding::bad(SECTION, "CAP_NET_RAW is missing: packets cannot be captured", advice)
    }

    fn others(&self) -> Finding {
        let needed = |name: &str| {
            (name == "cap_net_raw" && self.captures) || (name == "cap_sys_admin" && self.enters_namespaces)
        };
        let spare = self.capabilities.iter().filter(|name| !needed(name)).count();
        let who = format!("user id {}", self.uid);
        if spare == 0 {
            return Finding::ok(SECTION, format!("{who}, and no capability that is not needed"));
        }
        Finding::warn(
            SECTION,
            format!("{who}, with {spare} capabilities that are not needed; all are dropped before serving"),
            "run it as a user of its own, as the packaged systemd unit does",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, worst};

    fn privileges(capabilities: &[&str]) -> Privileges {
        Privileges {
            uid: 7,
            capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
            binary: "/usr/bin/dbwire_exporter".to_owned(),
            enters_namespaces: false,
            captures: true,
        }
    }

    #[test]
    fn one_capability_is_just_right() {
        assert_eq!(worst(&privileges(&["cap_net_raw"]).findings()), Status::Ok);
    }

    #[test]
    fn more_is_tolerated() {
        assert_eq!(worst(&privileges(&["cap_net_raw", "cap_bpf"]).findings()), Status::Warn);
    }

    #[test]
    fn none_keeps_the_capture_from_working_and_the_advice_names_the_binary() {
        let findings = privileges(&[]).findings();
        assert_eq!(worst(&findings), Status::Bad);
        assert!(
            findings[0]
                .advice
                .as_ref()
                .unwrap()
                .starts_with("setcap cap_net_raw+ep /usr/bin/dbwire_exporter")
        );
    }

    #[test]
    fn without_the_capture_none_is_enough() {
        let sockets_only = Privileges { captures: false, ..privileges(&[]) };
        assert_eq!(worst(&sockets_only.findings()), Status::Ok);
        let with_namespaces = Privileges { enters_namespaces: true, ..sockets_only };
        assert_eq!(worst(&with_namespaces.findings()), Status::Bad);
    }
}
