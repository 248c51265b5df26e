//! The statistics of every table: confidence intervals, tests and sets, each with its source.
//! Knows nothing of tables, tasks and networks; a value is a number, a unit is its index in a list.

pub mod best;
pub mod crossed;
pub mod estimate;
pub mod holm;
pub mod mcnemar;
pub mod method;
pub mod proportion;
pub mod student;
pub mod welch;

/// The confidence level of intervals and one-sided bounds.
pub const LEVEL: f64 = 0.95;

/// The largest relative difference that counts as rounding error. Every comparison with it is relative, so that no
/// test depends on the unit of a value.
pub(crate) const NOISE: f64 = 1e-12;

/// The significance level of tests.
pub const SIGNIFICANT: f64 = 1.0 - LEVEL;

/// Returns the sum of the parts, or exactly zero if the parts cancel to within [`NOISE`] of the largest.
#[must_use]
pub(crate) fn sum_of(parts: &[f64]) -> f64 {
    let largest = parts.iter().fold(0.0_f64, |largest, part| largest.max(part.abs()));
    let sum = parts.iter().sum::<f64>();
    if largest.is_finite() && sum.abs() <= NOISE * largest { 0.0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::sum_of;

    #[test]
    fn what_rounding_leaves_is_nothing_in_every_unit() {
        for unit in [1e-20, 1.0, 1e20] {
            assert_eq!(sum_of(&[(0.1 + 0.2) * unit, -0.3 * unit]), 0.0);
            assert!(sum_of(&[1.0 * unit, -0.999_999 * unit]) > 0.0);
        }
        assert_eq!(sum_of(&[f64::INFINITY]), f64::INFINITY);
        assert!(sum_of(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan() && sum_of(&[f64::NAN]).is_nan());
    }
}
