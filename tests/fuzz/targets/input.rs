//! A fuzzer's bytes as numbers and slices. What is missing reads as 0 and as nothing.

use dbwire_exporter::stream::Direction;

pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn u16(&mut self) -> u16 {
        u16::from(self.u8()) << 8 | u16::from(self.u8())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn direction(&mut self) -> Direction {
        direction(self.u8())
    }
}

pub fn direction(byte: u8) -> Direction {
    if byte & 1 == 0 { Direction::ToServer } else { Direction::ToClient }
}
