//! The kernel's packet filter machine, as Documentation/networking/filter.rst describes it: written from there, for
//! programs to be run without a kernel. It knows every load that the exporter's programs may use.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

use dbwire_exporter::packet::filter::Instruction;

const SKF_AD_OFF: i64 = -0x1000;
const SKF_NET_OFF: i64 = -0x10_0000;

/// A packet as a cooked socket's filter sees it: its bytes begin where the kernel has the network header.
#[derive(Debug, Clone, Default)]
pub struct Packet {
    /// From the network header on.
    pub bytes: Vec<u8>,
    /// Length of the whole packet, where that is more.
    pub length: Option<u32>,
    /// EtherType.
    pub protocol: u16,
    /// `PACKET_HOST` 0 … `PACKET_OUTGOING` 4.
    pub packet_type: u32,
    pub interface: u32,
}

/// What `program` returns for `packet`: how many bytes to capture. A load beyond the packet ends it with 0.
pub fn run(program: &[Instruction], packet: &Packet) -> u32 {
    Machine { packet, a: 0, x: 0, memory: [0; 16] }.run(program).unwrap_or(0)
}

struct Machine<'a> {
    packet: &'a Packet,
    a: u32,
    x: u32,
    memory: [u32; 16],
}

impl Machine<'_> {
    fn run(&mut self, program: &[Instruction]) -> Option<u32> {
        let mut at = 0;
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let operand = if code & 0x08 != 0 { self.x } else { k };
            match code & 0x07 {
                0x00 => self.a = self.load(code, k)?,
                0x01 => self.x = self.load(code, k)?,
                0x02 => self.memory[k as usize] = self.a,
                0x03 => self.memory[k as usize] = self.x,
                0x04 => self.a = arithmetic(code & 0xf0, self.a, operand),
                0x05 => at += self.jump(code & 0xf0, operand, k, jt, jf),
                0x06 => return Some(if code & 0x18 == 0x10 { self.a } else { k }),
                _ if code & 0xf8 == 0x80 => self.a = self.x,
                _ => self.x = self.a,
            }
        }
    }

    fn load(&self, code: u16, k: u32) -> Option<u32> {
        let size = [4, 2, 1][usize::from(code >> 3 & 3)];
        match code & 0xe0 {
            0x00 => Some(k),
            0x20 => self.bytes(i64::from(k as i32), size),
            0x40 => self.bytes(i64::from(k.wrapping_add(self.x) as i32), size),
            0x60 => Some(self.memory[k as usize]),
            0x80 => Some(self.packet.length.unwrap_or(self.packet.bytes.len() as u32)),
            0xa0 => self.bytes(i64::from(k as i32), 1).map(|byte| 4 * (byte & 0xf)),
            mode => panic!("mode {mode:#x}"),
        }
    }

    /// `size` bytes at `offset`, big-endian; below 0 are the kernel's own offsets.
    fn bytes(&self, offset: i64, size: usize) -> Option<u32> {
        let start = match offset {
            0.. => offset,
            SKF_AD_OFF.. => {
                return Some(match offset - SKF_AD_OFF {
                    0 => u32::from(self.packet.protocol),
                    4 => self.packet.packet_type,
                    8 => self.packet.interface,
                    other => panic!("ancillary {other}"),
                });
            }
            SKF_NET_OFF.. => offset - SKF_NET_OFF,
            _ => panic!("offset {offset}"),
        };
        let bytes = self.packet.bytes.get(start as usize..)?.get(..size)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn jump(&self, operation: u16, operand: u32, k: u32, jt: u8, jf: u8) -> usize {
        let holds = match operation {
            0x00 => return k as usize,
            0x10 => self.a == operand,
            0x20 => self.a > operand,
            0x30 => self.a >= operand,
            0x40 => self.a & operand != 0,
            other => panic!("jump {other:#x}"),
        };
        usize::from(if holds { jt } else { jf })
    }
}

fn arithmetic(operation: u16, a: u32, operand: u32) -> u32 {
    match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a << operand,
        0x70 => a >> operand,
        other => panic!("arithmetic {other:#x}"),
    }
}
