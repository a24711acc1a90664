//! What a client sends before it knows the server: a proxy's header, and a login in advance.
//!
//! Usually the server speaks first. But a load balancer's PROXY header and the greeting set out at the same time, and
//! either may be seen first; and a health check that has nothing to prove may send its login, and its goodbye with it,
//! without waiting for the greeting (HAProxy's `option mysql-check user`). What a login means depends on what the server
//! can do, so this one waits here for the greeting.

use std::borrow::Cow;

use super::{handshake::LoginRequest, proxy};
use crate::{limits::EARLY_LOGIN, packet::Timestamp};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Opening {
    header: proxy::Header,
    /// Whether the header has ended, or is known not to be there.
    settled: bool,
    /// Packets that wait for the greeting.
    waiting: Vec<u8>,
    /// When the latest byte of them was seen.
    at: Timestamp,
}

/// No client of MySQL opens like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Other;

impl Opening {
    /// The packets in the client's next bytes; `None` while all of them may belong to a header.
    pub(super) fn behind_header<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<Cow<'b, [u8]>>, Other> {
        if self.settled {
            return Ok(Some(Cow::Borrowed(bytes)));
        }
        let before = self.header;
        let packets = match self.header.step(bytes) {
            proxy::Step::More => return Ok(None),
            proxy::Step::Behind(behind) => Cow::Borrowed(behind),
            // What was taken for the beginning of a header is that of a packet.
            proxy::Step::Other => match before.taken() {
                Some([]) => Cow::Borrowed(bytes),
                Some(taken) => Cow::Owned([taken, bytes].concat()),
                None => return Err(Other),
            },
        };
        self.settled = true;
        Ok(Some(packets))
    }

    /// Has packets wait that were seen at `at`, if they can be a login and what follows it.
    pub(super) fn wait(&mut self, packets: &[u8], at: Timestamp) -> Result<(), Other> {
        if self.waiting.len() + packets.len() > EARLY_LOGIN {
            return Err(Other);
        }
        self.waiting.reserve_exact(packets.len());
        self.waiting.extend_from_slice(packets);
        self.at = at;
        if LoginRequest::may_begin(&self.waiting) { Ok(()) } else { Err(Other) }
    }

    /// What waits, and when the latest byte of it was seen.
    pub(super) fn waiting(&self) -> (&[u8], Timestamp) {
        (&self.waiting, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_taken_for_a_header_are_a_packet_s_when_it_turns_out_to_be_none() {
        // Their first bytes are those of "PROXY" and of a version 2 header.
        for login in [&b"\x50\0\0\x01login"[..], b"\x0d\0\0\x01login", b"\x0d\x0a\0\x01login"] {
            for size in 1..=login.len() {
                let (mut opening, mut packets) = (Opening::default(), Vec::new());
                for piece in login.chunks(size) {
                    packets.extend_from_slice(&opening.behind_header(piece).unwrap().unwrap_or_default());
                }
                assert_eq!(packets, login, "by {size}");
            }
        }
        let mut endless = Opening::default();
        assert_eq!(endless.behind_header(b"PROXY TCP4 10.0.0.1"), Ok(None));
        assert_eq!(endless.behind_header(&[b'x'; 200]), Err(Other));
    }

    #[test]
    fn no_more_waits_than_a_login_and_what_follows_it() {
        let mut opening = Opening::default();
        let login = [&b"\x29\0\0\x01"[..], &[0; EARLY_LOGIN - 4]].concat();
        assert_eq!(opening.wait(&login[..3], Timestamp(1)), Ok(()));
        assert_eq!(opening.wait(&login[3..], Timestamp(2)), Ok(()));
        assert_eq!(opening.waiting(), (&login[..], Timestamp(2)));
        assert_eq!(opening.wait(b"x", Timestamp(3)), Err(Other));
        assert_eq!(Opening::default().wait(b"GET / HTTP/1.1\r\n", Timestamp(1)), Err(Other));
    }

    #[test]
    fn what_waits_fits_into_what_a_connection_may_take() {
        assert!(size_of::<Opening>() + EARLY_LOGIN <= crate::limits::OWN_BYTES - 64);
    }
}
