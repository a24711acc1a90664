//! What the sample is worth on this host, and how many bits would do (docs/sampling.md).

use super::Finding;
use crate::sample::{class::SampleClass, multiplier::Multiplier};

const SECTION: &str = "sampling";

/// The relative error, of a standard deviation, that 2^N may have before it is advised against.
const WANTED_ERROR: f64 = 0.1;

/// How connections are to be chosen, and what there is to choose from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What is to be captured.
    pub class: SampleClass,
    /// What an event of it stands for.
    pub multiplier: Multiplier,
    /// Connections now.
    pub connections: u64,
    /// Of those the ones in the class.
    pub sampled: u64,
    /// The share of one CPU that capturing may take; `None` for any.
    pub cpu_budget: Option<f64>,
    /// The share of one CPU that capturing took in a short look, if there was one.
    pub cpu_share: Option<f64>,
}

impl Sampling {
    /// Judges it.
    pub fn findings(&self) -> Vec<Finding> {
        [Some(self.chosen()), self.nominal_error(), self.cost()].into_iter().flatten().collect()
    }

    fn chosen(&self) -> Finding {
        let Self { class, connections, sampled, .. } = *self;
        let bits = class.bits();
        if bits == 0 {
            return Finding::ok(SECTION, "N=0: every connection is captured, and every count exact");
        }
        let what =
            format!("N={bits}: {sampled} of {connections} connections are in class {}", class.number());
        if sampled == 0 && connections > 0 {
            return Finding::warn(
                SECTION,
                what,
                "another --mysql.sample-class, or --mysql.sample-rotate=10s",
            );
        }
        Finding::ok(SECTION, what)
    }

    /// Even if all connections do alike, their number in a class is left to chance.
    fn nominal_error(&self) -> Option<Finding> {
        let bits = self.class.bits();
        if bits == 0 || self.connections == 0 || self.multiplier.is_measured() {
            return None;
        }
        let connections = self.connections as f64;
        let error = ((f64::from(1_u32 << bits) - 1.0) / connections).sqrt();
        let most = (WANTED_ERROR * WANTED_ERROR * connections + 1.0).log2().floor();
        let what = format!(
            "with {connections} connections that do alike, 2^N is off by about {:.0} %; {:.0} % allow N={most}",
            error * 100.0,
            WANTED_ERROR * 100.0,
        );
        Some(if error > WANTED_ERROR {
            Finding::warn(SECTION, what, "--mysql.multiplier=measured, which weighs them by what they do")
        } else {
            Finding::ok(SECTION, what)
        })
    }

    /// Whether what was seen fits the budget, and the least N that does.
    fn cost(&self) -> Option<Finding> {
        let (share, budget) = self.cpu_share.zip(self.cpu_budget)?;
        let bits = self.class.bits();
        if bits > 0 && self.sampled == 0 {
            return None;
        }
        let whole = share * self.connections.max(1) as f64 / self.sampled.max(1) as f64;
        let least = (0..=SampleClass::MAX_BITS).find(|bits| whole / f64::from(1_u32 << bits) <= budget);
        let least = least.unwrap_or(SampleClass::MAX_BITS);
        let what = format!(
            "capturing took {:.1} % of a CPU; N={least} is the least to fit --mysql.cpu-budget={budget}",
            share * 100.0
        );
        Some(if bits < least {
            let advice = format!("--mysql.sample-bits={least} --mysql.multiplier=measured");
            Finding::warn(SECTION, what, advice)
        } else {
            Finding::ok(SECTION, what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Status, worst};

    fn sampling(bits: u8, sampled: u64) -> Sampling {
        Sampling {
            class: SampleClass::new(bits, 1, 0).unwrap(),
            multiplier: Multiplier::Auto,
            connections: 64,
            sampled,
            cpu_budget: Some(0.25),
            cpu_share: None,
        }
    }

    #[test]
    fn without_sampling_there_is_nothing_to_advise() {
        let all = sampling(0, 64);
        assert_eq!((worst(&all.findings()), all.findings().len()), (Status::Ok, 1));
    }

    #[test]
    fn a_class_without_connections_is_warned_of_unless_there_are_none_at_all() {
        let advice = |sampling: Sampling| sampling.findings()[0].advice.clone();
        assert!(advice(sampling(3, 0)).unwrap().contains("--mysql.sample-class"));
        assert_eq!(advice(Sampling { connections: 0, ..sampling(3, 0) }), None);
        assert_eq!(advice(sampling(3, 8)), None);
    }

    #[test]
    fn two_to_the_n_is_advised_against_where_chance_decides() {
        let nominal = sampling(3, 8).findings();
        assert!(nominal[1].what.contains("off by about 33 %; 10 % allow N=0"), "{nominal:?}");
        assert_eq!(nominal[1].status, Status::Warn);
        let many = Sampling { connections: 1_000, sampled: 120, ..sampling(3, 0) };
        assert_eq!(many.findings()[1].status, Status::Ok);
        assert!(many.findings()[1].what.ends_with("allow N=3"), "{many:?}");
        let measured = Sampling { multiplier: Multiplier::Measured, ..sampling(3, 8) };
        assert_eq!(measured.findings().len(), 1);
    }

    #[test]
    fn the_least_n_that_fits_the_budget_is_told() {
        let whole = Sampling { cpu_share: Some(0.9), ..sampling(0, 64) };
        let cost = whole.findings().pop().unwrap();
        assert_eq!(cost.advice.as_deref(), Some("--mysql.sample-bits=2 --mysql.multiplier=measured"));
        let enough = Sampling { cpu_share: Some(0.1), ..sampling(3, 8) };
        let cost = enough.findings().pop().unwrap();
        assert_eq!((cost.status, cost.what.contains("N=2 is the least")), (Status::Ok, true), "{cost:?}");
        let unbounded = Sampling { cpu_budget: None, cpu_share: Some(2.0), ..sampling(0, 64) };
        assert_eq!(unbounded.findings().len(), 1);
    }
}
