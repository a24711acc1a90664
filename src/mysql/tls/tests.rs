use super::*;
use crate::mysql::tests::Events;

const ALERT: u8 = content::ALERT;
const DATA: u8 = content::APPLICATION_DATA;
const HANDSHAKE: u8 = content::HANDSHAKE;

const AES_128_GCM: u16 = 0x1301;
const ECDHE_AES_256_GCM: u16 = 0xc030;
const ECDHE_CHACHA20: u16 = 0xcca8;
const AES_256_CBC: u16 = 0x0035;

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (body.len() as u16).to_be_bytes();
    [&[kind, 3, 3, high, low][..], body].concat()
}

/// Application data of so many bytes on the wire.
fn data(length: usize) -> Vec<u8> {
    record(DATA, &vec![0; length])
}

/// A ServerHello, in TLS 1.3 with a session to echo and an extension in front of supported_versions.
fn hello(version: TlsVersion, cipher: u16) -> Vec<u8> {
    let legacy: u16 = if version == TlsVersion::Older { 0x0302 } else { 0x0303 };
    let (session, extensions) = match version {
        TlsVersion::Tls13 => (
            &[7_u8; 32][..],
            // key_share (51) of 4 bytes, then supported_versions: 3.4.
            &b"\x00\x0e\x00\x33\x00\x04\x00\x1d\x00\x00\x00\x2b\x00\x02\x03\x04"[..],
        ),
        TlsVersion::Tls12 => (&[][..], &b"\x00\x05\xff\x01\x00\x01\x00"[..]),
        _ => (&[][..], &[][..]),
    };
    let body = [
        &legacy.to_be_bytes()[..],
        &[0x5a; 32],
        &[session.len() as u8],
        session,
        &cipher.to_be_bytes(),
        &[0],
        extensions,
    ]
    .concat();
    let [_, a, b, c] = (body.len() as u32).to_be_bytes();
    record(HANDSHAKE, &[&[2, a, b, c][..], &body].concat())
}

/// A connection inside TLS; each piece comes one later than the one before it.
struct Wire {
    tls: Tls,
    now: u64,
    events: Events,
}

impl Wire {
    fn new(tls: Tls) -> Self {
        Self { tls, now: 0, events: Events::default() }
    }

    fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(Direction::ToServer, bytes)
    }

    fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(Direction::ToClient, bytes)
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.now += 1;
        self.tls.data(direction, Timestamp(self.now), bytes, &mut self.events);
        self
    }

    fn gap(&mut self, direction: Direction, length: u32) -> &mut Self {
        self.now += 1;
        self.tls.gap(direction, Timestamp(self.now), length, &mut self.events);
        self
    }

    fn close(&mut self) -> &mut Self {
        self.tls.closed(&mut self.events);
        self
    }

    #[track_caller]
    fn tells(&mut self, events: &[&str]) -> &mut Self {
        assert_eq!(self.events.take(), events);
        self
    }

    /// The handshake up to the client's Finished, which ends with `finished` bytes more in its segment.
    fn handshake(version: TlsVersion, cipher: u16, login: &[u8]) -> Self {
        let mut wire = Self::new(Tls::new());
        wire.client(&record(HANDSHAKE, &[1; 300]));
        let change = record(content::CHANGE_CIPHER_SPEC, &[1]);
        if version == TlsVersion::Tls13 {
            let flight = [hello(version, cipher), change.clone(), data(40), data(1200), data(281), data(53)];
            wire.server(&flight.concat()).client(&[change, data(53), login.to_vec()].concat());
        } else {
            wire.server(&[hello(version, cipher), record(HANDSHAKE, &[11; 1500])].concat());
            wire.client(
                &[record(HANDSHAKE, &[16; 70]), change.clone(), record(HANDSHAKE, &[0; 40])].concat(),
            );
            wire.server(&[change, record(HANDSHAKE, &[0; 40])].concat()).client(login);
        }
        wire.tells(&[]);
        wire
    }

    /// Logged in, with a login answered by a plain OK.
    fn logged_in(version: TlsVersion, cipher: u16) -> Self {
        let mut wire = Self::handshake(version, cipher, &data(200));
        wire.server(&data(39)).tells(&[&format!("tls {} true", version.label())]);
        wire
    }
}

const VERSIONS: [(TlsVersion, u16); 4] = [
    (TlsVersion::Tls13, AES_128_GCM),
    (TlsVersion::Tls12, ECDHE_AES_256_GCM),
    (TlsVersion::Tls12, ECDHE_CHACHA20),
    (TlsVersion::Tls12, AES_256_CBC),
];

#[test]
fn each_burst_that_is_answered_is_a_request() {
    for (version, cipher) in VERSIONS {
        let mut wire = Wire::logged_in(version, cipher);
        wire.client(&data(60)).tells(&[]);
        wire.server(&data(80)).tells(&["<encrypted>"]);
        wire.server(&data(500)).server(&data(30)).tells(&[]);
        // The next burst, of two records in two segments, tells that the answer was complete.
        wire.client(&data(60)).tells(&["reply query <encrypted> 1..3"]);
        wire.client(&data(60)).server(&data(80)).tells(&["<encrypted>"]);
        wire.close().tells(&["reply query <encrypted> 1..1"]);
    }
}

#[test]
fn a_quit_is_not_answered_and_not_counted() {
    let mut wire = Wire::logged_in(TlsVersion::Tls13, AES_128_GCM);
    wire.client(&data(60)).server(&data(80)).client(&data(22)).client(&data(19));
    wire.tells(&["<encrypted>", "reply query <encrypted> 1..1"]);
    wire.close().tells(&[]);
}

#[test]
fn the_finished_is_no_login_wherever_it_comes() {
    // In the same segment as the login request (as above), in one of its own, behind a client's certificate.
    for before in [vec![data(53)], vec![data(69)], vec![data(900), data(280), data(53)]] {
        let mut wire = Wire::new(Tls::new());
        wire.client(&record(HANDSHAKE, &[1; 300]));
        wire.server(&[hello(TlsVersion::Tls13, AES_128_GCM), data(40), data(1200), data(53)].concat());
        for record in before {
            wire.client(&record);
        }
        wire.client(&data(200)).server(&data(39)).tells(&["tls 1.3 true"]);
        wire.client(&data(60)).server(&data(80)).close();
        wire.tells(&["<encrypted>", "reply query <encrypted> 1..1"]);
    }
}

#[test]
fn tickets_before_the_answer_to_the_login_are_no_request() {
    let mut wire = Wire::handshake(TlsVersion::Tls13, AES_128_GCM, b"");
    wire.server(&[data(255), data(255)].concat()).tells(&[]);
    wire.client(&data(200)).server(&data(39)).tells(&["tls 1.3 true"]);
    let mut wire = Wire::handshake(TlsVersion::Tls13, AES_128_GCM, &data(200));
    wire.server(&[data(255), data(255)].concat()).tells(&["tls 1.3 true"]);
    wire.server(&data(39)).client(&data(60)).tells(&[]);
    wire.server(&data(80)).close().tells(&["<encrypted>", "reply query <encrypted> 1..1"]);
}

#[test]
fn a_longer_login_is_told_from_requests_by_the_lengths() {
    for (version, cipher, overhead) in [
        (TlsVersion::Tls13, AES_128_GCM, 17),
        (TlsVersion::Tls12, ECDHE_AES_256_GCM, 24),
        (TlsVersion::Tls12, ECDHE_CHACHA20, 16),
    ] {
        // (what the server asks for, what the client answers), in bytes of packets with their headers.
        for exchange in [
            // caching_sha2_password: perform the full exchange; the password.
            &[(6, 13)][..],
            // A switch to mysql_native_password, to caching_sha2_password, to ed25519.
            &[(48, 24)],
            &[(48, 36)],
            &[(52, 68)],
            // No password.
            &[(48, 4)],
            // A switch, then the full exchange.
            &[(48, 36), (6, 13)],
        ] {
            let mut wire = Wire::handshake(version, cipher, &data(200 + overhead));
            for (index, (asks, answer)) in exchange.iter().enumerate() {
                wire.server(&data(asks + overhead)).client(&data(answer + overhead));
                let first = [format!("tls {} true", version.label())];
                let first: Vec<_> = first.iter().filter(|_| index == 0).map(String::as_str).collect();
                wire.tells(&first);
            }
            wire.server(&data(11 + overhead)).tells(&[]);
            wire.client(&data(15 + overhead)).server(&data(80)).close();
            wire.tells(&["<encrypted>", "reply query <encrypted> 1..1"]);
        }
    }
}

#[test]
fn pipelined_requests_are_one_burst() {
    let mut wire = Wire::logged_in(TlsVersion::Tls13, AES_128_GCM);
    wire.client(&[data(60), data(60), data(60)].concat()).server(&data(80)).server(&data(80)).close();
    wire.tells(&["<encrypted>", "reply query <encrypted> 1..2"]);
}

#[test]
fn a_burst_is_timed_from_its_last_byte() {
    let mut wire = Wire::logged_in(TlsVersion::Tls12, ECDHE_AES_256_GCM);
    let burst = [data(16_000), data(16_000), data(500)].concat();
    for piece in burst.chunks(1448) {
        wire.client(piece);
    }
    wire.server(&data(80)[..30]).server(&data(80)[30..]).close();
    wire.tells(&["<encrypted>", "reply query <encrypted> 1..2"]);
}

#[test]
fn records_may_be_split_at_any_byte() {
    let pieces: Vec<(Direction, Vec<u8>)> = vec![
        (Direction::ToServer, record(HANDSHAKE, &[1; 60])),
        (Direction::ToClient, [hello(TlsVersion::Tls13, AES_128_GCM), data(40), data(53)].concat()),
        (Direction::ToServer, [data(53), data(100)].concat()),
        (Direction::ToClient, data(39)),
        (Direction::ToServer, [data(30), data(31)].concat()),
        (Direction::ToClient, [data(80), data(40)].concat()),
        (Direction::ToServer, data(30)),
        (Direction::ToClient, data(80)),
    ];
    let longest = pieces.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or_default();
    for size in 1..=longest {
        let mut tls = Tls::new();
        let mut events = Events::default();
        for (now, (direction, bytes)) in (0..).zip(&pieces) {
            for piece in bytes.chunks(size) {
                tls.data(*direction, Timestamp(now), piece, &mut events);
            }
        }
        tls.closed(&mut events);
        let told = [
            "tls 1.3 true",
            "<encrypted>",
            "reply query <encrypted> 1..1",
            "<encrypted>",
            "reply query <encrypted> 1..1",
        ];
        assert_eq!(events.take(), told, "{size}");
    }
}

#[test]
fn a_handshake_that_fails_is_told_once_with_the_version_if_it_was_chosen() {
    let refused = record(ALERT, &[2, 40]);
    // An alert instead of the server's hello.
    let mut wire = Wire::new(Tls::new());
    wire.client(&record(HANDSHAKE, &[1; 300])).server(&refused).close().tells(&["tls unknown false"]);
    // The client does not trust the certificate: in the clear in TLS 1.2, encrypted in 1.3.
    let mut wire = Wire::new(Tls::new());
    wire.client(&record(HANDSHAKE, &[1; 300]))
        .server(&hello(TlsVersion::Tls12, ECDHE_CHACHA20))
        .client(&refused);
    wire.close().tells(&["tls 1.2 false"]);
    let mut wire = Wire::new(Tls::new());
    wire.client(&record(HANDSHAKE, &[1; 300]))
        .server(&hello(TlsVersion::Tls13, AES_128_GCM))
        .client(&data(19));
    wire.tells(&[]).close().tells(&["tls 1.3 false"]);
    // An old server; a connection that just ends.
    let mut wire = Wire::new(Tls::new());
    wire.client(&record(HANDSHAKE, &[1; 300])).server(&hello(TlsVersion::Older, AES_256_CBC)).close();
    wire.tells(&["tls older false"]);
    Wire::new(Tls::new()).close().tells(&["tls unknown false"]);
}

#[test]
fn in_mid_stream_nothing_is_counted_that_may_belong_to_a_login() {
    let mut wire = Wire::new(Tls::mid_stream());
    for _ in 0..MOST_OF_LOGIN {
        wire.client(&data(60)).server(&data(80));
    }
    wire.tells(&[]);
    wire.client(&data(60)).server(&data(80)).close();
    wire.tells(&["<encrypted>", "reply query <encrypted> 1..1"]);
}

#[test]
fn missing_bytes_of_a_record_s_body_are_stepped_over() {
    let mut wire = Wire::logged_in(TlsVersion::Tls13, AES_128_GCM);
    wire.client(&data(60)).server(&data(4000)[..1000]).gap(Direction::ToClient, 3005).tells(&["<encrypted>"]);
    wire.client(&data(60)).tells(&["reply query <encrypted> 1..2"]);
}

#[test]
fn missing_bytes_beyond_a_record_lose_the_place_and_the_request_under_way() {
    let mut wire = Wire::logged_in(TlsVersion::Tls13, AES_128_GCM);
    wire.client(&data(60)).server(&data(80)).tells(&["<encrypted>"]);
    wire.gap(Direction::ToClient, 100).gap(Direction::ToClient, 100).tells(&["desync"]);
    wire.server(b"within a record").tells(&[]);
    wire.client(&data(60)).server(&data(80)).tells(&["resync", "<encrypted>"]);
    wire.client(&data(60)).tells(&["reply query <encrypted> 1..1"]);
    // More is missing between a request and what is found of its answer.
    wire.gap(Direction::ToClient, 100).client(&data(60)).gap(Direction::ToClient, 100).tells(&["desync"]);
    wire.server(&data(80)).close().tells(&["resync", "<encrypted>"]);
    // Bytes that are no record lose it too.
    wire.client(b"GET / HTTP/1.1\r\n\r\n").tells(&["desync"]);
    wire.client(&data(60)).server(&data(80)).close().tells(&[
        "resync",
        "<encrypted>",
        "reply query <encrypted> 1..1",
    ]);
}

#[test]
fn missing_bytes_of_a_handshake_make_what_follows_unsure() {
    let mut wire = Wire::new(Tls::new());
    wire.client(&record(HANDSHAKE, &[1; 300])).gap(Direction::ToClient, 1448).tells(&["desync"]);
    wire.client(&data(53)).server(&data(255)).tells(&["resync"]);
    for _ in 0..MOST_OF_LOGIN {
        wire.client(&data(60)).server(&data(80));
    }
    wire.tells(&["<encrypted>"]).close().tells(&["reply query <encrypted> 1..1", "tls unknown false"]);
}

#[test]
fn application_data_and_only_records_begin_a_segment_in_mid_stream() {
    let cut = data(2000)[..1448].to_vec();
    for (segment, begins) in [
        (data(60), true),
        ([data(60), data(22), data(100)].concat(), true),
        (cut, true),
        (data(60)[..40].to_vec(), false),
        ([data(60), b"rest".to_vec()].concat(), false),
        (data(0), false),
        (record(HANDSHAKE, &[1; 60]), false),
        (b"\x17\x03\x05\x00\x01x".to_vec(), false),
        (b"\x17\x02\x00\x00\x01x".to_vec(), false),
        (b"\x17\x03\x03\xff\xff".to_vec(), false),
        (Vec::new(), false),
    ] {
        assert_eq!(begins_records(&segment), begins, "{:02x?}", &segment[..segment.len().min(12)]);
    }
}

#[test]
fn the_hello_tells_the_version_and_what_its_cipher_adds() {
    for (version, cipher, overhead) in [
        (TlsVersion::Tls13, AES_128_GCM, Some(17)),
        (TlsVersion::Tls13, 0x1303, Some(17)),
        (TlsVersion::Tls12, ECDHE_AES_256_GCM, Some(24)),
        (TlsVersion::Tls12, 0x009e, Some(24)),
        (TlsVersion::Tls12, ECDHE_CHACHA20, Some(16)),
        (TlsVersion::Tls12, AES_256_CBC, None),
        (TlsVersion::Older, AES_256_CBC, None),
    ] {
        let hello = hello(version, cipher);
        assert_eq!(hello::parse(&hello[5..]), Some((version, cipher)));
        assert_eq!(hello::overhead(version, cipher), overhead);
        // Cut in its fixed part it tells nothing; nowhere does it panic.
        for end in 5..hello.len() {
            let parsed = hello::parse(&hello[5..end]);
            assert!(end >= 5 + 4 + 2 + 32 + 1 + 3 || parsed.is_none(), "{end}");
        }
    }
    assert_eq!(hello::parse(b"\x01\x00\x00\x02\x03\x03"), None);
}
