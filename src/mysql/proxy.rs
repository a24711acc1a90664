//! The PROXY protocol: a header that a load balancer puts before the client's first byte, to tell the server whose
//! connection it passes on. Nothing of it is kept.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

/// Start of a version 1 header, which is one line.
const V1: &[u8] = b"PROXY ";
/// Longest version 1 header, with its CR LF.
const V1_LONGEST: usize = 107;
/// Start of a version 2 header.
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Its signature, version, family and length.
const V2_HEAD: usize = 16;

/// What bytes mean for the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// All of them belong to it, and more is to come.
    More,
    /// It ended; these bytes are behind it.
    Behind(&'a [u8]),
    /// They do not begin, or go on with, such a header.
    Other,
}

/// A header under way. It may be split anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header {
    start: [u8; V2_HEAD],
    length: usize,
}

impl Header {
    /// Takes the next bytes from the client.
    pub fn step<'a>(&mut self, mut bytes: &'a [u8]) -> Step<'a> {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Some(place) = self.start.get_mut(self.length) {
                *place = *byte;
            }
            self.length += 1;
            bytes = rest;
            let seen = self.start.get(..self.length).unwrap_or(&self.start);
            if V2.starts_with(seen) || V1.starts_with(seen) {
                continue;
            }
            if seen.starts_with(V1) {
                match byte {
                    b'\n' => return Step::Behind(bytes),
                    _ if self.length >= V1_LONGEST => return Step::Other,
                    _ => continue,
                }
            }
            if !seen.starts_with(V2) {
                return Step::Other;
            }
            if self.length >= V2_HEAD {
                return self.addresses(bytes);
            }
        }
        Step::More
    }

    /// The bytes it was given so far; `None` if they are too many to be kept.
    pub fn taken(&self) -> Option<&[u8]> {
        self.start.get(..self.length)
    }

    /// The variable part of version 2, whose length the head tells.
    fn addresses<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        let [.., high, low] = self.start;
        let end = V2_HEAD + usize::from(u16::from_be_bytes([high, low]));
        let left = end.saturating_sub(self.length);
        match bytes.get(left..) {
            Some(behind) => Step::Behind(behind),
            None => {
                // The loop above comes back here after one more byte, which it has counted.
                self.length += bytes.len();
                Step::More
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_EXAMPLE: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\xc0\x00\x0c\xea";

    /// What is behind the header in `bytes`, fed in pieces of `size`; `None` if it is no header or it does not end.
    fn behind(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut header = Header::default();
        let mut behind: Option<Vec<u8>> = None;
        for piece in bytes.chunks(size) {
            match &mut behind {
                Some(behind) => behind.extend(piece),
                None => match header.step(piece) {
                    Step::More => {}
                    Step::Behind(rest) => behind = Some(rest.to_vec()),
                    Step::Other => return None,
                },
            }
        }
        behind
    }

    #[test]
    fn headers_of_both_versions_end_where_they_should_however_they_are_split() {
        let v1: &[u8] = b"PROXY TCP4 10.0.0.1 10.0.0.2 49152 3306\r\n";
        let unknown: &[u8] = b"PROXY UNKNOWN\r\n";
        let local: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
        for header in [v1, unknown, V2_EXAMPLE, local] {
            let bytes = [header, b"rest"].concat();
            for size in 1..=bytes.len() {
                assert_eq!(behind(&bytes, size).as_deref(), Some(&b"rest"[..]), "{header:02x?} by {size}");
            }
        }
    }

    #[test]
    fn other_bytes_are_told_at_the_first_that_does_not_fit() {
        let long = [b"PROXY ".as_slice(), &[b'x'; 200]].concat();
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"PROXIED", b"\r\n\r\n\0\r\nQUIX", b"\x05\x00\x00\x00\x01", &long]
        {
            assert_eq!(behind(bytes, bytes.len()), None, "{bytes:02x?}");
            assert_eq!(Header::default().step(bytes), Step::Other, "{bytes:02x?}");
        }
    }
}
