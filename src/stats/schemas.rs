//! Names of schemas, each with a number that is all a session needs to hold.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{limits::SCHEMAS, mysql::schema::SchemaId};

/// The longest name that a server allows, in characters.
const MAX_NAME: usize = 64;

/// Interns names; at most [`SCHEMAS`] of them, which are kept for good.
#[derive(Debug)]
pub struct Schemas {
    ids: HashMap<Arc<str>, SchemaId, RandomState>,
    /// By id: those without a name come first.
    labels: Vec<Arc<str>>,
}

impl Default for Schemas {
    fn default() -> Self {
        // In the order of the constants of `SchemaId`.
        let labels = ["", "unknown", "other"].map(Arc::from).to_vec();
        Self { ids: HashMap::with_hasher(RandomState::default()), labels }
    }
}

impl Schemas {
    /// The id of a name; [`SchemaId::NONE`] of an empty one, [`SchemaId::OTHER`] of one that no schema can have.
    ///
    /// # Errors
    /// If there are too many names.
    pub fn intern(&mut self, name: &[u8]) -> Result<SchemaId, Full> {
        if name.is_empty() {
            return Ok(SchemaId::NONE);
        }
        let Some(name) = str::from_utf8(name).ok().filter(|name| is_valid(name)) else {
            return Ok(SchemaId::OTHER);
        };
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let free = u16::try_from(self.labels.len()).ok().filter(|_| self.ids.len() < SCHEMAS).ok_or(Full)?;
        let name: Arc<str> = Arc::from(name);
        self.ids.insert(Arc::clone(&name), SchemaId(free));
        self.labels.push(name);
        Ok(SchemaId(free))
    }

    /// Value of the `schema` label.
    pub fn label(&self, id: SchemaId) -> Arc<str> {
        let other = usize::from(SchemaId::OTHER.0);
        Arc::clone(self.labels.get(usize::from(id.0)).unwrap_or(&self.labels[other]))
    }
}

/// [`SCHEMAS`] names are known already.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

fn is_valid(name: &str) -> bool {
    name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id_and_its_label_is_the_name() {
        let mut schemas = Schemas::default();
        let shop = schemas.intern(b"shop").unwrap();
        assert_eq!(shop, SchemaId(SchemaId::FIRST));
        assert_eq!(schemas.intern(b"shop"), Ok(shop));
        let cafe = schemas.intern("café".as_bytes()).unwrap();
        for (id, label) in [
            (shop, "shop"),
            (cafe, "café"),
            (SchemaId::NONE, ""),
            (SchemaId::UNKNOWN, "unknown"),
            (SchemaId::OTHER, "other"),
            (SchemaId(u16::MAX), "other"),
        ] {
            assert_eq!(&*schemas.label(id), label);
        }
    }

    #[test]
    fn what_no_schema_can_be_called_and_names_beyond_the_limit_are_other() {
        let mut schemas = Schemas::default();
        for (name, id) in [
            (&b""[..], SchemaId::NONE),
            (b"a\nb", SchemaId::OTHER),
            (b"\xff", SchemaId::OTHER),
            (&[b'x'; 65], SchemaId::OTHER),
        ] {
            assert_eq!(schemas.intern(name), Ok(id));
        }
        for number in 0..SCHEMAS {
            schemas.intern(format!("s{number}").as_bytes()).unwrap();
        }
        assert_eq!(schemas.intern(b"one more"), Err(Full));
        assert_eq!(schemas.intern(b"s0"), Ok(SchemaId(SchemaId::FIRST)));
    }
}
