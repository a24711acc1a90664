//! A row of [`super::names`] and its samples → a [`MetricFamily`].

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::names::{Kind, Metric};
#[cfg(feature = "capture")]
use super::{exemplar::Exemplar, native};
#[cfg(feature = "capture")]
use crate::stats::native::Snapshot;

/// A histogram's data as Prometheus wants it: cumulative counts for ascending upper bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// `(upper bound, observations ≤ it)`, ascending, without `+Inf`.
    pub buckets: Vec<(f64, u64)>,
    /// All observations: what `+Inf` would hold.
    pub count: u64,
    /// Sum of the observed values, in the metric's unit.
    pub sum: f64,
}

/// Collects the samples of one metric.
#[derive(Debug)]
pub struct Family {
    metric: &'static Metric,
    /// A label of samples to come that not every sample of the metric has.
    extra: Option<(&'static str, String)>,
    samples: Vec<proto::Metric>,
}

impl Family {
    /// An empty family for `metric`.
    pub fn new(metric: &'static Metric) -> Self {
        Self { metric, extra: None, samples: Vec::new() }
    }

    /// A family with a single sample without labels.
    pub fn single(metric: &'static Metric, value: f64) -> MetricFamily {
        Self::new(metric).sample(&[], value).build()
    }

    /// Gives the samples that follow one more label, or none (again).
    pub fn label(&mut self, extra: Option<(&'static str, &str)>) {
        self.extra = extra.map(|(name, value)| (name, value.to_owned()));
    }

    /// Adds a counter's or gauge's value. `labels` are the values for [`Metric::labels`], in that order.
    #[must_use]
    pub fn sample(mut self, labels: &[&str], value: f64) -> Self {
        self.push(labels, value);
        self
    }

    /// [`Self::sample`] in place.
    pub fn push(&mut self, labels: &[&str], value: f64) {
        let mut sample = self.labelled(labels);
        match self.metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
            Kind::Histogram => debug_assert!(false, "{} is a histogram", self.metric.name),
        }
        self.samples.push(sample);
    }

    /// Adds a histogram's buckets. `labels` as for [`Self::sample`].
    #[must_use]
    pub fn histogram(mut self, labels: &[&str], data: &HistogramSample) -> Self {
        self.push_histogram(labels, data);
        self
    }

    /// [`Self::histogram`] in place.
    pub fn push_histogram(&mut self, labels: &[&str], data: &HistogramSample) {
        self.push_built_histogram(labels, classic(data));
    }

    /// The same with the data of a native histogram and exemplars beside.
    #[cfg(feature = "capture")]
    pub fn push_native_histogram(
        &mut self,
        labels: &[&str],
        data: &HistogramSample,
        native: &Snapshot,
        exemplars: &[Exemplar],
    ) {
        let mut histogram = classic(data);
        native::attach(native, &mut histogram);
        exemplars.iter().for_each(|exemplar| exemplar.attach_to_bucket(&mut histogram));
        self.push_built_histogram(labels, histogram);
    }

    fn push_built_histogram(&mut self, labels: &[&str], histogram: proto::Histogram) {
        debug_assert_eq!(self.metric.kind, Kind::Histogram, "{}", self.metric.name);
        let mut sample = self.labelled(labels);
        sample.set_histogram(histogram);
        self.samples.push(sample);
    }

    /// The family, ready for an encoder. One without samples must not be encoded (see [`Self::is_empty`]).
    pub fn build(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.help.to_owned());
        family.set_field_type(match self.metric.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(self.samples);
        family
    }

    /// Whether no sample was added yet.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn labelled(&self, values: &[&str]) -> proto::Metric {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        let own = self.metric.labels.iter().copied().zip(values.iter().copied());
        let extra = self.extra.iter().map(|(name, value)| (*name, value.as_str()));
        let pairs = own.chain(extra).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        proto::Metric::from_label(pairs.collect())
    }
}

fn classic(data: &HistogramSample) -> proto::Histogram {
    let mut histogram = proto::Histogram::default();
    histogram.set_sample_count(data.count);
    histogram.set_sample_sum(data.sum);
    let buckets = data.buckets.iter().map(|&(bound, count)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{names, text};

    fn page(family: MetricFamily) -> String {
        let mut page = Vec::new();
        text::encode(vec![family], &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    fn samples(page: &str) -> Vec<&str> {
        page.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_family_has_the_name_help_and_type_of_its_row() {
        let page = page(Family::single(&names::TCP_COOLDOWN, 1.5));
        let (name, help) = (names::TCP_COOLDOWN.name, names::TCP_COOLDOWN.help);
        assert_eq!(page, format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} 1.5\n"));
    }

    #[test]
    fn samples_keep_their_order_and_label_values_meet_their_names() {
        let family =
            Family::new(&names::MYSQL_ERRORS).sample(&["1062", "23000"], 2.0).sample(&["other", ""], 0.0);
        let page = page(family.build());
        assert!(page.contains("# TYPE dbwire_mysql_errors_total counter\n"));
        let expected = [
            r#"dbwire_mysql_errors_total{code="1062",sqlstate="23000"} 2"#,
            r#"dbwire_mysql_errors_total{code="other",sqlstate=""} 0"#,
        ];
        assert_eq!(samples(&page), expected);
    }

    #[test]
    fn a_histogram_ends_in_infinity_and_has_a_sum_and_a_count() {
        let data = HistogramSample { buckets: vec![(0.1, 1), (0.5, 3)], count: 4, sum: 2.25 };
        let page = page(Family::new(&names::MYSQL_QUERY_DURATION).histogram(&["select"], &data).build());
        let expected = [
            r#"dbwire_mysql_query_duration_seconds_bucket{statement="select",le="0.1"} 1"#,
            r#"dbwire_mysql_query_duration_seconds_bucket{statement="select",le="0.5"} 3"#,
            r#"dbwire_mysql_query_duration_seconds_bucket{statement="select",le="+Inf"} 4"#,
            r#"dbwire_mysql_query_duration_seconds_sum{statement="select"} 2.25"#,
            r#"dbwire_mysql_query_duration_seconds_count{statement="select"} 4"#,
        ];
        assert_eq!(samples(&page), expected);
    }

    #[test]
    fn a_family_is_empty_until_it_has_a_sample() {
        let family = Family::new(&names::TCP_SNAPSHOT_AGE);
        assert!(family.is_empty());
        assert!(!family.sample(&[], 0.0).is_empty());
    }
}
