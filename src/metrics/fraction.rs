//! Counts of histograms that are no whole numbers, as those of estimates.
//!
//! `metrics.proto` (<https://github.com/prometheus/client_model>) has a field beside each count for them, which
//! overrides it: `Histogram.sample_count_float` and `Bucket.cumulative_count_float`. `prometheus`' families know
//! neither. They travel in its messages as fields that it takes for unknown and writes all the same: who reads protobuf
//! takes the fraction, or the rounded count if it knows no fractions; the text format has the fraction, OpenMetrics, where a
//! count must be an integer, the rounded one. Rounding keeps the order: no bucket exceeds the next, and none ever falls.

use protobuf::{SpecialFields, UnknownValue, UnknownValueRef};

/// The number of both fields.
const FIELD: u32 = 4;

/// Lays `count` down in the fields of the message that it belongs to, if it has a fraction. Returns it rounded.
pub(super) fn put(count: f64, fields: &mut SpecialFields) -> u64 {
    if count.fract() != 0.0 {
        put_whole_or_not(count, fields);
    }
    count.round() as u64
}

/// The same even of a whole number: the count of a native histogram of floats is one.
pub(super) fn put_whole_or_not(count: f64, fields: &mut SpecialFields) {
    let fields = fields.mut_unknown_fields();
    fields.remove(FIELD);
    fields.add_value(FIELD, UnknownValue::double(count));
}

/// What was laid down, or else the rounded count.
pub(super) fn get(rounded: u64, fields: &SpecialFields) -> f64 {
    match fields.unknown_fields().get(FIELD) {
        Some(UnknownValueRef::Fixed64(bits)) => f64::from_bits(bits),
        _ => rounded as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_comes_back_and_a_whole_number_takes_no_field() {
        for (count, rounded, takes_a_field) in
            [(0.0, 0, false), (7.0, 7, false), (0.4, 0, true), (2.5, 3, true)]
        {
            let mut fields = SpecialFields::default();
            assert_eq!(put(count, &mut fields), rounded);
            assert_eq!(fields.unknown_fields().get(FIELD).is_some(), takes_a_field);
            assert_eq!(get(rounded, &fields), count);
        }
    }

    #[test]
    fn a_count_is_laid_down_once() {
        let mut fields = SpecialFields::default();
        put(2.5, &mut fields);
        put_whole_or_not(3.0, &mut fields);
        assert_eq!((get(3, &fields), fields.unknown_fields().iter().count()), (3.0, 1));
    }
}
