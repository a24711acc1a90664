//! The record layer (RFC 8446 section 5.1, RFC 5246 section 6.2.1): where records begin and end, which is in the clear.

use crate::packet::Timestamp;

/// Longest record: 2^14 bytes of plaintext and what TLS 1.2 allows a cipher to add (RFC 5246 section 6.2.3).
const LONGEST_RECORD: u16 = (1 << 14) + 2048;
/// Records of one segment that are looked at to tell TLS in mid-stream.
const MOST_RECORDS: usize = 16;

/// Content types (RFC 8446 appendix B.1).
pub(super) mod content {
    pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const APPLICATION_DATA: u8 = 23;
}

/// One record's header, once its last byte has arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) kind: u8,
    pub(super) length: u16,
    pub(super) first_at: Timestamp,
    pub(super) at: Timestamp,
}

/// Where records begin and end in one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Records {
    header: [u8; 5],
    header_length: u8,
    remaining: u16,
    first_at: Timestamp,
    pub(super) lost: bool,
}

impl Records {
    /// Content type of the record under way.
    pub(super) fn kind(&self) -> u8 {
        self.header[0]
    }

    pub(super) fn is_at_boundary(&self) -> bool {
        self.header_length == 0
    }

    /// Takes bytes up to the end of a record, or of `bytes`. A header that is none makes the direction lost.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        at: Timestamp,
    ) -> Option<(Option<Record>, &'a [u8])> {
        if self.is_at_boundary() {
            self.first_at = at;
        }
        while self.header_length < 5 {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            *self.header.get_mut(usize::from(self.header_length))? = *byte;
            self.header_length += 1;
            if self.header_length == 5 {
                let Some(length) = record_length(self.header) else {
                    self.lost = true;
                    return None;
                };
                self.remaining = length;
            }
        }
        let here = bytes.len().min(usize::from(self.remaining));
        let (body, rest) = bytes.split_at_checked(here)?;
        *bytes = rest;
        self.remaining -= here as u16;
        Some((self.complete(at), body))
    }

    fn complete(&mut self, at: Timestamp) -> Option<Record> {
        if self.header_length < 5 || self.remaining > 0 {
            return None;
        }
        self.header_length = 0;
        let [kind, _, _, high, low] = self.header;
        Some(Record { kind, length: u16::from_be_bytes([high, low]), first_at: self.first_at, at })
    }

    /// Whether `length` missing bytes are all of one record's body.
    pub(super) fn holds(&self, length: u32) -> bool {
        !self.lost && self.header_length == 5 && length <= u32::from(self.remaining)
    }

    /// The record under way, if its header is known, as if it were complete.
    pub(super) fn abandon(&mut self, at: Timestamp) -> Option<Record> {
        self.remaining = 0;
        self.complete(at)
    }

    /// `length` bytes are missing: harmless inside a record's body.
    pub(super) fn skip(&mut self, length: u32, at: Timestamp) -> Option<Record> {
        match u16::try_from(length) {
            Ok(length) if self.header_length == 5 && length <= self.remaining => {
                self.remaining -= length;
                self.complete(at)
            }
            _ => {
                self.lost = true;
                None
            }
        }
    }
}

/// The length in a record's header; `None` if it is no such header.
fn record_length(header: [u8; 5]) -> Option<u16> {
    let [kind, major, minor, high, low] = header;
    let length = u16::from_be_bytes([high, low]);
    let known = (content::CHANGE_CIPHER_SPEC..=content::APPLICATION_DATA).contains(&kind);
    (known && major == 3 && minor <= 4 && length <= LONGEST_RECORD).then_some(length)
}

/// Whether a segment begins with TLS application data, and holds nothing but records, the last maybe cut.
pub fn begins_records(mut bytes: &[u8]) -> bool {
    if bytes.first() != Some(&content::APPLICATION_DATA) {
        return false;
    }
    for _ in 0..MOST_RECORDS {
        let Some((header, rest)) = bytes.split_first_chunk::<5>() else { return false };
        let Some(length) = record_length(*header).filter(|length| *length > 0) else { return false };
        match rest.get(usize::from(length)..) {
            Some([]) => return true,
            Some(next) => bytes = next,
            None => return rest.len() >= 1000,
        }
    }
    true
}
