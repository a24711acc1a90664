//! Instructions of the kernel's classic packet filter.
//!
//! Documentation/networking/filter.rst in the kernel's tree describes the machine: an accumulator A, an index X, 16 words
//! of memory, loads from the packet, and jumps that only go forward.

use std::fmt;

/// One instruction, as `struct sock_filter` of linux/filter.h has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to do: see [`code`].
    pub code: u16,
    /// Instructions to skip if a jump's condition is true.
    pub jt: u8,
    /// Instructions to skip if it is not.
    pub jf: u8,
    /// A constant: a value, an offset into the packet, or what [`code::JA`] skips.
    pub k: u32,
}

/// Operation codes (linux/bpf_common.h), by the names of bpf_asm(8).
#[allow(missing_docs, reason = "each is named and described in Documentation/networking/filter.rst")]
pub mod code {
    pub const LD: u16 = 0x20;
    pub const LDH: u16 = 0x28;
    pub const LDB: u16 = 0x30;
    /// Relative to X.
    pub const LD_X: u16 = 0x40;
    pub const LDH_X: u16 = 0x48;
    pub const LDB_X: u16 = 0x50;
    pub const LD_LEN: u16 = 0x80;
    pub const LD_MEM: u16 = 0x60;
    pub const LDX_IMM: u16 = 0x01;
    /// X = 4 × the low half of a byte: the length of an IPv4 header.
    pub const LDX_MSH: u16 = 0xb1;
    pub const ST: u16 = 0x02;
    pub const ADD: u16 = 0x04;
    pub const ADD_X: u16 = 0x0c;
    pub const AND: u16 = 0x54;
    pub const LSH: u16 = 0x64;
    pub const RSH: u16 = 0x74;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
    pub const JA: u16 = 0x05;
    pub const JEQ: u16 = 0x15;
    pub const JSET: u16 = 0x45;
    pub const JGT_X: u16 = 0x2d;
    pub const RET: u16 = 0x06;
    pub const RET_A: u16 = 0x16;
}

/// Words of memory.
pub const MEMORY: u32 = 16;

/// Offsets at and above this one are from the network header (`SKF_NET_OFF`, linux/filter.h), whatever comes before it.
pub const NETWORK: u32 = -0x10_0000_i32 as u32;
/// Offsets at and above this one are no bytes of the packet but what the kernel knows of it (`SKF_AD_OFF`).
pub const ANCILLARY: u32 = -0x1000_i32 as u32;

/// What the kernel knows of a packet: offsets for [`code::LD`].
pub mod ancillary {
    use super::ANCILLARY;

    /// Its EtherType, behind a first VLAN tag, in host byte order (`SKF_AD_PROTOCOL`).
    pub const PROTOCOL: u32 = ANCILLARY;
    /// For whom it is: `PACKET_HOST`, …, [`super::OUTGOING`] (`SKF_AD_PKTTYPE`).
    pub const PACKET_TYPE: u32 = ANCILLARY + 4;
    /// Index of its interface (`SKF_AD_IFINDEX`).
    pub const INTERFACE: u32 = ANCILLARY + 8;
}

/// `PACKET_OUTGOING` of linux/if_packet.h: this host is sending it.
pub const OUTGOING: u32 = 4;

/// An offset into the packet, by name where it has one.
struct Place(u32);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ancillary::PROTOCOL => f.write_str("#proto"),
            ancillary::PACKET_TYPE => f.write_str("#type"),
            ancillary::INTERFACE => f.write_str("#ifidx"),
            k if (NETWORK..ANCILLARY).contains(&k) => write!(f, "[net+{}]", k - NETWORK),
            k => write!(f, "[{k}]"),
        }
    }
}

/// bpf_asm(8)'s notation, with `net` for the network header; jumps as what they skip.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, jt, jf, k } = *self;
        let indexed = k.wrapping_sub(NETWORK);
        match code {
            code::LD => write!(f, "ld {}", Place(k)),
            code::LDH => write!(f, "ldh {}", Place(k)),
            code::LDB => write!(f, "ldb {}", Place(k)),
            code::LD_X => write!(f, "ld [net+x+{indexed}]"),
            code::LDH_X => write!(f, "ldh [net+x+{indexed}]"),
            code::LDB_X => write!(f, "ldb [net+x+{indexed}]"),
            code::LD_LEN => f.write_str("ld #len"),
            code::LD_MEM => write!(f, "ld M[{k}]"),
            code::LDX_IMM => write!(f, "ldx #{k}"),
            code::LDX_MSH => write!(f, "ldxb 4*({}&0xf)", Place(k)),
            code::ST => write!(f, "st M[{k}]"),
            code::ADD => write!(f, "add #{k}"),
            code::ADD_X => f.write_str("add x"),
            code::AND => write!(f, "and #{k:#x}"),
            code::LSH => write!(f, "lsh #{k}"),
            code::RSH => write!(f, "rsh #{k}"),
            code::TAX => f.write_str("tax"),
            code::TXA => f.write_str("txa"),
            code::JA => write!(f, "ja +{k}"),
            code::JEQ => write!(f, "jeq #{k:#x}, +{jt}, +{jf}"),
            code::JSET => write!(f, "jset #{k:#x}, +{jt}, +{jf}"),
            code::JGT_X => write!(f, "jgt x, +{jt}, +{jf}"),
            code::RET => write!(f, "ret #{k}"),
            code::RET_A => f.write_str("ret a"),
            other => write!(f, "unknown {other:#04x}, {jt}, {jf}, {k:#x}"),
        }
    }
}
