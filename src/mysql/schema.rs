//! The default schema of a session: where the protocol tells it.

use super::{bytes::Reader, capabilities::Capabilities};

/// A schema's name, interned by the observer: all that a session keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u16);

impl SchemaId {
    /// No schema is selected.
    pub const NONE: Self = Self(0);
    /// Which one is selected was not seen.
    pub const UNKNOWN: Self = Self(1);
    /// One of those that have no id of their own.
    pub const OTHER: Self = Self(2);
    /// Named schemas have this id and those above it.
    pub const FIRST: u16 = 3;
}

/// What a command does to the default schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaChange {
    /// Nothing, or nothing more than was told.
    #[default]
    None,
    /// It selects this one, if the server does all that the command asks for.
    To(SchemaId),
    /// It is not certain to be but one statement, and the first does nothing.
    IfSeveral,
}

impl SchemaChange {
    /// The schema after the response, `before` which it was another: all of it was `done`, or there was an error; and
    /// `several` results came before that.
    #[inline]
    pub fn after(self, before: SchemaId, done: bool, several: bool) -> SchemaId {
        match self {
            Self::To(schema) if done => schema,
            // It may have been selected before the error.
            Self::To(_) | Self::IfSeveral if several => SchemaId::UNKNOWN,
            _ => before,
        }
    }
}

/// `SERVER_SESSION_STATE_CHANGED`: the OK packet ends in a list of changes.
const SESSION_STATE_CHANGED: u16 = 0x4000;
/// `SESSION_TRACK_SCHEMA`, a type of change.
const TRACK_SCHEMA: u8 = 1;

/// The schema that an OK packet of this status says the session has changed to; empty if to none.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>
#[inline]
pub fn tracked(ok: &[u8], status: u16, capabilities: Option<Capabilities>) -> Option<&[u8]> {
    if status & SESSION_STATE_CHANGED == 0 || !capabilities?.has(Capabilities::SESSION_TRACK) {
        return None;
    }
    tracked_in(ok)
}

fn tracked_in(ok: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(ok);
    reader.u8()?;
    reader.lenenc()?; // affected rows
    reader.lenenc()?; // last insert id
    reader.u16()?; // status
    reader.u16()?; // warnings
    reader.lenenc_bytes()?; // message
    let mut changes = Reader::new(reader.lenenc_bytes()?);
    loop {
        let kind = changes.u8()?;
        let mut data = Reader::new(changes.lenenc_bytes()?);
        if kind == TRACK_SCHEMA {
            return data.lenenc_bytes();
        }
    }
}

/// The user that a COM_CHANGE_USER asks for.
pub fn user_of_change(payload: &[u8]) -> Option<&[u8]> {
    Reader::new(payload.get(1..)?).nul_bytes()
}

/// The schema that a COM_CHANGE_USER asks for; empty if none. `None` if it cannot be read.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html>
pub fn of_change_user(payload: &[u8], capabilities: Option<Capabilities>) -> Option<&[u8]> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    reader.nul_bytes()?; // user
    if capabilities?.has(Capabilities::SECURE_CONNECTION) {
        let length = reader.u8()?;
        reader.take(usize::from(length))?;
    } else {
        reader.nul_bytes()?;
    }
    reader.nul_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_schema_is_read_from_an_ok_that_tells_of_one() {
        let on = Some(Capabilities::SESSION_TRACK);
        // Header, affected rows, insert id, status, warnings, message, changes.
        let tail = |changes: &[u8]| {
            let mut ok = b"\x00\x00\x00\x02\x40\x00\x00\x00".to_vec();
            ok.push(changes.len() as u8);
            ok.extend_from_slice(changes);
            ok
        };
        let schema = tail(b"\x01\x05\x04shop");
        assert_eq!(tracked(&schema, 0x4002, on), Some(&b"shop"[..]));
        assert_eq!(tracked(&schema, 0x4002, None), None);
        assert_eq!(tracked(&schema, 0x4002, Some(Capabilities::default())), None);
        // A system variable before it; none at all; one cut short.
        assert_eq!(tracked(&tail(b"\x00\x04\x01a\x01b\x01\x02\x01s"), 0x4002, on), Some(&b"s"[..]));
        assert_eq!(tracked(&tail(b"\x00\x04\x01a\x01b"), 0x4002, on), None);
        assert_eq!(tracked(&tail(b"\x01\x05\x09shop"), 0x4002, on), None);
        assert_eq!(tracked(b"\x00\x00\x00\x02\x00\x00\x00", 0x0002, on), None);
    }

    #[test]
    fn a_schema_is_selected_once_all_that_was_asked_for_is_done() {
        let (before, stock) = (SchemaId(3), SchemaId(4));
        for (change, done, several, after) in [
            (SchemaChange::None, true, true, before),
            (SchemaChange::To(stock), true, false, stock),
            (SchemaChange::To(stock), true, true, stock),
            (SchemaChange::To(stock), false, false, before),
            (SchemaChange::To(stock), false, true, SchemaId::UNKNOWN),
            (SchemaChange::IfSeveral, true, false, before),
            (SchemaChange::IfSeveral, false, false, before),
            (SchemaChange::IfSeveral, true, true, SchemaId::UNKNOWN),
        ] {
            assert_eq!(change.after(before, done, several), after, "{change:?} {done} {several}");
        }
    }

    #[test]
    fn a_change_of_user_names_its_schema_behind_the_proof() {
        let payload = b"\x11app\0\x03abcshop\0";
        assert_eq!(user_of_change(payload), Some(&b"app"[..]));
        assert_eq!(of_change_user(payload, Some(Capabilities::SECURE_CONNECTION)), Some(&b"shop"[..]));
        assert_eq!(of_change_user(b"\x11app\0\x00\0", Some(Capabilities::SECURE_CONNECTION)), Some(&b""[..]));
        assert_eq!(of_change_user(b"\x11app\0\x09ab", Some(Capabilities::SECURE_CONNECTION)), None);
        assert_eq!(of_change_user(payload, None), None);
    }
}
