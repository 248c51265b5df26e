//! A mean over replications with its interval.
//! The unit of replication is the caller's: values averaged within a unit come as one.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean of `n` values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of the 95 % t interval of the mean; none below two values.
    pub half_width: Option<f64>,
    /// The smallest value.
    pub least: f64,
    /// The largest value.
    pub most: f64,
    /// The number of values.
    pub n: usize,
}

impl Estimate {
    /// Estimates the mean of what these values are drawn from; none without values. Student's t interval,
    /// mean ± t(0.975, n − 1) · s / √n.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = mean(values)?;
        let half_width = (n > 1).then(|| {
            let freedom = (n - 1) as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / freedom;
            let quantile = StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(0.975));
            quantile * (variance / n as f64).sqrt()
        });
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { mean, half_width, least, most, n })
    }
}

/// Returns the mean, none without values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scipy 1.17.1: `scipy.stats.t.interval(0.95, n - 1, mean, scipy.stats.sem(x))`.
    #[test]
    fn the_interval_is_scipys() {
        let check = |values: &[f64], mean: f64, half: f64| {
            let estimate = Estimate::of(values).expect("values");
            assert!((estimate.mean - mean).abs() < 1e-12, "{estimate:?}");
            assert!((estimate.half_width.expect("two values") - half).abs() < 1e-9, "{estimate:?}");
        };
        check(&[0.97, 0.975, 0.98, 0.985], 0.9775, 0.010_271_301_283_8);
        check(&[1.0, 2.0], 1.5, 6.353_102_368_087_3);
        assert_eq!(Estimate::of(&[3.0]).and_then(|estimate| estimate.half_width), None);
        assert_eq!(Estimate::of(&[]), None);
    }
}
