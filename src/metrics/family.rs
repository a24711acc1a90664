//! A row of [`super::names`] and its samples → a [`MetricFamily`]; the order of families on a page.
//!
//! Most of what a page costs is the memory of its labels: four strings a sample. One page's labels are nearly always the
//! next one's, so a family that was written is kept ([`keep`]) and the next of its name is made in it: what is the same
//! stays, what has changed is overwritten.

use std::{cell::RefCell, collections::HashMap};

use foldhash::fast::FixedState;
use prometheus::proto::{self, Bucket, Histogram, LabelPair, MetricFamily, MetricType};

#[cfg(feature = "capture")]
use super::{exemplar::Exemplar, native};
use super::{
    fraction,
    names::{Kind, Metric},
};
#[cfg(feature = "capture")]
use crate::stats::native::Snapshot;

thread_local! {
    /// Families of the last page that this thread has written, by the name of a row of [`super::names`], which bounds
    /// them. Empty ones stand for those under way.
    static KEPT: RefCell<HashMap<&'static str, MetricFamily, FixedState>> =
        const { RefCell::new(HashMap::with_hasher(FixedState::with_seed(0))) };
}

/// Keeps what was written, for the next page of the same thread to be made in.
pub(super) fn keep(families: Vec<MetricFamily>) {
    KEPT.with_borrow_mut(|kept| {
        for family in families {
            if let Some(place) = kept.get_mut(family.name()) {
                *place = family;
            }
        }
    });
}

/// A histogram's data as Prometheus wants it: cumulative counts for ascending upper bounds. They need not be whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// `(upper bound, observations ≤ it)`, ascending, without `+Inf`.
    pub buckets: Vec<(f64, f64)>,
    /// All observations: what `+Inf` would hold.
    pub count: f64,
    /// Sum of the observed values, in the metric's unit.
    pub sum: f64,
}

/// Puts `families` into the order of a page: by name, and none without samples.
pub(super) fn arrange(families: &mut Vec<MetricFamily>) {
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_unstable_by(|a, b| a.name().cmp(b.name()));
}

/// Collects the samples of one metric.
#[derive(Debug)]
pub struct Family {
    metric: &'static Metric,
    /// A label of samples to come that not every sample of the metric has.
    extra: Option<(&'static str, String)>,
    /// Its samples behind [`Self::used`] are those of an earlier page.
    family: MetricFamily,
    /// Samples that were added.
    used: usize,
}

impl Family {
    /// An empty family for `metric`.
    pub fn new(metric: &'static Metric) -> Self {
        let mut family = KEPT.with_borrow_mut(|kept| std::mem::take(kept.entry(metric.name).or_default()));
        set(&mut family.name, metric.name);
        set(&mut family.help, metric.help);
        family.set_field_type(match metric.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        Self { metric, extra: None, family, used: 0 }
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
        let kind = self.metric.kind;
        let sample = self.labelled(labels);
        match kind {
            Kind::Counter => sample.counter.mut_or_insert_default().set_value(value),
            Kind::Gauge => sample.gauge.mut_or_insert_default().set_value(value),
            Kind::Histogram => debug_assert!(false, "a number for a histogram"),
        }
    }

    /// Adds a histogram's buckets. `labels` as for [`Self::sample`].
    #[must_use]
    pub fn histogram(mut self, labels: &[&str], data: &HistogramSample) -> Self {
        self.push_histogram(labels, data);
        self
    }

    /// [`Self::histogram`] in place.
    pub fn push_histogram(&mut self, labels: &[&str], data: &HistogramSample) {
        self.classic(labels, data);
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
        let histogram = self.classic(labels, data);
        native::attach(native, histogram);
        exemplars.iter().for_each(|exemplar| exemplar.attach_to_bucket(histogram));
    }

    fn classic(&mut self, labels: &[&str], data: &HistogramSample) -> &mut Histogram {
        debug_assert_eq!(self.metric.kind, Kind::Histogram, "{}", self.metric.name);
        let histogram: &mut Histogram = self.labelled(labels).histogram.mut_or_insert_default();
        histogram.special_fields.clear();
        let count = fraction::put(data.count, &mut histogram.special_fields);
        histogram.set_sample_count(count);
        histogram.set_sample_sum(data.sum);
        histogram.bucket.resize_with(data.buckets.len(), Bucket::default);
        for (bucket, &(bound, count)) in histogram.bucket.iter_mut().zip(&data.buckets) {
            bucket.special_fields.clear();
            bucket.set_upper_bound(bound);
            let count = fraction::put(count, &mut bucket.special_fields);
            bucket.set_cumulative_count(count);
        }
        histogram
    }

    /// The family, ready for an encoder. One without samples must not be encoded (see [`Self::is_empty`]).
    pub fn build(mut self) -> MetricFamily {
        self.family.metric.truncate(self.used);
        self.family
    }

    /// Whether no sample was added yet.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// One more sample, with these labels.
    fn labelled(&mut self, values: &[&str]) -> &mut proto::Metric {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        let own = self.metric.labels.iter().copied().zip(values.iter().copied());
        let extra = self.extra.iter().map(|(name, value)| (*name, value.as_str()));
        let sample = at(&mut self.family.metric, self.used);
        self.used += 1;
        let mut count = 0;
        for (name, value) in own.chain(extra) {
            let pair: &mut LabelPair = at(&mut sample.label, count);
            set(&mut pair.name, name);
            set(&mut pair.value, value);
            count += 1;
        }
        sample.label.truncate(count);
        sample
    }
}

/// The item at `index`, which is at most one behind the last.
fn at<T: Default>(items: &mut Vec<T>, index: usize) -> &mut T {
    if index == items.len() {
        items.push(T::default());
    }
    &mut items[index]
}

fn set(text: &mut Option<String>, value: &str) {
    let text = text.get_or_insert_default();
    if text != value {
        text.clear();
        text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{format::Format, names, text};

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
        let data = HistogramSample { buckets: vec![(0.1, 1.0), (0.5, 3.0)], count: 4.0, sum: 2.25 };
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

    #[test]
    fn nothing_of_an_earlier_page_is_on_the_next() {
        let page = |family: MetricFamily| {
            let mut page = Vec::new();
            Format::ALL[2].encode(vec![family], None, &mut page).unwrap();
            String::from_utf8(page).unwrap()
        };
        let errors = |rows: &[(&str, f64)], namespace: Option<&str>| {
            let mut family = Family::new(&names::MYSQL_ERRORS);
            family.label(namespace.map(|name| ("netns", name)));
            rows.iter().for_each(|(code, count)| family.push(&[code, "HY000"], *count));
            page(family.build())
        };
        errors(&[("1", 1.0), ("22222", 2.0), ("3", 3.0)], Some("blue"));
        let next = errors(&[("22222", 5.0), ("1", 0.5)], None);
        let expected = [
            r#"dbwire_mysql_errors_total{code="22222",sqlstate="HY000"} 5"#,
            r#"dbwire_mysql_errors_total{code="1",sqlstate="HY000"} 0.5"#,
        ];
        assert_eq!(samples(&next), expected);
    }

    #[cfg(feature = "capture")]
    #[test]
    fn a_histogram_keeps_neither_exemplars_nor_buckets_of_an_earlier_page() {
        let exemplar = Exemplar {
            labels: vec![("trace_id".into(), "4b".into())],
            value: 0.2,
            at: std::time::Duration::ZERO,
        };
        let native =
            |index| Snapshot { schema: 3, zero_threshold: 0.5, zero_count: 0.0, buckets: vec![(index, 3.0)] };
        let page = |buckets: &[(f64, f64)], native: &Snapshot, exemplars: &[Exemplar]| {
            let data = HistogramSample { buckets: buckets.to_vec(), count: 3.0, sum: 1.0 };
            let mut family = Family::new(&names::MYSQL_QUERY_DURATION);
            family.push_native_histogram(&["select"], &data, native, exemplars);
            let mut page = Vec::new();
            Format::Protobuf.encode(vec![family.build()], None, &mut page).unwrap();
            page
        };
        let fresh = page(&[(0.25, 1.0)], &native(2), &[]);
        page(&[(0.25, 1.5), (0.5, 2.0), (1.0, 3.0)], &native(7), &[exemplar]);
        assert_eq!(page(&[(0.25, 1.0)], &native(2), &[]), fresh);
    }
}
