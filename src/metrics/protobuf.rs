//! Prometheus' protobuf format: `io.prometheus.client.MetricFamily` messages, each behind its length
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format>). Only here native histograms are
//! to be had.
//!
//! Counters and gauges, which most samples are, are written field by field: that takes a third of what the generated
//! code does, and lets counters have a field that `prometheus` does not know.

use std::{io, time::Duration};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use protobuf::{
    CodedOutputStream, Enum as _, Message as _,
    rt::{WireType, compute_raw_varint64_size, string_size},
};

use super::{exemplar::timestamp, names};

/// Numbers of fields in `metrics.proto`
/// (<https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>), by message.
mod field {
    pub(super) mod family {
        pub(crate) const NAME: u32 = 1;
        pub(crate) const HELP: u32 = 2;
        pub(crate) const TYPE: u32 = 3;
        pub(crate) const METRIC: u32 = 4;
        pub(crate) const UNIT: u32 = 5;
    }
    pub(super) mod metric {
        pub(crate) const LABEL: u32 = 1;
        pub(crate) const GAUGE: u32 = 2;
        pub(crate) const COUNTER: u32 = 3;
        pub(crate) const HISTOGRAM: u32 = 7;
    }
    pub(super) mod label {
        pub(crate) const NAME: u32 = 1;
        pub(crate) const VALUE: u32 = 2;
    }
    /// Of gauges and counters.
    pub(super) const VALUE: u32 = 1;
    pub(super) const COUNTER_CREATED: u32 = 3;
    pub(super) const HISTOGRAM_CREATED: u32 = 15;
}

/// Of a tag: no field here has a number above 15.
const TAG: u64 = 1;
/// Of [`field::VALUE`] with its tag.
const NUMBER: u64 = TAG + 8;

/// Writes `families` as they are, with the moment since the Unix epoch when counting began, if that is told.
pub(super) fn write(
    families: &[MetricFamily],
    created: Option<Duration>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let created = created.map(timestamp).transpose()?.unwrap_or_default();
    let mut page = Page { out: CodedOutputStream::new(out), sizes: Vec::new() };
    for family in families {
        page.family(family, &created)?;
    }
    Ok(page.out.flush()?)
}

/// A page that is being written.
struct Page<'a> {
    out: CodedOutputStream<'a>,
    /// Of the metrics of the family that is being written.
    sizes: Vec<u64>,
}

impl Page<'_> {
    fn family(&mut self, family: &MetricFamily, created: &[u8]) -> protobuf::Result<()> {
        let (name, kind) = (family.name(), family.get_field_type());
        let stem = name.trim_end_matches("_total");
        let created = if names::counts_since_start(stem) { created } else { &[] };
        let unit = names::unit(stem);
        self.sizes.clear();
        self.sizes.extend(family.get_metric().iter().map(|metric| metric_size(metric, kind, created)));
        let size = string_size(field::family::NAME, name)
            + string_size(field::family::HELP, family.help())
            // The types' numbers are below 128.
            + TAG + 1
            + self.sizes.iter().map(|size| delimited(*size)).sum::<u64>()
            + unit.map_or(0, |unit| string_size(field::family::UNIT, unit));
        self.out.write_raw_varint64(size)?;
        self.out.write_string(field::family::NAME, name)?;
        self.out.write_string(field::family::HELP, family.help())?;
        self.out.write_enum(field::family::TYPE, kind.value())?;
        for (index, metric) in family.get_metric().iter().enumerate() {
            self.message(field::family::METRIC, self.sizes[index])?;
            self.metric(metric, kind, created)?;
        }
        unit.map_or(Ok(()), |unit| self.out.write_string(field::family::UNIT, unit))
    }

    /// What stands before a message.
    fn message(&mut self, number: u32, size: u64) -> protobuf::Result<()> {
        self.out.write_tag(number, WireType::LengthDelimited)?;
        self.out.write_raw_varint64(size)
    }

    fn metric(&mut self, metric: &Metric, kind: MetricType, created: &[u8]) -> protobuf::Result<()> {
        for pair in metric.get_label() {
            self.message(field::metric::LABEL, pair_size(pair))?;
            self.out.write_string(field::label::NAME, pair.name())?;
            self.out.write_string(field::label::VALUE, pair.value())?;
        }
        match kind {
            MetricType::COUNTER => {
                self.message(field::metric::COUNTER, NUMBER + created_size(created))?;
                self.out.write_double(field::VALUE, metric.get_counter().value())?;
                self.created(field::COUNTER_CREATED, created)
            }
            MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                let size = u64::from(histogram.special_fields.cached_size().get()) + created_size(created);
                self.message(field::metric::HISTOGRAM, size)?;
                histogram.write_to_with_cached_sizes(&mut self.out)?;
                self.created(field::HISTOGRAM_CREATED, created)
            }
            _ => {
                self.message(field::metric::GAUGE, NUMBER)?;
                self.out.write_double(field::VALUE, metric.get_gauge().value())
            }
        }
    }

    fn created(&mut self, number: u32, created: &[u8]) -> protobuf::Result<()> {
        if created.is_empty() { Ok(()) } else { self.out.write_bytes(number, created) }
    }
}

/// Without what stands before it. What is neither a counter nor a histogram is a gauge: of other types there are none.
fn metric_size(metric: &Metric, kind: MetricType, created: &[u8]) -> u64 {
    let labels: u64 = metric.get_label().iter().map(|pair| delimited(pair_size(pair))).sum();
    labels
        + match kind {
            MetricType::COUNTER => delimited(NUMBER + created_size(created)),
            MetricType::HISTOGRAM => delimited(metric.get_histogram().compute_size() + created_size(created)),
            _ => delimited(NUMBER),
        }
}

fn pair_size(pair: &LabelPair) -> u64 {
    string_size(field::label::NAME, pair.name()) + string_size(field::label::VALUE, pair.value())
}

fn created_size(created: &[u8]) -> u64 {
    if created.is_empty() { 0 } else { delimited(created.len() as u64) }
}

/// A message of `size` bytes with its tag and length.
fn delimited(size: u64) -> u64 {
    TAG + compute_raw_varint64_size(size) + size
}

#[cfg(test)]
mod tests {
    use protobuf::{CodedInputStream, UnknownValueRef};

    use super::*;
    use crate::metrics::{
        family::{Family, HistogramSample},
        text,
    };

    #[test]
    fn families_come_back_as_they_were_and_with_their_units() {
        let families = [
            Family::single(&names::TCP_SNAPSHOT_AGE, 0.5),
            Family::new(&names::MYSQL_ERRORS).sample(&["1064", "\u{e9}"], 2.0).build(),
            Family::new(&names::TCP_CONNECTION_STATES).sample(&["listen"], 3.0).build(),
        ];
        let mut page = Vec::new();
        write(&families, None, &mut page).unwrap();
        let mut input = CodedInputStream::from_bytes(&page);
        let mut read: Vec<MetricFamily> = Vec::new();
        while !input.eof().unwrap() {
            read.push(input.read_message().unwrap());
        }
        let units = read.iter().map(|family| family.special_fields.unknown_fields().get(field::family::UNIT));
        let seconds = Some(UnknownValueRef::LengthDelimited(b"seconds"));
        assert_eq!(units.collect::<Vec<_>>(), [seconds, None, None]);
        let text = |families| {
            let mut page = Vec::new();
            text::encode(families, &mut page).unwrap();
            page
        };
        assert_eq!(text(read), text(families.to_vec()));
    }

    /// Fields 4 of a bucket and of a histogram, beside the rounded counts of their fields 1.
    #[test]
    fn counts_with_a_fraction_stand_beside_rounded_ones() {
        let data = HistogramSample { buckets: vec![(0.5, 1.5)], count: 2.5, sum: 0.25 };
        let family = Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build();
        let mut page = Vec::new();
        write(&[family], None, &mut page).unwrap();
        let bucket: &[u8] = b"\x08\x02\x11\0\0\0\0\0\0\xe0\x3f\x21\0\0\0\0\0\0\xf8\x3f";
        assert!(page.windows(bucket.len()).any(|bytes| bytes == bucket), "{page:02x?}");
        let count: &[u8] = b"\x21\0\0\0\0\0\0\x04\x40";
        assert!(page.windows(count.len()).any(|bytes| bytes == count), "{page:02x?}");
        let family: MetricFamily = CodedInputStream::from_bytes(&page).read_message().unwrap();
        assert_eq!(family.get_metric()[0].get_histogram().get_sample_count(), 3);
    }

    #[test]
    fn counters_and_histograms_tell_when_counting_began() {
        let mut page = Vec::new();
        let families = [Family::new(&names::MYSQL_GAPS).sample(&[], 2.0).build()];
        write(&families, Some(Duration::new(1_700_000_000, 5)), &mut page).unwrap();
        let expected: &[u8] =
            b"\x22\x15\x1a\x13\x09\0\0\0\0\0\0\0\x40\x1a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x05";
        assert!(page.ends_with(expected), "{page:02x?}");

        let data = HistogramSample { buckets: vec![(0.5, 1.0)], count: 1.0, sum: 0.25 };
        let families = [
            Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build(),
            // Not this program's: the kernel has counted since it booted.
            Family::new(&names::TCP_TIMEOUTS).sample(&[], 7.0).build(),
            Family::single(&names::TCP_SNAPSHOT_AGE, 0.5),
        ];
        let [mut with, mut without] = [Vec::new(), Vec::new()];
        write(&families, Some(Duration::from_secs(1)), &mut with).unwrap();
        write(&families, None, &mut without).unwrap();
        // Field 15 of 4 bytes: a message whose field 1 is 1, and whose field 2 is 0.
        let created = b"\x7a\x04\x08\x01\x10\0";
        let positions = with.windows(created.len()).filter(|bytes| bytes == created).count();
        assert_eq!((positions, with.len() - without.len()), (1, created.len()));
        let mut input = CodedInputStream::from_bytes(&with);
        let read: MetricFamily = input.read_message().unwrap();
        let field = read.get_metric()[0].get_histogram().special_fields.unknown_fields().get(15);
        assert_eq!(field, Some(UnknownValueRef::LengthDelimited(&created[2..])));
    }
}
