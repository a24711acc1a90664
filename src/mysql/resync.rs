//! Finding a request in the middle of a stream.
//!
//! After a gap, and where a connection was under way when capture began, the next request is the first segment that
//! can only be one: whole packets with sequence id 0 and a known command of the form it must have, up to the
//! segment's end; or a statement's text too long for the segment.

use super::command::Command;

/// Packets of one segment that are looked at.
const MOST_PACKETS: usize = 64;
/// A request that goes on in the next segment fills this one: at least this many bytes of it are here.
const LEAST_OF_SPLIT: usize = 500;
/// Longest request that is taken for one: MySQL's largest `max_allowed_packet`.
const LONGEST: u32 = 1 << 30;

/// Whether a client's segment begins with a request.
pub fn begins_request(mut bytes: &[u8]) -> bool {
    for _ in 0..MOST_PACKETS {
        let Some(([a, b, c, sequence], rest)) = bytes.split_first_chunk::<4>() else { return false };
        let length = u32::from_le_bytes([*a, *b, *c, 0]);
        let Some(command) = rest.first().and_then(|code| Command::from_code(*code)) else { return false };
        let head = rest.get(..length as usize).unwrap_or(rest);
        if *sequence != 0 || length == 0 || length > LONGEST || !command.is_plausible(head, u64::from(length))
        {
            return false;
        }
        match rest.get(length as usize..) {
            Some([]) => return true,
            Some(next) => bytes = next,
            None => return command.may_be_long() && rest.len() >= LEAST_OF_SPLIT,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_requests_or_the_start_of_a_long_one_begin_a_segment() {
        let mut long = b"\x00\x10\x00\x00\x03insert into t values (".to_vec();
        long.resize(1448, b'1');
        for (bytes, begins) in [
            (&b"\x09\x00\x00\x00\x03select 1"[..], true),
            (b"\x01\x00\x00\x00\x0e", true),
            // Two pipelined requests.
            (b"\x05\x00\x00\x00\x19\x01\x00\x00\x00\x01\x00\x00\x00\x01", true),
            // The second one is none.
            (b"\x01\x00\x00\x00\x0e\x01\x00\x00\x01\x0e", false),
            // A sequence id other than 0: the middle of a login or of a file.
            (b"\x09\x00\x00\x01\x03select 1", false),
            // A short rest of a text that is said to be longer.
            (b"\xff\x00\x00\x00\x03select 1", false),
            (&long, true),
            (b"select 1", false),
            (b"\x09\x00\x00", false),
            (b"", false),
        ] {
            assert_eq!(begins_request(bytes), begins, "{:02x?}", &bytes[..bytes.len().min(20)]);
        }
    }
}
