//! Families, or text → the bytes of a page, compressed or not, in memory that is used again.

use std::{
    fmt,
    io::{self, Write as _},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use prometheus::proto::MetricFamily;

use crate::{
    metrics::format::Created,
    web::accept::{Coding, Negotiated},
};

/// A page of metrics gets hardly smaller at higher levels: most of it are names, again and again.
const GZIP_LEVEL: u32 = 3;
/// As above.
const ZSTD_LEVEL: i32 = 1;

/// Writes pages, one at a time.
#[derive(Default)]
pub(super) struct Writer {
    /// The page as it is written. It keeps its size from one page to the next.
    plain: Vec<u8>,
    /// Pages are split off; the memory of a page comes back when it was sent.
    ready: BytesMut,
    /// Made when the first client asks for it; its tables are used again.
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("plain", &self.plain.capacity()).finish_non_exhaustive()
    }
}

impl Writer {
    /// A page of `families` as `agreed`; `created` is for [`crate::metrics::format::Format::encode`].
    pub(super) fn write(
        &mut self,
        families: Vec<MetricFamily>,
        agreed: &Negotiated,
        created: Option<Created>,
    ) -> io::Result<Bytes> {
        self.plain.clear();
        agreed.format.encode(families, created, &mut self.plain)?;
        self.pack(agreed.coding)
    }

    /// What is `text` already.
    pub(super) fn write_text(&mut self, text: &[u8], coding: Coding) -> io::Result<Bytes> {
        self.plain.clear();
        self.plain.extend_from_slice(text);
        self.pack(coding)
    }

    fn pack(&mut self, coding: Coding) -> io::Result<Bytes> {
        match coding {
            Coding::Identity => self.ready.extend_from_slice(&self.plain),
            Coding::Gzip => self.gzip()?,
            Coding::Zstd => self.zstd()?,
        }
        Ok(self.ready.split().freeze())
    }

    fn gzip(&mut self) -> io::Result<()> {
        let mut encoder = GzEncoder::new((&mut self.ready).writer(), Compression::new(GZIP_LEVEL));
        encoder.write_all(&self.plain)?;
        encoder.finish()?;
        Ok(())
    }

    fn zstd(&mut self) -> io::Result<()> {
        let compressor = match &mut self.zstd {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        let compressed = compressor.compress(&self.plain)?;
        self.ready.extend_from_slice(&compressed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::metrics::{build, format::Format};

    #[test]
    fn every_coding_gives_back_the_same_page_again_and_again() {
        let mut writer = Writer::default();
        let agreed = |coding| Negotiated { format: Format::ALL[2], escaping: None, coding };
        let mut write = |coding| writer.write(vec![build::family()], &agreed(coding), None).unwrap();
        for _ in 0..3 {
            let plain = write(Coding::Identity);
            assert!(plain.ends_with(b"# EOF\n"));
            let mut unzipped = Vec::new();
            flate2::read::GzDecoder::new(&write(Coding::Gzip)[..]).read_to_end(&mut unzipped).unwrap();
            assert_eq!(unzipped, plain);
            assert_eq!(zstd::stream::decode_all(&write(Coding::Zstd)[..]).unwrap(), plain);
        }
        let text = writer.write_text(b"<!doctype html>", Coding::Zstd).unwrap();
        assert_eq!(zstd::stream::decode_all(&text[..]).unwrap(), b"<!doctype html>");
    }
}
