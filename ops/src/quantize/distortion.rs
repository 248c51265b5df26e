//! The error that rounding adds to numbers. Knows nothing of formats; sums are binary64, in the order of elements.

use serde::Serialize;

/// The distortion between weights w and the quantized weights ŵ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distortion {
    /// The mean of (w − ŵ)².
    pub mse: f64,
    /// The greatest |w − ŵ|.
    pub max_error: f64,
    /// 10·log10(Σw² / Σ(w − ŵ)²) in decibels; `None` without any error.
    pub sqnr_db: Option<f64>,
    /// The share of the nonzero weights that became zero, 0 to 1; 0 without nonzero weights.
    pub flushed: f64,
    /// The share of weights beyond the format's largest number of their sign, times their scale, 0 to 1.
    pub saturated: f64,
}

/// The sums behind a distortion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DistortionSums {
    count: u64,
    squared_error: f64,
    squared_weight: f64,
    max_error: f64,
    nonzero: u64,
    flushed: u64,
    saturated: u64,
}

impl DistortionSums {
    /// Measures one group that was rounded to numbers from `low` to `high`, the scale included.
    pub(super) fn measure(weights: &[f32], rounded: &[f32], (low, high): (f64, f64)) -> Self {
        let mut tally = Self { count: weights.len() as u64, ..Self::default() };
        for (&weight, &used) in weights.iter().zip(rounded) {
            let (weight, used) = (f64::from(weight), f64::from(used));
            let error = weight - used;
            tally.squared_error += error * error;
            tally.squared_weight += weight * weight;
            tally.max_error = tally.max_error.max(error.abs());
            tally.nonzero += u64::from(weight != 0.0);
            tally.flushed += u64::from(weight != 0.0 && used == 0.0);
            tally.saturated += u64::from(weight < low || weight > high);
        }
        tally
    }

    /// Adds the sums of another group or tensor.
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.squared_error += other.squared_error;
        self.squared_weight += other.squared_weight;
        self.max_error = self.max_error.max(other.max_error);
        self.nonzero += other.nonzero;
        self.flushed += other.flushed;
        self.saturated += other.saturated;
    }

    /// Returns the distortion over all groups measured.
    pub(super) fn distortion(&self) -> Distortion {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let decibels = || 10.0 * libm::log10(self.squared_weight / self.squared_error);
        Distortion {
            mse: if self.count == 0 { 0.0 } else { self.squared_error / self.count as f64 },
            max_error: self.max_error,
            sqnr_db: (self.squared_error > 0.0).then(decibels),
            flushed: share(self.flushed, self.nonzero),
            saturated: share(self.saturated, self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: errors 0.5, 0, 0.25, 1, 0 of weights 2.5, 0, 0.25, 5, 1.
    #[test]
    fn the_measures_meet_a_worked_example() {
        let tally =
            DistortionSums::measure(&[2.5, 0.0, -0.25, 5.0, -1.0], &[2.0, 0.0, -0.0, 4.0, -1.0], (-4.0, 4.0));
        let distortion = tally.distortion();
        assert_eq!(distortion.mse, 1.3125 / 5.0);
        assert_eq!(distortion.max_error, 1.0);
        assert_eq!(distortion.flushed, 0.25);
        assert_eq!(distortion.saturated, 0.2);
        // 10·log10(32.3125 / 1.3125)
        assert!((distortion.sqnr_db.unwrap() - 13.912_7).abs() < 1e-3);
    }

    #[test]
    fn tensors_are_counted_as_one() {
        let (weights, rounded) = ([1.5, 0.1, -3.0, 0.0], [1.0, 0.0, -2.0, 0.0]);
        let mut parts = DistortionSums::measure(&weights[..1], &rounded[..1], (-2.0, 2.0));
        parts.add(&DistortionSums::measure(&weights[1..], &rounded[1..], (-2.0, 2.0)));
        assert_eq!(parts, DistortionSums::measure(&weights, &rounded, (-2.0, 2.0)));
    }

    #[test]
    fn no_error_has_no_ratio() {
        for weights in [&[][..], &[0.0, -0.0], &[1.0, 2.0]] {
            let distortion = DistortionSums::measure(weights, weights, (-2.0, 2.0)).distortion();
            assert_eq!((distortion.sqnr_db, distortion.mse, distortion.flushed), (None, 0.0, 0.0));
        }
    }
}
