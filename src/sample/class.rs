//! Connection classes by bits of the client's port.

/// One of the 2^N classes into which bits of the client's port divide the connections: whole connections,
/// both directions, are in or out.
///
/// The lowest bit used is 1 by default, not 0: Linux `connect()` hands out even ports only, so a class by
/// bit 0 selects everything or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleClass {
    bits: u8,
    first_bit: u8,
    class: u16,
}

impl SampleClass {
    /// Every connection (N = 0).
    pub const ALL: Self = Self { bits: 0, first_bit: 1, class: 0 };

    /// Whether a connection from this client port is in the class.
    #[inline]
    pub fn contains(self, client_port: u16) -> bool {
        client_port & self.mask() == self.value()
    }

    /// The port bits that are looked at.
    #[inline]
    pub fn mask(self) -> u16 {
        (((1_u32 << self.bits) - 1) << self.first_bit) as u16
    }

    /// What those bits must be.
    #[inline]
    pub fn value(self) -> u16 {
        self.class << self.first_bit
    }
}
