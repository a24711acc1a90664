//! Connections of the test's own, that count what they do: the truth a sample is held to.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

/// A user without a password, for whom a login is one packet.
pub const PLAIN_USER: &str = "plain";

/// What makes it.
pub const CREATE_PLAIN_USER: &str =
    "CREATE OR REPLACE USER plain@'%' IDENTIFIED BY ''; GRANT ALL ON test.* TO plain@'%'";

/// A logged-in connection by the text protocol.
pub struct Connection {
    stream: TcpStream,
    /// Statements sent.
    pub queries: u64,
}

impl Connection {
    /// Logs in.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_nodelay(true).expect("a socket");
        let mut connection = Self { stream, queries: 0 };
        connection.packet().expect("a greeting");
        // PROTOCOL_41, SECURE_CONNECTION, CONNECT_WITH_DB, PLUGIN_AUTH.
        let mut login = (1_u32 << 9 | 1 << 15 | 1 << 3 | 1 << 19).to_le_bytes().to_vec();
        login.extend([0, 0, 0, 1, 0x21]);
        login.extend([0; 23]);
        login.extend(PLAIN_USER.as_bytes());
        login.extend(b"\0\0test\0mysql_native_password\0");
        connection.send(1, &login);
        let reply = connection.packet().expect("an answer to the login");
        assert_eq!(reply.first(), Some(&0), "{}", String::from_utf8_lossy(&reply));
        connection
    }

    /// Runs a statement whose reply is one result set, or none.
    pub fn query(&mut self, sql: &str) {
        self.queries += 1;
        self.send(0, &[b"\x03", sql.as_bytes()].concat());
        let first = self.packet().expect("a reply");
        if matches!(first.first(), Some(0 | 0xff)) {
            return;
        }
        let mut ends = 0;
        while ends < 2 {
            let packet = self.packet().expect("the rest of the reply");
            ends += usize::from(packet.len() < 9 && packet.first() == Some(&0xfe));
        }
    }

    /// Says goodbye.
    pub fn close(mut self) {
        self.send(0, &[1]);
        // The server closes: its FIN is behind everything.
        let _ = self.stream.read(&mut [0; 1]);
    }

    fn send(&mut self, sequence: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a length").to_le_bytes();
        let packet = [&length[..3], &[sequence], payload].concat();
        self.stream.write_all(&packet).expect("the server reads");
    }

    fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }
}
