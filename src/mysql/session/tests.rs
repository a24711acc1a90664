use super::*;
use crate::{
    limits::Limit,
    mysql::{
        event::Visibility,
        schema::SchemaId,
        tests::{Talk, packet},
    },
};
use Direction::{ToClient, ToServer};

const GREETING: &[u8] =
    b"\x0a8.0.36\0\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0\
    abcdefghijkl\x00caching_sha2_password\0";
const OK: &[u8] = b"\x00\x00\x00\x02\x00\x00\x00";
const COLUMN: &[u8] = b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00";
const EOF: &[u8] = b"\xfe\x00\x00\x02\x00";
const SELECT: &[u8] = b"\x03select 1";
const PING: &[u8] = b"\x0e";
const QUIT: &[u8] = b"\x01";

/// A HandshakeResponse41 of user `app` without a password, with PROTOCOL_41 and SECURE_CONNECTION.
fn login(flags: u32) -> Vec<u8> {
    let flags = (flags | 1 << 9 | 1 << 15).to_le_bytes();
    [&flags[..], &[0, 0, 0, 1, 0xff], &[0; 23], b"app\0\x00"].concat()
}

/// A connection whose login has been seen.
fn logged_in(flags: u32) -> Talk {
    let mut talk = Talk::new(Start::Opening);
    talk.server(&packet(0, GREETING))
        .client(&packet(1, &login(flags)))
        .server(&packet(2, OK))
        .tells(&["login ok"]);
    talk
}

fn result(first: u8) -> Vec<u8> {
    let packets: [&[u8]; 5] = [b"\x01", COLUMN, EOF, b"\x011", EOF];
    packets.iter().zip(first..).flat_map(|(payload, sequence)| packet(sequence, payload)).collect()
}

#[test]
fn a_reply_is_timed_from_the_last_byte_of_its_request() {
    let mut talk = logged_in(0);
    let request = packet(0, SELECT);
    talk.client(&request[..3]).client(&request[3..9]).tells(&[]);
    talk.client(&request[9..]).tells(&["query", "<select>"]);
    let reply = result(1);
    talk.server(&reply[..2]).server(&reply[2..20]).server(&reply[20..]);
    talk.tells(&["reply query <select> 1..3 rows=1"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut talk = logged_in(0);
    talk.client(&[packet(0, SELECT), packet(0, PING), packet(0, b"\x03update t set a=1")].concat());
    talk.tells(&["query", "<select>", "ping", "query", "<update>"]);
    talk.server(&result(1)).server(&packet(1, OK)).server(&packet(1, b"\x00\x05\x00\x02\x00\x00\x00"));
    talk.tells(&[
        "reply query <select> 1..1 rows=1",
        "reply ping 2..2",
        "reply query <update> 3..3 affected=5",
    ]);
}

#[test]
fn commands_without_a_reply_wait_for_none() {
    let mut talk = logged_in(0);
    talk.client(&packet(0, b"\x18\x01\0\0\0\0\0data"))
        .client(&packet(0, b"\x19\x01\0\0\0"))
        .client(&packet(0, PING));
    talk.server(&packet(1, OK)).client(&packet(0, b"\x01"));
    talk.tells(&["stmt_send_long_data", "stmt_close", "ping", "reply ping 1..1", "quit"]);
    assert!(talk.session.has_quit());
}

#[test]
fn a_prepared_statement_keeps_its_kind_until_it_is_closed() {
    let mut talk = logged_in(0);
    let prepared = b"\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let execute = |id: u32| packet(0, &[b"\x17", &id.to_le_bytes()[..], b"\x00\x01\x00\x00\x00"].concat());
    talk.client(&packet(0, b"\x16insert into t values (1)")).server(&packet(1, prepared));
    talk.client(&execute(7)).server(&packet(1, OK));
    talk.tells(&[
        "stmt_prepare",
        "reply stmt_prepare <insert> 1..1",
        "stmt_execute",
        "<insert>",
        "reply stmt_execute <insert> 1..1",
    ]);
    // The one prepared last, and one that never was.
    talk.client(&execute(u32::MAX)).client(&execute(8)).tells(&[
        "stmt_execute",
        "<insert>",
        "stmt_execute",
        "<unknown>",
    ]);
    talk.server(&packet(1, OK))
        .server(&packet(1, b"\xff\xdb\x04#HY000unknown"))
        .tells(&["reply stmt_execute <insert> 2..2", "reply stmt_execute <unknown> 2..2 error=1243"]);
    assert!(talk.session.dialogue.prepared.get(7).is_some());
    talk.client(&packet(0, b"\x19\x07\0\0\0")).client(&execute(7)).tells(&[
        "stmt_close",
        "stmt_execute",
        "<unknown>",
    ]);
    assert!(talk.session.dialogue.prepared.get(7).is_none());
}

#[test]
fn a_user_is_known_from_the_servers_ok_to_the_next_loss() {
    let mut talk = logged_in(0);
    let change = packet(0, b"\x11root\0\x00shop\0");
    talk.client(&change).server(&packet(1, b"\xff\x15\x04#28000denied"));
    talk.client(&change).server(&packet(1, OK));
    talk.client(&packet(0, SELECT)).gap(ToClient, 10);
    let users: Vec<_> = talk.events.users.iter().map(Option::as_deref).collect();
    assert_eq!(users, [Some("app"), Some("root"), None]);
}

#[test]
fn a_reset_forgets_prepared_statements_only_if_it_succeeds() {
    for command in [&b"\x1f"[..], b"\x11app\0\x00shop\0"] {
        let mut talk = logged_in(0);
        talk.client(&packet(0, b"\x16select 1")).server(&packet(1, b"\x00\x07\0\0\0\0\0\0\0\0\0\0"));
        talk.client(&packet(0, command)).server(&packet(1, b"\xff\x15\x04#28000denied"));
        assert!(talk.session.dialogue.prepared.get(7).is_some(), "{command:02x?}");
        talk.client(&packet(0, command)).server(&packet(1, OK));
        assert!(talk.session.dialogue.prepared.get(7).is_none(), "{command:02x?}");
    }
}

#[test]
fn more_requests_than_are_remembered_drop_those_that_wait() {
    let mut talk = logged_in(0);
    for _ in 0..limits::PIPELINE {
        talk.client(&packet(0, PING));
    }
    talk.events.take();
    talk.client(&packet(0, PING)).tells(&["ping", "desync"]);
    assert_eq!(talk.bounds.hits()[Limit::Pipeline as usize], 1);
}

#[test]
fn a_reply_whose_number_does_not_go_on_from_its_request_is_none() {
    let mut talk = logged_in(0);
    talk.client(&packet(0, SELECT)).tells(&["query", "<select>"]);
    talk.server(&packet(2, OK)).tells(&["desync"]);
    // Passed over until a request is sent while nothing waits.
    talk.server(&packet(1, OK)).tells(&[]);
    talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, QUIT)).tells(&[
        "ping",
        "quit",
        "reply ping 1..1",
    ]);
}

#[test]
fn what_a_client_cannot_have_sent_loses_the_place_until_a_plausible_request() {
    for bytes in [packet(0, b""), packet(0, b"\x55"), packet(3, SELECT)] {
        let mut talk = logged_in(0);
        talk.client(&packet(0, SELECT)).client(&bytes).tells(&["query", "<select>", "desync"]);
        talk.server(&result(1)).client(b"rest of it").tells(&[]);
        assert_eq!(talk.session.visibility(), Visibility::Unknown);
        talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, QUIT));
        talk.tells(&["resync", "ping", "quit", "reply ping 1..1"]);
        assert_eq!(talk.session.visibility(), Visibility::Decoded);
    }
}

#[test]
fn missing_bytes_of_a_request_drop_what_waits_and_the_request() {
    let mut talk = logged_in(0);
    talk.client(&packet(0, PING)).gap(ToServer, 13).tells(&["ping", "desync"]);
    talk.server(&packet(1, OK)).server(&packet(1, OK)).tells(&[]);
    talk.client(&packet(0, SELECT)).server(&result(1)).client(&packet(0, QUIT));
    talk.tells(&["resync", "query", "<select>", "quit", "reply query <select> 1..1 rows=1"]);
}

#[test]
fn a_request_found_before_what_was_lost_is_answered_is_given_no_reply() {
    let mut talk = logged_in(0);
    // A request is lost, and the next one was sent without waiting: the reply that comes first is not its own.
    talk.client(&packet(0, PING)).server(&packet(1, OK)).gap(ToServer, 13).client(&packet(0, SELECT));
    talk.tells(&["ping", "reply ping 1..1", "desync", "resync", "query", "<select>"]);
    talk.server(&packet(1, b"\x00\x03\x00\x02\x00\x00\x00")).server(&result(1)).tells(&[]);
    // The server was heard, and the client has never been seen to pipeline.
    talk.client(&packet(0, SELECT)).server(&result(1)).client(&packet(0, QUIT));
    talk.tells(&["query", "<select>", "quit", "reply query <select> 1..1 rows=1"]);
}

#[test]
fn a_client_that_pipelines_is_given_no_reply_behind_a_loss_until_all_was_silent() {
    let mut talk = logged_in(0);
    talk.client(&packet(0, PING))
        .client(&packet(0, SELECT))
        .gap(ToClient, 5)
        .tells(&["ping", "query", "<select>", "desync"]);
    talk.server(&result(1)).client(&packet(0, PING)).server(&packet(1, OK)).tells(&["ping"]);
    talk.now += 10_000_000_001;
    talk.client(&packet(0, PING)).server(&packet(1, OK)).tells(&["ping", "reply ping 1..1"]);
}

#[test]
fn what_is_found_behind_a_loss_is_told_once_the_client_is_known_to_await_its_answers() {
    let ping = packet(0, PING);
    let pong = packet(1, OK);
    let reply = "reply ping 1..1";
    let found = || {
        let mut talk = Talk::new(Start::MidStream);
        talk.client(&ping).server(&pong).tells(&["resync", "ping"]);
        talk
    };
    let mut polite = found();
    polite.client(&ping).server(&pong).tells(&["ping"]);
    polite.client(&ping).server(&pong).tells(&["ping", reply, reply, reply]);
    polite.client(&ping).server(&pong).tells(&["ping", reply]);
    // One that leaves has read what it asked for.
    found().client(&packet(0, QUIT)).tells(&["quit", reply]);
    // Two turns do where nothing more comes, one does not.
    found().settle().tells(&[]);
    found().client(&ping).server(&pong).settle().tells(&["ping", reply, reply]);
    // An answer too many: the first was to a request that is not known. A request too many may not have waited either.
    found().server(&pong).settle().tells(&["desync"]);
    found().client(&[&ping[..], &ping].concat()).settle().tells(&["ping", "ping", "desync"]);
}

#[test]
fn a_reply_is_timed_wherever_it_is_cut() {
    let prepared = [packet(1, b"\x00\x07\0\0\0\x01\0\0\0\0\0\0"), packet(2, COLUMN), packet(3, EOF)].concat();
    let error = packet(1, b"\xff\x7a\x04#42S02no such table");
    let cases: [(&[u8], Vec<u8>); 4] = [
        (SELECT, result(1)),
        (SELECT, packet(1, b"\x00\xfc\x34\x12\x00\x02\x00\x00\x00")),
        (SELECT, error),
        (b"\x16select 1", prepared),
    ];
    for (request, reply) in cases {
        for end in 0..reply.len() {
            let mut talk = logged_in(0);
            talk.client(&packet(0, request)).events.take();
            talk.now += 1;
            talk.server(&reply[..end]).cut((reply.len() - end) as u32);
            talk.client(&packet(0, PING)).server(&packet(1, OK));
            let told = talk.events.take();
            let timed =
                told.iter().find(|word| word.starts_with("reply query") || word.starts_with("reply stmt"));
            let first = if end == 0 { "3..3" } else { "2..3" };
            assert!(timed.is_some_and(|word| word.contains(first)), "cut at {end}: {told:?}");
            assert!(!told.iter().any(|word| word == "desync"), "cut at {end}: {told:?}");
            assert_eq!(told.last().map(String::as_str), Some("reply ping 1..1"), "cut at {end}");
        }
    }
}

#[test]
fn of_a_login_that_is_not_whole_only_what_can_be_read_is_told() {
    let flags: u32 = 1 << 3 | 1 << 9 | 1 << 15;
    let fixed = [&flags.to_le_bytes()[..], &[0, 0, 0, 1, 0xff], &[0; 23]].concat();
    let request = packet(1, &[&fixed[..], b"app\0\x14", &[7; 20], b"shop\0mysql_native_password\0"].concat());
    let (user_ends, schema_ends) = (36 + 4, 36 + 4 + 1 + 20 + 5);
    for end in 37..=request.len() {
        let mut talk = Talk::new(Start::Opening);
        talk.server(&packet(0, GREETING)).client(&request[..end]);
        if end < request.len() {
            talk.gap(ToServer, (request.len() - end) as u32);
        }
        talk.server(&packet(2, OK)).client(&packet(0, SELECT));
        let user = (end >= user_ends).then_some("app");
        assert_eq!(talk.events.users.last().map(Option::as_deref), Some(user), "{end}");
        let schema = if end >= schema_ends { SchemaId(SchemaId::FIRST + 4) } else { SchemaId::UNKNOWN };
        assert_eq!(talk.events.schema(), Some(schema), "{end}");
    }
}

#[test]
fn what_was_prepared_last_is_unknown_behind_a_loss() {
    let mut talk = logged_in(0);
    let execute = |id: u32| packet(0, &[b"\x17", &id.to_le_bytes()[..], b"\x00\x01\x00\x00\x00"].concat());
    talk.client(&packet(0, b"\x16insert into t values (1)"));
    talk.server(&packet(1, b"\x00\x07\0\0\0\0\0\0\0\0\0\0")).gap(ToServer, 30);
    talk.tells(&["stmt_prepare", "reply stmt_prepare <insert> 1..1", "desync"]);
    // Another may have been prepared since; what has an id of its own has not changed.
    talk.client(&execute(u32::MAX)).tells(&["resync", "stmt_execute", "<unknown>"]);
    talk.client(&execute(7)).tells(&["stmt_execute", "<insert>"]);
}

#[test]
fn who_executes_what_was_prepared_last_does_not_await_answers() {
    let mut talk = Talk::new(Start::MidStream);
    let execute = [b"\x17", &u32::MAX.to_le_bytes()[..], b"\x00\x01\x00\x00\x00"].concat();
    // Each answer is to the request two before it, of which the first two were not seen.
    talk.client(&packet(0, b"\x16select 1+?")).server(&packet(1, b"\xff\x7a\x04#42S02no such table"));
    talk.client(&packet(0, &execute)).server(&packet(1, b"\xff\xdb\x04#HY000unknown statement"));
    talk.client(&packet(0, SELECT)).server(&packet(1, b"\0\x0b\0\0\0\x01\0\x01\0\0\0\0")).settle();
    talk.tells(&["resync", "stmt_prepare", "stmt_execute", "desync", "<select>", "query", "<select>"]);
}

#[test]
fn who_asks_before_an_answer_was_received_does_not_await_it() {
    let mut talk = Talk::new(Start::MidStream);
    talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, PING)).server(&packet(1, OK));
    talk.tells(&["resync", "ping", "ping"]);
    talk.hurried().client(&packet(0, PING)).server(&packet(1, OK)).tells(&["ping", "desync"]);
    talk.client(&packet(0, PING)).server(&packet(1, OK)).settle().tells(&["ping"]);
    // What is held is not told where no more comes.
    for quits in [false, true] {
        let mut talk = Talk::new(Start::MidStream);
        talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, PING)).server(&packet(1, OK));
        talk.tells(&["resync", "ping", "ping"]).hurried();
        if quits {
            talk.client(&packet(0, QUIT)).tells(&["quit"]);
        }
        talk.settle().tells(&[]);
    }
    // Nor before anything was told apart.
    let mut talk = Talk::new(Start::MidStream);
    talk.server(&packet(1, OK)).hurried();
    for _ in 0..4 {
        talk.client(&packet(0, PING)).server(&packet(1, OK));
    }
    talk.settle().tells(&["resync", "ping", "desync", "ping", "ping", "ping"]);
    // A login that was seen, and what comes before it, leaves no doubt.
    let mut talk = logged_in(0);
    talk.hurried().client(&packet(0, PING)).server(&packet(1, OK)).tells(&["ping", "reply ping 1..1"]);
}

#[test]
fn blocks_whose_beginning_was_not_seen_are_not_taken_for_requests() {
    let mut talk = Talk::new(Start::MidStream);
    // A client that writes the header of a block and its body apart, as mysql2 for Node.js does.
    let block = |request: &[u8]| {
        let body = packet(0, request);
        ([&[body.len() as u8, 0, 0, 0, 0, 0, 0][..]].concat(), body)
    };
    let (header, body) = block(SELECT);
    talk.client(&header).tells(&[]).client(&body).tells(&["resync", "query", "<select>"]);
    for _ in 0..3 {
        let (header, body) = block(b"\x16select 1");
        talk.client(&header).client(&body);
    }
    talk.settle().tells(&["desync"]);
    assert_eq!(talk.session.visibility(), Visibility::Unknown);
}

#[test]
fn where_the_login_was_not_seen_an_implausible_request_loses_the_place() {
    let mut talk = Talk::new(Start::MidStream);
    talk.client(&packet(0, PING))
        .server(&packet(1, OK))
        .client(&packet(0, b"\0\x01\x02"))
        .tells(&["resync", "ping", "desync"]);
    talk.client(&packet(0, PING)).tells(&["resync", "ping"]);
}

#[test]
fn a_request_with_a_hole_in_its_text_is_still_one_request() {
    let mut talk = logged_in(0);
    let request = packet(0, b"\x03insert into t values (1),(2),(3)");
    let reply = packet(1, b"\x00\x03\x00\x02\x00\x00\x00");
    talk.client(&request[..20]).gap(ToServer, 5).client(&request[25..]).tells(&["query", "<insert>"]);
    talk.server(&reply).tells(&["reply query <insert> 1..1 affected=3"]);
    // How long it took is not known if its end is missing.
    talk.client(&request[..20]).gap(ToServer, request.len() as u32 - 20).tells(&["query", "<insert>"]);
    talk.server(&reply).tells(&[]);
    talk.client(&request).server(&reply).tells(&[
        "query",
        "<insert>",
        "reply query <insert> 1..1 affected=3",
    ]);
}

#[test]
fn missing_bytes_of_a_reply_drop_it_but_no_request() {
    let mut talk = logged_in(0);
    talk.client(&packet(0, SELECT))
        .server(&result(1)[..5])
        .gap(ToClient, 30)
        .tells(&["query", "<select>", "desync"]);
    talk.server(&result(1)[35..]).gap(ToClient, 100).tells(&[]);
    talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, QUIT)).tells(&[
        "ping",
        "quit",
        "reply ping 1..1",
    ]);
}

#[test]
fn a_hole_in_a_row_leaves_the_reply_whole() {
    let mut talk = logged_in(0);
    let row = [&b"\xfc\xd0\x07"[..], &[b'x'; 2000]].concat();
    let reply: Vec<_> = [b"\x01", COLUMN, EOF, &row, EOF]
        .iter()
        .zip(1..)
        .flat_map(|(payload, sequence)| packet(sequence, payload))
        .collect();
    talk.client(&packet(0, SELECT)).server(&reply[..500]).gap(ToClient, 1000).server(&reply[1500..]);
    talk.tells(&["query", "<select>", "reply query <select> 1..3 rows=1"]);
}

#[test]
fn in_mid_stream_the_first_plausible_request_is_the_beginning() {
    let mut talk = Talk::new(Start::MidStream);
    assert_eq!(talk.session.visibility(), Visibility::Unknown);
    talk.server(&result(1)).client(b"middle of a text").tells(&[]);
    talk.client(&packet(0, SELECT)).server(&result(1)).client(&packet(0, QUIT)).tells(&[
        "resync",
        "query",
        "<select>",
        "quit",
        "reply query <select> 1..1 rows=1",
    ]);
}

#[test]
fn a_greeting_in_mid_stream_is_a_beginning_whose_syn_was_missed() {
    let mut talk = Talk::new(Start::MidStream);
    talk.server(&packet(0, GREETING))
        .client(&packet(1, &login(0)))
        .server(&packet(2, OK))
        .tells(&["login ok"]);
}

#[test]
fn an_eof_that_may_end_a_prepare_is_passed_over_where_the_login_was_not_seen() {
    let mut talk = Talk::new(Start::MidStream);
    talk.client(&packet(0, b"\x16select ?")).tells(&["resync", "stmt_prepare"]);
    talk.server(&[packet(1, b"\x00\x07\0\0\0\x01\0\x00\0\0\0\0"), packet(2, COLUMN)].concat());
    talk.server(&packet(3, EOF)).tells(&[]);
    talk.client(&packet(0, PING)).server(&packet(1, OK)).client(&packet(0, QUIT));
    talk.tells(&["ping", "quit", "reply stmt_prepare <select> 1..1", "reply ping 1..1"]);
}

#[test]
fn an_error_that_answers_nothing_is_counted_by_itself() {
    let mut talk = logged_in(0);
    talk.server(&packet(0, b"\xff\xbf\x0f#HY000inactive")).tells(&["error=4031"]);
}

#[test]
fn a_login_that_fails_ends_the_decoding() {
    for (error, told) in [
        (&b"\xff\x15\x04#28000Access denied"[..], ["login denied", "error=1045"]),
        (b"\xff\x19\x04#42000Unknown database", ["login error", "error=1049"]),
    ] {
        let mut talk = Talk::new(Start::Opening);
        talk.server(&packet(0, GREETING))
            .client(&packet(1, &login(0)))
            .server(&packet(2, error))
            .tells(&told);
        talk.client(&packet(0, SELECT)).tells(&[]);
        assert_eq!(talk.session.visibility(), Visibility::Unknown);
    }
}

#[test]
fn an_ssl_request_hands_over_to_tls_in_the_same_segment() {
    let mut talk = Talk::new(Start::Opening);
    talk.server(&packet(0, GREETING));
    let request = [&(1_u32 << 9 | 1 << 11).to_le_bytes()[..], &[0, 0, 0, 1, 0xff], &[0; 23]].concat();
    let hello = [&b"\x16\x03\x01\x00\x40"[..], &[1; 64]].concat();
    talk.client(&[packet(1, &request), hello].concat()).tells(&["login tls"]);
    assert_eq!(talk.session.visibility(), Visibility::Tls);
    talk.server(b"\x15\x03\x03\x00\x02\x02\x28").tells(&["tls unknown false"]);
}

#[test]
fn compression_starts_behind_the_ok_of_the_login() {
    let mut talk = logged_in(1 << 5);
    assert_eq!(talk.session.visibility(), Visibility::Compressed);
    let block = |sequence: u8, body: &[u8]| [&[body.len() as u8, 0, 0, sequence, 0, 0, 0][..], body].concat();
    talk.client(&block(0, &packet(0, SELECT))).server(&block(1, &result(1)));
    talk.tells(&["query", "<select>", "reply query <select> 1..1 rows=1"]);
}

#[test]
fn whatever_was_reserved_is_given_back_at_the_end() {
    let mut talk = logged_in(0);
    for id in 0..=limits::PREPARED_OWN as u8 {
        let prepared = [b"\x00", &[id][..], &[0; 10]].concat();
        talk.client(&packet(0, b"\x16select 1")).server(&packet(1, &prepared));
    }
    talk.client(&packet(0, &[b'x'; 5000])[..3000]).server(&packet(1, &[b'x'; 5000])[..900]);
    assert!(talk.bounds.used(Limit::MessageBytes) > 0 && talk.bounds.prepared() > 0);
    talk.release();
    assert_eq!((talk.bounds.used(Limit::MessageBytes), talk.bounds.prepared()), (0, 0));
}

#[test]
fn a_replica_acknowledges_events_without_losing_its_place() {
    let mut talk = logged_in(0);
    let event = b"\x00\xef\x01\x00\x00\x00\x00\x04\x01\x00\x00\x00";
    talk.client(&packet(0, b"\x12\x04\0\0\0\0\0\x02\0\0\0binlog.000001")).server(&packet(1, event));
    // Semi-synchronous replication: 0xef, position, file.
    talk.client(&packet(0, b"\xef\x9d\x01\0\0\0\0\0\0binlog.000001")).server(&packet(2, event));
    talk.tells(&["binlog_dump"]);
    talk.client(&packet(0, b"\x01")).tells(&["quit"]);
}

#[test]
fn a_dump_that_ends_leaves_the_connection_to_the_next_command() {
    let mut talk = logged_in(0);
    let dump = packet(0, b"\x12\x04\0\0\0\x01\0\x02\0\0\0binlog.000001");
    for _ in 0..2 {
        talk.client(&dump).server(&packet(1, b"\x00\x00\x00\x00")).server(&packet(2, EOF));
        talk.tells(&["binlog_dump", "reply binlog_dump 1..2"]);
    }
    talk.client(&packet(0, SELECT)).server(&result(1));
    talk.tells(&["query", "<select>", "reply query <select> 1..1 rows=1"]);
}

#[test]
fn what_follows_a_clone_or_a_subscription_is_another_protocol() {
    for (command, name) in [(&b"\x20"[..], "clone"), (b"\x21", "subscribe_group_replication_stream")] {
        let mut talk = logged_in(0);
        talk.client(&packet(0, command)).server(&packet(1, OK)).tells(&[name]);
        // COM_INIT of the clone protocol has the code of COM_QUIT; an error's first byte means nothing here.
        talk.client(&packet(0, b"\x01\x01\x01\0\0\x84\x03\0\0")).client(&packet(0, b"\x03select 1"));
        talk.server(&packet(0, b"\xff\x10\x04")).tells(&[]);
        assert!(!talk.session.has_quit());
        assert_eq!(talk.session.visibility(), Visibility::Unknown);
    }
}

#[test]
fn a_server_of_another_protocol_is_dropped_at_its_first_header() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00", // X Protocol
        b"\x04\x00\x00\x00\xff\x01\x00x",        // no number of an error
        b"\x01\x00\x00\x00\xff",
    ] {
        for size in [1, 5, bytes.len()] {
            let mut talk = Talk::new(Start::Opening);
            for piece in bytes.chunks(size) {
                talk.server(piece);
            }
            talk.tells(&[]);
            assert_eq!(talk.session.dialogue.phase, Phase::Ignored, "{}", bytes.escape_ascii());
            assert_eq!(talk.bounds.used(Limit::MessageBytes), 0);
        }
    }
}

#[test]
fn a_direction_that_is_lost_keeps_no_bytes() {
    let mut talk = logged_in(0);
    let long = packet(0, &[&b"\x03insert "[..], &[b'x'; 9000]].concat());
    talk.client(&long[..4000]).gap(ToServer, 100_000);
    assert_eq!(talk.bounds.used(Limit::MessageBytes), 0);
    talk.client(&packet(0, SELECT)).server(&packet(1, &[1; 900])[..500]).gap(ToClient, 100_000);
    assert_eq!(talk.bounds.used(Limit::MessageBytes), 0);
    // Numbers that do not fit, with the next message under way.
    talk.client(&packet(0, SELECT)).server(&[packet(9, OK), packet(1, &[1; 900])[..500].to_vec()].concat());
    assert_eq!(talk.bounds.used(Limit::MessageBytes), 0);
}

#[test]
fn a_compressed_reply_is_numbered_on_from_its_request_s_blocks() {
    let mut talk = logged_in(1 << 5);
    let block = |sequence: u8, body: &[u8]| [&[body.len() as u8, 0, 0, sequence, 0, 0, 0][..], body].concat();
    let request = packet(0, SELECT);
    talk.client(&block(0, &request[..6])).client(&block(1, &request[6..])).tells(&["query", "<select>"]);
    talk.server(&block(2, &result(2))).tells(&["reply query <select> 1..1 rows=1"]);
}

#[test]
fn a_compressed_reply_is_found_again_behind_a_gap() {
    let mut talk = logged_in(1 << 5);
    let block = |sequence: u8, body: &[u8]| [&[body.len() as u8, 0, 0, sequence, 0, 0, 0][..], body].concat();
    talk.client(&block(0, &packet(0, SELECT))).gap(ToClient, 60).tells(&["query", "<select>", "desync"]);
    talk.server(&block(1, &result(1))).tells(&[]);
    talk.client(&block(0, &packet(0, SELECT)))
        .server(&block(1, &result(1)))
        .client(&block(0, &packet(0, QUIT)));
    talk.tells(&["query", "<select>", "quit", "reply query <select> 1..1 rows=1"]);
}

#[test]
fn compression_agreed_on_is_expected_even_if_the_login_s_ok_was_missed() {
    let mut talk = Talk::new(Start::Opening);
    talk.server(&packet(0, GREETING)).client(&packet(1, &login(1 << 5))).gap(ToClient, 11).tells(&["desync"]);
    let block = |sequence: u8, body: &[u8]| [&[body.len() as u8, 0, 0, sequence, 0, 0, 0][..], body].concat();
    talk.client(&block(0, &packet(0, SELECT)))
        .server(&block(1, &result(1)))
        .client(&block(0, &packet(0, QUIT)));
    talk.tells(&["resync", "query", "<select>", "quit", "reply query <select> 1..1 rows=1"]);
    assert_eq!(talk.session.visibility(), Visibility::Compressed);
}
