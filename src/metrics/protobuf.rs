//! Prometheus' protobuf format: `io.prometheus.client.MetricFamily` messages, each behind its length
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format>). Only here native histograms are
//! to be had.

use std::io;

use prometheus::proto::MetricFamily;
use protobuf::{CodedOutputStream, Message as _, rt::string_size};

use super::names;

/// `MetricFamily.unit` of `metrics.proto`, which `prometheus` does not know.
const UNIT: u32 = 5;

/// Writes `families` as they are.
pub(super) fn write(families: &[MetricFamily], out: &mut impl io::Write) -> io::Result<()> {
    let mut out = CodedOutputStream::new(out);
    for family in families {
        let unit = names::unit(family.name().trim_end_matches("_total"));
        let size = family.compute_size() + unit.map_or(0, |unit| string_size(UNIT, unit));
        out.write_raw_varint64(size)?;
        family.write_to_with_cached_sizes(&mut out)?;
        if let Some(unit) = unit {
            out.write_string(UNIT, unit)?;
        }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use protobuf::{CodedInputStream, UnknownValueRef};

    use super::*;
    use crate::metrics::{family::Family, text};

    #[test]
    fn families_come_back_as_they_were_and_with_their_units() {
        let families = [
            Family::single(&names::TCP_SNAPSHOT_AGE, 0.5),
            Family::new(&names::MYSQL_ERRORS).sample(&["1064", "\u{e9}"], 2.0).build(),
            Family::new(&names::TCP_CONNECTION_STATES).sample(&["listen"], 3.0).build(),
        ];
        let mut page = Vec::new();
        write(&families, &mut page).unwrap();
        let mut input = CodedInputStream::from_bytes(&page);
        let mut read: Vec<MetricFamily> = Vec::new();
        while !input.eof().unwrap() {
            read.push(input.read_message().unwrap());
        }
        let units = read.iter().map(|family| family.special_fields.unknown_fields().get(UNIT));
        let seconds = Some(UnknownValueRef::LengthDelimited(b"seconds"));
        assert_eq!(units.collect::<Vec<_>>(), [seconds, None, None]);
        let text = |families| {
            let mut page = Vec::new();
            text::encode(families, &mut page).unwrap();
            page
        };
        assert_eq!(text(read), text(families.to_vec()));
    }
}
