//! Numbers in base units, and as the text formats write them.

use std::{fmt, io};

/// Nanoseconds as the base unit of time.
#[cfg(feature = "capture")]
pub(super) fn seconds(nanos: f64) -> f64 {
    nanos / 1e9
}

/// A sample's value. Whole numbers, which most are, have no point; what is not finite is as Go's `ParseFloat` and
/// OpenMetrics both read it.
pub(super) fn write_value(out: &mut impl io::Write, value: f64) -> io::Result<()> {
    /// All whole numbers up to here are exact (2^53).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_finite() && value.trunc() == value && value.abs() < EXACT {
        return write_integer(out, value as i64);
    }
    match value {
        f64::INFINITY => out.write_all(b"+Inf"),
        f64::NEG_INFINITY => out.write_all(b"-Inf"),
        value => write!(out, "{value}"),
    }
}

/// A number without a fraction: what `Display` does, without its machinery.
pub(super) fn write_integer(out: &mut impl io::Write, value: i64) -> io::Result<()> {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.write_all(&digits[start..])
}

/// A bucket's upper bound, as Go's `%g` renders it: the `le` of client_golang, hence of most rules and dashboards.
///
/// With the alternate flag (`{:#}`) it has `.0` where it would look like an integer: the canonical number of
/// OpenMetrics 1.0 ("Considerations: Canonical Numbers").
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound(pub(super) f64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        // `%g` with the shortest precision: an exponent below -4 or from 6 on is written as one.
        if value.is_finite() && value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |it| ('-', it));
            return write!(f, "{digits}e{sign}{exponent:0>2}");
        }
        write!(f, "{value}")?;
        if f.alternate() && value.trunc() == value { f.write_str(".0") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_they_read_back_the_same() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (42.0, "42"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1.5e-9, "0.0000000015"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1.8e19, "18000000000000000000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            write_value(&mut out, value).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn the_whole_range_of_integers_is_written() {
        for value in [i64::MIN, -10, -1, 0, 9, 10, i64::MAX] {
            let mut out = Vec::new();
            write_integer(&mut out, value).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn bounds_are_canonical() {
        // The list in "Canonical Numbers" of OpenMetrics 1.0, and what is beyond it.
        let cases = [
            (0.0, "0", "0.0"),
            (1e-10, "1e-10", "1e-10"),
            (1e-5, "1e-05", "1e-05"),
            (0.0001, "0.0001", "0.0001"),
            (0.00025, "0.00025", "0.00025"),
            (0.001, "0.001", "0.001"),
            (0.1, "0.1", "0.1"),
            (1.0, "1", "1.0"),
            (2.5, "2.5", "2.5"),
            (10.0, "10", "10.0"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (1e22, "1e+22", "1e+22"),
            (-2.0, "-2", "-2.0"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ];
        for (bound, plain, canonical) in cases {
            assert_eq!(format!("{}", Bound(bound)), plain);
            assert_eq!(format!("{:#}", Bound(bound)), canonical);
        }
    }
}
