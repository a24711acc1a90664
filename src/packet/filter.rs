//! The capture filter: which packets the kernel lets through, how much of each, and the same rule for user space.
//!
//! All packets of some connections pass, rather than some packets of all: whether a connection is in the
//! sample is told by bits of its client's port ([`SampleClass`]), which both directions carry. Of the other
//! connections only the segments that open and close them pass, so that connections can be counted exactly.
//!
//! [`program`] makes the kernel's program of a [`Plan`]; [`text`] says the same in libpcap's language, for kernels
//! that do not take the program. [`instruction`], [`assembler`] and [`verify`] know nothing of packets: instructions,
//! labels for them, and the checks that the kernel makes, so that a program that would not load is found by a test.

pub mod assembler;
pub mod instruction;
pub mod program;
pub mod text;
pub mod verify;

pub use instruction::Instruction;
pub use verify::{Invalid, Program};

use crate::{config::PortSet, sample::class::SampleClass};

/// What of a packet is captured at most: whole super-frames. With segmentation offload they have up to 65,549 bytes,
/// and more with BIG TCP.
pub const SNAPLEN: u32 = 262_144;

/// Index of the loopback interface, in every network namespace (`LOOPBACK_IFINDEX`, include/net/flow.h).
pub const LOOPBACK: u32 = 1;

/// What to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Ports the servers listen on.
    pub ports: PortSet,
    /// Which of their connections, by the client's port.
    pub class: SampleClass,
    /// Payload bytes of each segment from a server that are captured; `None` for all of them. Requests are whole.
    pub reply_bytes: Option<u16>,
}

impl Plan {
    /// Everything on these ports.
    pub fn whole(ports: PortSet) -> Self {
        Self { ports, class: SampleClass::ALL, reply_bytes: None }
    }

    /// Whether a segment between these ports is one of a selected connection.
    ///
    /// Where both ends are server ports, either may be the client's: one in the class is enough. The rule is
    /// the same for both directions, so a connection is never seen by half.
    #[inline]
    pub fn contains(&self, source_port: u16, destination_port: u16) -> bool {
        let to_server = self.ports.contains(destination_port) && self.class.contains(source_port);
        to_server || (self.ports.contains(source_port) && self.class.contains(destination_port))
    }
}

/// Where packets are taken from: a capture always listens on all interfaces, so that one that goes away and comes back,
/// with another index, takes no more than another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every interface. Of loopback's two copies of a packet, the one that is received.
    Any,
    /// The interface with this index.
    Interface(u32),
    /// None: the interface is not there.
    Nothing,
}

#[cfg(test)]
mod tests;
