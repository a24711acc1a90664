//! Landlock: which files can be read, and that nothing is written, connected to or listened on (landlock(7)).

use std::{io, path::PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
    Scope, make_bitflags, path_beneath_rules,
};

use crate::metrics::sandbox::Guard;

/// The latest interface whose rights are handled: of what an older kernel does not know, it takes what it does.
const NEWEST: ABI = ABI::V7;

/// Leaves the calling thread the right to read `readable`, and no other that Landlock can take away.
///
/// # Errors
/// If the kernel has Landlock but refuses.
pub(super) fn restrict(readable: &[PathBuf]) -> io::Result<Guard> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let restrict = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(readable, read))?
            .restrict_self()
    };
    let status = restrict().map_err(io::Error::other)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Guard::Enforced,
        RulesetStatus::PartiallyEnforced => Guard::Partial,
        RulesetStatus::NotEnforced => Guard::Unavailable,
    })
}
