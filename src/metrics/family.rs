//! A row of [`super::names`] and its samples → a [`MetricFamily`].

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::names::{Kind, Metric};

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
        debug_assert_eq!(self.metric.kind, Kind::Histogram, "{}", self.metric.name);
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(data.count);
        histogram.set_sample_sum(data.sum);
        histogram.set_bucket(
            data.buckets
                .iter()
                .map(|&(bound, count)| {
                    let mut bucket = proto::Bucket::default();
                    bucket.set_upper_bound(bound);
                    bucket.set_cumulative_count(count);
                    bucket
                })
                .collect(),
        );
        let mut sample = self.labelled(labels);
        sample.set_histogram(histogram);
        self.samples.push(sample);
        self
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
