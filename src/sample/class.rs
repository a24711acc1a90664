//! Connection classes by bits of the client's port.

use thiserror::Error;

/// One of the 2^N classes into which bits of the client's port divide the connections: whole connections,
/// both directions, are in or out.
///
/// The lowest bit used is 1 by default, not 0: Linux `connect()` hands out even ports only (odd ones after
/// `bind(0)`; net/ipv4/inet_hashtables.c, `__inet_hash_connect`), so a class by bit 0 selects everything or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleClass {
    bits: u8,
    first_bit: u8,
    class: u16,
}

/// Why there is no such class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidClass {
    /// N is beyond [`SampleClass::MAX_BITS`].
    #[error("sample bits must be 0 to {max}, not {0}", max = SampleClass::MAX_BITS)]
    Bits(u8),
    /// The bits reach beyond a port's 16.
    #[error("a port has 16 bits: {bits} bits from bit {first_bit} on do not fit")]
    FirstBit {
        /// N.
        bits: u8,
        /// The lowest bit used.
        first_bit: u8,
    },
    /// The class is not below 2^N.
    #[error("with {bits} sample bits the class must be 0 to {}, not {class}", (1_u32 << bits) - 1)]
    Class {
        /// N.
        bits: u8,
        /// What was asked for.
        class: u16,
    },
}

impl SampleClass {
    /// Every connection (N = 0).
    pub const ALL: Self = Self { bits: 0, first_bit: 1, class: 0 };

    /// Most bits used: 1 connection of 256.
    pub const MAX_BITS: u8 = 8;

    /// Class number `class` of the 2^`bits` that the `bits` port bits from `first_bit` on make.
    ///
    /// # Errors
    /// If `bits` is beyond [`Self::MAX_BITS`], the bits reach beyond a port's 16, or `class` is not below 2^`bits`.
    pub const fn new(bits: u8, first_bit: u8, class: u16) -> Result<Self, InvalidClass> {
        if bits > Self::MAX_BITS {
            return Err(InvalidClass::Bits(bits));
        }
        if first_bit > 16 - bits {
            return Err(InvalidClass::FirstBit { bits, first_bit });
        }
        if class >> bits != 0 {
            return Err(InvalidClass::Class { bits, class });
        }
        Ok(Self { bits, first_bit, class })
    }

    /// N: one of 2^N connections is in the class.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Which of the 2^N classes it is.
    pub const fn number(self) -> u16 {
        self.class
    }

    /// Which of the classes of the same bits a client's port is in.
    pub const fn number_of(self, client_port: u16) -> u16 {
        // Shifting out all 16 bits is asked for where there are no bits, and nothing to tell apart.
        if self.bits == 0 { 0 } else { (client_port & self.mask()) >> self.first_bit }
    }

    /// Another class of the same bits; `number` modulo 2^N.
    #[must_use]
    pub const fn with_number(self, number: u16) -> Self {
        let class = number & (((1_u32 << self.bits) - 1) as u16);
        Self { class, ..self }
    }

    /// A class of so many bits, as far as a port and [`Self::MAX_BITS`] have them, that holds this one or is held by it.
    #[must_use]
    pub fn with_bits(self, bits: u8) -> Self {
        let bits = bits.min(Self::MAX_BITS).min(16 - self.first_bit);
        Self { bits, ..self }.with_number(self.class)
    }

    /// Whether a connection from this client port is in the class.
    #[inline]
    pub const fn contains(self, client_port: u16) -> bool {
        client_port & self.mask() == self.value()
    }

    /// The port bits that are looked at; 0 if every connection is in the class.
    #[inline]
    pub const fn mask(self) -> u16 {
        (((1_u32 << self.bits) - 1) << self.first_bit) as u16
    }

    /// What those bits must be.
    #[inline]
    pub const fn value(self) -> u16 {
        ((self.class as u32) << self.first_bit) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_and_value_stand_on_the_bits_asked_for() {
        let table = [
            ((0, 1, 0), 0x0000, 0x0000),
            ((1, 1, 1), 0x0002, 0x0002),
            ((3, 1, 5), 0x000e, 0x000a),
            ((1, 0, 0), 0x0001, 0x0000),
            ((8, 8, 255), 0xff00, 0xff00),
            ((8, 1, 0x81), 0x01fe, 0x0102),
            ((0, 16, 0), 0x0000, 0x0000),
        ];
        for ((bits, first_bit, class), mask, value) in table {
            let sample = SampleClass::new(bits, first_bit, class).unwrap();
            assert_eq!((sample.mask(), sample.value()), (mask, value), "{bits} {first_bit} {class}");
        }
    }

    #[test]
    fn every_port_is_in_exactly_one_of_the_classes() {
        for (bits, first_bit) in [(0, 1), (1, 0), (1, 15), (3, 1), (5, 11), (8, 8)] {
            let classes: Vec<_> =
                (0..1 << bits).map(|class| SampleClass::new(bits, first_bit, class).unwrap()).collect();
            for port in 0..=u16::MAX {
                let members = classes.iter().filter(|class| class.contains(port)).count();
                assert_eq!(members, 1, "port {port}, {bits} bits from {first_bit}");
            }
        }
    }

    #[test]
    fn impossible_classes_are_refused_with_the_reason() {
        let table = [
            ((9, 1, 0), "sample bits must be 0 to 8, not 9"),
            ((255, 255, 0), "sample bits must be 0 to 8, not 255"),
            ((8, 9, 0), "a port has 16 bits: 8 bits from bit 9 on do not fit"),
            ((0, 17, 0), "a port has 16 bits: 0 bits from bit 17 on do not fit"),
            ((0, 1, 1), "with 0 sample bits the class must be 0 to 0, not 1"),
            ((3, 1, 8), "with 3 sample bits the class must be 0 to 7, not 8"),
        ];
        for ((bits, first_bit, class), message) in table {
            assert_eq!(SampleClass::new(bits, first_bit, class).unwrap_err().to_string(), message);
        }
    }
}
