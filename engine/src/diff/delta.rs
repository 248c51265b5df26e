//! The difference of a value between two sides with its confidence interval: paired within units of replication if
//! both sides have the same units, else between the means.
//! Knows nothing of tables and tasks.

use std::collections::BTreeMap;

use crate::statistics::estimate::{Estimate, mean};
use crate::statistics::holm::{self, Test};
use crate::statistics::welch;

/// A value by unit of replication; the key is the text of the unit's axis value.
pub type ValuesByUnit = BTreeMap<String, f64>;

/// A difference between two sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The mean of the first side.
    pub from: f64,
    /// The mean of the second side.
    pub to: f64,
    /// The second minus the first: Student's interval of the mean paired difference, or Welch's interval of the
    /// difference of means.
    pub change: Estimate,
    /// Whether the difference is paired.
    pub is_paired: bool,
    /// The number of units on each side.
    pub units: [usize; 2],
}

impl Delta {
    /// Compares two sides; `None` if one has no value.
    #[must_use]
    pub fn between(from: &ValuesByUnit, to: &ValuesByUnit) -> Option<Self> {
        let [one, other]: [Vec<f64>; 2] = [from, to].map(|units| units.values().copied().collect());
        let is_paired = from.keys().eq(to.keys());
        let change = if is_paired {
            Estimate::from_values(
                &one.iter().zip(&other).map(|(from, to)| less(*to, *from)).collect::<Vec<_>>(),
            )
        } else {
            welch::difference(&one, &other)
        };
        let units = [one.len(), other.len()];
        Some(Self { from: mean(&one)?, to: mean(&other)?, change: change?, is_paired, units })
    }

    /// Returns whether both sides are equal in every unit. For different units: whether all units have the same
    /// value.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        let is_nothing = self.change.least == 0.0 && self.change.most == 0.0;
        let never_varies = self.change.error.is_none() && self.units.iter().all(|units| *units > 1);
        is_nothing && (self.is_paired || never_varies)
    }
}

/// Returns a difference; it is zero for equal values, NaN and infinities included.
fn less(to: f64, from: f64) -> f64 {
    if to == from || (to.is_nan() && from.is_nan()) { 0.0 } else { to - from }
}

/// Tests two-sidedly whether each difference is zero, and adjusts the p-values for their number.
pub(super) fn adjust<'d>(deltas: impl Iterator<Item = &'d mut Delta>) {
    let test = |(origin, delta): (usize, &'d mut Delta)| {
        let p = delta.change.p_zero()?;
        Some(Test { estimate: &mut delta.change, p, origin })
    };
    holm::adjust(deltas.enumerate().filter_map(test).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(values: &[(&str, f64)]) -> ValuesByUnit {
        values.iter().map(|(unit, value)| ((*unit).to_owned(), *value)).collect()
    }

    /// Values from scipy 1.17.1: `ttest_rel(to, from)` and its `confidence_interval(0.95)`.
    #[test]
    fn the_same_units_are_paired() {
        let from = units(&[("0", 0.91), ("1", 0.95), ("2", 0.93)]);
        let to = units(&[("2", 0.96), ("0", 0.93), ("1", 0.96)]);
        let delta = Delta::between(&from, &to).unwrap();
        let (low, high) = delta.change.interval.unwrap();
        let found = [low, high, delta.change.p_zero().unwrap()];
        let expected = [-0.004_841_377_117_503_206, 0.044_841_377_117_503_16, 0.074_179_900_227_448_08];
        assert!(delta.is_paired && delta.units == [3, 3], "{delta:?}");
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn other_units_are_not_paired() {
        let delta =
            Delta::between(&units(&[("0", 1.0), ("1", 2.0)]), &units(&[("0", 3.0), ("2", 5.0)])).unwrap();
        assert_eq!((delta.is_paired, delta.from, delta.to, delta.change.mean), (false, 1.5, 4.0, 2.5));
        assert!(Delta::between(&units(&[]), &units(&[("0", 1.0)])).is_none());
    }

    #[test]
    fn equal_is_what_is_the_same_in_every_unit() {
        let check = |from: &[(&str, f64)], to: &[(&str, f64)], expected: bool| {
            assert_eq!(
                Delta::between(&units(from), &units(to)).unwrap().is_equal(),
                expected,
                "{from:?} {to:?}"
            );
        };
        check(&[("0", f64::NAN), ("1", 2.0)], &[("0", f64::NAN), ("1", 2.0)], true);
        check(&[("0", f64::INFINITY)], &[("0", f64::INFINITY)], true);
        check(&[("0", 1.0), ("1", 2.0)], &[("0", 2.0), ("1", 1.0)], false);
        check(&[("0", f64::NAN)], &[("0", 1.0)], false);
        check(&[("0", 1.0)], &[("1", 1.0)], false);
        check(&[("0", 1.0), ("1", 1.0)], &[("0", 1.0), ("1", 1.0), ("2", 1.0)], true);
    }
}
