use super::*;
use crate::mysql::tests::packet;

const MYSQL_5_7: &[u8] =
    b"\x0a5.7.44\0\x2a\x00\x00\x00\x36\x12\x3e\x5b\x57\x03\x4e\x6c\x00\xff\xff\x08\x02\x00\xff\xc1\
    \x15\0\0\0\0\0\0\0\0\0\0\x33\x69\x55\x5d\x32\x79\x2c\x36\x4b\x65\x18\x27\x00mysql_native_password\0";
const MYSQL_8: &[u8] =
    b"\x0a8.0.36\0\x08\x00\x00\x00\x2a\x34\x64\x7c\x63\x5a\x77\x6b\x00\xff\xff\xff\x02\x00\xff\xdf\
    \x15\0\0\0\0\0\0\0\0\0\0\x5e\x5d\x3a\x2d\x14\x1c\x03\x39\x6a\x56\x6d\x08\x00caching_sha2_password\0";
/// MySQL 9 with an authentication method of no name: nothing behind the reserved bytes is needed.
const MYSQL_9: &[u8] =
    b"\x0a9.1.0\0\x09\x00\x00\x00\x2a\x34\x64\x7c\x63\x5a\x77\x6b\x00\xff\xff\xff\x02\x00\xff\xdf\
    \x15\0\0\0\0\0\0\0\0\0\0\x5e\x5d\x3a\x2d\x14\x1c\x03\x39\x6a\x56\x6d\x08\x00";
const MARIADB: &[u8] =
    b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x24\x00\x00\x00\x2f\x55\x3e\x74\x50\x72\x6d\x4b\x00\xfe\xf7\x2d\x02\x00\
    \xff\x81\x15\0\0\0\0\0\0\x1d\x00\x00\x00\x56\x4c\x57\x54\x7c\x34\x2f\x2e\x37\x6b\x37\x6e\x00mysql_native_password\0";
const MYSQL_4_0: &[u8] =
    b"\x0a4.0.30\0\x03\x00\x00\x00abcdefgh\x00\x2c\x20\x08\x02\x00\0\0\0\0\0\0\0\0\0\0\0\0\0";
const MYSQL_3_21: &[u8] = b"\x0a3.21.33\0\x03\x00\x00\x00abcdefgh\x00\x2c\x00";

#[test]
fn greetings_of_every_server_tell_its_capabilities() {
    for (payload, capabilities) in [
        (MYSQL_5_7, 0xc1ff_ffff),
        (MYSQL_8, 0xdfff_ffff),
        (MYSQL_9, 0xdfff_ffff),
        // MariaDB leaves CLIENT_MYSQL unset to say that it has extended flags.
        (MARIADB, 0x1d_81ff_f7fe),
        // MySQL's reserved bytes are none.
        (MYSQL_4_0, 0x202c),
        (MYSQL_3_21, 0x002c),
    ] {
        let greeting = Greeting::parse(payload).expect("a greeting");
        assert_eq!(greeting.capabilities, Capabilities(capabilities), "{}", payload.escape_ascii());
    }
}

#[test]
fn a_mysql_server_with_reserved_bytes_set_has_no_extended_flags() {
    let mut payload = MYSQL_8.to_vec();
    let reserved = 1 + 7 + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1;
    payload[reserved..reserved + 10].fill(0xff);
    assert_eq!(Greeting::parse(&payload).map(|greeting| greeting.capabilities.0), Some(0xdfff_ffff));
}

#[test]
fn what_is_no_greeting_is_told_from_one() {
    for payload in [
        &b""[..],
        b"\x0a",
        b"\x0a8.0.36",                                       // no end of the version
        b"\x0a8.0.36\0\x08\x00\x00\x00abcdefgh\x00\xff",     // cut in the flags
        b"\x0a\0\x08\x00\x00\x00abcdefgh\x00\xff\xff",       // no version
        b"\x0a8\x01\0\x08\x00\x00\x00abcdefgh\x00\xff\xff",  // not printable
        b"\x098.0.36\0\x08\x00\x00\x00abcdefgh\x00\xff\xff", // version 9 of the protocol
        b"\xff\x10\x04Too many connections",
        b"\x0b\x08\x05\x1a\x00", // X Protocol: a notice
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        assert_eq!(Greeting::parse(payload), None, "{}", payload.escape_ascii());
    }
}

#[test]
fn a_greeting_cut_anywhere_is_none_or_has_fewer_flags() {
    for payload in [MYSQL_5_7, MYSQL_8, MARIADB] {
        let whole = Greeting::parse(payload).expect("a greeting").capabilities.0;
        for end in 0..payload.len() {
            if let Some(greeting) = Greeting::parse(&payload[..end]) {
                assert_eq!(greeting.capabilities.0 & !whole, 0, "{end}");
            }
        }
    }
}

#[test]
fn only_a_whole_greeting_packet_of_its_own_stands_alone() {
    let greeting = packet(0, MYSQL_8);
    assert!(Greeting::stands_alone(&greeting));
    assert!(!Greeting::stands_alone(&greeting[..greeting.len() - 1]));
    assert!(!Greeting::stands_alone(&[&greeting[..], b"\0"].concat()));
    assert!(!Greeting::stands_alone(&packet(1, MYSQL_8)));
    assert!(!Greeting::stands_alone(&packet(0, b"\x00\x00\x00\x02\x00\x00\x00")));
    assert!(!Greeting::stands_alone(b""));
}

fn greeting(payload: &[u8]) -> Greeting {
    Greeting::parse(payload).expect("a greeting")
}

/// A HandshakeResponse41 up to its reserved bytes.
fn fixed(flags: u32, extended: u32) -> Vec<u8> {
    [&flags.to_le_bytes()[..], &[0, 0, 0, 1, 0xff], &[0; 19], &extended.to_le_bytes()].concat()
}

const WITH_DB: u32 = 1 << 3;
const SSL: u32 = 1 << 11;
const SECURE: u32 = 1 << 15;
const PLUGIN: u32 = 1 << 19;
const LENENC: u32 = 1 << 21;
/// LONG_PASSWORD and PROTOCOL_41.
const BASE: u32 = 1 | 1 << 9;

#[test]
fn the_schema_stands_behind_the_proof_in_each_of_its_three_forms() {
    let proof = [7_u8; 20];
    let long = [9_u8; 300];
    type Case<'a> = (u32, Vec<u8>, Option<&'a [u8]>);
    let cases: &[Case<'_>] = &[
        // A length-encoded proof, short and longer than one byte can tell; behind it the method's name.
        (
            WITH_DB | SECURE | PLUGIN | LENENC,
            [b"app\0\x14", &proof[..], b"shop\0caching_sha2_password\0"].concat(),
            Some(b"shop"),
        ),
        (
            WITH_DB | SECURE | PLUGIN | LENENC,
            [b"app\0\xfc\x2c\x01", &long[..], b"shop\0"].concat(),
            Some(b"shop"),
        ),
        // One byte of length.
        (WITH_DB | SECURE, [b"app\0\x14", &proof[..], b"shop\0"].concat(), Some(b"shop")),
        // Up to a NUL.
        (WITH_DB, b"app\0XYZXYZXY\0shop\0".to_vec(), Some(b"shop")),
        // No proof at all.
        (WITH_DB | SECURE, b"app\0\x00shop\0".to_vec(), Some(b"shop")),
        (WITH_DB | SECURE, b"\0\x00shop\0".to_vec(), Some(b"shop")),
        // An empty schema is none; without the flag what stands there is the method's name.
        (WITH_DB | SECURE, b"app\0\x00\0".to_vec(), None),
        (SECURE | PLUGIN, [b"app\0\x14", &proof[..], b"mysql_native_password\0"].concat(), None),
        // Cut short.
        (WITH_DB | SECURE, b"app\0\x14abc".to_vec(), None),
        (WITH_DB | SECURE, b"app\0\x00shop".to_vec(), None),
        (WITH_DB | SECURE, b"app".to_vec(), None),
    ];
    for (flags, rest, schema) in cases {
        let payload = [fixed(BASE | flags, 0), rest.clone()].concat();
        let request = LoginRequest::parse(&payload, &greeting(MYSQL_8)).expect("a login request");
        assert_eq!(request.schema, *schema, "{}", rest.escape_ascii());
        assert_eq!(request.capabilities, Capabilities((BASE | flags).into()));
        assert!(!request.tls);
    }
}

#[test]
fn what_the_server_does_not_offer_is_not_in_the_request() {
    // Without LENENC on the server's side the length has one byte.
    let server = Greeting { capabilities: Capabilities(u64::from(BASE | SECURE | WITH_DB)) };
    let long = [7_u8; 0xfc];
    let payload = [&fixed(BASE | SECURE | WITH_DB | LENENC, 0)[..], b"app\0\xfc", &long, b"shop\0"].concat();
    assert_eq!(LoginRequest::parse(&payload, &server).and_then(|request| request.schema), Some(&b"shop"[..]));
}

#[test]
fn a_client_of_mariadb_tells_its_extended_flags_by_leaving_client_mysql_unset() {
    let rest = b"app\0\x00\0mysql_native_password\0";
    for (flags, extended, capabilities) in [
        (BASE & !1 | SECURE, 0x1d, 0x1d_0000_0000_u64 | u64::from(BASE & !1 | SECURE)),
        (BASE | SECURE, 0x1d, u64::from(BASE | SECURE)),
    ] {
        let payload = [&fixed(flags, extended)[..], rest].concat();
        let request = LoginRequest::parse(&payload, &greeting(MARIADB)).expect("a login request");
        assert_eq!(request.capabilities, Capabilities(capabilities));
    }
}

#[test]
fn an_ssl_request_ends_where_the_user_would_begin() {
    let request = fixed(BASE | SSL | SECURE, 0);
    let parsed = LoginRequest::parse(&request, &greeting(MYSQL_8)).expect("an SSLRequest");
    assert!(parsed.tls);
    assert_eq!(parsed.schema, None);
    // Without the flag it is a login request cut short.
    assert_eq!(LoginRequest::parse(&fixed(BASE, 0), &greeting(MYSQL_8)), None);
    // A login request inside TLS has the flag too, but would not be seen; with a user it is no SSLRequest.
    let login = [&request[..], b"app\0\x00"].concat();
    assert!(!LoginRequest::parse(&login, &greeting(MYSQL_8)).expect("a login request").tls);
}

#[test]
fn login_requests_of_before_4_1_have_two_bytes_of_flags() {
    let server = greeting(MYSQL_4_0);
    for (payload, request) in [
        (&b"\x05\x00\x00\x00\x01app\0XYZXYZXY"[..], Some((0x05, None, false))),
        (b"\x0d\x00\x00\x00\x01app\0XYZXYZXY\0shop\0", Some((0x0d, Some(&b"shop"[..]), false))),
        (b"\x0d\x00\x00\x00\x01app\0XYZXYZXY", Some((0x0d, None, false))),
        (b"\x05\x08\x00\x00\x01", Some((0x0805, None, true))),
        (b"\x05\x00\x00\x00\x01", None),
        (b"\x05\x00\x00\x00\x01app", None),
        (b"\x05\x00\x00", None),
        (b"\x05", None),
        (b"", None),
    ] {
        let parsed = LoginRequest::parse(payload, &server)
            .map(|request| (request.capabilities.0, request.schema, request.tls));
        assert_eq!(parsed, request, "{}", payload.escape_ascii());
    }
}

#[test]
fn a_login_request_cut_in_its_fixed_part_is_malformed() {
    let payload = fixed(BASE | SSL, 0);
    for end in 0..payload.len() {
        assert_eq!(LoginRequest::parse(&payload[..end], &greeting(MYSQL_8)), None, "{end}");
    }
}
