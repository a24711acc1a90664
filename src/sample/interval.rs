//! How far an estimate may be off.
//!
//! For a ratio estimate Ŷ = W·Σy over the sampled connections, W = X / Σx, with residuals e = y − R·x, R = Σy / Σx
//! (Cochran, Sampling Techniques, 3rd ed., chapter 6):
//!
//! `Var = W²·(1 − 1/W)·Σ(e² + R²/6) / (1 − h)²`, `h = x / Σx`
//!
//! The leverage h corrects for a connection that pulls the ratio towards itself. R²/6 is for x, which is a whole number: a
//! request that is under way when a slice ends is in one slice by its own segment and in the next by its reply's. Where
//! in it the cut falls is anybody's guess: a twelfth of a request squared, at either end. Few slices have such a
//! request in the sample, so that residuals alone would mostly promise certainty. With few connections, or one that is
//! most of the load, the normal distribution promises too much: Student's t does not, with as many degrees of freedom as
//! there are connections that tell of the variance. These are fewer than are sampled where a few have most of the
//! errors: (Σv)² / Σv² of the connections' terms v of the sum above (Satterthwaite, Biometrics Bulletin 2, 1946), and n_eff − 1
//! at most, n_eff = (Σx)² / Σx².

/// What errors are told of, in the order of a [`Unit`]'s `y`.
pub const MEASURES: [&str; 3] = ["queries", "errors", "seconds"];

/// A sampled connection in one slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// The auxiliary variable, known of all connections.
    pub x: f64,
    /// What was decoded of it, by [`MEASURES`].
    pub y: [f64; 3],
}

/// n_eff: as many units of equal size would tell as much; 0 for none.
pub fn effective_size(units: &[Unit]) -> f64 {
    kish(units.iter().map(|unit| unit.x))
}

/// As many equal numbers would have the same ratio of squared sum to sum of squares; 0 for none.
fn kish(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) =
        numbers.fold((0.0, 0.0), |(sum, squares), number| (sum + number, squares + number * number));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Variance of a connection's x from the requests that the ends of the slice cut; see the module.
const CUT_REQUESTS: f64 = 2.0 / 12.0;

/// Variances of the estimates by [`MEASURES`], widened so that 1.96 standard errors are a 95 % interval.
pub fn variances(units: &[Unit], weight: f64) -> [f64; 3] {
    let total: f64 = units.iter().map(|unit| unit.x).sum();
    if total <= 0.0 || weight <= 1.0 {
        return [0.0; 3];
    }
    let degrees = effective_size(units) - 1.0;
    std::array::from_fn(|measure| {
        let ratio = units.iter().map(|unit| unit.y[measure]).sum::<f64>() / total;
        let term = |unit: &Unit| {
            // A unit that is nearly everything leaves nothing to compare it with.
            let rest = (1.0 - unit.x / total).max(0.05);
            ((unit.y[measure] - ratio * unit.x).powi(2) + CUT_REQUESTS * ratio * ratio) / rest.powi(2)
        };
        let widening = student(degrees.min(kish(units.iter().map(term)))) / NORMAL;
        weight * weight * (1.0 - 1.0 / weight) * units.iter().map(term).sum::<f64>() * widening * widening
    })
}

/// 97.5 % quantile of the normal distribution.
pub const NORMAL: f64 = 1.959_964;

/// The same of Student's t for 1/degrees = 1, 1/2, 1/3, 1/4, 1/5, 1/7, 1/10, 1/20, 1/60, 0.
const STUDENT: [(f64, f64); 10] = [
    (1.0, 12.706_205),
    (2.0, 4.302_653),
    (3.0, 3.182_446),
    (4.0, 2.776_445),
    (5.0, 2.570_582),
    (7.0, 2.364_624),
    (10.0, 2.228_139),
    (20.0, 2.085_963),
    (60.0, 2.000_298),
    (f64::INFINITY, NORMAL),
];

/// 97.5 % quantile of Student's t, interpolated in 1/degrees; that of one degree for fewer.
fn student(degrees: f64) -> f64 {
    let inverse = 1.0 / degrees.max(1.0);
    let pairs = STUDENT.iter().zip(&STUDENT[1..]);
    for ((more, high), (less, low)) in pairs {
        let (from, to) = (1.0 / less, 1.0 / more);
        if inverse >= from {
            return low + (high - low) * (inverse - from) / (to - from);
        }
    }
    NORMAL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(x: f64, queries: f64) -> Unit {
        Unit { x, y: [queries, 0.0, 0.0] }
    }

    /// Table of Student's t; between its rows the interpolation is a little high, which is the safe side.
    #[test]
    fn students_quantiles_are_those_of_the_table() {
        for (degrees, expected) in [(1.0, 12.706), (3.0, 3.182), (6.0, 2.447), (15.0, 2.131), (30.0, 2.042)] {
            let found = student(degrees);
            assert!((expected - 0.001..expected * 1.01).contains(&found), "{degrees}: {found}");
        }
        assert_eq!(student(0.2), student(1.0));
        assert!((student(1e9) - NORMAL).abs() < 1e-6);
    }

    #[test]
    fn effective_size_counts_equal_units_and_sees_through_a_large_one() {
        assert_eq!(effective_size(&[]), 0.0);
        assert_eq!(effective_size(&[unit(3.0, 0.0); 5]), 5.0);
        assert!((effective_size(&[unit(1000.0, 0.0), unit(1.0, 0.0)]) - 1.0).abs() < 0.01);
    }

    /// By hand: x = 1, 3; y = 2, 4; R = 1.5; e = 0.5, −0.5; 1 − h = 3/4, 1/4; W = 2, n_eff = 1.6.
    #[test]
    fn the_variance_is_that_of_the_formula() {
        let [queries, errors, _] = variances(&[unit(1.0, 2.0), unit(3.0, 4.0)], 2.0);
        let squares = 0.25 + 2.25 / 6.0;
        let plain = 4.0 * 0.5 * (squares / 0.75_f64.powi(2) + squares / 0.25_f64.powi(2));
        let expected = plain * (student(0.6) / NORMAL).powi(2);
        assert!((queries - expected).abs() < 1e-9 * expected, "{queries} {expected}");
        assert_eq!(errors, 0.0);
    }

    /// Errors of one connection alone are as uncertain as one number is, however many connections have none.
    #[test]
    fn what_a_few_connections_tell_is_widened_for_so_few() {
        let units = |troubled: usize| {
            let unit = |index| Unit { x: 10.0, y: [10.0, f64::from(u8::from(index < troubled)), 0.0] };
            (0..40).map(unit).collect::<Vec<_>>()
        };
        let widening = |troubled: usize| {
            let units = units(troubled);
            let ratio = troubled as f64 / 400.0;
            let terms =
                units.iter().map(|unit| (unit.y[1] - 10.0 * ratio).powi(2) + CUT_REQUESTS * ratio * ratio);
            let plain = 4.0 * 0.5 * terms.sum::<f64>() / 0.975_f64.powi(2);
            (variances(&units, 2.0)[1] / plain).sqrt() * NORMAL
        };
        assert!((widening(1) - student(1.0)).abs() < 1.0, "{}", widening(1));
        assert!((widening(20) - student(39.0)).abs() < 0.01, "{}", widening(20));
    }

    #[test]
    fn what_is_seen_whole_is_known() {
        assert_eq!(variances(&[unit(1.0, 5.0), unit(3.0, 1.0)], 1.0), [0.0; 3]);
    }
}
