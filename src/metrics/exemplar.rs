//! One traced observation in a histogram's bucket.
//!
//! `prometheus`' families know no exemplars. They travel in its `Bucket` as the field that `metrics.proto` gives
//! them (<https://github.com/prometheus/client_model>), unknown to `prometheus` and known to Prometheus: the
//! protobuf page carries them as they are, the OpenMetrics page reads them back.

use std::time::Duration;

use prometheus::proto::{Bucket, Histogram, LabelPair};
use protobuf::{CodedInputStream, CodedOutputStream, Message as _, UnknownValue, UnknownValueRef};

use super::fraction;

/// `Bucket.exemplar` of `metrics.proto`.
const FIELD: u32 = 3;

/// Where and when a value was observed, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Labels in order: `trace_id` and `span_id`. OpenMetrics allows 128 characters of names and values together.
    pub labels: Vec<(String, String)>,
    /// The observed value, in the histogram's unit.
    pub value: f64,
    /// When, since the Unix epoch.
    pub at: Duration,
}

impl Exemplar {
    /// Lays the exemplar down in `bucket`, unless there is one already.
    pub fn attach(&self, bucket: &mut Bucket) {
        if bucket.special_fields.unknown_fields().get(FIELD).is_some() {
            return;
        }
        // Writing to a vector cannot fail, and lengths are of a few labels.
        if let Ok(bytes) = self.to_bytes() {
            bucket.special_fields.mut_unknown_fields().add_value(FIELD, UnknownValue::LengthDelimited(bytes));
        }
    }

    /// Lays the exemplar down in the bucket of `histogram` that it was counted in; the infinite one is made if need be.
    pub fn attach_to_bucket(&self, histogram: &mut Histogram) {
        if let Some(bucket) = histogram.bucket.iter_mut().find(|bucket| self.value <= bucket.upper_bound()) {
            return self.attach(bucket);
        }
        let mut infinite = Bucket::default();
        infinite.set_upper_bound(f64::INFINITY);
        let count = fraction::get(histogram.get_sample_count(), &histogram.special_fields);
        let count = fraction::put(count, &mut infinite.special_fields);
        infinite.set_cumulative_count(count);
        self.attach(&mut infinite);
        histogram.bucket.push(infinite);
    }

    /// What was laid down in `bucket`.
    pub(super) fn of(bucket: &Bucket) -> Option<Self> {
        match bucket.special_fields.unknown_fields().get(FIELD)? {
            UnknownValueRef::LengthDelimited(bytes) => Self::from_bytes(bytes).ok(),
            _ => None,
        }
    }

    fn to_bytes(&self) -> protobuf::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut out = CodedOutputStream::vec(&mut bytes);
        for (name, value) in &self.labels {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.clone());
            out.write_bytes(1, &pair.write_to_bytes()?)?;
        }
        out.write_double(2, self.value)?;
        out.write_bytes(3, &timestamp(self.at)?)?;
        out.flush()?;
        drop(out);
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> protobuf::Result<Self> {
        let mut exemplar = Self { labels: Vec::new(), value: 0.0, at: Duration::ZERO };
        let mut input = CodedInputStream::from_bytes(bytes);
        while let Some(tag) = input.read_raw_tag_or_eof()? {
            match tag >> 3 {
                1 => {
                    let pair: LabelPair = input.read_message()?;
                    exemplar.labels.push((pair.name().to_owned(), pair.value().to_owned()));
                }
                2 => exemplar.value = input.read_double()?,
                _ => exemplar.at = read_timestamp(&input.read_bytes()?)?,
            }
        }
        Ok(exemplar)
    }
}

/// `google.protobuf.Timestamp`, of a moment since the Unix epoch.
pub(super) fn timestamp(at: Duration) -> protobuf::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut out = CodedOutputStream::vec(&mut bytes);
    out.write_uint64(1, at.as_secs())?;
    out.write_uint32(2, at.subsec_nanos())?;
    out.flush()?;
    drop(out);
    Ok(bytes)
}

fn read_timestamp(bytes: &[u8]) -> protobuf::Result<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        match tag >> 3 {
            1 => seconds = input.read_uint64()?,
            _ => nanos = input.read_uint32()?,
        }
    }
    Ok(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Exemplar {
        Exemplar {
            labels: vec![("trace_id".into(), "4b".into()), ("span_id".into(), "\"\\\n".into())],
            value: 0.25,
            at: Duration::new(1_700_000_000, 5),
        }
    }

    #[test]
    fn an_exemplar_comes_back_as_it_was_laid_down() {
        let mut bucket = Bucket::default();
        assert_eq!(Exemplar::of(&bucket), None);
        example().attach(&mut bucket);
        assert_eq!(Exemplar::of(&bucket), Some(example()));
    }

    #[test]
    fn an_exemplar_is_in_the_bucket_that_it_was_counted_in() {
        for (value, index) in [(0.1, 0), (0.25, 0), (0.26, 1), (0.5, 1), (0.51, 2)] {
            let mut histogram = Histogram::default();
            for bound in [0.25, 0.5] {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                histogram.bucket.push(bucket);
            }
            histogram.set_sample_count(7);
            Exemplar { value, ..example() }.attach_to_bucket(&mut histogram);
            assert!(Exemplar::of(&histogram.bucket[index]).is_some(), "{value}");
            let infinite = histogram.bucket.get(2).map(|last| (last.upper_bound(), last.cumulative_count()));
            assert_eq!(infinite, (index == 2).then_some((f64::INFINITY, 7)));
        }
    }

    #[test]
    fn its_bytes_are_those_of_metrics_proto() {
        let exemplar = Exemplar { labels: vec![("t".into(), "4b".into())], ..example() };
        let expected: &[u8] = b"\x0a\x07\x0a\x01t\x12\x024b\
            \x11\0\0\0\0\0\0\xd0\x3f\
            \x1a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x05";
        assert_eq!(exemplar.to_bytes().unwrap(), expected);
    }
}
