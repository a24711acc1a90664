use super::*;

const TCP_HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n";
const TCP6_HEADER: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/// A listener on 127.0.0.1:3306 and a TIME_WAIT, as Linux 6.18 prints them on a little-endian machine.
const TCP: &str = concat!(
    "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000003 00:00000000 00000000   105        0 12345 1 0000000080193fb8 100 0 0 10 0                    \n",
    "   1: 0100007F:C350 0100007F:0CEA 06 00000000:00000000 03:00000F0D 00000000     0        0 0 3 0000000081a93fb8                                      \n",
);
/// A v4-mapped established connection 127.0.0.1:21000 → 127.0.0.1:50000 and a listener on [2001:db8::1]:80.
const TCP6: &str = concat!(
    "   0: 0000000000000000FFFF00000100007F:5208 0000000000000000FFFF00000100007F:C350 01 0000000A:00000000 01:00000014 00000000     0        0 4711 1 0000000080193fb8 20 4 30 10 -1\n",
    "   1: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 18446744073709551615 1 0000000080193fb8 100 0 0 10 0\n",
);

fn read(family: Family, text: &str, chunk_bytes: usize) -> Result<Vec<Row>, LineError> {
    let mut rows = Vec::new();
    let mut table = Table::new(family);
    for chunk in text.as_bytes().chunks(chunk_bytes) {
        table.feed(chunk, |row| rows.push(*row))?;
    }
    table.finish().map(|()| rows)
}

#[cfg(target_endian = "little")]
#[test]
fn ipv4_lines_are_read_with_every_field() {
    let rows = read(Family::Ipv4, &format!("{TCP_HEADER}{TCP}"), 4096).unwrap();
    let loopback = |port| Endpoint { address: "::ffff:127.0.0.1".parse().unwrap(), port };
    assert_eq!(
        rows,
        [
            Row {
                family: Family::Ipv4,
                state: State::Listen,
                timer: Timer::Off,
                local: loopback(3306),
                remote: Endpoint { address: "::ffff:0.0.0.0".parse().unwrap(), port: 0 },
                receive_queue: 3,
                send_queue: 0,
                inode: 12345,
                cookie: 0,
            },
            Row {
                family: Family::Ipv4,
                state: State::TimeWait,
                timer: Timer::TimeWait,
                local: loopback(50000),
                remote: loopback(3306),
                receive_queue: 0,
                send_queue: 0,
                inode: 0,
                cookie: 0,
            },
        ]
    );
}

#[cfg(target_endian = "little")]
#[test]
fn ipv6_lines_are_read_with_every_field() {
    let rows = read(Family::Ipv6, &format!("{TCP6_HEADER}{TCP6}"), 4096).unwrap();
    assert_eq!(rows[0].local, Endpoint { address: "::ffff:127.0.0.1".parse().unwrap(), port: 21000 });
    assert_eq!(
        (rows[0].state, rows[0].timer, rows[0].send_queue),
        (State::Established, Timer::Retransmit, 10)
    );
    assert_eq!(rows[1].local, Endpoint { address: "2001:db8::1".parse().unwrap(), port: 80 });
    assert_eq!(rows[1].inode, u64::MAX);
}

#[test]
fn chunks_of_any_size_give_the_same_rows() {
    let text = format!("{TCP_HEADER}{TCP}");
    let whole = read(Family::Ipv4, &text, text.len()).unwrap();
    for chunk_bytes in 1..=text.len() {
        assert_eq!(read(Family::Ipv4, &text, chunk_bytes).as_ref(), Ok(&whole), "{chunk_bytes} bytes");
    }
}

#[test]
fn a_table_without_sockets_has_no_rows() {
    assert_eq!(read(Family::Ipv4, TCP_HEADER, 4096), Ok(vec![]));
}

#[test]
fn a_line_not_in_the_format_is_an_error_with_its_number_and_item() {
    let good = "0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 105 0 12345";
    let change = |from: &str, to: &str| format!("{TCP_HEADER}{good}\n{}\n", good.replacen(from, to, 1));
    let cases: &[(String, u64, &str)] = &[
        (String::new(), 1, "header"),
        ("something else\n".into(), 1, "header"),
        (change("0100007F:0CEA", "0100007G:0CEA"), 3, "local_address"),
        (change("0100007F:0CEA", "0100007F:10CEA"), 3, "local_address"),
        (change("0100007F:0CEA", "0100007F"), 3, "local_address"),
        (change("00000000:0000 ", "0000000000000000:0000 "), 3, "rem_address"),
        (change(" 0A ", " 0D "), 3, "st"),
        (change(" 0A ", " 10A "), 3, "st"),
        (change("00000000:00000000 ", "000000000:00000000 "), 3, "tx_queue rx_queue"),
        (change(" 00:00000000 ", " 00 "), 3, "tr tm->when"),
        (change("12345", "-1"), 3, "inode"),
        (change(" 12345", ""), 3, "inode"),
        (format!("{TCP_HEADER}\n"), 2, "sl"),
        (format!("{TCP_HEADER}{good}"), 2, "end of line"),
        (format!("{TCP_HEADER}{good}{}\n", " ".repeat(MAX_LINE_BYTES)), 2, "line length"),
    ];
    for (text, line, item) in cases {
        for chunk_bytes in [64, 4096] {
            let error = read(Family::Ipv4, text, chunk_bytes);
            assert_eq!(error, Err(LineError { line: *line, item }), "{text}, {chunk_bytes} bytes");
        }
    }
}

#[test]
fn a_table_of_the_other_family_is_an_error() {
    assert!(read(Family::Ipv4, &format!("{TCP6_HEADER}{TCP6}"), 4096).is_err());
    assert!(read(Family::Ipv6, &format!("{TCP_HEADER}{TCP}"), 4096).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, chunk_bytes in 1_usize..64) {
        let mut table = Table::new(Family::Ipv6);
        let _ = table.feed(TCP6_HEADER.as_bytes(), |_| ());
        let _ = bytes.chunks(chunk_bytes).try_for_each(|chunk| table.feed(chunk, |_| ()));
    }
}
