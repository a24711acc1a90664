//! The PROXY protocol's header, before a client's first byte.

use dbwire_exporter::mysql::proxy::{Header, Step};

use super::input::Input;

/// A size, and bytes: the header ends at the same byte, or is none, in pieces of that size as in one; version 2 is as
/// long as it says.
pub fn proxy_protocol(data: &[u8]) {
    let mut input = Input(data);
    let size = usize::from(input.u8()) + 1;
    let bytes = input.0;
    let whole = end(bytes, bytes.len().max(1));
    assert_eq!(end(bytes, size), whole);
    if let (Ok(Some(end)), Some([high, low])) = (whole, bytes.get(14..16))
        && bytes.starts_with(b"\r\n")
    {
        assert_eq!(end, 16 + usize::from(u16::from_be_bytes([*high, *low])));
    }
}

/// Where the header ends; `None` if not yet, an error if there is none.
fn end(bytes: &[u8], size: usize) -> Result<Option<usize>, ()> {
    let mut header = Header::default();
    for (piece, from) in bytes.chunks(size).zip((0..).step_by(size)) {
        match header.step(piece) {
            Step::More => {}
            Step::Behind(behind) => return Ok(Some(from + piece.len() - behind.len())),
            Step::Other => return Err(()),
        }
    }
    Ok(None)
}
