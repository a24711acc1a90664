//! The connection phase: the server's greeting and the client's login request.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>

use super::{bytes::Reader, capabilities::Capabilities};

/// What is used of `Protocol::HandshakeV10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// What the server can do.
    pub capabilities: Capabilities,
}

impl Greeting {
    /// Reads the payload of the server's first packet; `None` if it is not a version 10 greeting.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 10 {
            return None;
        }
        let version = reader.nul_bytes()?;
        let printable = !version.is_empty() && version.iter().all(|byte| (0x20..0x7f).contains(byte));
        if !printable {
            return None;
        }
        reader.take(4 + 8 + 1)?; // thread id, first part of the scramble, filler
        let low = reader.u16()?;
        // Servers before 4.1 end here.
        let rest = (|| {
            reader.take(1 + 2)?; // character set, status
            let high = reader.u16()?;
            reader.take(1 + 6)?; // length of the scramble, reserved
            Some((high, reader.u32()?))
        })();
        let (high, extended) = rest.unwrap_or_default();
        let mut flags = u64::from(low) | u64::from(high) << 16;
        if !Capabilities(flags).has(Capabilities::MYSQL) {
            flags |= u64::from(extended) << 32;
        }
        Some(Self { capabilities: Capabilities(flags) })
    }
}

impl Greeting {
    /// Whether a segment is one whole greeting packet.
    pub fn stands_alone(segment: &[u8]) -> bool {
        let Some(([a, b, c, sequence], payload)) = segment.split_first_chunk::<4>() else { return false };
        let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        *sequence == 0 && payload.len() == length && Self::parse(payload).is_some()
    }
}

/// Longest login request taken for one: connection attributes may take 64 KiB.
const LONGEST_LOGIN: u32 = 1 << 17;

/// What is used of `Protocol::HandshakeResponse41`, `…320` and `Protocol::SSLRequest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRequest<'a> {
    /// What the client asks for.
    pub capabilities: Capabilities,
    /// Who logs in; `None` if the name has no end.
    pub user: Option<&'a [u8]>,
    /// The schema to start in.
    pub schema: Option<&'a [u8]>,
    /// Whether this is the whole of an SSLRequest: TLS starts with the next byte.
    pub tls: bool,
}

impl<'a> LoginRequest<'a> {
    /// Whether a segment may begin with one: it answers packet 0, and is not absurdly long. Other bytes are not MySQL's.
    pub fn may_begin(segment: &[u8]) -> bool {
        match segment {
            [low, middle, high, sequence, ..] => {
                *sequence == 1 && u32::from_le_bytes([*low, *middle, *high, 0]) <= LONGEST_LOGIN
            }
            _ => true,
        }
    }

    /// Reads the payload of the client's first packet, sent in answer to `greeting`; `None` if it is malformed.
    pub fn parse(payload: &'a [u8], greeting: &Greeting) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let low = Capabilities(u64::from(Reader::new(payload).u16()?));
        if !low.has(Capabilities::PROTOCOL_41) {
            return Self::parse_320(reader, low);
        }
        let mut flags = u64::from(reader.u32()?);
        reader.take(4 + 1 + 19)?; // largest packet, character set, reserved
        let extended = reader.u32()?;
        if !Capabilities(flags).has(Capabilities::MYSQL) {
            flags |= u64::from(extended) << 32;
        }
        let capabilities = Capabilities(flags);
        if reader.rest().is_empty() {
            return capabilities.has(Capabilities::SSL).then_some(Self::tls(capabilities));
        }
        let in_force = capabilities & greeting.capabilities;
        let user = reader.nul_bytes();
        Some(Self { capabilities, user, schema: Self::schema(reader, in_force), tls: false })
    }

    /// An SSLRequest.
    fn tls(capabilities: Capabilities) -> Self {
        Self { capabilities, user: None, schema: None, tls: true }
    }

    /// The schema after the authentication data.
    fn schema(mut reader: Reader<'a>, in_force: Capabilities) -> Option<&'a [u8]> {
        if in_force.has(Capabilities::PLUGIN_AUTH_LENENC) {
            reader.lenenc_bytes()?;
        } else if in_force.has(Capabilities::SECURE_CONNECTION) {
            let length = reader.u8()?;
            reader.take(usize::from(length))?;
        } else {
            reader.nul_bytes()?;
        }
        if !in_force.has(Capabilities::CONNECT_WITH_DB) {
            return None;
        }
        reader.nul_bytes().filter(|schema| !schema.is_empty())
    }

    fn parse_320(mut reader: Reader<'a>, capabilities: Capabilities) -> Option<Self> {
        reader.take(2 + 3)?; // flags, largest packet
        if reader.rest().is_empty() {
            return capabilities.has(Capabilities::SSL).then_some(Self::tls(capabilities));
        }
        let user = Some(reader.nul_bytes()?);
        let schema = capabilities.has(Capabilities::CONNECT_WITH_DB).then(|| {
            reader.nul_bytes()?;
            reader.nul_bytes()
        });
        Some(Self { capabilities, user, schema: schema.flatten(), tls: false })
    }
}

#[cfg(test)]
mod tests;
