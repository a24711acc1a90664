//! What the kernel can do.

use super::Finding;

const SECTION: &str = "kernel";

/// What the kernel can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Why inet_diag gives no answer, if it does not.
    pub inet_diag: Result<(), String>,
    /// Why the kernel's counters of sockets cannot be read, if they cannot (`--path.procfs`).
    pub counters: Result<(), String>,
    /// `net.core.bpf_jit_enable`; `None` where it cannot be read, as in a network namespace.
    pub jit: Option<u32>,
    /// Version of Landlock's interface; 0 where there is none (landlock(7)).
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
}

impl Kernel {
    /// Judges it.
    pub fn findings(&self) -> Vec<Finding> {
        vec![self.inet_diag(), self.counters(), self.jit(), self.landlock(), self.seccomp()]
    }

    fn inet_diag(&self) -> Finding {
        match &self.inet_diag {
            Ok(()) => Finding::ok(SECTION, format!("Linux {}: inet_diag answers", self.release)),
            Err(error) => Finding::warn(
                SECTION,
                format!("sockets will be counted from procfs, which costs more: {error}"),
                "modprobe tcp_diag; in a container, let AF_NETLINK sockets through its seccomp profile",
            ),
        }
    }

    fn counters(&self) -> Finding {
        match &self.counters {
            Ok(()) => Finding::ok(SECTION, "the kernel's counters of sockets can be read"),
            Err(error) => Finding::warn(
                SECTION,
                format!("every read will list every socket, and refused connections are not told: {error}"),
                "mount procfs, and say where with --path.procfs",
            ),
        }
    }

    fn jit(&self) -> Finding {
        match self.jit {
            Some(0) => Finding::warn(
                SECTION,
                "packet filters are interpreted: each packet of the host costs more",
                "sysctl -w net.core.bpf_jit_enable=1",
            ),
            Some(_) => Finding::ok(SECTION, "packet filters are compiled (JIT)"),
            None => Finding::ok(SECTION, "whether packet filters are compiled (JIT) is told to root only"),
        }
    }

    fn landlock(&self) -> Finding {
        match self.landlock {
            0 => Finding::warn(
                SECTION,
                "no Landlock: what files the exporter may read is left to its user's rights",
                "Linux 5.13 or later, with landlock among the boot parameter lsm= (see docs/privileges.md)",
            ),
            version => {
                Finding::ok(SECTION, format!("Landlock (version {version}) keeps it from other files"))
            }
        }
    }

    fn seccomp(&self) -> Finding {
        if self.seccomp {
            return Finding::ok(SECTION, "seccomp keeps it to the system calls that it needs");
        }
        Finding::warn(
            SECTION,
            "no seccomp: which system calls the exporter may make is left to its user's rights",
            "a kernel with CONFIG_SECCOMP_FILTER (see docs/privileges.md)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, worst};

    fn kernel() -> Kernel {
        Kernel {
            release: "6.1.0".to_owned(),
            inet_diag: Ok(()),
            counters: Ok(()),
            jit: Some(1),
            landlock: 2,
            seccomp: true,
        }
    }

    #[test]
    fn a_kernel_that_can_do_everything_is_fine() {
        assert_eq!(worst(&kernel().findings()), Status::Ok);
        assert_eq!(worst(&Kernel { jit: None, ..kernel() }.findings()), Status::Ok);
    }

    #[test]
    fn whatever_it_lacks_is_a_warning_of_its_own() {
        for lacking in [
            Kernel { inet_diag: Err("no handler".to_owned()), ..kernel() },
            Kernel { counters: Err("no such file".to_owned()), ..kernel() },
            Kernel { jit: Some(0), ..kernel() },
            Kernel { landlock: 0, ..kernel() },
            Kernel { seccomp: false, ..kernel() },
        ] {
            let faults = lacking.findings().into_iter().filter(|finding| finding.status != Status::Ok);
            assert_eq!(
                faults.map(|finding| finding.status).collect::<Vec<_>>(),
                [Status::Warn],
                "{lacking:?}"
            );
        }
    }
}
