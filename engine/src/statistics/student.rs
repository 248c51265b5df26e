//! Student's t distribution (Student 1908).
//! Knows nothing of tests and intervals.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The number of degrees of freedom above which the normal distribution is used: there the search for quantiles loses
/// digits, and may not end.
const MANY: f64 = 1e5;

/// Returns the quantile of the t distribution at a probability between 0 and 1; the degrees of freedom are above 0,
/// not necessarily whole.
#[must_use]
pub fn quantile(probability: f64, freedom: f64) -> f64 {
    if freedom > MANY {
        let normal = Normal::standard().inverse_cdf(probability);
        // The first term of the expansion in 1/freedom (Cornish and Fisher 1937).
        return normal + (normal.powi(3) + normal) / (4.0 * freedom);
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(probability))
}

/// Returns the cumulative distribution function of the t distribution at a value, which may be infinite.
#[must_use]
pub fn below(value: f64, freedom: f64) -> f64 {
    match value {
        _ if value.is_nan() => f64::NAN,
        f64::INFINITY => 1.0,
        f64::NEG_INFINITY => 0.0,
        _ if freedom > MANY => Normal::standard().cdf(value),
        _ => StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.cdf(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scipy 1.17.1: `t.ppf(0.975, freedom)`, `t.cdf(-2, freedom)`.
    #[test]
    fn quantiles_are_scipys_for_any_freedom() {
        let check = |freedom, expected: f64| {
            let found = quantile(0.975, freedom);
            assert!((found / expected - 1.0).abs() < 1e-8, "{freedom}: {found}");
        };
        check(0.5, 164.557_673_480_488);
        check(1.0, 12.706_204_736_174_694);
        check(2.52, 3.554_438_486_267_851_5);
        check(199.0, 1.971_956_544_251_753_3);
        check(1.37e5, 1.959_981_300_538_832_2);
        check(1.37e9, 1.959_963_986_271_638_5);
        check(f64::INFINITY, 1.959_963_984_540_054);
        assert!((below(-2.0, 3.0) - 0.069_662_984_279_421_6).abs() < 1e-9);
        assert!((below(-2.0, 1e12) - 0.022_750_131_948_179_2).abs() < 1e-9);
        assert!(quantile(0.975, f64::NAN).is_nan() && below(f64::NAN, 3.0).is_nan());
    }
}
