//! Capabilities: none is needed once the sockets are open.

use caps::{CapSet, errors::CapsError};

/// Capabilities are held, and stay.
#[derive(Debug, thiserror::Error)]
#[error("cannot give up capabilities: {0}; is capset(2) filtered? @privileged in SystemCallFilter= has it")]
pub struct CapabilityError(#[from] CapsError);

/// Empties all five sets of the calling thread.
///
/// # Errors
/// If a capability is still held afterwards.
pub(super) fn drop_all() -> Result<(), CapabilityError> {
    // Shrinking the bounding set takes CAP_SETPCAP, and does not matter without: nothing is ever executed.
    let _ = caps::clear(None, CapSet::Bounding);
    let _ = caps::clear(None, CapSet::Ambient);
    let held = [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable];
    for set in held {
        if !caps::read(None, set)?.is_empty() {
            caps::clear(None, set)?;
        }
    }
    Ok(())
}
