//! The traffic of a host that shows all it can: about as many series as the decoder has by default.

#![allow(dead_code, unreachable_pub, reason = "each program that includes this uses a part of it")]

use super::dialogue::{Conversation, OK, error};

/// Kinds of statements, each with a form that may be repeated with other names.
pub const KINDS: &[&str] = &[
    "select a from",
    "insert into",
    "update",
    "delete from",
    "replace into",
    "with q as",
    "begin work",
    "commit work",
    "rollback to",
    "set",
    "show tables from",
    "call",
    "explain",
    "load data",
    "create table",
    "alter table",
    "drop table",
    "truncate",
    "lock tables",
    "execute",
    "do",
    "analyze table",
    "other",
];

/// Those of them that no server answers with rows, and the answer: an OK, nothing affected.
const WITHOUT_ROWS: &[&str] = &["begin work", "commit work", "rollback to", "set", "lock tables", "do"];
const DONE: &[u8] = b"\x00\x00\x00\x02\x00\x00\x00";

/// Frames with their times in nanoseconds.
pub fn frames() -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for number in 0..300_u16 {
        let name: String =
            format!("{number:03}").bytes().map(|digit| char::from(digit - b'0' + b'g')).collect();
        let kind = KINDS[usize::from(number) % KINDS.len()];
        let sql = format!("{kind} t_{name}");
        let failed = error(1000 + number, "42000", "no");
        conversation.query(sql.as_bytes(), if WITHOUT_ROWS.contains(&kind) { DONE } else { OK });
        conversation.query(sql.as_bytes(), &failed);
    }
    conversation.query(b"select 'unterminated", OK);
    // An execution of what was never prepared.
    conversation.exchange(b"\x17\x09\0\0\0\0\x01\0\0\0", OK);
    conversation.close();
    frames
}
