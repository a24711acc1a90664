//! Who a client says it is, and where it wants to be: kept until the server has let it in.

use crate::limits::{SCHEMA_NAME, USER_NAME};

/// In the place of a user's length: there is no name.
const NOBODY: u8 = u8::MAX;

/// A user's name and a schema's, in one piece of memory: the length of the first, whether the second is known, both of
/// them.
#[derive(Debug)]
pub(super) struct Asked(Box<[u8]>);

impl Asked {
    /// `None` is a name that is not known. No server has a user whose name is longer than [`USER_NAME`]; of a schema's that
    /// is longer than [`SCHEMA_NAME`] enough is kept to tell that it is none's.
    pub(super) fn new(user: Option<&[u8]>, schema: Option<&[u8]>) -> Self {
        let user = user.filter(|name| name.len() <= USER_NAME);
        let length = user.map_or(NOBODY, |name| name.len() as u8);
        let known = u8::from(schema.is_some());
        let schema = schema.unwrap_or_default();
        let schema = schema.get(..=SCHEMA_NAME).unwrap_or(schema);
        Self([&[length, known], user.unwrap_or_default(), schema].concat().into())
    }

    /// Whether waiting commands fit beside it into what a connection may take; names as long as they may be leave no room.
    pub(super) fn leaves_room(&self) -> bool {
        self.0.len() <= USER_NAME + SCHEMA_NAME / 2
    }

    /// The user; `None` if there was no name, or one that no user has.
    pub(super) fn user(&self) -> Option<&[u8]> {
        let ([length, _], names) = self.0.split_first_chunk()?;
        names.get(..usize::from(*length))
    }

    /// The schema; empty if none was asked for, `None` if it is not known.
    pub(super) fn schema(&self) -> Option<&[u8]> {
        let ([length, known], names) = self.0.split_first_chunk()?;
        let user = if *length == NOBODY { 0 } else { usize::from(*length) };
        names.get(user..).filter(|_| *known != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_told_apart_however_long_they_are() {
        let (user, schema) = ([b'u'; USER_NAME + 1], [b's'; SCHEMA_NAME + 2]);
        for (user, schema, kept_user, kept_schema) in [
            (Some(&b"app"[..]), &b"shop"[..], Some(&b"app"[..]), &b"shop"[..]),
            (Some(b""), b"shop", Some(b""), b"shop"),
            (Some(b"app"), b"", Some(b"app"), b""),
            (None, b"shop", None, b"shop"),
            (None, b"", None, b""),
            (Some(&user), &schema, None, &schema[1..]),
            (Some(&user[1..]), &schema[2..], Some(&user[1..]), &schema[2..]),
        ] {
            let asked = Asked::new(user, Some(schema));
            assert_eq!((asked.user(), asked.schema()), (kept_user, Some(kept_schema)));
            assert_eq!(Asked::new(user, None).schema(), None);
        }
    }
}
