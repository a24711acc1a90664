//! Requests of the command phase.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>,
//! <https://mariadb.com/kb/en/2-text-protocol/>, <https://mariadb.com/kb/en/3-binary-protocol-prepared-statements/>

use super::{bytes::Reader, capabilities::Capabilities};

macro_rules! commands {
    ($($code:literal $name:ident $label:literal $reply:ident),* $(,)?) => {
        /// A command's first byte. The values of the `command` label are the protocol's names without `COM_`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant is the protocol's own name")]
        pub enum Command { $($name),* }

        impl Command {
            /// Every command, in the order of the enum (its discriminants index counters).
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The command with this code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Value of the `command` label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }

            /// What the server answers.
            pub const fn reply(self) -> Reply {
                match self { $(Self::$name => Reply::$reply),* }
            }
        }
    };
}

/// The shape of a command's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// No response at all.
    None,
    /// One OK, EOF or ERR.
    Status,
    /// Result sets, OKs or an ERR.
    Results,
    /// `COM_STMT_PREPARE_OK` and definitions, or an ERR.
    Prepared,
    /// Rows up to an EOF, or an ERR.
    Rows,
    /// Column definitions up to an EOF, or an ERR.
    Definitions,
    /// One packet of text.
    Text,
    /// An authentication exchange up to an OK or ERR.
    Authentication,
    /// Packets up to an EOF or ERR that may never come: a binary log.
    Endless,
    /// Another protocol: what follows on the connection, both ways, is no command and no response.
    Handover,
}

commands! {
    0x00 Sleep "sleep" Status,
    0x01 Quit "quit" None,
    0x02 InitDb "init_db" Status,
    0x03 Query "query" Results,
    0x04 FieldList "field_list" Definitions,
    0x05 CreateDb "create_db" Status,
    0x06 DropDb "drop_db" Status,
    0x07 Refresh "refresh" Status,
    0x08 Shutdown "shutdown" Status,
    0x09 Statistics "statistics" Text,
    0x0a ProcessInfo "process_info" Results,
    0x0b Connect "connect" Status,
    0x0c ProcessKill "process_kill" Status,
    0x0d Debug "debug" Status,
    0x0e Ping "ping" Status,
    0x0f Time "time" Status,
    0x10 DelayedInsert "delayed_insert" Status,
    0x11 ChangeUser "change_user" Authentication,
    0x12 BinlogDump "binlog_dump" Endless,
    0x13 TableDump "table_dump" Endless,
    0x14 ConnectOut "connect_out" Status,
    0x15 RegisterSlave "register_slave" Status,
    0x16 StmtPrepare "stmt_prepare" Prepared,
    0x17 StmtExecute "stmt_execute" Results,
    0x18 StmtSendLongData "stmt_send_long_data" None,
    0x19 StmtClose "stmt_close" None,
    0x1a StmtReset "stmt_reset" Status,
    0x1b SetOption "set_option" Status,
    0x1c StmtFetch "stmt_fetch" Rows,
    0x1d Daemon "daemon" Status,
    0x1e BinlogDumpGtid "binlog_dump_gtid" Endless,
    0x1f ResetConnection "reset_connection" Status,
    0x20 Clone "clone" Handover,
    0x21 SubscribeGroupReplicationStream "subscribe_group_replication_stream" Handover,
    0xfa StmtBulkExecute "stmt_bulk_execute" Results,
}

impl Command {
    /// Whether the server runs a statement for it, which is then counted and timed.
    pub const fn runs_statement(self) -> bool {
        matches!(self, Self::Query | Self::StmtExecute | Self::StmtBulkExecute)
    }

    /// Whether its request may be longer than a segment.
    pub const fn may_be_long(self) -> bool {
        self.runs_statement() || matches!(self, Self::StmtPrepare | Self::StmtSendLongData)
    }

    /// Whether a request of `length` bytes (with its command byte) that starts with `head` can be this command.
    ///
    /// Stricter than the server, for finding a request in the middle of a stream: a command of fixed form must have
    /// its exact length, a text must begin as SQL or a name does.
    pub fn is_plausible(self, head: &[u8], length: u64) -> bool {
        let body = head.get(1..).unwrap_or_default();
        match self {
            Self::Quit
            | Self::Statistics
            | Self::ProcessInfo
            | Self::Debug
            | Self::Ping
            | Self::ResetConnection => length == 1,
            Self::StmtClose | Self::StmtReset | Self::ProcessKill => length == 5,
            Self::SetOption => length == 3,
            Self::StmtFetch => length == 9,
            Self::StmtSendLongData => length >= 7,
            // Statement id, flags (four cursor and attribute bits) and iteration count, which is always 1.
            Self::StmtExecute => {
                length >= 10
                    && body.get(4).is_none_or(|flags| *flags < 0x10)
                    && body.get(5..9).is_none_or(|count| count == [1, 0, 0, 0])
            }
            Self::StmtBulkExecute => length >= 7 && body.get(5).is_none_or(|flags| *flags == 0),
            Self::Query => body.first().is_some_and(|&byte| begins_text(byte)) || body.starts_with(&[0, 1]),
            Self::StmtPrepare => body.first().is_some_and(|&byte| begins_text(byte)),
            Self::InitDb | Self::CreateDb | Self::DropDb => {
                (2..=65 * 4).contains(&length) && body.iter().all(|byte| *byte >= 0x20)
            }
            Self::FieldList => (3..=1024).contains(&length) && body.first().is_some_and(|byte| *byte > 0x20),
            Self::ChangeUser => (4..=4096).contains(&length),
            Self::BinlogDump => (11..=1024).contains(&length),
            Self::BinlogDumpGtid => length >= 19,
            Self::RegisterSlave => (18..=1024).contains(&length),
            // Obsolete or internal: nothing sends them, so bytes that look like them are something else.
            Self::Sleep
            | Self::Refresh
            | Self::Shutdown
            | Self::Connect
            | Self::Time
            | Self::DelayedInsert
            | Self::TableDump
            | Self::ConnectOut
            | Self::Daemon
            | Self::Clone
            | Self::SubscribeGroupReplicationStream => false,
        }
    }
}

/// Whether SQL text may begin with this byte: a letter, a comment, a parenthesis, white space, or the first byte
/// of a letter outside ASCII.
fn begins_text(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80 || b"(/-#{;\"'`@ \t\r\n".contains(&byte)
}

/// The SQL text of a COM_QUERY's payload, behind its query attributes.
///
/// `capabilities` are those in force, `None` where the login was not seen: then attributes show by their first two
/// bytes, which no text has. `None` if the attributes cannot be read.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>
pub fn query_text(payload: &[u8], capabilities: Option<Capabilities>) -> Option<&[u8]> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    let attributes = match capabilities {
        Some(capabilities) => capabilities.has(Capabilities::QUERY_ATTRIBUTES),
        // Number of parameters and of parameter sets, which is always 1.
        None => reader.rest().get(1) == Some(&1) && reader.rest().first().is_some_and(|&count| count < 0x09),
    };
    if attributes {
        let count = reader.lenenc()?;
        reader.lenenc()?; // parameter sets
        skip_attributes(&mut reader, count)?;
    }
    Some(reader.rest())
}

/// Most query attributes that are read: the server itself allows no more than 65,535, clients send a few.
const MOST_ATTRIBUTES: u64 = 64;

fn skip_attributes(reader: &mut Reader<'_>, count: u64) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    if count > MOST_ATTRIBUTES {
        return None;
    }
    let count = count as usize;
    let nulls = reader.take(count.div_ceil(8))?;
    reader.u8()?; // types follow: always 1
    let mut types = [0_u8; MOST_ATTRIBUTES as usize];
    for kind in types.iter_mut().take(count) {
        *kind = reader.u8()?;
        reader.u8()?; // unsigned flag
        reader.lenenc_bytes()?; // name
    }
    for (index, kind) in types.into_iter().take(count).enumerate() {
        let null = nulls.get(index / 8).is_some_and(|bits| bits & (1 << (index % 8)) != 0);
        if !null {
            skip_value(reader, kind)?;
        }
    }
    Some(())
}

/// Skips a value of the binary protocol.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
fn skip_value(reader: &mut Reader<'_>, kind: u8) -> Option<()> {
    let fixed = match kind {
        0x06 => 0,                                              // NULL
        0x01 => 1,                                              // TINY
        0x02 | 0x0d => 2,                                       // SHORT, YEAR
        0x03 | 0x04 | 0x09 => 4,                                // LONG, FLOAT, INT24
        0x05 | 0x08 => 8,                                       // DOUBLE, LONGLONG
        0x07 | 0x0a | 0x0b | 0x0c => usize::from(reader.u8()?), // TIMESTAMP, DATE, TIME, DATETIME
        _ => {
            reader.lenenc_bytes()?;
            0
        }
    };
    reader.take(fixed).map(|_| ())
}

/// The statement id that stands for the statement prepared last on the connection (MariaDB).
pub const LAST_PREPARED: u32 = u32::MAX;

/// The statement id of a COM_STMT_… payload.
pub fn statement_id(payload: &[u8]) -> Option<u32> {
    Reader::new(payload.get(1..)?).u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_maps_to_one_command_and_label() {
        let mut labels: Vec<_> = Command::ALL.iter().map(|command| command.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Command::ALL.len());
        assert_eq!(Command::from_code(0x17), Some(Command::StmtExecute));
        assert_eq!(Command::from_code(0xfa), Some(Command::StmtBulkExecute));
        assert_eq!(Command::from_code(0x22), None);
    }

    #[test]
    fn query_text_stands_behind_the_attributes() {
        let on = Some(Capabilities::QUERY_ATTRIBUTES);
        let off = Some(Capabilities::default());
        for (payload, capabilities, text) in [
            (&b"\x03select 1"[..], off, Some(&b"select 1"[..])),
            (b"\x03select 1", None, Some(b"select 1")),
            (b"\x03\x00\x01select 1", on, Some(b"select 1")),
            (b"\x03\x00\x01select 1", None, Some(b"select 1")),
            // One string attribute named "a" of value "xyz".
            (b"\x03\x01\x01\x00\x01\xfe\x00\x01a\x03xyzselect 2", on, Some(b"select 2")),
            // Two: a NULL and an int.
            (b"\x03\x02\x01\x01\x01\x06\x00\x01n\x03\x00\x01i\x07\x00\x00\x00do 1", on, Some(b"do 1")),
            // A count that the payload cannot hold.
            (b"\x03\xfc\xff\xff\x01select", on, None),
            (b"\x03", off, Some(b"")),
            (b"", off, None),
        ] {
            assert_eq!(query_text(payload, capabilities), text, "{payload:02x?}");
        }
    }

    #[test]
    fn plausible_requests_are_told_from_other_bytes() {
        for (head, length, plausible) in [
            (&b"\x03select 1"[..], 9, true),
            (b"\x03\x00\x01select 1", 11, true),
            (b"\x03\x00\x02", 3, false),
            (b"\x0e", 1, true),
            (b"\x0ex", 2, false),
            (b"\x19\x01\x00\x00\x00", 5, true),
            (b"\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00", 10, true),
            (b"\x17\x01\x00\x00\x00\x00\x02\x00\x00\x00", 10, false),
            (b"\x02test", 5, true),
            (b"\x00", 1, false),
        ] {
            let command = Command::from_code(head[0]).unwrap();
            assert_eq!(command.is_plausible(head, length), plausible, "{head:02x?}");
        }
    }
}
