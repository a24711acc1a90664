//! Conversations built by hand from the protocol's documentation, for what no server at hand sends: each counted
//! exactly.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>,
//! <https://mariadb.com/kb/en/clientserver-protocol/>
#![cfg(feature = "capture")]

#[path = "support/conversation.rs"]
mod conversation;
#[path = "support/logins.rs"]
mod logins;

use conversation::{Conversation, line, packet};
use dbwire_exporter::stream::Direction::{ToClient, ToServer};
use logins::*;

/// What it counts, exactly, and a row for the reader of the test's output.
#[track_caller]
#[allow(clippy::print_stdout, reason = "the table is the test's output")]
fn counts(what: &str, talk: &Conversation, expected: &str) {
    let counted = line(&talk.stats());
    println!("{what:<58} {counted}");
    assert_eq!(counted, expected, "{what}");
}

#[test]
fn greetings_of_every_server_lead_to_a_login() {
    for (greeting, name) in [(MYSQL_5_7, "MySQL 5.7"), (MYSQL_8, "MySQL 8.0"), (MYSQL_9, "MySQL 9.1")] {
        let mut talk = connect(greeting, DEPRECATE_EOF);
        talk.command(b"\x03select a from t").reply(&[b"\x01", COLUMN, ROW, END]).command(b"\x01").close();
        counts(
            name,
            &talk,
            "login ok 1, quit 1, query 1, closed quit 1, <select> 1 timed 1 in 1..4 ms rows 1",
        );
    }
    let mut talk = connect_mariadb();
    talk.command(b"\x03select a from t").reply(&[b"\x01\x01", COLUMN, ROW, END]).close();
    counts("MariaDB 10.11", &talk, "login ok 1, query 1, closed fin 1, <select> 1 timed 1 in 1..4 ms rows 1");
}

/// A switch to another method: its name and what it signs.
fn switch(method: &str, data: &[u8]) -> Vec<u8> {
    [b"\xfe", method.as_bytes(), b"\0", data, b"\0"].concat()
}

#[test]
fn every_exchange_of_proofs_ends_in_one_login() {
    let key =
        [b"\x01-----BEGIN PUBLIC KEY-----\n", &[b'M'; 400][..], b"\n-----END PUBLIC KEY-----\n"].concat();
    let scramble = [0x21; 20];
    type Exchange<'a> = (&'a str, Vec<(bool, Vec<u8>)>, &'a str);
    let client = |bytes: &[u8]| (true, bytes.to_vec());
    let server = |bytes: &[u8]| (false, bytes.to_vec());
    let exchanges: Vec<Exchange> = vec![
        ("caching_sha2_password, fast", vec![server(b"\x01\x03"), server(OK)], "login ok 1"),
        (
            "caching_sha2_password, full: RSA",
            vec![server(b"\x01\x04"), client(b"\x02"), server(&key), client(&[0x77; 256]), server(OK)],
            "login ok 1",
        ),
        (
            "caching_sha2_password, full: denied",
            vec![server(b"\x01\x04"), client(b"\x02"), server(&key), client(&[0x77; 256]), server(DENIED)],
            "login denied 1, error 1045/28000 1",
        ),
        (
            "switch to mysql_native_password",
            vec![server(&switch("mysql_native_password", &scramble)), client(&[7; 20]), server(OK)],
            "login ok 1",
        ),
        (
            "switch to caching_sha2_password",
            vec![
                server(&switch("caching_sha2_password", &scramble)),
                client(&[7; 32]),
                server(b"\x01\x03"),
                server(OK),
            ],
            "login ok 1",
        ),
        (
            "switch to client_ed25519",
            vec![server(&switch("client_ed25519", &[0x11; 32])), client(&[7; 64]), server(OK)],
            "login ok 1",
        ),
        (
            "switch to mysql_clear_password",
            vec![server(b"\xfemysql_clear_password\0"), client(b"s3cret\0"), server(DENIED)],
            "login denied 1, error 1045/28000 1",
        ),
        (
            "dialog: two questions",
            vec![
                server(b"\xfedialog\0\x04Password: "),
                client(b"s3cret\0"),
                server(b"\x01\x04Code: "),
                client(b"\x00\x00\0"),
                server(OK),
            ],
            "login ok 1",
        ),
        ("an empty switch: the old password", vec![server(b"\xfe"), client(b"\0"), server(OK)], "login ok 1"),
        (
            "unknown schema",
            vec![server(b"\xff\x19\x04#42000Unknown database 'shop'")],
            "login error 1, error 1049/42000 1",
        ),
        (
            "account locked",
            vec![server(b"\xff\x2e\x0c#HY000Access denied. Account is locked.")],
            "login denied 1, error 3118/HY000 1",
        ),
    ];
    for (what, exchange, expected) in exchanges {
        let mut talk = Conversation::open();
        talk.server(MYSQL_8).client(&login(BASE, 0, "caching_sha2_password"));
        for (from_client, payload) in exchange {
            if from_client {
                talk.client(&payload)
            } else {
                talk.server(&payload)
            };
        }
        counts(what, &talk, expected);
    }
}

#[test]
fn an_error_may_come_in_place_of_the_greeting() {
    for (what, error, expected) in [
        (
            "too many connections",
            &b"\xff\x10\x04Too many connections"[..],
            "login error 1, error 1040/ 1, closed fin 1",
        ),
        (
            "too many connections, with a state",
            b"\xff\x10\x04#08004Too many connections",
            "login error 1, error 1040/08004 1, closed fin 1",
        ),
        (
            "host blocked",
            b"\xff\x69\x04Host '10.0.0.1' is blocked",
            "login error 1, error 1129/ 1, closed fin 1",
        ),
        (
            "host not allowed",
            b"\xff\x6a\x04Host '10.0.0.1' is not allowed",
            "login error 1, error 1130/ 1, closed fin 1",
        ),
    ] {
        let mut talk = Conversation::open();
        talk.server(error).close();
        counts(what, &talk, expected);
    }
}

#[test]
fn query_attributes_stand_before_the_text_and_among_the_parameters() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | QUERY_ATTRIBUTES);
    let rows: &[&[u8]] = &[b"\x01", COLUMN, ROW, END];
    // None; one string named trace; a NULL, a date and an unsigned BIGINT.
    talk.command(b"\x03\x00\x01select a from t").reply(rows);
    talk.command(b"\x03\x01\x01\x00\x01\xfe\x00\x05trace\x04abcdselect a from t").reply(rows);
    talk.command(
        b"\x03\x03\x01\x01\x01\x06\x00\x01n\x0a\x00\x01d\x08\x80\x01u\x04\xe8\x07\x01\x02\x01\0\0\0\0\0\0\0update t set a=1",
    );
    talk.reply(&[b"\x00\x04\x00\x02\x00\x00\x00"]);
    counts(
        "query attributes of COM_QUERY",
        &talk,
        "login ok 1, query 3, <select> 2 timed 2 in 2..8 ms rows 2, <update> 1 timed 1 in 1..1 ms affected 4",
    );

    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | QUERY_ATTRIBUTES);
    talk.command(b"\x16insert into t values (?)");
    talk.reply(&[b"\x00\x05\0\0\0\x00\x00\x01\x00\0\0\0", COLUMN]);
    // PARAMETER_COUNT_AVAILABLE: the number of parameters, attributes included, always stands there; then without.
    talk.command(b"\x17\x05\0\0\0\x08\x01\0\0\0\x02\x00\x01\x03\x00\x00\xfe\x00\x05trace\x2a\0\0\0\x04abcd");
    talk.reply(&[b"\x00\x01\x00\x02\x00\x00\x00"]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0\x00\x01\x03\x00\x2a\0\0\0").reply(&[DUPLICATE]);
    counts(
        "query attributes of COM_STMT_EXECUTE",
        &talk,
        "login ok 1, stmt_prepare 1, stmt_execute 2, error 1062/23000 1, <insert> 2 timed 2 in 2..2 ms affected 1",
    );
}

#[test]
fn oks_may_tell_changes_of_the_session() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | SESSION_TRACK);
    // Schema; a system variable; state; transaction's characteristics and state; GTIDs.
    talk.command(b"\x03use stock").reply(&[b"\x00\x00\x00\x02\x40\x00\x00\x00\x08\x01\x06\x05stock"]);
    talk.command(b"\x03set autocommit=0");
    talk.reply(&[b"\x00\x00\x00\x00\x40\x00\x00\x00\x11\x00\x0f\x0aautocommit\x03OFF"]);
    talk.command(b"\x03update t set a=1").reply(&[b"\x00\x09\x00\x02\x40\x01\x00\x04info\x03\x02\x011"]);
    talk.command(b"\x03commit");
    talk.reply(&[
        b"\x00\x00\x00\x02\x40\x00\x00\x00\x2a\x03\x28\x00\x263e11fa47-71ca-11e1-9e33-c80aa9429562:5",
    ]);
    // At the end of a result.
    talk.command(b"\x03select a from t");
    talk.reply(&[b"\x01", COLUMN, ROW, b"\xfe\x00\x00\x02\x40\x00\x00\x00\x0a\x05\x08T_______"]);
    counts(
        "session tracking",
        &talk,
        "login ok 1, query 5, <select> 1 timed 1 in 1..4 ms rows 1, <update> 1 timed 1 in 1..1 ms affected 9, \
         <commit> 1 timed 1 in 1..1 ms, <set> 1 timed 1 in 1..1 ms, <use> 1 timed 1 in 1..1 ms",
    );
}

#[test]
fn column_definitions_may_be_left_out_on_demand_or_because_they_are_known() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | OPTIONAL_METADATA);
    talk.command(b"\x03select a from t").reply(&[b"\x01\x01", COLUMN, ROW, END]);
    talk.command(b"\x03select a from t").reply(&[b"\x00\x01", ROW, ROW, END]);
    talk.command(b"\x16select a from t where a=?").reply(&[b"\x00\x05\0\0\0\x01\x00\x01\x00\0\0\0\x00"]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0\x00\x01\x03\x00\x2a\0\0\0").reply(&[
        b"\x00\x01",
        BINARY,
        END,
    ]);
    talk.command(b"\x16select a from t where a=?");
    talk.reply(&[b"\x00\x06\0\0\0\x01\x00\x01\x00\0\0\0\x01", COLUMN, COLUMN]);
    talk.command(b"\x17\x06\0\0\0\x00\x01\0\0\0\x00\x01\x03\x00\x2a\0\0\0").reply(&[
        b"\x01\x01",
        COLUMN,
        BINARY,
        END,
    ]);
    counts(
        "optional metadata: none and full",
        &talk,
        "login ok 1, query 2, stmt_prepare 2, stmt_execute 2, <select> 4 timed 4 in 4..15 ms rows 5",
    );

    let mut talk = connect_mariadb();
    talk.command(b"\x16select a from t").reply(&[b"\x00\x05\0\0\0\x01\x00\x00\x00\0\0\0", COLUMN]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0").reply(&[b"\x01\x01", COLUMN, BINARY, END]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0").reply(&[b"\x01\x00", BINARY, BINARY, END]);
    counts(
        "cached metadata of MariaDB",
        &talk,
        "login ok 1, stmt_prepare 1, stmt_execute 2, <select> 2 timed 2 in 2..8 ms rows 3",
    );
}

#[test]
fn compressed_connections_are_counted_like_others() {
    let long = [b"\x03insert into t values ", &b"(1,2,3),"[..].repeat(40_000)[..]].concat();
    for (flags, what) in [(COMPRESS, "zlib"), (ZSTD, "zstd"), (COMPRESS | ZSTD, "both offered: zlib")] {
        let mut talk = connect(MYSQL_8, DEPRECATE_EOF | flags);
        talk.command(&long).reply(&[b"\x00\xfd\x40\x9c\x00\x00\x02\x00\x00\x00"]);
        talk.command(b"\x03select a from t").reply(&[
            b"\x01",
            COLUMN,
            &[b"\xfc\xb8\x0b", &[b'x'; 3000][..]].concat(),
            END,
        ]);
        talk.command(b"\x0e").reply(&[OK]).command(b"\x03select x").reply(&[NO_TABLE]);
        counts(
            what,
            &talk,
            "login ok 1, query 3, ping 1, error 1146/42S02 1, <select> 2 timed 2 in 2..5 ms rows 1, \
             <insert> 1 timed 1 in 1..1 ms affected 40000",
        );
    }
}

#[test]
fn a_change_of_user_is_a_login_of_its_own_that_forgets_statements() {
    let user = b"\x11root\0\x14abcdefghijabcdefghijshop\0\xff\x00caching_sha2_password\0";
    let prepared: &[u8] = b"\x00\x05\0\0\0\x00\x00\x00\x00\0\0\0";
    let execute = b"\x17\x05\0\0\0\x00\x01\0\0\0";
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    talk.command(b"\x16do 1").reply(&[prepared]).command(execute).reply(&[OK]);
    talk.command(user).server(&switch("mysql_native_password", &[0x21; 20])).client(&[7; 20]).server(OK);
    talk.command(execute).reply(&[b"\xff\xdb\x04#HY000Unknown prepared statement handler"]);
    counts(
        "COM_CHANGE_USER with a switch",
        &talk,
        "login ok 1, change_user 1, stmt_prepare 1, stmt_execute 2, error 1243/HY000 1, \
         <do> 1 timed 1 in 1..1 ms, <unknown> 1 timed 1 in 1..1 ms",
    );

    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    talk.command(user).server(b"\x01\x04").client(b"\x02").server(b"\x01-----BEGIN").client(&[7; 256]);
    talk.server(DENIED).close();
    counts("COM_CHANGE_USER denied", &talk, "login ok 1, change_user 1, error 1045/28000 1, closed fin 1");
}

#[test]
fn commands_that_run_no_statement_have_no_latency() {
    for (flags, end) in [(0, EOF), (DEPRECATE_EOF, END)] {
        let mut talk = connect(MYSQL_8, flags);
        talk.command(b"\x1f").reply(&[OK]).command(b"\x1b\x00\x00").reply(&[end]);
        talk.command(b"\x09").reply(&[b"Uptime: 100  Threads: 2"]).command(b"\x0e").reply(&[OK]);
        talk.command(b"\x04t\0").reply(&[COLUMN, COLUMN, end]).command(b"\x04x\0%").reply(&[NO_TABLE]);
        talk.command(b"\x0d").reply(&[end]).command(b"\x07\x01").reply(&[OK]);
        talk.command(b"\x02stock")
            .reply(&[OK])
            .command(b"\x0c\x07\0\0\0")
            .reply(&[b"\xff\x46\x04#HY000Unknown thread"]);
        let header: &[&[u8]] = if flags == 0 { &[b"\x01", COLUMN, EOF] } else { &[b"\x01", COLUMN] };
        talk.command(b"\x0a").reply(header).reply(&[ROW, ROW, end]);
        counts(
            if flags == 0 { "other commands, with EOF packets" } else { "other commands, without" },
            &talk,
            "login ok 1, init_db 1, field_list 2, refresh 1, statistics 1, process_info 1, process_kill 1, debug 1, ping 1, \
             set_option 1, reset_connection 1, error 1094/HY000 1, error 1146/42S02 1",
        );
    }
}

#[test]
fn replication_stays_out_of_latencies() {
    let event = [b"\x00", &[0x5a; 300][..]].concat();
    let checksum = b"\x03SET @source_binlog_checksum='NONE'";
    let register = b"\x15\x02\0\0\0\x00\x00\x00\xea\x0c\0\0\0\0\0\0\0\0";
    for (dump, what, label) in [
        (&b"\x12\x04\0\0\0\0\0\x02\0\0\0binlog.000001"[..], "COM_BINLOG_DUMP", "binlog_dump"),
        (
            b"\x1e\x04\0\x02\0\0\0\x0d\0\0\0binlog.000001\x04\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0",
            "COM_BINLOG_DUMP_GTID",
            "binlog_dump_gtid",
        ),
    ] {
        let mut talk = connect(MYSQL_8, 0);
        talk.command(checksum).reply(&[OK]).command(register).reply(&[OK]).command(dump);
        // More events than sequence ids, and a replica that acknowledges one.
        for _ in 0..300 {
            talk.server(&event);
        }
        let before = talk.sent.len();
        talk.raw(ToServer, &conversation::packet(0, b"\xef\x04\0\0\0\0\0\0\0binlog.000001")).server(&event);
        assert_eq!(talk.sent.len(), before + 2);
        let counted = format!(
            "login ok 1, query 1, {}, <set> 1 timed 1 in 1..1 ms",
            match label {
                "binlog_dump" => "binlog_dump 1, register_slave 1",
                _ => "register_slave 1, binlog_dump_gtid 1",
            }
        );
        counts(&format!("{what}, endless"), &talk, &counted);
        talk.server(b"\xff\xd4\x04#HY000Could not find first log file name in binary log index file").close();
        let failed = counted.replace(", <set>", ", error 1236/HY000 1, closed fin 1, <set>");
        counts(&format!("{what}, ended by an error"), &talk, &failed);
    }
    // A dump that is not to wait ends; the connection goes on.
    let mut talk = connect(MYSQL_8, 0);
    talk.command(b"\x12\x04\0\0\0\x01\0\x02\0\0\0binlog.000001").reply(&[&event, &event, EOF]);
    talk.command(b"\x03select a from t").reply(&[b"\x01", COLUMN, EOF, ROW, EOF]).command(b"\x01").close();
    counts(
        "COM_BINLOG_DUMP that does not wait",
        &talk,
        "login ok 1, quit 1, query 1, binlog_dump 1, closed quit 1, <select> 1 timed 1 in 1..5 ms rows 1",
    );
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    talk.command(b"\x20").reply(&[OK]).command(b"\x01\x01\x01\0\0\x84\x03\0\0");
    for _ in 0..3 {
        talk.command(b"\x02\x00").reply(&[b"\x03\x00data", b"\xff\x10\x04data", b"\x63"]);
    }
    counts("COM_CLONE", &talk, "login ok 1, clone 1");
}

#[test]
fn one_query_may_have_several_results_and_fail_late() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    talk.command(b"\x03update t set a=1; select a from t; select x")
        .reply(&[OK_MORE, b"\x01", COLUMN, ROW, ROW, END_MORE, NO_TABLE]);
    counts(
        "an error behind two results",
        &talk,
        "login ok 1, query 1, error 1146/42S02 1, <update> 1 timed 1 in 1..7 ms rows 2 affected 1",
    );
    let mut talk = connect(MYSQL_8, 0);
    talk.command(b"\x03call p()");
    talk.reply(&[
        b"\x01",
        COLUMN,
        EOF,
        ROW,
        EOF_MORE,
        b"\x01",
        COLUMN,
        EOF,
        EOF_MORE,
        b"\x00\x03\x00\x02\x00\x00\x00",
    ]);
    counts(
        "a stored procedure",
        &talk,
        "login ok 1, query 1, <call> 1 timed 1 in 1..10 ms rows 1 affected 3",
    );
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    talk.command(b"\x16call p(?)").reply(&[b"\x00\x05\0\0\0\x00\x00\x01\x00\0\0\0", COLUMN]);
    talk.command(b"\x17\x05\0\0\0\x00\x01\0\0\0\x00\x01\x03\x00\x2a\0\0\0");
    // Its out parameters are a result of one row: SERVER_PS_OUT_PARAMS and more to come.
    talk.reply(&[b"\x01", COLUMN, BINARY, END_MORE, b"\x01", COLUMN, BINARY, b"\xfe\0\0\x0a\x10\0\0", OK]);
    counts(
        "a prepared one with out parameters",
        &talk,
        "login ok 1, stmt_prepare 1, stmt_execute 1, <call> 1 timed 1 in 1..9 ms rows 2",
    );
}

#[test]
fn rows_of_a_cursor_come_by_fetches() {
    for (flags, opened, fetched, last) in [
        (0, &[&b"\x01"[..], COLUMN, b"\xfe\0\0\x42\0"][..], &b"\xfe\0\0\x42\0"[..], &b"\xfe\0\0\x82\0"[..]),
        (
            DEPRECATE_EOF,
            &[b"\x01", COLUMN, b"\xfe\0\0\x42\0\0\0"],
            b"\xfe\0\0\x42\0\0\0",
            b"\xfe\0\0\x82\0\0\0",
        ),
    ] {
        let mut talk = connect(MYSQL_8, flags);
        let definitions: &[&[u8]] = if flags == 0 { &[COLUMN, EOF] } else { &[COLUMN] };
        talk.command(b"\x16select a from t")
            .reply(&[b"\x00\x05\0\0\0\x01\x00\x00\x00\0\0\0"])
            .reply(definitions);
        talk.command(b"\x17\x05\0\0\0\x01\x01\0\0\0").reply(opened);
        talk.command(b"\x1c\x05\0\0\0\x02\0\0\0").reply(&[BINARY, BINARY, fetched]);
        talk.command(b"\x1c\x05\0\0\0\x02\0\0\0").reply(&[BINARY, last]);
        talk.command(b"\x1a\x05\0\0\0").reply(&[OK]).command(b"\x19\x05\0\0\0");
        counts(
            "a cursor and two fetches",
            &talk,
            "login ok 1, stmt_prepare 1, stmt_execute 1, stmt_close 1, stmt_reset 1, stmt_fetch 2, \
             <select> 1 timed 1 in 1..3 ms rows 3",
        );
    }
}

#[test]
fn mariadb_executes_in_bulk_and_what_was_prepared_last() {
    let mut talk = connect_mariadb();
    talk.command(b"\x16insert into t values (?)").reply(&[b"\x00\x05\0\0\0\x00\x00\x01\x00\0\0\0", COLUMN]);
    let bulk = b"\xfa\x05\0\0\0\x80\x00\x03\x00\x00\x01\0\0\0\x00\x02\0\0\0\x01\x00\x03\0\0\0";
    talk.command(bulk).reply(&[b"\x00\x03\x00\x02\x00\x00\x00"]).command(bulk).reply(&[DUPLICATE]);
    // INSERT … RETURNING, and results of each unit.
    talk.command(bulk).reply(&[b"\x01\x01", COLUMN, BINARY, BINARY, BINARY, END]);
    counts(
        "COM_STMT_BULK_EXECUTE",
        &talk,
        "login ok 1, stmt_prepare 1, stmt_bulk_execute 3, error 1062/23000 1, \
         <insert> 3 timed 3 in 3..8 ms rows 3 affected 3",
    );

    // Prepare and execute in one segment, as Connector/J and Node do.
    let mut talk = connect_mariadb();
    let prepare = conversation::packet(0, b"\x16select a from t");
    let execute = conversation::packet(0, b"\x17\xff\xff\xff\xff\x00\x01\0\0\0");
    talk.raw(ToServer, &[prepare, execute].concat());
    talk.restart(1).reply(&[b"\x00\x05\0\0\0\x01\x00\x00\x00\0\0\0", COLUMN]);
    talk.restart(1).reply(&[b"\x01\x00", BINARY, END]);
    counts(
        "statement 0xffffffff, pipelined",
        &talk,
        "login ok 1, stmt_prepare 1, stmt_execute 1, <select> 1 timed 1 in 3..5 ms rows 1",
    );

    let mut talk = connect_mariadb();
    let report = |stage: u8| [b"\xff\xff\xff\x01", &[stage][..], b"\x02\x10\x27\x00\x0acopying to"].concat();
    talk.command(b"\x03alter table t force").reply(&[
        &report(1),
        &report(2),
        b"\x00\x05\x00\x02\x00\x00\x00",
    ]);
    counts("progress reports", &talk, "login ok 1, query 1, <alter> 1 timed 1 in 1..3 ms affected 5");
}

#[test]
fn a_file_s_contents_are_no_commands() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | LOCAL_FILES);
    talk.command(b"\x03load data local infile 'x' into table t").server(b"\xfbx");
    // Sequence ids wrap; what has number 0 looks like a command.
    for _ in 0..600 {
        talk.client(b"\x03select 1");
    }
    talk.client(b"").server(b"\x00\xfc\x58\x02\x00\x02\x00\x00\x00");
    talk.command(b"\x03load data local infile 'y' into table t")
        .reply(&[b"\xfby"])
        .client(b"")
        .server(DUPLICATE);
    talk.command(b"\x0e").reply(&[OK]);
    counts(
        "LOAD DATA LOCAL",
        &talk,
        "login ok 1, query 2, ping 1, error 1062/23000 1, <load> 2 timed 2 in 2..606 ms affected 600",
    );
}

#[test]
fn a_file_may_go_on_behind_the_error_that_refuses_it() {
    let load = b"\x03load data local infile 'x' into table t";
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF | LOCAL_FILES);
    // What is under way when the error comes, number 4, is still sent.
    talk.command(load).server(b"\xfbx").client(b"\x03select 1").client(b"\x01").server(DUPLICATE);
    talk.restart(4).client(b"\x03select 1").client(b"\x01").client(b"");
    talk.command(b"\x0e").reply(&[OK]);
    // Or the client has stopped without saying that the file ends.
    talk.command(load).server(b"\xfbx").client(b"\x01").server(DUPLICATE);
    talk.command(b"\x0e").reply(&[OK]);
    // Refused before any of it was sent.
    talk.command(load).server(b"\xfbx").server(DUPLICATE);
    talk.restart(2).client(b"\x01").client(b"");
    talk.command(b"\x0e").reply(&[OK]);
    counts(
        "LOAD DATA LOCAL refused",
        &talk,
        "login ok 1, query 3, ping 3, error 1062/23000 3, <load> 3 timed 3 in 3..9 ms",
    );
}

#[test]
fn messages_of_16_mib_and_more_are_counted_by_their_start() {
    let mut talk = connect(MYSQL_8, DEPRECATE_EOF);
    for length in [0xff_ffff, 0x100_0000, 0x200_0010] {
        let mut insert = b"\x03insert into t values ('".to_vec();
        insert.resize(length, b'x');
        talk.command(&insert).reply(&[b"\x00\x01\x00\x02\x00\x00\x00"]);
    }
    // A row whose first value's length takes 8 bytes begins like an end.
    let mut row = b"\xfe\x00\x00\x00\x01\x00\x00\x00\x00".to_vec();
    row.resize(0x100_0009, b'x');
    talk.command(b"\x03select a from t").reply(&[b"\x01", COLUMN, &row, &row, END]);
    counts(
        "requests and rows of 16 MiB and more",
        &talk,
        "login ok 1, query 4, <select> 1 timed 1 in 1..5 ms rows 2, <insert> 3 timed 3 in 3..3 ms affected 3",
    );
}

#[test]
fn what_is_inside_tls_is_counted_by_bursts() {
    let record = |kind: u8, length: usize| {
        let [high, low] = (length as u16).to_be_bytes();
        [&[kind, 3, 3, high, low][..], &vec![0; length]].concat()
    };
    let hello = [
        &b"\x16\x03\x03\x00\x38\x02\x00\x00\x34\x03\x03"[..],
        &[0x5a; 32],
        b"\x00\x13\x01\x00\x00\x0c\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x00\x1d",
    ]
    .concat();
    let mut talk = Conversation::open();
    talk.server(MYSQL_8).client(&login(BASE | SSL, 0, "")[..32]);
    talk.raw(ToServer, &record(22, 300)).raw(ToClient, &[hello.clone(), record(23, 1500)].concat());
    talk.raw(ToServer, &[record(23, 53), record(23, 200)].concat()).raw(ToClient, &record(23, 39));
    for _ in 0..3 {
        talk.raw(ToServer, &record(23, 60)).raw(ToClient, &record(23, 100)).raw(ToClient, &record(23, 30));
    }
    talk.raw(ToServer, &record(23, 22)).close();
    counts("TLS 1.3", &talk, "login tls 1, tls 1.3 1, closed fin 1, <encrypted> 3 timed 3 in 3..6 ms");
    let mut talk = Conversation::open();
    talk.server(MYSQL_8).client(&login(BASE | SSL, 0, "")[..32]);
    talk.raw(ToServer, &record(22, 300)).raw(ToClient, &hello).raw(ToServer, &record(23, 19)).close();
    counts("TLS 1.3, not trusted", &talk, "login tls 1, tls 1.3 failed 1, closed fin 1");
}

#[test]
fn a_proxy_may_speak_before_the_server_or_just_after_it() {
    let v1: &[u8] = b"PROXY TCP4 10.0.0.1 10.0.0.2 49152 3306\r\n";
    let v2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\xc0\x00\x0c\xea";
    for (what, header) in [("PROXY header, version 1", v1), ("PROXY header, version 2", v2)] {
        for (server_first, piece) in [(false, 64), (true, 64), (false, 1), (true, 1), (true, 7)] {
            let mut talk = Conversation::open();
            if server_first {
                talk.server(MYSQL_8);
            }
            header.chunks(piece).for_each(|piece| {
                talk.raw(ToServer, piece);
            });
            if !server_first {
                talk.server(MYSQL_8);
            }
            talk.client(&login(BASE, 0, "")).server(OK).command(b"\x0e").reply(&[OK]);
            counts(what, &talk, "login ok 1, ping 1");
        }
    }
}

/// What a load balancer sends at once when it asks whether a server is there: `option mysql-check user` of HAProxy, with
/// and without `pre-41`.
const CHECKS: [&[u8]; 2] = [
    b"\x29\0\0\x01\x00\x82\0\0\0\x80\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0haproxy\0\0\x01\0\0\0\x01",
    b"\x0e\0\0\x01\x00\x80\0\0\x01haproxy\0\0\x01\0\0\0\x01",
];

#[test]
fn a_client_that_logs_in_before_it_is_greeted_is_understood_once_it_is() {
    let header: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    let (ok, denied) = (packet(2, OK), packet(2, DENIED));
    let greeting = packet(0, MYSQL_8);
    for check in CHECKS {
        for (what, before) in [("health check", &b""[..]), ("health check behind a PROXY header", header)] {
            for piece in [1, 3, 50, 200] {
                let mut talk = Conversation::open();
                [before, check].concat().chunks(piece).for_each(|piece| {
                    talk.raw(ToServer, piece);
                });
                talk.raw(ToClient, &greeting).raw(ToClient, &ok).close();
                counts(what, &talk, "login ok 1, quit 1, closed quit 1");
            }
        }
        // What the server sends at once may be captured in one piece.
        let mut talk = Conversation::open();
        talk.raw(ToServer, check).raw(ToClient, &[&greeting[..], &ok].concat()).close();
        counts("health check, answered at once", &talk, "login ok 1, quit 1, closed quit 1");
        // A SYN may be captured behind the first bytes of its connection.
        let mut talk = Conversation::open();
        talk.raw(ToServer, check).raw(ToClient, &greeting).raw(ToClient, &ok).close();
        let syn = talk.sent.remove(0);
        talk.sent.insert(3, syn);
        counts("health check, its SYN late", &talk, "login ok 1, quit 1, closed quit 1");
        // The quit was sent, whether or not it was read.
        let mut talk = Conversation::open();
        talk.raw(ToServer, check).raw(ToClient, &greeting).raw(ToClient, &denied).close();
        counts("health check, denied", &talk, "login denied 1, quit 1, error 1045/28000 1, closed quit 1");
        let mut talk = Conversation::open();
        talk.raw(ToServer, check).raw(ToClient, b"HTTP/1.1 400 Bad Request\r\n\r\n").close();
        counts("health check of another server", &talk, "closed fin 1");
    }
    let mut talk = Conversation::open();
    talk.raw(ToServer, &packet(1, &[b'x'; 4000])).raw(ToClient, &greeting).raw(ToClient, &ok).close();
    counts("more than a login", &talk, "closed fin 1");
}

#[test]
fn requests_sent_before_the_login_is_answered_are_matched_with_their_answers() {
    let mut talk = Conversation::open();
    talk.server(MYSQL_8).client(&login(BASE, 0, ""));
    talk.command(b"\x03set names utf8mb4").command(b"\x0e");
    talk.restart(2).server(OK).restart(1).server(OK).restart(1).server(OK);
    talk.command(b"\x03select a from t").reply(&[b"\x01", COLUMN, EOF, ROW, EOF]).close();
    counts(
        "requests behind the login",
        &talk,
        "login ok 1, query 2, ping 1, closed fin 1, <select> 1 timed 1 in 1..5 ms rows 1, <set> 1 timed 1 in 3..3 ms",
    );
    let mut talk = Conversation::open();
    talk.server(MYSQL_8).client(&login(BASE, 0, "")).command(b"\x0e").restart(2).server(DENIED).close();
    counts(
        "requests behind a login that is refused",
        &talk,
        "login denied 1, ping 1, error 1045/28000 1, closed fin 1",
    );
}

#[test]
fn other_protocols_on_the_port_count_nothing() {
    let query = &b"\x09\x00\x00\x00\x03select 1"[..];
    let ok = &b"\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"[..];
    let noise: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (what, server_first, client, server) in [
        ("X Protocol", true, &b"\x01\x00\x00\x00\x01"[..], &b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"[..]),
        ("X Protocol, client first", false, b"\x01\x00\x00\x00\x01", b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"),
        ("HTTP", false, b"GET / HTTP/1.1\r\nHost: db\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("SSH", true, b"SSH-2.0-Go\r\n", b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
        (
            "TLS without MySQL",
            false,
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
            b"\x15\x03\x03\x00\x02\x02\x28",
        ),
        ("noise", true, &noise, &noise),
        ("noise, client first", false, &noise, &noise),
        ("an error that is none", true, b"\x00", b"\x09\x00\x00\x00\xff\x01\x00#HY000"),
    ] {
        let mut talk = Conversation::open();
        if server_first {
            talk.raw(ToClient, server).raw(ToServer, client);
        } else {
            talk.raw(ToServer, client).raw(ToClient, server);
        }
        // Whatever follows, even if it looks like MySQL.
        for _ in 0..5 {
            talk.raw(ToServer, query).raw(ToClient, ok);
        }
        talk.close();
        counts(what, &talk, "closed fin 1");
    }
}
