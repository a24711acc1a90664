//! The two text formats: Prometheus' own, 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>), and OpenMetrics 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! What OpenMetrics has beyond the other: a counter's family is named without `_total`, units, exemplars, `_created`
//! samples, canonical `le`s, and an end.

use std::io::{self, Write};

use prometheus::proto::{Histogram, LabelPair, Metric, MetricFamily, MetricType};
use protobuf::SpecialFields;

use super::{
    exemplar::Exemplar,
    family, fraction, names,
    number::{Bound, write_value},
};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dialect {
    /// 0.0.4.
    Prometheus,
    /// 1.0.
    OpenMetrics {
        /// When this program began to count, in seconds since the Unix epoch: a `_created` sample for each counter
        /// and histogram, if told.
        created: Option<f64>,
    },
}

/// Writes `families` in Prometheus' format, in order of their names, which makes two pages comparable line by line.
/// Families without a sample are left out, as the format has no way to write one.
///
/// # Errors
/// Those of `out`.
pub fn encode(mut families: Vec<MetricFamily>, out: &mut impl Write) -> io::Result<()> {
    family::arrange(&mut families);
    write(&families, Dialect::Prometheus, out)
}

/// Writes `families` as they are, each with at least one sample.
pub(super) fn write(families: &[MetricFamily], dialect: Dialect, out: &mut impl Write) -> io::Result<()> {
    let mut page = Page { out, dialect, labels: Vec::new() };
    for family in families {
        page.family(family)?;
    }
    if page.is_openmetrics() {
        page.out.write_all(b"# EOF\n")?;
    }
    Ok(())
}

/// A page that is being written.
struct Page<'a, W> {
    out: &'a mut W,
    dialect: Dialect,
    /// The labels of the metric that is being written: `a="b",c="d"`.
    labels: Vec<u8>,
}

impl<W: Write> Page<'_, W> {
    fn is_openmetrics(&self) -> bool {
        self.dialect != Dialect::Prometheus
    }

    fn family(&mut self, family: &MetricFamily) -> io::Result<()> {
        let kind = family.get_field_type();
        let name = self.metadata(family, kind)?;
        for metric in family.get_metric() {
            self.labels.clear();
            write_labels(metric.get_label(), &mut self.labels)?;
            match kind {
                MetricType::COUNTER => {
                    self.sample(family.name(), "", metric.get_counter().value())?;
                    self.created(name)?;
                }
                MetricType::HISTOGRAM => self.histogram(name, metric.get_histogram())?,
                _ => self.sample(name, "", other_value(metric, kind))?,
            }
        }
        Ok(())
    }

    /// The lines before a family's samples; the name that they give it.
    fn metadata<'f>(&mut self, family: &'f MetricFamily, kind: MetricType) -> io::Result<&'f str> {
        let full = family.name();
        let stem = full.strip_suffix("_total").filter(|_| kind == MetricType::COUNTER);
        let (name, label) = match (self.is_openmetrics(), stem, kind) {
            (true, Some(stem), _) => (stem, "counter"),
            // A counter must end in `_total` there.
            (true, None, MetricType::COUNTER) => (full, "unknown"),
            (_, _, MetricType::COUNTER) => (full, "counter"),
            (_, _, MetricType::GAUGE) => (full, "gauge"),
            (_, _, MetricType::HISTOGRAM) => (full, "histogram"),
            (true, ..) => (full, "unknown"),
            (false, ..) => (full, "untyped"),
        };
        write!(self.out, "# HELP {name} ")?;
        // Only OpenMetrics escapes quotes there.
        escape(family.help(), self.is_openmetrics(), self.out)?;
        write!(self.out, "\n# TYPE {name} {label}\n")?;
        if let Some(unit) = names::unit(name).filter(|_| self.is_openmetrics()) {
            writeln!(self.out, "# UNIT {name} {unit}")?;
        }
        Ok(name)
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram) -> io::Result<()> {
        let all = self.count(histogram.get_sample_count(), &histogram.special_fields);
        for bucket in histogram.get_bucket() {
            let count = self.count(bucket.cumulative_count(), &bucket.special_fields);
            self.bucket(name, bucket.upper_bound(), count)?;
            if self.is_openmetrics()
                && let Some(exemplar) = Exemplar::of(bucket)
            {
                self.exemplar(&exemplar)?;
            }
            self.out.write_all(b"\n")?;
        }
        if histogram.get_bucket().last().is_none_or(|last| last.upper_bound() != f64::INFINITY) {
            self.bucket(name, f64::INFINITY, all)?;
            self.out.write_all(b"\n")?;
        }
        self.sample(name, "_sum", histogram.get_sample_sum())?;
        self.sample(name, "_count", all)?;
        self.created(name)
    }

    /// A histogram's count as the format allows it: OpenMetrics wants integers.
    fn count(&self, rounded: u64, fields: &SpecialFields) -> f64 {
        if self.is_openmetrics() { rounded as f64 } else { fraction::get(rounded, fields) }
    }

    /// A bucket's line but for its end.
    fn bucket(&mut self, name: &str, bound: f64, count: f64) -> io::Result<()> {
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(b"_bucket{")?;
        if !self.labels.is_empty() {
            self.out.write_all(&self.labels)?;
            self.out.write_all(b",")?;
        }
        match self.dialect {
            Dialect::Prometheus => write!(self.out, "le=\"{}\"}} ", Bound(bound))?,
            Dialect::OpenMetrics { .. } => write!(self.out, "le=\"{:#}\"}} ", Bound(bound))?,
        }
        write_value(self.out, count)
    }

    fn exemplar(&mut self, exemplar: &Exemplar) -> io::Result<()> {
        self.out.write_all(b" # {")?;
        for (index, (name, value)) in exemplar.labels.iter().enumerate() {
            write_label(index, name, value, self.out)?;
        }
        self.out.write_all(b"} ")?;
        write_value(self.out, exemplar.value)?;
        write!(self.out, " {}.{:03}", exemplar.at.as_secs(), exemplar.at.subsec_millis())
    }

    fn created(&mut self, name: &str) -> io::Result<()> {
        match self.dialect {
            Dialect::OpenMetrics { created: Some(at) } if names::counts_since_start(name) => {
                self.sample(name, "_created", at)
            }
            _ => Ok(()),
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, value: f64) -> io::Result<()> {
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(suffix.as_bytes())?;
        if !self.labels.is_empty() {
            self.out.write_all(b"{")?;
            self.out.write_all(&self.labels)?;
            self.out.write_all(b"}")?;
        }
        self.out.write_all(b" ")?;
        write_value(self.out, value)?;
        self.out.write_all(b"\n")
    }
}

/// Of what is neither a counter nor a histogram; there are no summaries.
fn other_value(metric: &Metric, kind: MetricType) -> f64 {
    match kind {
        MetricType::GAUGE => metric.get_gauge().value(),
        _ => metric.untyped.value(),
    }
}

fn write_labels(labels: &[LabelPair], out: &mut impl Write) -> io::Result<()> {
    labels.iter().enumerate().try_for_each(|(index, pair)| write_label(index, pair.name(), pair.value(), out))
}

fn write_label(index: usize, name: &str, value: &str, out: &mut impl Write) -> io::Result<()> {
    if index > 0 {
        out.write_all(b",")?;
    }
    out.write_all(name.as_bytes())?;
    out.write_all(b"=\"")?;
    escape(value, true, out)?;
    out.write_all(b"\"")
}

/// Escapes backslashes and ends of lines, and `quotes` if asked.
fn escape(text: &str, quotes: bool, out: &mut impl Write) -> io::Result<()> {
    let mut rest = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (quotes && *byte == b'"');
    while let Some(at) = rest.iter().position(special) {
        out.write_all(&rest[..at])?;
        out.write_all(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        })?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

#[cfg(test)]
mod tests;
