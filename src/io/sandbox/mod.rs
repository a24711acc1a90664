//! What the process gives up once everything that needs a right is open: every capability, every file but a few, and
//! every system call that it does not make.
//!
//! All three hold for the calling thread and those it starts later, so this comes before the first thread. What each
//! leaves, and how the lists were found, is in `docs/privileges.md`.

mod capabilities;
mod files;
mod system_calls;

use std::{io, path::PathBuf};

pub use capabilities::CapabilityError;

use crate::metrics::sandbox::{Guard, Sandbox};

/// What the process goes on to need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Files, and directories with all that is in them, to be read. Those that are not there now cannot be read later
    /// either.
    pub readable: Vec<PathBuf>,
    /// Whether to give up files and system calls, not only capabilities.
    pub confine: bool,
}

impl Policy {
    /// Gives up everything else, for good.
    ///
    /// A kernel that cannot take away files or system calls is told of in the log, and in the value returned.
    ///
    /// # Errors
    /// If capabilities are held and cannot be given up.
    pub fn enforce(&self) -> Result<Sandbox, CapabilityError> {
        forbid_new_privileges();
        let mut sandbox = Sandbox { landlock: Guard::Off, seccomp: Guard::Off };
        if self.confine {
            sandbox.landlock = told("Landlock", files::restrict(&self.readable));
        }
        capabilities::drop_all()?;
        if self.confine {
            // Last: it forbids the calls that the others are made with.
            sandbox.seccomp = told("seccomp", system_calls::restrict().map(|()| Guard::Enforced));
        }
        Ok(sandbox)
    }
}

/// No program that is executed gains a right (a set-user-id bit, file capabilities): seccomp and Landlock ask for it.
fn forbid_new_privileges() {
    // SAFETY: prctl(2) with numbers only. It fails on kernels before 3.5 only, where seccomp will fail, too, and say so.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
}

fn told(name: &str, outcome: io::Result<Guard>) -> Guard {
    match outcome {
        Ok(Guard::Unavailable) => {
            tracing::warn!("this kernel has no {name}: see docs/privileges.md for what that leaves open");
            Guard::Unavailable
        }
        Ok(guard) => guard,
        Err(error) => {
            tracing::warn!(%error, "{name} is refused: see docs/privileges.md for what that leaves open");
            Guard::Unavailable
        }
    }
}

#[cfg(test)]
mod tests;
