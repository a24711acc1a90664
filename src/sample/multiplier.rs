//! What one event seen adds to the estimated counters.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::class::SampleClass;

/// The weight of an event from a sampled connection.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Multiplier {
    /// 2^N: each class is taken to carry as much as any other.
    #[default]
    Auto,
    /// By comparing the sampled connections with all (see [`super::estimator`]).
    Measured,
    /// A number the user knows better: finite, at least 1.
    Fixed(f64),
}

/// Not a multiplier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a multiplier is `auto`, `measured` or a number of at least 1, not `{0}`")]
pub struct InvalidMultiplier(String);

impl Multiplier {
    /// The number, for connections of `class`; the one that is measured is not known here, only where it would be if
    /// all classes carried the same.
    pub fn nominal(self, class: SampleClass) -> f64 {
        match self {
            Self::Auto | Self::Measured => f64::from(1_u32 << class.bits()),
            Self::Fixed(value) => value,
        }
    }

    /// Whether a census tells.
    pub fn is_measured(self) -> bool {
        self == Self::Measured
    }
}

impl FromStr for Multiplier {
    type Err = InvalidMultiplier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if text == "measured" {
            return Ok(Self::Measured);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 1.0 => Ok(Self::Fixed(value)),
            _ => Err(InvalidMultiplier(text.to_owned())),
        }
    }
}

impl fmt::Display for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Measured => f.write_str("measured"),
            Self::Fixed(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_two_to_the_number_of_bits() {
        for (bits, value) in [(0, 1.0), (1, 2.0), (3, 8.0), (8, 256.0)] {
            assert_eq!(Multiplier::Auto.nominal(SampleClass::new(bits, 1, 0).unwrap()), value);
        }
    }

    #[test]
    fn a_fixed_number_holds_whatever_the_class() {
        assert_eq!(Multiplier::Fixed(7.5).nominal(SampleClass::new(3, 1, 0).unwrap()), 7.5);
    }

    #[test]
    fn text_round_trips() {
        for (text, value) in [
            ("auto", Multiplier::Auto),
            ("measured", Multiplier::Measured),
            ("1", Multiplier::Fixed(1.0)),
            ("7.25", Multiplier::Fixed(7.25)),
        ] {
            assert_eq!(text.parse(), Ok(value));
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in ["", "Auto", "0.99", "0", "-2", "nan", "inf", "1e999", "eight"] {
            let error = text.parse::<Multiplier>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("a multiplier is `auto`, `measured` or a number of at least 1, not `{text}`")
            );
        }
    }
}
