//! The id of a normalised statement.

use std::fmt;

use md5::{Digest as _, Md5};

/// The last 64 bits of the MD5 of a normalised text, shown as 16 upper-case hexadecimal digits.
///
/// pt-query-digest 2.x showed the same; since 3.0 it shows all 32 digits, of which these are the last 16.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestId(pub u64);

impl DigestId {
    /// The id of `text`.
    pub fn of(text: &[u8]) -> Self {
        let hash: [u8; 16] = Md5::digest(text).into();
        let [.., a, b, c, d, e, f, g, h] = hash;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Display for DigestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
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
        assert_eq!(DigestId(1).to_string(), "0000000000000001");
    }
}
