//! What a session is told changes what its statements mean: the default schema they run in, and where a string with a
//! backslash ends. Conversations by hand, from
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>.
#![cfg(feature = "capture")]

#[path = "support/conversation.rs"]
mod conversation;
#[path = "support/logins.rs"]
mod logins;

use conversation::Conversation;
use logins::*;

const SELECT: &[u8] = b"\x03select a from t";
const ROWS: &[&[u8]] = &[b"\x01", COLUMN, ROW, END];
const NO_SCHEMA: &[u8] = b"\xff\x19\x04#42000Unknown database 'x'";
/// OKs of a server that tracks the schema: to `stock`, with more results to come, and to none.
const TO_STOCK: &[u8] = b"\x00\x00\x00\x02\x40\x00\x00\x00\x08\x01\x06\x05stock";
const TO_STOCK_MORE: &[u8] = b"\x00\x00\x00\x0a\x40\x00\x00\x00\x08\x01\x06\x05stock";
const TO_NONE: &[u8] = b"\x00\x00\x00\x02\x40\x00\x00\x00\x03\x01\x01\x00";

/// Logged in to MySQL 8, the schema being `shop`.
fn session(flags: u32) -> Conversation {
    connect(MYSQL_8, DEPRECATE_EOF | flags)
}

/// How many statements of a digest ran in each schema, with the rows they returned: `schema: count/rows`.
fn by_schema(talk: &Conversation, text: &str) -> String {
    let stats = talk.stats();
    let shown = stats.digests.iter().filter(|shown| shown.text.as_deref() == Some(text));
    let mut lines: Vec<_> = shown
        .map(|shown| format!("{}: {}/{}", shown.schema, shown.stats.queries, shown.stats.rows_returned))
        .collect();
    lines.sort();
    lines.join(", ")
}

/// A step of a conversation.
type Step = fn(&mut Conversation) -> &mut Conversation;

#[test]
fn statements_run_in_the_schema_that_the_server_has_agreed_to() {
    let cases: &[(&str, u32, Step, &str)] = &[
        ("the login's", 0, |talk| talk, "shop: 1/1"),
        ("USE", 0, |talk| talk.command(b"\x03use stock").reply(&[OK]), "stock: 1/1"),
        ("a USE that fails", 0, |talk| talk.command(b"\x03use x").reply(&[NO_SCHEMA]), "shop: 1/1"),
        ("COM_INIT_DB", 0, |talk| talk.command(b"\x02stock").reply(&[OK]), "stock: 1/1"),
        ("a COM_INIT_DB that fails", 0, |talk| talk.command(b"\x02x").reply(&[NO_SCHEMA]), "shop: 1/1"),
        (
            "COM_CHANGE_USER",
            0,
            |talk| talk.command(b"\x11root\0\x00stock\0\xff\0").reply(&[b"\x01\x03", OK]),
            "stock: 1/1",
        ),
        (
            "COM_CHANGE_USER to no schema",
            0,
            |talk| talk.command(b"\x11root\0\x00\0\xff\0").reply(&[OK]),
            ": 1/1",
        ),
        ("COM_RESET_CONNECTION", 0, |talk| talk.command(b"\x1f").reply(&[OK]), "shop: 1/1"),
        (
            "a name that cannot be read for certain",
            0,
            |talk| talk.command(b"\x03use `st``ock`").reply(&[OK]),
            "unknown: 1/1",
        ),
        (
            "such a name, tracked",
            SESSION_TRACK,
            |talk| talk.command(b"\x03use `st``ock`").reply(&[TO_STOCK]),
            "stock: 1/1",
        ),
        ("a schema dropped", 0, |talk| talk.command(b"\x03drop database shop").reply(&[OK]), "unknown: 1/1"),
        (
            "one that there is not",
            0,
            |talk| talk.command(b"\x03drop database x").reply(&[NO_SCHEMA]),
            "shop: 1/1",
        ),
        (
            "a schema dropped, tracked",
            SESSION_TRACK,
            |talk| talk.command(b"\x03drop database shop").reply(&[TO_NONE]),
            ": 1/1",
        ),
        (
            "a track that was not agreed on is none",
            0,
            |talk| talk.command(b"\x03do 1").reply(&[TO_STOCK]),
            "shop: 1/1",
        ),
    ];
    assert_schemas(cases);
}

/// Steps, what was agreed on before, and [`by_schema`] of a statement behind each.
fn assert_schemas(cases: &[(&str, u32, Step, &str)]) {
    for (name, flags, step, expected) in cases {
        let mut talk = session(*flags);
        step(&mut talk);
        talk.command(SELECT).reply(ROWS);
        assert_eq!(by_schema(&talk, "select a from t"), *expected, "{name}");
    }
}

#[test]
fn of_several_statements_the_last_that_selects_a_schema_counts_once_all_are_done() {
    assert_schemas(&[
        ("the first", 0, |talk| talk.command(b"\x03use stock; do 1").reply(&[OK_MORE, OK]), "stock: 1/1"),
        ("the last", 0, |talk| talk.command(b"\x03do 1; use stock").reply(&[OK_MORE, OK]), "stock: 1/1"),
        (
            "behind rows",
            0,
            |talk| {
                let rows = [b"\x01", COLUMN, ROW, END_MORE, OK];
                talk.command(b"\x03select 1; use stock").reply(&rows)
            },
            "stock: 1/1",
        ),
        (
            "two of them",
            0,
            |talk| talk.command(b"\x03use somewhere; use stock;").reply(&[OK_MORE, OK]),
            "stock: 1/1",
        ),
        (
            "in a literal",
            0,
            |talk| talk.command(b"\x03do 1; do '; use x'").reply(&[OK_MORE, OK]),
            "shop: 1/1",
        ),
        ("behind an error", 0, |talk| talk.command(b"\x03do x; use stock").reply(&[NO_TABLE]), "shop: 1/1"),
        (
            "around an error",
            0,
            |talk| talk.command(b"\x03use stock; do x; use somewhere").reply(&[OK_MORE, NO_TABLE]),
            "unknown: 1/1",
        ),
        (
            "tracked in its own result",
            SESSION_TRACK,
            |talk| talk.command(b"\x03use `st``ock`; do 1").reply(&[TO_STOCK_MORE, OK]),
            "stock: 1/1",
        ),
        (
            "tracked before an error",
            SESSION_TRACK,
            |talk| talk.command(b"\x03use stock; use x").reply(&[TO_STOCK_MORE, NO_SCHEMA]),
            "stock: 1/1",
        ),
    ]);
}

#[test]
fn a_text_that_cannot_be_read_to_its_end_may_have_selected_a_schema_if_it_is_several_statements() {
    assert_schemas(&[
        (
            "where a string ends is not certain",
            0,
            |talk| talk.command(b"\x03do 1; do 'a\\'; use x; do '").reply(&[OK_MORE, OK]),
            "unknown: 1/1",
        ),
        ("it is one", 0, |talk| talk.command(b"\x03do 'a; use x").reply(&[OK]), "shop: 1/1"),
        ("a long one", 0, |talk| talk.command(&long()).reply(&[OK]), "shop: 1/1"),
        ("several long ones", 0, |talk| talk.command(&long()).reply(&[OK_MORE, OK]), "unknown: 1/1"),
        ("a long one that fails", 0, |talk| talk.command(&long()).reply(&[NO_TABLE]), "shop: 1/1"),
    ]);
}

/// A statement of which only the beginning is looked at.
fn long() -> Vec<u8> {
    [b"\x03insert into t values ('".as_slice(), &[b'x'; 100_000], b"')"].concat()
}

#[test]
fn a_prepared_statement_may_select_a_schema_where_the_server_allows_it_and_does_not_tell() {
    let prepare: Step =
        |talk| talk.command(b"\x16use stock").reply(&[b"\x00\x05\0\0\0\x00\x00\x00\x00\0\0\0"]);
    let execute: Step = |talk| talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0").reply(&[OK]);
    let immediate: Step = |talk| talk.command(b"\x03execute immediate 'use stock'").reply(&[OK]);
    for (name, talk, steps, expected) in [
        ("prepared by the protocol", connect_mariadb(), &[prepare, execute][..], "unknown: 1/1"),
        ("by a statement", connect_mariadb(), &[immediate], "unknown: 1/1"),
        ("only prepared", connect_mariadb(), &[prepare], "shop: 1/1"),
        ("MySQL executes none", session(0), &[immediate], "shop: 1/1"),
    ] {
        let mut talk = talk;
        for step in steps {
            step(&mut talk);
        }
        talk.command(SELECT).reply(ROWS);
        assert_eq!(by_schema(&talk, "select a from t"), expected, "{name}");
    }
}

#[test]
fn a_pipelined_statement_runs_in_the_schema_asked_for_before_it() {
    let mut talk = session(0);
    talk.command(b"\x02stock").command(SELECT);
    talk.restart(1).reply(&[OK]).restart(1).reply(ROWS);
    talk.command(SELECT).reply(ROWS);
    assert_eq!(by_schema(&talk, "select a from t"), "stock: 2/2");
}

#[test]
fn a_prepared_statement_keeps_the_schema_it_was_prepared_in() {
    let mut talk = session(0);
    talk.command(b"\x16select a from t").reply(&[b"\x00\x05\0\0\0\x01\x00\x00\x00\0\0\0", COLUMN]);
    talk.command(b"\x03use stock").reply(&[OK]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0").reply(&[b"\x01", COLUMN, BINARY, END]);
    talk.command(SELECT).reply(ROWS);
    assert_eq!(by_schema(&talk, "select a from t"), "shop: 1/1, stock: 1/1");
}

#[test]
fn behind_a_loss_the_schema_is_unknown_until_it_is_told() {
    let mut talk = session(0);
    talk.command(SELECT).reply(ROWS);
    talk.command(b"\x03use somewhere").reply(&[OK]);
    // Neither was captured.
    let captured = talk.sent.len() - 2;
    for _ in 0..4 {
        talk.command(SELECT).reply(ROWS);
    }
    talk.command(b"\x03use stock").reply(&[OK]).command(SELECT).reply(ROWS).close();
    talk.sent.drain(captured..captured + 2);
    let mut pipeline = conversation::pipeline();
    conversation::play(&mut pipeline, &talk.sent);
    pipeline.finish();
    let shown = pipeline.stats().digests.clone();
    let queries = |schema: &str| -> f64 {
        let of = shown
            .iter()
            .filter(|shown| &*shown.schema == schema && shown.text.as_deref() == Some("select a from t"));
        of.map(|shown| shown.stats.queries).sum()
    };
    assert_eq!(
        (queries("shop"), queries("unknown"), queries("stock"), queries("somewhere")),
        (1.0, 4.0, 1.0, 0.0)
    );
}

#[test]
fn rows_that_cursors_are_asked_for_in_turns_are_those_of_their_statements() {
    let mut talk = session(0);
    talk.command(b"\x16select a from t").reply(&[b"\x00\x05\0\0\0\x01\x00\x00\x00\0\0\0", COLUMN]);
    talk.command(b"\x16select a from u").reply(&[b"\x00\x06\0\0\0\x01\x00\x00\x00\0\0\0", COLUMN]);
    let (opened, more, last) = (b"\xfe\0\0\x42\0\0\0", b"\xfe\0\0\x42\0\0\0", b"\xfe\0\0\x82\0\0\0");
    talk.command(b"\x17\x05\0\0\0\x01\x01\0\0\0").reply(&[b"\x01", COLUMN, opened]);
    talk.command(b"\x17\x06\0\0\0\x01\x01\0\0\0").reply(&[b"\x01", COLUMN, opened]);
    talk.command(b"\x1c\x05\0\0\0\x02\0\0\0").reply(&[BINARY, BINARY, more]);
    talk.command(b"\x1c\x06\0\0\0\x01\0\0\0").reply(&[BINARY, more]);
    talk.command(b"\x1c\x05\0\0\0\x02\0\0\0").reply(&[BINARY, last]);
    assert_eq!(by_schema(&talk, "select a from t"), "shop: 1/3");
    assert_eq!(by_schema(&talk, "select a from u"), "shop: 1/1");
}

/// Where a backslash escapes nothing, the string ends behind it and `b` is a column; where it does, `b` is in a string
/// that does not end.
const BACKSLASH: &[u8] = b"\x03select 'a\\', b from t where c = 'd'";
const SET: &[u8] = b"\x03set sql_mode = 'NO_BACKSLASH_ESCAPES'";
const QUOTE_ONLY_TEXT: &str = "select ?, b from t where c = ?";
/// OKs and an EOF that tell NO_BACKSLASH_ESCAPES, and an OK that tells it no more.
const QUOTE_ONLY: &[u8] = b"\x00\x00\x00\x02\x02\x00\x00";
const QUOTE_ONLY_TRACKED: &[u8] =
    b"\x00\x00\x00\x02\x42\x00\x00\x00\x21\x00\x1f\x08sql_mode\x14NO_BACKSLASH_ESCAPES\x00";
const QUOTE_ONLY_EOF: &[u8] = b"\xfe\x00\x00\x02\x02";

#[test]
fn a_string_ends_where_the_server_s_status_says() {
    type Case<'a> = (&'a str, u32, Step, f64);
    let cases: &[Case<'_>] = &[
        ("a backslash escapes", 0, |talk| talk, 0.0),
        ("an OK tells that it does not", 0, |talk| talk.command(SET).reply(&[QUOTE_ONLY]), 1.0),
        (
            "so does one that tracks the variable",
            SESSION_TRACK,
            |talk| talk.command(SET).reply(&[QUOTE_ONLY_TRACKED]),
            1.0,
        ),
        (
            "and the end of a result",
            0,
            |talk| talk.command(SELECT).reply(&[b"\x01", COLUMN, ROW, b"\xfe\0\0\x02\x02\0\0"]),
            1.0,
        ),
        (
            "an error tells nothing of it",
            0,
            |talk| talk.command(SET).reply(&[QUOTE_ONLY]).command(b"\x03do x").reply(&[NO_TABLE]),
            1.0,
        ),
        (
            "a later OK tells that it does again",
            0,
            |talk| talk.command(SET).reply(&[QUOTE_ONLY]).command(b"\x03set sql_mode = ''").reply(&[OK]),
            0.0,
        ),
    ];
    for (name, flags, before, expected) in cases {
        let mut talk = session(*flags);
        before(&mut talk);
        talk.command(BACKSLASH).reply(&[b"\x01", COLUMN, ROW, b"\xfe\0\0\x02\x02\0\0"]);
        assert_eq!(quote_only(&talk), *expected, "{name}");
    }
    // Of a server that ends results with an EOF.
    let mut talk = connect(MYSQL_8, 0);
    talk.command(SELECT).reply(&[b"\x01", COLUMN, QUOTE_ONLY_EOF, ROW, QUOTE_ONLY_EOF]);
    talk.command(BACKSLASH).reply(&[b"\x01", COLUMN, QUOTE_ONLY_EOF, QUOTE_ONLY_EOF]);
    assert_eq!(quote_only(&talk), 1.0);
}

#[test]
fn while_an_answer_may_change_what_a_backslash_means_no_text_is_certain() {
    let mut talk = session(0);
    talk.command(SET).command(BACKSLASH);
    talk.restart(1).reply(&[QUOTE_ONLY]).restart(1).reply(ROWS);
    assert_eq!(quote_only(&talk), 0.0);
    let stats = talk.stats();
    let selects: f64 = stats
        .estimated
        .statements()
        .filter(|(kind, _)| kind.label() == "select")
        .map(|(_, select)| select.count)
        .sum();
    assert_eq!(selects, 1.0, "its kind is certain");
}

/// How many statements were read as ones without escapes.
fn quote_only(talk: &Conversation) -> f64 {
    let stats = talk.stats();
    let shown = stats.digests.iter().filter(|shown| shown.text.as_deref() == Some(QUOTE_ONLY_TEXT));
    shown.map(|shown| shown.stats.queries).sum()
}
