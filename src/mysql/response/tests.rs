use super::*;
use crate::mysql::tests::message;

const PROTOCOL_41: u64 = Capabilities::PROTOCOL_41.0;
const DEPRECATE_EOF: u64 = PROTOCOL_41 | Capabilities::DEPRECATE_EOF.0;
const OPTIONAL: u64 = PROTOCOL_41 | Capabilities::OPTIONAL_METADATA.0;
const CACHED: u64 = PROTOCOL_41 | Capabilities::MARIADB_CACHE_METADATA.0;

/// Old style, with EOF packets.
const EOFS: Option<Capabilities> = Some(Capabilities(PROTOCOL_41));
/// New style, without.
const OKS: Option<Capabilities> = Some(Capabilities(DEPRECATE_EOF));
/// The login was not seen.
const UNSEEN: Option<Capabilities> = None;

const OK: &[u8] = b"\x00\x00\x00\x02\x00\x00\x00";
const EOF: &[u8] = b"\xfe\x00\x00\x02\x00";
/// An OK in the place of an EOF.
const END: &[u8] = b"\xfe\x00\x00\x02\x00\x00\x00";
/// The same three with SERVER_MORE_RESULTS_EXISTS.
const OK_MORE: &[u8] = b"\x00\x00\x00\x0a\x00\x00\x00";
const EOF_MORE: &[u8] = b"\xfe\x00\x00\x0a\x00";
const END_MORE: &[u8] = b"\xfe\x00\x00\x0a\x00\x00\x00";
const ERR: &[u8] = b"\xff\x7a\x04#42S02Table 'x' doesn't exist";
/// Column definition of `select 1`.
const COLUMN: &[u8] = b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00";
/// A text row, a NULL, a row of the binary protocol.
const ROW: &[u8] = b"\x011";
const NULL: &[u8] = b"\xfb";
const BINARY: &[u8] = b"\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00";

const ERR_1146: Step = Step::Failed(ServerError { code: 1146, sqlstate: Some(*b"42S02") });

/// What a reply comes to: its last step, rows and affected rows. No step but the last may end it.
#[track_caller]
fn comes_to(command: Command, capabilities: Option<Capabilities>, packets: &[&[u8]]) -> (Step, u64, u64) {
    let mut response = Response::new(command);
    assert!(!response.has_begun());
    for (index, packet) in packets.iter().enumerate() {
        let step = response.message(&message(packet), capabilities);
        assert!(response.has_begun());
        if index + 1 == packets.len() {
            return (step, response.rows, response.affected);
        }
        assert_eq!(step, Step::More, "packet {index}: {}", packet[..packet.len().min(40)].escape_ascii());
    }
    panic!("no packets");
}

#[test]
fn result_sets_end_alike_with_and_without_eof_packets() {
    let done = |rows| (Step::Done, rows, 0);
    for command in [Command::Query, Command::StmtExecute, Command::StmtBulkExecute, Command::ProcessInfo] {
        for unseen in [false, true] {
            let (eofs, oks) = if unseen { (UNSEEN, UNSEEN) } else { (EOFS, OKS) };
            for (capabilities, packets, result) in [
                (eofs, &[&b"\x01"[..], COLUMN, EOF, ROW, NULL, EOF][..], done(2)),
                (eofs, &[b"\x02", COLUMN, COLUMN, EOF, EOF], done(0)),
                (eofs, &[b"\x01", COLUMN, EOF, BINARY, BINARY, BINARY, EOF], done(3)),
                (oks, &[b"\x01", COLUMN, ROW, NULL, END], done(2)),
                (oks, &[b"\x02", COLUMN, COLUMN, END], done(0)),
                (oks, &[b"\x01", COLUMN, BINARY, END], done(1)),
                (oks, &[b"\x01", COLUMN, BINARY, b"\x00\x01", END], done(2)),
                (eofs, &[OK], done(0)),
                (eofs, &[b"\x00\x03\xfc\xe8\x03\x02\x00\x00\x00"], (Step::Done, 0, 3)),
                (eofs, &[b"\x00\xfd\x00\x00\x01\x00\x02\x00\x00\x00"], (Step::Done, 0, 0x1_0000)),
                (eofs, &[ERR], (ERR_1146, 0, 0)),
                // Errors among the rows, and instead of them.
                (eofs, &[b"\x01", COLUMN, EOF, ROW, ERR], (ERR_1146, 1, 0)),
                (oks, &[b"\x01", COLUMN, BINARY, ERR], (ERR_1146, 1, 0)),
                (oks, &[b"\x01", COLUMN, ERR], (ERR_1146, 0, 0)),
                // The end tells changes of the session: schema `a`.
                (oks, &[b"\x01", COLUMN, ROW, b"\xfe\x00\x00\x02\x40\x00\x00\x00\x04\x01\x02\x01a"], done(1)),
            ] {
                assert_eq!(comes_to(command, capabilities, packets), result, "{command:?} {packets:02x?}");
            }
        }
    }
}

#[test]
fn before_4_1_an_eof_is_one_byte_and_an_ok_may_have_no_status() {
    let old = Some(Capabilities::default());
    let column = b"\x01t\x01n\x03\x0b\x00\x00\x01\x03\x03\x01\x00\x00";
    let select: &[&[u8]] = &[b"\x01", column, b"\xfe", ROW, ROW, b"\xfe"];
    assert_eq!(comes_to(Command::Query, old, select), (Step::Done, 2, 0));
    assert_eq!(comes_to(Command::Query, old, &[b"\x00\x03\x00"]), (Step::Done, 0, 3));
    assert_eq!(comes_to(Command::Query, old, &[b"\x00\x03\x00Rows matched: 3"]), (Step::Done, 0, 3));
    let error = ServerError { code: 1146, sqlstate: None };
    assert_eq!(comes_to(Command::Query, old, &[b"\xff\x7a\x04Table"]), (Step::Failed(error), 0, 0));
    assert_eq!(comes_to(Command::FieldList, old, &[column, b"\xfe"]), (Step::Done, 0, 0));
    // No status, no word on what a backslash means.
    let mut response = Response::new(Command::Query);
    for packet in select {
        response.message(&message(packet), old);
    }
    assert_eq!(response.status, None);
}

#[test]
fn one_reply_may_hold_several_results() {
    for (capabilities, packets, result) in [
        (EOFS, &[OK_MORE, OK][..], (Step::Done, 0, 0)),
        (EOFS, &[b"\x00\x02\x00\x0a\x00\x00\x00", b"\x00\x05\x00\x02\x00\x00\x00"], (Step::Done, 0, 7)),
        (EOFS, &[b"\x01", COLUMN, EOF, ROW, EOF_MORE, OK], (Step::Done, 1, 0)),
        (OKS, &[b"\x01", COLUMN, ROW, END_MORE, b"\x01", COLUMN, ROW, ROW, END], (Step::Done, 3, 0)),
        (OKS, &[b"\x01", COLUMN, END_MORE, OK_MORE, b"\x01", COLUMN, ROW, END_MORE, OK], (Step::Done, 1, 0)),
        (OKS, &[b"\x01", COLUMN, ROW, END_MORE, ERR], (ERR_1146, 1, 0)),
        (EOFS, &[b"\x00\x01\x00\x0a\x00\x00\x00", ERR], (ERR_1146, 0, 1)),
    ] {
        assert_eq!(comes_to(Command::Query, capabilities, packets), result, "{packets:02x?}");
    }
}

#[test]
fn a_long_first_value_is_told_from_an_end_by_the_length() {
    // A value of 16 MiB has a length of 8 bytes behind 0xfe; only the start of the row is at hand.
    let mut response = Response::new(Command::Query);
    for packet in [&b"\x01"[..], COLUMN] {
        assert_eq!(response.message(&message(packet), OKS), Step::More);
    }
    let head = b"\xfe\x00\x00\x00\x01\x00\x00\x00\x00xxxxxxx";
    for length in [0x100_0009_u64, 0x4000_0000] {
        let row = Message { length, ..message(head) };
        assert_eq!(response.message(&row, OKS), Step::More);
    }
    assert_eq!(response.message(&message(END), OKS), Step::Done);
    assert_eq!(response.rows, 2);
}

#[test]
fn a_cursor_keeps_its_rows_for_the_fetches() {
    let eof = b"\xfe\x00\x00\x42\x00";
    let end = b"\xfe\x00\x00\x42\x00\x00\x00";
    assert_eq!(comes_to(Command::StmtExecute, EOFS, &[b"\x01", COLUMN, eof]), (Step::Done, 0, 0));
    assert_eq!(comes_to(Command::StmtExecute, OKS, &[b"\x01", COLUMN, end]), (Step::Done, 0, 0));
    assert_eq!(comes_to(Command::StmtExecute, UNSEEN, &[b"\x01", COLUMN, eof]), (Step::Done, 0, 0));
    for (packets, result) in [
        (&[BINARY, BINARY, eof][..], (Step::Done, 2, 0)),
        (&[BINARY, end], (Step::Done, 1, 0)),
        // SERVER_STATUS_LAST_ROW_SENT.
        (&[b"\xfe\x00\x00\x82\x00"], (Step::Done, 0, 0)),
        (&[ERR], (ERR_1146, 0, 0)),
    ] {
        assert_eq!(comes_to(Command::StmtFetch, OKS, packets), result, "{packets:02x?}");
    }
}

#[test]
fn column_definitions_may_be_left_out() {
    let optional = Some(Capabilities(OPTIONAL | DEPRECATE_EOF));
    let optional_eofs = Some(Capabilities(OPTIONAL));
    let cached = Some(Capabilities(CACHED | DEPRECATE_EOF));
    for (capabilities, packets, rows) in [
        // MySQL: a flag before the number of columns.
        (optional, &[&b"\x01\x01"[..], COLUMN, ROW, END][..], 1),
        (optional, &[b"\x00\x01", ROW, ROW, END], 2),
        (optional, &[b"\x00\x03", END], 0),
        (optional, &[b"\x00\xfc\x2c\x01", BINARY, END], 1),
        (optional_eofs, &[b"\x00\x01", EOF, ROW, EOF], 1),
        // MariaDB: behind it.
        (cached, &[b"\x01\x01", COLUMN, BINARY, END], 1),
        (cached, &[b"\x01\x00", BINARY, END], 1),
        (cached, &[b"\x02\x00", BINARY, BINARY, END], 2),
        // Where the login was not seen, the packet itself tells.
        (UNSEEN, &[b"\x00\x01", ROW, END], 1),
        (UNSEEN, &[b"\x01\x02", COLUMN, COLUMN, ROW, END], 1),
        (UNSEEN, &[b"\x00\xfc\x2c\x01", ROW, END], 1),
        (UNSEEN, &[b"\x01\x01", COLUMN, ROW, END], 1),
        (UNSEEN, &[b"\x01\x00", BINARY, END], 1),
        (UNSEEN, &[b"\x05\x00", BINARY, END], 1),
        (UNSEEN, &[b"\x02\x01", COLUMN, COLUMN, EOF, ROW, EOF], 1),
    ] {
        let result = comes_to(Command::StmtExecute, capabilities, packets);
        assert_eq!(result, (Step::Done, rows, 0), "{packets:02x?}");
    }
}

#[test]
fn numbers_of_columns_that_no_table_has_lose_the_place() {
    for packet in [
        &b"\xfd\x00\x00\x01"[..],
        b"\xfe\x00\x00\x01\x00\x00\x00\x00\x00",
        b"\xfc\x01",
        b"\x01\x02\x03",
        b"\x00",
        b"",
    ] {
        assert_eq!(comes_to(Command::Query, EOFS, &[packet]).0, Step::Lost, "{packet:02x?}");
    }
}

#[test]
fn the_client_sends_a_file_between_the_request_for_it_and_the_ok() {
    let mut response = Response::new(Command::Query);
    assert_eq!(response.message(&message(b"\xfb/tmp/x.csv"), OKS), Step::More);
    assert!(response.takes_file());
    response.file_sent();
    assert!(!response.takes_file());
    assert_eq!(response.message(&message(b"\x00\x64\x00\x02\x00\x00\x00"), OKS), Step::Done);
    assert_eq!(response.affected, 100);
}

#[test]
fn progress_reports_come_before_any_reply() {
    // MariaDB: number 0xffff, then stage, number of stages, progress and what is done.
    let report = b"\xff\xff\xff\x01\x01\x02\x10\x27\x00\x0acopying to";
    assert_eq!(comes_to(Command::Query, OKS, &[report, report, OK]), (Step::Done, 0, 0));
    assert_eq!(comes_to(Command::Query, OKS, &[report, ERR]), (ERR_1146, 0, 0));
    assert_eq!(comes_to(Command::Query, EOFS, &[report, b"\x01", COLUMN, EOF, ROW, EOF]), (Step::Done, 1, 0));
}

/// The OK of a prepare: statement 7 with so many columns and parameters.
fn prepared(columns: u16, parameters: u16) -> Vec<u8> {
    let [a, b] = columns.to_le_bytes();
    let [c, d] = parameters.to_le_bytes();
    vec![0, 7, 0, 0, 0, a, b, c, d, 0, 0, 0]
}

#[test]
fn a_prepare_ends_behind_its_last_definition() {
    let optional = Some(Capabilities(OPTIONAL | DEPRECATE_EOF));
    let [none, full] = [0, 1].map(|flag| [prepared(1, 1), vec![flag]].concat());
    for (capabilities, first, rest) in [
        (EOFS, prepared(0, 0), &[][..]),
        (EOFS, prepared(1, 0), &[COLUMN, EOF]),
        (EOFS, prepared(0, 2), &[COLUMN, COLUMN, EOF]),
        (EOFS, prepared(2, 1), &[COLUMN, EOF, COLUMN, COLUMN, EOF]),
        (OKS, prepared(0, 0), &[]),
        (OKS, prepared(1, 0), &[COLUMN]),
        (OKS, prepared(0, 1), &[COLUMN]),
        (OKS, prepared(1, 1), &[COLUMN, COLUMN]),
        (optional, full, &[COLUMN, COLUMN]),
        (optional, none.clone(), &[]),
        // The flag means nothing to those who did not agree on it.
        (OKS, none, &[COLUMN, COLUMN]),
        // Unseen: an EOF in the middle is passed over; one at the end is left to the session.
        (UNSEEN, prepared(0, 0), &[]),
        (UNSEEN, prepared(1, 1), &[COLUMN, EOF, COLUMN]),
        (UNSEEN, prepared(1, 1), &[COLUMN, COLUMN]),
    ] {
        let packets = [&[&first[..]][..], rest].concat();
        assert_eq!(comes_to(Command::StmtPrepare, capabilities, &packets).0, Step::Done, "{packets:02x?}");
        let mut response = Response::new(Command::StmtPrepare);
        response.message(&message(&first), capabilities);
        assert_eq!(response.prepared, Some(Prepared { id: 7 }));
    }
    assert_eq!(comes_to(Command::StmtPrepare, OKS, &[ERR]), (ERR_1146, 0, 0));
    for packet in [&b"\x00\x07\x00\x00\x00\x01"[..], b"\x01", b"\xfe\x00\x00\x02\x00"] {
        assert_eq!(comes_to(Command::StmtPrepare, OKS, &[packet]).0, Step::Lost, "{packet:02x?}");
    }
}

#[test]
fn every_other_command_has_its_own_end() {
    let events = &b"\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00"[..];
    for (command, packets, step) in [
        (Command::Ping, &[OK][..], Step::Done),
        (Command::Ping, &[END], Step::Done),
        (Command::SetOption, &[EOF], Step::Done),
        (Command::Debug, &[EOF], Step::Done),
        (Command::InitDb, &[ERR], ERR_1146),
        (Command::InitDb, &[b"\x01"], Step::Lost),
        (Command::StmtReset, &[OK], Step::Done),
        (Command::ResetConnection, &[OK], Step::Done),
        (Command::RegisterSlave, &[OK], Step::Done),
        (Command::Statistics, &[b"Uptime: 100  Threads: 2"], Step::Done),
        (Command::Statistics, &[ERR], ERR_1146),
        (Command::FieldList, &[COLUMN, COLUMN, EOF], Step::Done),
        (Command::FieldList, &[COLUMN, END], Step::Done),
        (Command::FieldList, &[EOF], Step::Done),
        (Command::FieldList, &[ERR], ERR_1146),
        // Another method, a full exchange of caching_sha2_password, then the outcome.
        (Command::ChangeUser, &[OK], Step::Done),
        (Command::ChangeUser, &[b"\xfemysql_native_password\0abcdefghijabcdefghij\0", OK], Step::Done),
        (Command::ChangeUser, &[b"\x01\x04", b"\x01-----BEGIN PUBLIC KEY-----", ERR], ERR_1146),
        (Command::BinlogDump, &[events, events, events], Step::More),
        (Command::BinlogDumpGtid, &[events, ERR], ERR_1146),
        (Command::BinlogDump, &[events, EOF], Step::Done),
        (Command::Clone, &[OK], Step::Lost),
    ] {
        assert_eq!(comes_to(command, OKS, packets).0, step, "{command:?} {packets:02x?}");
    }
}

#[test]
fn errors_have_a_number_and_maybe_a_state() {
    for (payload, error) in [
        (&b"\xff\x15\x04#28000Access denied"[..], Some((1045, Some(*b"28000")))),
        (b"\xff\x7a\x04#42S02", Some((1146, Some(*b"42S02")))),
        // Before the login, and before 4.1: no state.
        (b"\xff\x10\x04Too many connections", Some((1040, None))),
        (b"\xff\x10\x04", Some((1040, None))),
        (b"\xff\x10\x04#4200", Some((1040, None))),
        // Not a state: it would be a label.
        (b"\xff\x10\x04#a\"b\\cText", Some((1040, None))),
        (b"\xff\x10", None),
        (b"\xff", None),
        (b"\x00\x10\x04", None),
        (b"", None),
    ] {
        let expected = error.map(|(code, sqlstate)| ServerError { code, sqlstate });
        assert_eq!(parse_error(payload), expected, "{}", payload.escape_ascii());
    }
}

#[test]
fn oks_cut_short_lose_the_place() {
    for packet in [&b"\x00\xfe\x01\x02\x03\x04\x05"[..], b"\x00\x00\xfe\x00\x00\x00\x00\x00"] {
        assert_eq!(comes_to(Command::Query, EOFS, &[packet]).0, Step::Lost, "{packet:02x?}");
    }
    assert_eq!(
        comes_to(Command::Query, OKS, &[b"\x01", COLUMN, b"\xfe\xfe\x00\x00\x00\x00\x00"]).0,
        Step::Lost
    );
    assert_eq!(comes_to(Command::Query, OKS, &[b"\x01", COLUMN, b"\xfe\x00"]).0, Step::Lost);
    assert_eq!(comes_to(Command::Query, OKS, &[b"\x01", COLUMN, b""]).0, Step::Lost);
}
