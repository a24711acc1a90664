//! What the bytes that a client has sent say of its requests.
//!
//! They are not in proportion, since each client sends its login, too: a line is drawn through bytes and requests of the
//! sampled connections (the regression estimator; Cochran, Sampling Techniques, chapter 7), in the unit of bytes. The less
//! the two have to do with each other, the nearer it is to the ratio. Farther beyond the sampled connections than those lie
//! apart the line is not known: there every byte counts as one.

use super::interval::Unit;

/// Sampled connections that a line is drawn through, at least.
const LEAST_FOR_A_LINE: usize = 4;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// From where to where the line is known, in bytes.
    known: (f64, f64),
    mean: f64,
    /// Of the line, where the ratio has 1.
    slope: f64,
}

impl Line {
    /// `None` if the connections are too few, or too alike, for one.
    pub(super) fn through(units: &[Unit]) -> Option<Self> {
        if units.len() < LEAST_FOR_A_LINE {
            return None;
        }
        let count = units.len() as f64;
        let mean = |of: fn(&Unit) -> f64| units.iter().map(of).sum::<f64>() / count;
        let (bytes, queries) = (mean(|unit| unit.x), mean(|unit| unit.y[0]));
        let [mut xx, mut xy, mut yy] = [0.0; 3];
        for unit in units {
            let (x, y) = (unit.x - bytes, unit.y[0] - queries);
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        if xx <= 0.0 || yy <= 0.0 {
            return None;
        }
        let bounds = |(least, most): (f64, f64), unit: &Unit| (least.min(unit.x), most.max(unit.x));
        let (least, most) = units.iter().fold((f64::INFINITY, 0.0), bounds);
        // How much of the one the other explains, less what as many points at random would (R², adjusted).
        let determination = (1.0 - (1.0 - xy * xy / (xx * yy)) * (count - 1.0) / (count - 2.0)).max(0.0);
        let slope = 1.0 + determination * (xy / xx * bytes / queries - 1.0);
        // No connection has fewer requests than none.
        let steepest = bytes / (bytes - least);
        let apart = most - least;
        let known = (least - apart, most + apart);
        Some(Self { known, mean: bytes, slope: slope.clamp(0.0, steepest) })
    }

    /// What so many `bytes` are worth.
    pub(super) fn at(&self, bytes: f64) -> f64 {
        let (least, most) = self.known;
        (bytes + (self.slope - 1.0) * (bytes.clamp(least, most) - self.mean)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_tell_nothing_leave_the_ratio() {
        let same = [Unit { x: 130.0, y: [2.0, 0.0, 0.0] }; 9];
        assert_eq!(Line::through(&same), None);
        let units: Vec<_> = (0..9_u32)
            .flat_map(|n| [1.0, 3.0].map(|y| Unit { x: f64::from(100 + n), y: [y, 0.0, 0.0] }))
            .collect();
        let line = Line::through(&units).unwrap();
        assert_eq!(line.slope, 1.0);
        assert_eq!(line.at(104.0), 104.0);
        assert_eq!(Line::through(&units[..3]), None);
    }
}
