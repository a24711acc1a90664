//! Where the rows come from, and why not from netlink.

use super::inet_diag::DumpError;

/// Where socket counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `inet_diag` dumps.
    Netlink,
    /// `/proc/net/tcp{,6}`.
    Procfs,
}

impl Source {
    /// Value of the `source` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Netlink => "netlink",
            Self::Procfs => "procfs",
        }
    }
}

/// Why netlink gave no counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackReason {
    /// No netlink socket could be opened: a seccomp filter, or a kernel without `NETLINK_SOCK_DIAG`.
    Socket,
    /// No file descriptor was left (`EMFILE`, `ENFILE`).
    Descriptors,
    /// The kernel has no handler for TCP (`ENOENT`, `EOPNOTSUPP`: modules `inet_diag`, `tcp_diag`).
    Handler,
    /// The kernel refused the dump with another error.
    Refused,
    /// A reply did not fit the buffer.
    Truncated,
    /// The tables changed under every try (`NLM_F_DUMP_INTR`).
    Interrupted,
    /// The kernel lost messages (`ENOBUFS`, `NLMSG_OVERRUN`).
    Overrun,
    /// A reply that makes no sense.
    Malformed,
    /// No reply came.
    Timeout,
    /// Sending or receiving failed otherwise.
    Io,
}

impl FallbackReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Socket,
        Self::Descriptors,
        Self::Handler,
        Self::Refused,
        Self::Truncated,
        Self::Interrupted,
        Self::Overrun,
        Self::Malformed,
        Self::Timeout,
        Self::Io,
    ];

    /// Value of the `reason` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Descriptors => "descriptors",
            Self::Handler => "handler",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::Interrupted => "interrupted",
            Self::Overrun => "overrun",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Io => "io",
        }
    }
}

impl From<DumpError> for FallbackReason {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Refused { errno: libc::ENOENT | libc::EOPNOTSUPP } => Self::Handler,
            DumpError::Refused { .. } => Self::Refused,
            DumpError::Truncated { .. } => Self::Truncated,
            DumpError::Interrupted => Self::Interrupted,
            DumpError::Overrun => Self::Overrun,
            DumpError::Sequence { .. } | DumpError::Malformed { .. } | DumpError::UnknownState { .. } => {
                Self::Malformed
            }
        }
    }
}

/// How often netlink failed and procfs was read instead, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fallbacks([u64; FallbackReason::ALL.len()]);

impl Fallbacks {
    /// Counts one more.
    pub fn add(&mut self, reason: FallbackReason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Every reason with its count, in the order of [`FallbackReason::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (FallbackReason, u64)> {
        FallbackReason::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_under_their_own_label() {
        for (index, reason) in FallbackReason::ALL.into_iter().enumerate() {
            let mut fallbacks = Fallbacks::default();
            fallbacks.add(reason);
            assert_eq!(fallbacks.iter().position(|(_, count)| count == 1), Some(index), "{}", reason.label());
        }
    }

    #[test]
    fn every_dump_error_has_its_reason() {
        for (error, reason) in [
            (DumpError::Refused { errno: libc::ENOENT }, "handler"),
            (DumpError::Refused { errno: libc::EOPNOTSUPP }, "handler"),
            (DumpError::Refused { errno: libc::ENOMEM }, "refused"),
            (DumpError::Truncated { length: 2, buffer: 1 }, "truncated"),
            (DumpError::Interrupted, "interrupted"),
            (DumpError::Overrun, "overrun"),
            (DumpError::Malformed { what: "" }, "malformed"),
            (DumpError::Sequence { expected: 1, found: 2 }, "malformed"),
            (DumpError::UnknownState { number: 13 }, "malformed"),
        ] {
            assert_eq!(FallbackReason::from(error).label(), reason, "{error}");
        }
    }
}
