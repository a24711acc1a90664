//! A cursor over untrusted bytes: every read compares with what remains before it takes anything.

/// Reads MySQL's integers and strings from the front of a slice.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html>
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes; `None`, and nothing taken, if there are fewer.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    /// `int<1>`.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// `int<2>`.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// `int<4>`.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// `int<8>`.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `int<lenenc>`: 1, 3, 4 or 9 bytes. `None` also for 0xfb (NULL) and 0xff (not an integer).
    pub fn lenenc(&mut self) -> Option<u64> {
        let mut ahead = *self;
        let value = match ahead.u8()? {
            small @ 0..=0xfa => u64::from(small),
            0xfc => u64::from(ahead.u16()?),
            0xfd => {
                let [a, b, c] = ahead.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xfe => ahead.u64()?,
            _ => return None,
        };
        *self = ahead;
        Some(value)
    }

    /// `string<lenenc>`.
    pub fn lenenc_bytes(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = usize::try_from(ahead.lenenc()?).ok()?;
        let bytes = ahead.take(length)?;
        *self = ahead;
        Some(bytes)
    }

    /// `string<NUL>`, without its NUL.
    pub fn nul_bytes(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_have_four_widths() {
        for (bytes, value, left) in [
            (&b"\x00"[..], Some(0), 0),
            (b"\xfa\x01", Some(250), 1),
            (b"\xfb", None, 1),
            (b"\xfc\x01\x02", Some(0x0201), 0),
            (b"\xfc\x01", None, 2),
            (b"\xfd\x01\x02\x03", Some(0x03_0201), 0),
            (b"\xfe\x01\x00\x00\x00\x00\x00\x00\x80", Some(0x8000_0000_0000_0001), 0),
            (b"\xfe\x01\x02", None, 3),
            (b"\xff", None, 1),
            (b"", None, 0),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.lenenc(), value, "{bytes:02x?}");
            assert_eq!(reader.rest().len(), left, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_string_longer_than_what_is_there_takes_nothing() {
        let mut reader = Reader::new(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffabc");
        assert_eq!(reader.lenenc_bytes(), None);
        assert_eq!(reader.rest().len(), 12);
        let mut reader = Reader::new(b"\x03abcd\0rest");
        assert_eq!(reader.lenenc_bytes(), Some(&b"abc"[..]));
        assert_eq!(reader.nul_bytes(), Some(&b"d"[..]));
        assert_eq!(reader.nul_bytes(), None);
        assert_eq!(reader.rest(), b"rest");
    }
}
