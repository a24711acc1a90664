//! Statements: the cache, which takes short cuts, against the normaliser, which takes none.

use std::cell::RefCell;

use dbwire_exporter::digest::{
    DigestCache, Escapes, Normalizer, SchemaUse, schema_use, statement_kind, trace,
};

use super::input::Input;

/// How the statement is to be read, and the statement. The cache is asked twice, so that it answers from what it has kept,
/// too; what it has met of earlier inputs must not matter. What else is read from a statement is read on the way.
pub fn digest(data: &[u8]) {
    thread_local! {
        static CACHE: RefCell<DigestCache> = RefCell::new(DigestCache::new());
    }
    let mut input = Input(data);
    let how = input.u8();
    let escapes = [Escapes::Backslash, Escapes::QuoteOnly, Escapes::Unknown][usize::from(how % 3)];
    let (complete, sql) = (how & 0x80 == 0, input.0);
    let mut reference = Normalizer::new();
    let expected = reference.digest(sql, complete, escapes);
    CACHE.with_borrow_mut(|cache| {
        for _ in 0..2 {
            assert_eq!(cache.digest(sql, complete, escapes), expected);
        }
    });
    if let Some(shape) = expected.shape {
        assert!((1..=16 * 1024).contains(&shape.text.len()));
    }
    let _ = (statement_kind(sql, complete), trace(sql));
    if let SchemaUse::Named(name) = schema_use(sql, complete, escapes, how & 0x40 != 0) {
        assert!(name.len() <= sql.len());
    }
}
