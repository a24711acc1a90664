//! Numbers as people read them: three digits and a unit. `format.js` has the same rules for what changes in the
//! browser; `format_cases.json` holds both to them.

/// What stands for a number that is not known.
pub(super) const DASH: &str = "–";

/// Between a number and its unit: does not break, and is narrower than a space.
const GAP: char = '\u{202f}';

/// A number as a template hands it over: behind a reference or two.
pub(super) trait Number {
    /// Itself; beyond 2^53 the nearest there is.
    fn number(&self) -> f64;
}

impl Number for f64 {
    fn number(&self) -> f64 {
        *self
    }
}

impl Number for u64 {
    fn number(&self) -> f64 {
        *self as f64
    }
}

impl<N: Number> Number for &N {
    fn number(&self) -> f64 {
        (**self).number()
    }
}

/// A count or a rate: `0.25`, `31.4`, `1,234`, `12.3k`.
pub(super) fn count<N: Number>(value: N) -> String {
    let value = value.number();
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        ..0.01 => "<0.01".to_owned(),
        ..9999.5 if size.fract() == 0.0 || size >= 99.95 => grouped(value.round()),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => with_prefix(value),
    }
}

/// `1,234`.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    match digits.len() {
        4.. => format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..]),
        _ => digits,
    }
}

fn with_prefix(value: f64) -> String {
    // Rounded first, so that 999,999 is 1.00M and not 1000k.
    let value: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let (unit, prefix) = match value {
        ..1e6 => (1e3, "k"),
        ..1e9 => (1e6, "M"),
        ..1e12 => (1e9, "G"),
        _ => (1e12, "T"),
    };
    format!("{}{prefix}", three_digits(value / unit))
}

fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A short time in seconds: `412 µs`, `3.10 ms`, `1.24 s`; from a minute on as [`duration`].
pub(super) fn time<N: Number>(seconds: N) -> String {
    let seconds = seconds.number();
    match seconds {
        0.0 => format!("0{GAP}s"),
        ..999.5e-9 => format!("<1{GAP}µs"),
        ..999.5e-6 => format!("{}{GAP}µs", three_digits(seconds * 1e6)),
        ..999.5e-3 => format!("{}{GAP}ms", three_digits(seconds * 1e3)),
        ..59.95 => format!("{}{GAP}s", three_digits(seconds)),
        _ => duration(seconds),
    }
}

/// A long time in seconds, in its two largest units: `45 s`, `3 h 12 min`, `4 d 3 h`.
pub(super) fn duration<N: Number>(seconds: N) -> String {
    let seconds = seconds.number() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}{GAP}s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// The lesser one is left out where it is 0.
fn two(greater: u64, unit: &str, lesser: u64, of: &str) -> String {
    match lesser {
        0 => format!("{greater}{GAP}{unit}"),
        _ => format!("{greater}{GAP}{unit} {lesser}{GAP}{of}"),
    }
}

/// A part of 1: `0%`, `<0.1%`, `3.2%`, `47%`.
pub(super) fn share(ratio: f64) -> String {
    match 100.0 * ratio {
        0.0 => "0%".to_owned(),
        ..0.1 => "<0.1%".to_owned(),
        percent @ ..9.95 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_cases_for_both_languages_say() {
        let cases: serde_json::Value = serde_json::from_str(include_str!("format_cases.json")).unwrap();
        for name in ["count", "time", "duration", "share"] {
            for case in cases[name].as_array().unwrap() {
                let number = case[0].as_f64().unwrap();
                let written = match name {
                    "count" => count(number),
                    "time" => time(number),
                    "duration" => duration(number),
                    _ => share(number),
                };
                assert_eq!(written, case[1].as_str().unwrap(), "{name} {number}");
            }
        }
    }
}
