//! Native histograms beside classic buckets.
//!
//! `prometheus`' families do not know them. They travel as the fields of `io.prometheus.client.Histogram`
//! (<https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>) that it takes for
//! unknown and writes all the same.

use prometheus::proto::Histogram;
use protobuf::{CodedOutputStream, UnknownFields, UnknownValue};

use super::fraction;
use crate::stats::native::{Snapshot, Span, deltas};

/// Numbers of the fields.
mod field {
    pub(super) const SCHEMA: u32 = 5;
    pub(super) const ZERO_THRESHOLD: u32 = 6;
    pub(super) const ZERO_COUNT: u32 = 7;
    pub(super) const ZERO_COUNT_FLOAT: u32 = 8;
    pub(super) const POSITIVE_SPAN: u32 = 12;
    pub(super) const POSITIVE_DELTA: u32 = 13;
    pub(super) const POSITIVE_COUNT: u32 = 14;
}

/// Adds what `snapshot` holds to `histogram`: as a histogram of integers if all counts are, else of floats.
pub(super) fn attach(snapshot: &Snapshot, histogram: &mut Histogram) {
    let (spans, counts) = snapshot.spans();
    let total = snapshot.count();
    let fields = histogram.special_fields.mut_unknown_fields();
    fields.add_value(field::SCHEMA, UnknownValue::sint32(snapshot.schema.into()));
    fields.add_value(field::ZERO_THRESHOLD, UnknownValue::double(snapshot.zero_threshold));
    for span in &spans {
        add_message(fields, field::POSITIVE_SPAN, |out| write_span(*span, out));
    }
    let integers = deltas(&counts).filter(|_| snapshot.zero_count.fract() == 0.0);
    match integers {
        Some(deltas) => {
            fields.add_value(field::ZERO_COUNT, UnknownValue::Varint(snapshot.zero_count as u64));
            add_message(fields, field::POSITIVE_DELTA, |out| {
                deltas.iter().try_for_each(|delta| out.write_sint64_no_tag(*delta))
            });
            // Both histograms have this one count, and that of a native one must be the sum of its buckets.
            histogram.set_sample_count(total as u64);
        }
        None => {
            fields.add_value(field::ZERO_COUNT_FLOAT, UnknownValue::double(snapshot.zero_count));
            add_message(fields, field::POSITIVE_COUNT, |out| {
                counts.iter().try_for_each(|count| out.write_double_no_tag(*count))
            });
            fraction::put_whole_or_not(total, &mut histogram.special_fields);
        }
    }
}

fn write_span(span: Span, out: &mut CodedOutputStream<'_>) -> protobuf::Result<()> {
    out.write_sint32(1, span.offset)?;
    out.write_uint32(2, span.length)
}

/// A message, or numbers in their packed form.
fn add_message(
    fields: &mut UnknownFields,
    number: u32,
    write: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>,
) {
    let mut bytes = Vec::new();
    let mut out = CodedOutputStream::vec(&mut bytes);
    let written = write(&mut out).and_then(|()| out.flush());
    drop(out);
    // Writing to a vector cannot fail.
    if written.is_ok() {
        fields.add_value(number, UnknownValue::LengthDelimited(bytes));
    }
}

#[cfg(test)]
mod tests {
    use protobuf::UnknownValueRef::{self, Fixed64, LengthDelimited, Varint};

    use super::*;

    fn attached(zero_count: f64, buckets: &[(i32, f64)]) -> Histogram {
        let snapshot = Snapshot { schema: 3, zero_threshold: 0.5, zero_count, buckets: buckets.to_vec() };
        let mut histogram = Histogram::default();
        attach(&snapshot, &mut histogram);
        histogram
    }

    fn get(histogram: &Histogram, number: u32) -> Option<UnknownValueRef<'_>> {
        histogram.special_fields.unknown_fields().get(number)
    }

    #[test]
    fn whole_counts_make_a_histogram_of_integers() {
        let histogram = attached(1.0, &[(-2, 3.0), (-1, 1.0)]);
        assert_eq!(histogram.get_sample_count(), 5);
        assert_eq!(get(&histogram, 5), Some(Varint(6)), "3, zigzag");
        assert_eq!(get(&histogram, 6), Some(Fixed64(0.5_f64.to_bits())));
        assert_eq!(get(&histogram, 7), Some(Varint(1)));
        assert_eq!(get(&histogram, 12), Some(LengthDelimited(&[0x08, 3, 0x10, 2])));
        assert_eq!(get(&histogram, 13), Some(LengthDelimited(&[6, 3])), "+3, -2, zigzag");
        assert_eq!((get(&histogram, 4), get(&histogram, 8), get(&histogram, 14)), (None, None, None));
    }

    #[test]
    fn other_counts_make_a_histogram_of_floats() {
        let histogram = attached(0.0, &[(7, 2.5)]);
        assert_eq!(get(&histogram, 4), Some(Fixed64(2.5_f64.to_bits())));
        assert_eq!(get(&histogram, 8), Some(Fixed64(0)));
        assert_eq!(get(&histogram, 14), Some(LengthDelimited(&2.5_f64.to_le_bytes())));
        assert_eq!((get(&histogram, 7), get(&histogram, 13)), (None, None));
    }
}
