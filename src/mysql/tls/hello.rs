//! The server's hello (RFC 8446 section 4.1.3).

use super::TLS_1_3_OVERHEAD;
use crate::mysql::event::TlsVersion;

const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;

/// Version and cipher suite of a ServerHello at the start of a handshake record's body.
pub(super) fn parse(body: &[u8]) -> Option<(TlsVersion, u16)> {
    let mut reader = Reader(body);
    if reader.take(1)? != [SERVER_HELLO] {
        return None;
    }
    reader.take(3)?; // length
    let legacy = reader.u16()?;
    reader.take(32)?; // random
    let [session] = reader.array()?;
    reader.take(usize::from(session))?;
    let cipher = reader.u16()?;
    reader.take(1)?; // compression
    let mut version = legacy;
    let extensions = reader.u16().unwrap_or(0);
    let mut extensions = Reader(reader.0.get(..usize::from(extensions)).unwrap_or(reader.0));
    while let Some((kind, length)) = extensions.u16().zip(extensions.u16()) {
        let Some(data) = extensions.take(usize::from(length)) else { break };
        if let (SUPPORTED_VERSIONS, [high, low]) = (kind, data) {
            version = u16::from_be_bytes([*high, *low]);
        }
    }
    let version = match version {
        0x0304 => TlsVersion::Tls13,
        0x0303 => TlsVersion::Tls12,
        _ => TlsVersion::Older,
    };
    Some((version, cipher))
}

/// Bytes a cipher suite adds to a record; `None` where that depends on what is encrypted (CBC).
/// <https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4>
pub(super) const fn overhead(version: TlsVersion, cipher: u16) -> Option<u16> {
    match (version, cipher) {
        (TlsVersion::Tls13, _) => Some(TLS_1_3_OVERHEAD),
        // ChaCha20-Poly1305: a tag of 16 bytes (RFC 7905).
        (TlsVersion::Tls12, 0xcca8..=0xccae) => Some(16),
        // AES-GCM: an explicit nonce of 8 bytes and the tag (RFC 5288, RFC 5289).
        (TlsVersion::Tls12, 0x009c..=0x00a7 | 0xc02b..=0xc032) => Some(24),
        _ => None,
    }
}

/// Big-endian, unlike MySQL's.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
}
