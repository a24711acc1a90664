//! Conversations that have begun: greetings of servers, logins, and packets that many replies are made of.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use super::conversation::{Coding, Conversation};

pub const MYSQL_5_7: &[u8] =
    b"\x0a5.7.44\0\x2a\0\0\0abcdefgh\0\xff\xff\x08\x02\0\xff\xc1\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0\
    mysql_native_password\0";
pub const MYSQL_8: &[u8] =
    b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0\
    caching_sha2_password\0";
pub const MYSQL_9: &[u8] =
    b"\x0a9.1.0\0\x09\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0\
    caching_sha2_password\0";
/// With progress reports, bulk execution and cached metadata.
pub const MARIADB: &[u8] =
    b"\x0a5.5.5-10.11.6-MariaDB\0\x24\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0\
    abcdefghijkl\0mysql_native_password\0";

/// LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS,
/// PS_MULTI_RESULTS, PLUGIN_AUTH: what every client asks for.
pub const BASE: u32 = 1 | 1 << 3 | 1 << 9 | 1 << 13 | 0b1111 << 15 | 1 << 19;
pub const COMPRESS: u32 = 1 << 5;
pub const LOCAL_FILES: u32 = 1 << 7;
pub const SSL: u32 = 1 << 11;
pub const SESSION_TRACK: u32 = 1 << 23;
pub const DEPRECATE_EOF: u32 = 1 << 24;
pub const OPTIONAL_METADATA: u32 = 1 << 25;
pub const ZSTD: u32 = 1 << 26;
pub const QUERY_ATTRIBUTES: u32 = 1 << 27;

pub const OK: &[u8] = b"\x00\x00\x00\x02\x00\x00\x00";
pub const OK_MORE: &[u8] = b"\x00\x01\x00\x0a\x00\x00\x00";
pub const EOF: &[u8] = b"\xfe\x00\x00\x02\x00";
pub const EOF_MORE: &[u8] = b"\xfe\x00\x00\x0a\x00";
/// An OK in the place of an EOF, last and with more results to come.
pub const END: &[u8] = b"\xfe\x00\x00\x02\x00\x00\x00";
pub const END_MORE: &[u8] = b"\xfe\x00\x00\x0a\x00\x00\x00";
pub const COLUMN: &[u8] =
    b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\x00\x0b\x00\x00\x00\x03\x03\x50\x00\x00\x00";
pub const ROW: &[u8] = b"\x0242";
pub const BINARY: &[u8] = b"\x00\x00\x2a\x00\x00\x00";
pub const DENIED: &[u8] = b"\xff\x15\x04#28000Access denied for user 'app'@'10.0.0.1' (using password: YES)";
pub const NO_TABLE: &[u8] = b"\xff\x7a\x04#42S02Table 'shop.x' doesn't exist";
pub const DUPLICATE: &[u8] = b"\xff\x26\x04#23000Duplicate entry '1' for key 'PRIMARY'";

/// A HandshakeResponse41 of `app` for the schema `shop`.
pub fn login(flags: u32, extended: u32, method: &str) -> Vec<u8> {
    let fixed = [&flags.to_le_bytes()[..], b"\0\0\0\x01\xff", &[0; 19], &extended.to_le_bytes()].concat();
    [&fixed[..], b"app\0\x14", &[0x5a; 20], b"shop\0", method.as_bytes(), b"\0"].concat()
}

/// Logged in to `greeting`'s server with what is asked for beside [`BASE`].
pub fn connect(greeting: &[u8], flags: u32) -> Conversation {
    let mut talk = Conversation::open();
    talk.server(greeting).client(&login(BASE | flags, 0, "caching_sha2_password"));
    talk.server(b"\x01\x03").server(OK);
    if flags & COMPRESS != 0 {
        talk.code(Coding::Zlib);
    } else if flags & ZSTD != 0 {
        talk.code(Coding::Zstd);
    }
    talk
}

/// Logged in to MariaDB with its extended flags.
pub fn connect_mariadb() -> Conversation {
    let mut talk = Conversation::open();
    talk.server(MARIADB)
        .client(&login((BASE | DEPRECATE_EOF) & !1, 0x1d, "mysql_native_password"))
        .server(OK);
    talk
}
