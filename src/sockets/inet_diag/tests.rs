use super::*;

const SEQUENCE: u32 = 7;

/// A netlink message as the kernel pads it.
fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(4242_u32.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `struct inet_diag_msg` of an established IPv4 connection to 10.1.2.3:3306, with a 1-byte attribute after it.
const ESTABLISHED: &[u8] = &[
    2, 1, 2, 0, // family, state, timer, retransmits
    0xc3, 0x50, 0x0c, 0xea, // ports 50000 → 3306
    10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // source
    10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // destination
    0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, // interface, cookie
    0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, // expires, queues
    0, 0, 0, 0, 99, 0, 0, 0, // uid, inode
    5, 0, 8, 0, 0, 0, 0, 0, // INET_DIAG_SHUTDOWN
];

/// A listener on [::]:3306 with 3 of 80 connections waiting.
const LISTENER: &[u8] = &[
    10, 10, 0, 0, 0x0c, 0xea, 0, 0, // family, state, timer, retransmits, ports
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, // addresses
    0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // interface, cookie, expires
    3, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, // queues, uid, inode
];

fn done(code: i32) -> Vec<u8> {
    message(3, 2, SEQUENCE, &code.to_ne_bytes())
}

fn rows(buffer: &[u8]) -> Result<(Progress, Vec<Row>), DumpError> {
    let mut rows = Vec::new();
    let progress = walk(Pass::One(Family::Ipv4), SEQUENCE, buffer, |row, _| rows.push(*row))?;
    Ok((progress, rows))
}

#[test]
fn rows_are_read_with_every_field_and_attributes_are_skipped() {
    let buffer =
        [message(20, 2, SEQUENCE, ESTABLISHED), message(20, 2, SEQUENCE, LISTENER), done(0)].concat();
    let (progress, rows) = rows(&buffer).unwrap();
    assert_eq!(progress, Progress::Done);
    let [established, listener] = rows[..] else { panic!("{rows:?}") };
    assert_eq!(
        established,
        Row {
            family: Family::Ipv4,
            state: State::Established,
            timer: Timer::Keepalive,
            local: Endpoint { address: "::ffff:10.0.0.9".parse().unwrap(), port: 50000 },
            remote: Endpoint { address: "::ffff:10.1.2.3".parse().unwrap(), port: 3306 },
            receive_queue: u32::from_ne_bytes([5, 0, 0, 0]),
            send_queue: u32::from_ne_bytes([6, 0, 0, 0]),
            inode: u64::from(u32::from_ne_bytes([99, 0, 0, 0])),
            cookie: u64::from(u32::from_ne_bytes([1, 0, 0, 0])),
        }
    );
    assert_eq!((listener.family, listener.state, listener.local.port), (Family::Ipv6, State::Listen, 3306));
    assert_eq!(listener.receive_queue, u32::from_ne_bytes([3, 0, 0, 0]));
    assert_eq!(listener.send_queue, u32::from_ne_bytes([80, 0, 0, 0]));
}

#[test]
fn a_buffer_without_an_end_says_that_more_follows() {
    let (progress, rows) = rows(&message(20, 2, SEQUENCE, ESTABLISHED)).unwrap();
    assert_eq!((progress, rows.len()), (Progress::More, 1));
}

#[test]
fn an_empty_table_is_an_end_without_rows() {
    assert_eq!(rows(&done(0)), Ok((Progress::Done, vec![])));
}

#[test]
fn the_legacy_request_is_answered_with_its_own_message_type() {
    let buffer = message(18, 2, SEQUENCE, LISTENER);
    assert_eq!(walk(Pass::BothFamilies, SEQUENCE, &buffer, |_, _| ()), Ok(Progress::More));
    assert!(walk(Pass::One(Family::Ipv6), SEQUENCE, &buffer, |_, _| ()).is_err());
}

#[test]
fn a_no_op_is_skipped() {
    let buffer = [message(1, 0, SEQUENCE, &[]), done(0)].concat();
    assert_eq!(rows(&buffer), Ok((Progress::Done, vec![])));
}

#[test]
fn whatever_is_not_an_orderly_dump_is_an_error() {
    let mut unknown_state = ESTABLISHED.to_vec();
    unknown_state[1] = 13;
    let mut unix = ESTABLISHED.to_vec();
    unix[0] = 1;
    let mut short_length = message(20, 2, SEQUENCE, ESTABLISHED);
    short_length[..4].copy_from_slice(&15_u32.to_ne_bytes());
    let mut long_length = message(20, 2, SEQUENCE, ESTABLISHED);
    long_length[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
    let cases: &[(&str, Vec<u8>, DumpError)] = &[
        ("no bytes", vec![], malformed("an empty datagram")),
        ("half a header", done(0)[..15].to_vec(), malformed("a netlink header")),
        ("a length below the header's", short_length, malformed("the length of a netlink message")),
        ("a length beyond the buffer", long_length, malformed("the length of a netlink message")),
        (
            "a row cut short",
            message(20, 2, SEQUENCE, &LISTENER[..71]),
            malformed("a row shorter than struct inet_diag_msg"),
        ),
        (
            "an end without its code",
            message(3, 2, SEQUENCE, &[]),
            malformed("an NLMSG_DONE or NLMSG_ERROR without a code"),
        ),
        ("a missing diag handler (NLMSG_DONE, -ENOENT)", done(-2), DumpError::Refused { errno: 2 }),
        (
            "an unknown request (NLMSG_ERROR, -EOPNOTSUPP)",
            message(2, 0, SEQUENCE, &(-95_i32).to_ne_bytes()),
            DumpError::Refused { errno: 95 },
        ),
        (
            "an acknowledgment",
            message(2, 0, SEQUENCE, &[0; 20]),
            malformed("an acknowledgment instead of rows"),
        ),
        ("lost messages", message(4, 0, SEQUENCE, &[]), DumpError::Overrun),
        ("an inconsistent row", message(20, 2 | 16, SEQUENCE, ESTABLISHED), DumpError::Interrupted),
        ("an inconsistent end", message(3, 2 | 16, SEQUENCE, &0_i32.to_ne_bytes()), DumpError::Interrupted),
        (
            "an answer to another request",
            message(20, 2, 6, ESTABLISHED),
            DumpError::Sequence { expected: SEQUENCE, found: 6 },
        ),
        ("another message type", message(21, 2, SEQUENCE, ESTABLISHED), malformed("an unknown message type")),
        (
            "a state without a name",
            message(20, 2, SEQUENCE, &unknown_state),
            DumpError::UnknownState { number: 13 },
        ),
        (
            "a family that is not IP",
            message(20, 2, SEQUENCE, &unix),
            malformed("an address family that is not IP"),
        ),
    ];
    for (name, buffer, error) in cases {
        assert_eq!(rows(buffer), Err(*error), "{name}");
    }
}

#[test]
fn a_dump_cut_at_any_byte_is_never_a_whole_one() {
    let buffer = [message(20, 2, SEQUENCE, ESTABLISHED), done(0)].concat();
    for end in 0..buffer.len() {
        let whole = rows(&buffer[..end]).is_ok_and(|(progress, _)| progress == Progress::Done);
        assert!(!whole, "cut at byte {end}");
    }
}

#[test]
fn the_legacy_request_is_struct_inet_diag_req() {
    let states = StateSet::NONE.with(State::Listen);
    let bytes = Query::of(states).encode(Pass::BothFamilies, SEQUENCE).unwrap();
    let mut expected = vec![0; 16 + 60];
    expected[..4].copy_from_slice(&76_u32.to_ne_bytes());
    expected[4..6].copy_from_slice(&18_u16.to_ne_bytes());
    expected[6..8].copy_from_slice(&0x301_u16.to_ne_bytes()); // NLM_F_REQUEST | NLM_F_DUMP
    expected[8..12].copy_from_slice(&SEQUENCE.to_ne_bytes());
    expected[16 + 52..16 + 56].copy_from_slice(&(1_u32 << 10).to_ne_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn the_request_for_one_family_is_struct_inet_diag_req_v2() {
    for (family, number) in [(Family::Ipv4, 2), (Family::Ipv6, 10)] {
        let bytes = Query::of(StateSet::ALL).encode(Pass::One(family), SEQUENCE).unwrap();
        let mut expected = vec![0; 16 + 56];
        expected[..4].copy_from_slice(&72_u32.to_ne_bytes());
        expected[4..6].copy_from_slice(&20_u16.to_ne_bytes());
        expected[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
        expected[8..12].copy_from_slice(&SEQUENCE.to_ne_bytes());
        expected[16] = number;
        expected[17] = 6; // IPPROTO_TCP
        expected[20..24].copy_from_slice(&0x1ffe_u32.to_ne_bytes());
        assert_eq!(bytes, expected);
    }
}

#[test]
fn extensions_and_a_filter_are_part_of_the_request() {
    let filter = PortFilter::new(&[3306]);
    let query = Query { states: StateSet::ALL, filter: Some(&filter), extensions: Extensions::INFO };
    for (pass, body, extensions_at) in [(Pass::BothFamilies, 60, 3), (Pass::One(Family::Ipv4), 56, 2)] {
        let bytes = query.encode(pass, SEQUENCE).unwrap();
        assert_eq!(bytes[16 + extensions_at], 2);
        assert_eq!(bytes[16 + body..], filter.attribute());
        assert_eq!(bytes[..4], (bytes.len() as u32).to_ne_bytes());
    }
}

#[test]
fn attributes_are_handed_over_with_their_row() {
    let buffer = message(20, 2, SEQUENCE, ESTABLISHED);
    let mut found = Vec::new();
    walk(Pass::One(Family::Ipv4), SEQUENCE, &buffer, |_, attributes| found.extend_from_slice(attributes))
        .unwrap();
    assert_eq!(found, [5, 0, 8, 0, 0, 0, 0, 0]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_walk_panic(buffer: Vec<u8>) {
        let _ = rows(&buffer);
    }

    #[test]
    fn no_damage_to_a_dump_makes_the_walk_panic(at in 0_usize..116, byte: u8) {
        let mut buffer = [message(20, 2, SEQUENCE, ESTABLISHED), done(0)].concat();
        buffer[at] = byte;
        let _ = rows(&buffer);
    }
}
