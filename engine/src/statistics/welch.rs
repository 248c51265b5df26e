//! Welch's confidence interval and t test for the difference of two independent means (Welch 1947; degrees of
//! freedom: Satterthwaite 1946).
//! Knows nothing of the values; values of the same units are better compared as pairs.

use super::estimate::{Error, Estimate};

/// Estimates the mean of `to` minus the mean of `from`; `None` if one side has no value. `n` is the smaller count.
/// The error exists if each side has two values, unless neither side varies.
#[must_use]
pub fn difference(from: &[f64], to: &[f64]) -> Option<Estimate> {
    let (one, other) = (Estimate::from_values(from)?, Estimate::from_values(to)?);
    let error = Error::from_values(from)
        .zip(Error::from_values(to))
        .and_then(|(one, other)| difference_error(one, other));
    let estimate = Estimate { n: one.n.min(other.n), ..Estimate::from_values(&[other.mean - one.mean])? };
    Some(estimate.with(error))
}

/// Returns the error of a sum or a difference of two independent means.
fn difference_error(one: Error, other: Error) -> Option<Error> {
    let size = one.size.hypot(other.size);
    // If neither side varies, the values give no estimate of the error.
    if size == 0.0 {
        return None;
    }
    let share = (one.size / size).powi(2);
    let freedom = 1.0 / (share.powi(2) / one.freedom + (1.0 - share).powi(2) / other.freedom);
    Some(Error { size, freedom })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scipy 1.17.1: `r = ttest_ind(to, from, equal_var=False)`; `r.df`, `r.pvalue`,
    /// `r.confidence_interval(0.95)`.
    #[test]
    fn the_test_and_the_interval_are_scipys() {
        let check = |from: &[f64], to: &[f64], freedom: f64, p: f64, low: f64, high: f64| {
            let found = difference(from, to).unwrap();
            let interval = found.interval.unwrap();
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{found:?} {b}");
            close(found.error.unwrap().freedom, freedom);
            close(found.p_zero().unwrap(), p);
            close(interval.0, low);
            close(interval.1, high);
        };
        check(
            &[0.97, 0.975, 0.98, 0.985],
            &[0.962, 0.981, 0.968],
            3.302_926_029_724_238_4,
            0.342_081_576_405_842_6,
            -0.026_728_965_618_463_05,
            0.012_395_632_285_129_961,
        );
        check(
            &[1.0, 2.0],
            &[5.0, 6.0, 9.5],
            2.483_766_931_842_614,
            0.047_683_374_075_089_435,
            0.115_112_976_617_705_7,
            10.551_553_690_048_96,
        );
    }

    #[test]
    fn single_values_have_a_difference_and_no_error() {
        let found = difference(&[1.0], &[2.0, 4.0]).unwrap();
        assert_eq!((found.mean, found.n, found.interval), (2.0, 1, None));
        assert_eq!(difference(&[], &[1.0]), None);
        let steady = difference(&[1.0, 1.0], &[2.0, 2.0]).unwrap();
        assert_eq!((steady.p_zero(), steady.interval), (None, None));
    }
}
