//! What the process has given up.

use prometheus::proto::MetricFamily;

use super::{family::Family, names};

/// How far a mechanism of the kernel holds the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// As far as it was asked to.
    Enforced,
    /// As far as this kernel can, which lacks a part.
    Partial,
    /// Not at all: the kernel lacks it, or refuses.
    Unavailable,
    /// Not at all: it was not asked to.
    Off,
}

impl Guard {
    /// Value of the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Partial => "partial",
            Self::Unavailable => "unavailable",
            Self::Off => "off",
        }
    }
}

/// What holds the process. Capabilities are not in it: a process that could not give them up does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    /// Files.
    pub landlock: Guard,
    /// System calls.
    pub seccomp: Guard,
}

/// `dbwire_sandbox_info`.
pub fn family(sandbox: &Sandbox) -> MetricFamily {
    let labels = [sandbox.landlock.label(), sandbox.seccomp.label()];
    Family::new(&names::SANDBOX_INFO).sample(&labels, 1.0).build()
}
