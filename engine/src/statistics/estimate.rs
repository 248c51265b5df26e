//! The mean over replicates with its confidence interval and t tests.
//! Knows nothing of tables; the caller chooses the unit of replication and averages within it first.

use super::{LEVEL, NOISE, student};

/// A mean of `n` values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The smallest value.
    pub least: f64,
    /// The largest value.
    pub most: f64,
    /// The number of values.
    pub n: usize,
    /// The 95 % confidence interval of the mean; `None` without an estimate of the error.
    pub interval: Option<(f64, f64)>,
    /// The standard error of the mean with its degrees of freedom. It is `None` below two values, and for values that
    /// are all equal but not zero: accuracies are counts of images, so two or three equal ones are no evidence that
    /// they never vary. Values that are all zero have an error of zero.
    pub error: Option<Error>,
    /// The standard deviation of the repetitions that were averaged within a value; `None` without averaging.
    pub spread: Option<f64>,
    /// The p-value of the table's test, adjusted for all tests of the table; `None` without a test.
    pub adjusted: Option<f64>,
    /// Whether the accuracies are near chance: an interval means little there, so tables show the range instead.
    pub near_chance: bool,
}

/// The error of a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    /// The standard error.
    pub size: f64,
    /// The degrees of freedom.
    pub freedom: f64,
}

impl Error {
    /// Returns the standard error of the mean, s / √n; `None` below two values. It is zero if the values differ by no
    /// more than rounding.
    pub(super) fn from_values(values: &[f64]) -> Option<Self> {
        let Squares { sum, unit, largest } = Squares::from_values(values)?;
        let (n, freedom) = (values.len() as f64, (values.len() - 1) as f64);
        let size = (sum / freedom / n).sqrt() * unit;
        Some(Self { size: if size <= NOISE * largest { 0.0 } else { size }, freedom })
    }

    /// Returns half the width of the two-sided 95 % confidence interval.
    #[must_use]
    pub fn half_width(self) -> f64 {
        student::quantile(f64::midpoint(1.0, LEVEL), self.freedom) * self.size
    }
}

impl Estimate {
    /// Estimates the mean of the distribution of the values; `None` without values. The confidence interval is
    /// Student's, `mean ± t(0.975, n − 1) · s / √n`.
    #[must_use]
    pub fn from_values(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = mean(values)?;
        let is_zero = values.iter().all(|value| *value == 0.0);
        let error = Error::from_values(values).filter(|error| error.size > 0.0 || is_zero);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let estimate = Self {
            mean,
            least,
            most,
            n,
            interval: None,
            error: None,
            spread: None,
            adjusted: None,
            near_chance: false,
        };
        Some(estimate.with(error))
    }

    /// Returns the estimate with another error, and the interval that follows from it.
    #[must_use]
    pub fn with(self, error: Option<Error>) -> Self {
        let around = |error: Error| {
            let half = error.half_width();
            (self.mean - half, self.mean + half)
        };
        Self { error, interval: error.map(around), ..self }
    }

    /// Returns half the width of the 95 % confidence interval.
    #[must_use]
    pub fn half_width(&self) -> Option<f64> {
        self.interval.map(|(low, high)| (high - low) / 2.0)
    }

    /// Returns the one-sided 95 % upper confidence bound of the mean, mean + t(0.95) · error.
    #[must_use]
    pub fn upper_bound(&self) -> Option<f64> {
        self.error.map(|error| self.mean + student::quantile(LEVEL, error.freedom) * error.size)
    }

    /// Returns the one-sided 95 % lower confidence bound of the mean, mean − t(0.95) · error.
    #[must_use]
    pub fn lower_bound(&self) -> Option<f64> {
        self.error.map(|error| self.mean - student::quantile(LEVEL, error.freedom) * error.size)
    }

    /// Returns the p-value of the one-sided t test of the null hypothesis that the true mean is at least `margin`. A
    /// small value is evidence that the mean is below: non-inferiority if the mean is a drop (Piaggio et al., JAMA
    /// 2012).
    #[must_use]
    pub fn p_at_least(&self, margin: f64) -> Option<f64> {
        self.p(self.mean - margin, 1.0)
    }

    /// Returns the p-value of the two-sided t test that the true mean is zero.
    #[must_use]
    pub fn p_zero(&self) -> Option<f64> {
        self.p(-self.mean.abs(), 2.0)
    }

    /// Returns the probability under the null hypothesis of a difference this low, times the number of sides; `None`
    /// for NaN.
    fn p(&self, difference: f64, sides: f64) -> Option<f64> {
        let error = self.error?;
        // A difference that is zero in every unit has an error of zero, too; its ratio is 0.
        let ratio = if difference == 0.0 { 0.0 } else { difference / error.size };
        Some(sides * student::below(ratio, error.freedom)).filter(|p| !p.is_nan())
    }
}

/// Returns the mean; `None` without values. The mean of equal values is that value, to the bit.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    if values.iter().all(|value| *value == first) {
        return Some(first);
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the sample standard deviation (divisor n − 1); `None` below two values. It is zero if the values differ by
/// no more than rounding, relative to the largest of them.
#[must_use]
pub fn deviation(values: &[f64]) -> Option<f64> {
    let Squares { sum, unit, largest } = Squares::from_values(values)?;
    let deviation = (sum / (values.len() - 1) as f64).sqrt() * unit;
    Some(if deviation <= NOISE * largest { 0.0 } else { deviation })
}

/// The sum of squared deviations of values from their mean.
struct Squares {
    /// The sum, in units squared.
    sum: f64,
    /// The unit: a power of two, so that squares of very small and very large values stay within binary64.
    unit: f64,
    /// The largest magnitude of the values.
    largest: f64,
}

impl Squares {
    /// Sums the squared deviations; `None` below two values.
    fn from_values(values: &[f64]) -> Option<Self> {
        let mean = mean(values).filter(|_| values.len() > 1)?;
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let unit = match largest {
            _ if largest == 0.0 || !largest.is_finite() || (1e-100..1e100).contains(&largest) => 1.0,
            // The smallest normal number is the least unit: smaller powers of two are subnormal, and the reciprocal
            // of most of them overflows.
            _ => 2.0_f64.powi((largest.log2().floor() as i32).max(f64::MIN_EXP - 1)),
        };
        let sum = values.iter().map(|value| ((value - mean) / unit).powi(2)).sum::<f64>();
        Some(Self { sum, unit, largest })
    }
}

/// Returns the standard deviation within groups, pooled over them (divisor: values minus groups); `None` if no group
/// has two values.
#[must_use]
pub fn pooled(groups: &[Vec<f64>]) -> Option<f64> {
    let mut deviations = vec![];
    for group in groups {
        deviations.extend(deviation(group).map(|deviation| (deviation, (group.len() - 1) as f64)));
    }
    let freedom: f64 = deviations.iter().map(|(_, freedom)| freedom).sum();
    if deviations.iter().any(|(deviation, _)| deviation.is_nan()) {
        return Some(f64::NAN);
    }
    let largest = deviations.iter().fold(0.0_f64, |largest, (deviation, _)| largest.max(*deviation));
    if freedom == 0.0 || largest == 0.0 {
        return (freedom > 0.0).then_some(0.0);
    }
    let squares: f64 =
        deviations.iter().map(|(deviation, freedom)| (deviation / largest).powi(2) * freedom).sum();
    Some((squares / freedom).sqrt() * largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scipy 1.17.1: `scipy.stats.t.interval(0.95, n - 1, mean, scipy.stats.sem(x))`.
    #[test]
    fn the_interval_is_scipys() {
        let check = |values: &[f64], mean: f64, half: f64| {
            let estimate = Estimate::from_values(values).expect("values");
            assert!((estimate.mean - mean).abs() < 1e-12, "{estimate:?}");
            assert!((estimate.half_width().expect("two values") - half).abs() < 1e-9, "{estimate:?}");
        };
        check(&[0.97, 0.975, 0.98, 0.985], 0.9775, 0.010_271_301_283_8);
        check(&[1.0, 2.0], 1.5, 6.353_102_368_087_3);
        assert_eq!(Estimate::from_values(&[3.0]).and_then(|estimate| estimate.interval), None);
        assert_eq!(Estimate::from_values(&[]), None);
    }

    /// Values from scipy 1.17.1: `t.ppf(0.95, 3)`, `ttest_1samp(x, 1.0, alternative="less")`, `ttest_1samp(x, 0.0)`.
    #[test]
    fn bounds_and_tests_are_scipys() {
        let estimate = Estimate::from_values(&[0.4, -0.1, 0.3, 0.2]).unwrap();
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?} {expected}");
        };
        close(estimate.upper_bound(), 0.454_192_303_167_751_5);
        close(estimate.p_at_least(1.0), 0.002_545_658_564_291_962);
        close(estimate.p_zero(), 0.161_161_847_213_519_5);
        close(Estimate::from_values(&[1.0, 2.0]).unwrap().p_zero(), 0.204_832_764_699_133_45);
    }

    #[test]
    fn what_never_varies_proves_nothing() {
        let same = Estimate::from_values(&[0.5, 0.5, 0.5]).unwrap();
        assert_eq!(
            (same.interval, same.p_at_least(1.0), same.p_zero(), same.upper_bound()),
            (None, None, None, None)
        );
        assert_eq!(Estimate::from_values(&[0.1 + 0.2, 0.3, 0.3]).unwrap().error, None);
        // Values that are all zero have an error of zero; equal values other than zero have none.
        let zero = Estimate::from_values(&[0.0, 0.0, 0.0]).unwrap();
        assert_eq!(
            (zero.p_zero(), zero.p_at_least(1.0), zero.upper_bound()),
            (Some(1.0), Some(0.0), Some(0.0))
        );
    }

    #[test]
    fn equal_values_have_their_value_as_mean_and_no_deviation() {
        for value in [0.1, 0.3, 0.7, 1e-13, 3e300, -0.123_456_789] {
            for n in 2..30 {
                let values = vec![value; n];
                assert_eq!(
                    (mean(&values), deviation(&values)),
                    (Some(value), Some(0.0)),
                    "{n} times {value}"
                );
            }
        }
        assert_eq!(mean(&[f64::INFINITY, 1.0]), Some(f64::INFINITY));
    }

    /// numpy 2.3: `np.std([1, 2, 4], ddof=1)`.
    #[test]
    fn no_figure_depends_on_the_unit() {
        let values = [0.4, -0.1, 0.3, 0.2];
        let estimate = Estimate::from_values(&values).unwrap();
        // Powers of two scale binary64 numbers exactly, so the figures are the same to the bit.
        for exponent in [-1000, -43, 0, 40, 1000] {
            let unit = 2.0_f64.powi(exponent);
            let scaled = Estimate::from_values(&values.map(|value| value * unit)).unwrap();
            assert_eq!(scaled.p_zero(), estimate.p_zero(), "{exponent}");
            assert_eq!(scaled.p_at_least(0.5 * unit), estimate.p_at_least(0.5), "{exponent}");
            assert_eq!(scaled.interval.map(|(low, high)| (low / unit, high / unit)), estimate.interval);
            assert_eq!(scaled.upper_bound().map(|bound| bound / unit), estimate.upper_bound());
        }
        for unit in [1e-12, 1.0, 1e12] {
            let found = deviation(&[1.0 * unit, 2.0 * unit, 4.0 * unit]).unwrap() / unit;
            assert!((found - 1.527_525_231_651_946_7).abs() < 1e-12, "{found}");
        }
        assert!(Estimate::from_values(&[1e-17, 2e-17, 1.5e-17]).unwrap().interval.is_some());
    }

    /// The standard deviation of subnormal numbers, and of values with an infinite one. numpy 2.3:
    /// `np.std([1e-310, 2e-310], ddof=1)` is 7.0710678118655e-311, and `np.std([np.inf, 1.0], ddof=1)` is nan.
    #[test]
    fn deviations_at_the_ends_of_binary64() {
        assert_eq!(deviation(&[1e-310, 1e-310]), Some(0.0));
        let ratio = deviation(&[1e-310, 2e-310]).unwrap() / 7.071_067_811_865_5e-311;
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        assert!(deviation(&[f64::INFINITY, 1.0]).unwrap().is_nan());
        assert!(pooled(&[vec![f64::INFINITY, 1.0], vec![1.0, 2.0]]).unwrap().is_nan());
        assert_eq!(pooled(&[vec![2.0, 2.0], vec![1.0]]), Some(0.0));
    }

    #[test]
    fn what_is_no_number_is_not_tested() {
        let broken = Estimate::from_values(&[f64::NAN, 1.0]).unwrap();
        assert_eq!((broken.p_zero(), broken.p_at_least(1.0)), (None, None));
        assert_eq!(Estimate::from_values(&[f64::INFINITY, 1.0]).unwrap().p_zero(), None);
    }
}
