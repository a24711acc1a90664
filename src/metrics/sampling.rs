//! How the sampling stands, as metric families.

use prometheus::proto::MetricFamily;

use super::{family::Family, names};
use crate::sample::{interval::MEASURES, state::Sampling};

/// The families that have something to tell.
pub(super) fn families(sampling: &Sampling) -> Vec<MetricFamily> {
    let nominal = 1.0 / f64::from(1_u32 << sampling.class.bits());
    let mut ratio = Family::new(&names::MYSQL_SAMPLE_RATIO).sample(&["nominal"], nominal);
    if let Some(measured) = sampling.census.and_then(|census| census.ratio) {
        ratio.push(&["measured"], measured);
    }
    let mut families = vec![
        ratio.build(),
        Family::single(&names::MYSQL_SAMPLE_MULTIPLIER, sampling.multiplier),
        Family::single(&names::MYSQL_SAMPLE_BITS, f64::from(sampling.class.bits())),
        Family::single(&names::MYSQL_SAMPLE_REPLY_BYTES, sampling.reply_bytes.map_or(0.0, f64::from)),
        Family::new(&names::MYSQL_SAMPLE_CHANGES)
            .sample(&["tighten"], sampling.changes.tightened as f64)
            .sample(&["relax"], sampling.changes.relaxed as f64)
            .build(),
    ];
    families.extend(census(sampling));
    families.extend(accuracy(sampling));
    families
}

fn census(sampling: &Sampling) -> Vec<MetricFamily> {
    let Some(census) = sampling.census else { return Vec::new() };
    let [made, failed] = sampling.censuses;
    vec![
        Family::new(&names::MYSQL_SAMPLE_CONNECTIONS)
            .sample(&["all"], census.all as f64)
            .sample(&["sampled"], census.sampled as f64)
            .build(),
        Family::new(&names::MYSQL_CLIENT_PORTS)
            .sample(&["even"], census.even as f64)
            .sample(&["odd"], (census.all - census.even) as f64)
            .build(),
        Family::new(&names::MYSQL_CENSUSES)
            .sample(&["ok"], made as f64)
            .sample(&["failed"], failed as f64)
            .build(),
    ]
}

fn accuracy(sampling: &Sampling) -> Vec<MetricFamily> {
    let Some(accuracy) = sampling.accuracy else { return Vec::new() };
    let mut families = vec![
        Family::single(&names::MYSQL_SAMPLE_EFFECTIVE_SIZE, accuracy.effective_size),
        Family::single(&names::MYSQL_UNESTIMATED_SEGMENTS, accuracy.unestimated),
    ];
    if let Some(errors) = accuracy.honest_errors() {
        let family = MEASURES
            .iter()
            .zip(errors)
            .fold(Family::new(&names::MYSQL_ESTIMATE_STANDARD_ERROR), |family, (measure, error)| {
                family.sample(&[measure], error)
            });
        families.push(family.build());
    }
    families
}
