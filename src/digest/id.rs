//! The id of a normalised statement.

use std::{fmt, num::NonZeroU64};

use md5::{Digest as _, Md5};

/// The last 64 bits of the MD5 of a normalised text, shown as 16 upper-case hexadecimal digits.
///
/// pt-query-digest 2.x showed the same; since 3.0 it shows all 32 digits, of which these are the last 16. Never 0 (a
/// text whose MD5 ends so has the id 1), so that an `Option` of it takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestId(NonZeroU64);

impl DigestId {
    /// The id of `text`.
    pub fn of(text: &[u8]) -> Self {
        let hash: [u8; 16] = Md5::digest(text).into();
        let [.., a, b, c, d, e, f, g, h] = hash;
        Self(NonZeroU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])).unwrap_or(NonZeroU64::MIN))
    }

    /// The 64 bits, each as good as another to tell digests apart.
    #[inline]
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for DigestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0.get())
    }
}

impl fmt::Debug for DigestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_end_of_the_md5_in_upper_case() {
        // RFC 1321 section A.5: d41d8cd98f00b204 e9800998ecf8427e, 900150983cd24fb0 d6963f7d28e17f72.
        assert_eq!(DigestId::of(b"").to_string(), "E9800998ECF8427E");
        assert_eq!(DigestId::of(b"abc").to_string(), "D6963F7D28E17F72");
        assert_eq!(DigestId(NonZeroU64::MIN).to_string(), "0000000000000001");
    }
}
