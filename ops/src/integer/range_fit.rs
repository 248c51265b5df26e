//! Fits the range of each value of a network to calibration images. Knows nothing of steps.

use std::collections::BTreeMap;

use serde::Serialize;

use super::roles::{ValueRole, value_roles};
use super::value_scale::{IMAGE_BITS, ValueScale};
use crate::backend::own::activations::Activations;
use crate::backend::own::inference::InferenceError;
use crate::calibration::Calibration;
use crate::calibration::error::CalibrationError;
use crate::calibration::layers::calibration_images;
use crate::dataset::images::{Images, Pixels};
use crate::network::array::Array;
use crate::network::definition::INPUT;
use crate::network::model::Model;
use crate::scale::Percent;

/// The classes of numbers that a fit of least squares counts.
const CLASSES: usize = 2048;

/// The candidates of a fit of least squares, and those in an octave.
const CANDIDATES: i32 = 97;
const OCTAVE: f64 = 16.0;

/// The rule that fits the range of a value. Zero is always within the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub enum RangeFit {
    /// The smallest and the largest number.
    #[default]
    MinMax,
    /// This percentile of the numbers above 0 and below 0, by nearest rank, all numbers counted.
    Percentile(Percent),
    /// The least squared error of the codes, of the whole range and 96 smaller ones: each is 2^(−1/16) of the one before. The error
    /// is that of the middles of 2048 equal classes of the whole range; numbers of 0 have none. Ties go to the larger range.
    LeastSquares,
}

impl RangeFit {
    /// Returns the scale of a value with these numbers, all finite.
    fn scale(self, numbers: &[f32], bits: u32) -> ValueScale {
        let whole =
            numbers.iter().fold([0.0_f32; 2], |[low, high], number| [low.min(*number), high.max(*number)]);
        let whole = whole.map(f64::from);
        match self {
            Self::MinMax => ValueScale::of_range(whole, bits),
            Self::Percentile(percent) => ValueScale::of_range(percentiles(numbers, percent), bits),
            Self::LeastSquares => least_squares(numbers, whole, bits),
        }
    }
}

/// Returns the negated percentile of the negated numbers, and the percentile of the numbers; 0 for a percentile below.
fn percentiles(numbers: &[f32], percent: Percent) -> [f64; 2] {
    if numbers.is_empty() {
        return [0.0; 2];
    }
    let rank = percent.rank(numbers.len()) - 1;
    let mut all = numbers.to_vec();
    let high = *all.select_nth_unstable_by(rank, f32::total_cmp).1;
    let low = *all.select_nth_unstable_by(numbers.len() - 1 - rank, f32::total_cmp).1;
    [f64::from(low).min(0.0), f64::from(high).max(0.0)]
}

/// Returns the scale of least squared error.
fn least_squares(numbers: &[f32], [low, high]: [f64; 2], bits: u32) -> ValueScale {
    let width = (high - low) / CLASSES as f64;
    let mut counts = vec![0_u32; CLASSES];
    for number in numbers.iter().copied().map(f64::from).filter(|number| *number != 0.0 && width > 0.0) {
        counts[(((number - low) / width) as usize).min(CLASSES - 1)] += 1;
    }
    let error = |scale: ValueScale| -> f64 {
        let of_class = |(class, count): (usize, &u32)| {
            let middle = low + (class as f64 + 0.5) * width;
            let found = f64::from(scale.code(middle) - scale.zero_point) * f64::from(scale.scale);
            f64::from(*count) * (middle - found) * (middle - found)
        };
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(of_class).sum()
    };
    let mut best = (ValueScale::of_range([low, high], bits), f64::INFINITY);
    for candidate in 0..CANDIDATES {
        let share = libm::exp2(-f64::from(candidate) / OCTAVE);
        let scale = ValueScale::of_range([low * share, high * share], bits);
        let error = error(scale);
        if error < best.1 {
            best = (scale, error);
        }
    }
    best.0
}

/// Returns the scale of each value of a network that has one of its own, by name: of the images, and of outputs of layers. The
/// images always have 8 bits. Errors if there are too few images, if they do not fit the network, if a number is not finite, or if
/// `cancelled` returns true.
pub fn value_scales(
    calibration: Calibration,
    (bits, fit): (u32, RangeFit),
    model: &Model,
    training: &Images,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<BTreeMap<String, ValueScale>, CalibrationError> {
    let mut activations = calibration_images(calibration, model, training)?;
    let mut scales = BTreeMap::from([(INPUT.to_owned(), image_scale(fit, &activations, training)?)]);
    let roles = value_roles(model.network());
    for (at, layer) in model.network().layers.iter().enumerate() {
        if cancelled() {
            return Err(InferenceError::Cancelled.into());
        }
        let tensor = |word: &str| model.tensors().get(&format!("{}.{word}", layer.name)).map(Array::numbers);
        activations.compute(at, tensor("weight").unwrap_or_default(), tensor("bias"))?;
        if roles[at] == ValueRole::Own {
            let numbers = activations.numbers(Some(at));
            check(&layer.name, &numbers)?;
            scales.insert(layer.name.clone(), fit.scale(&numbers, bits));
        }
    }
    Ok(scales)
}

/// Returns the scale of the images: from the number of the smallest to that of the largest byte, or fitted to images of numbers.
fn image_scale(
    fit: RangeFit,
    activations: &Activations<'_>,
    training: &Images,
) -> Result<ValueScale, CalibrationError> {
    if let Pixels::Bytes { values, .. } = &training.pixels {
        let ends = values.iter().flat_map(|values| [values[0], values[255]]).map(f64::from);
        let range =
            ends.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], end| [low.min(end), high.max(end)]);
        return Ok(ValueScale::of_range(range, IMAGE_BITS));
    }
    let numbers = activations.numbers(None);
    check(INPUT, &numbers)?;
    Ok(fit.scale(&numbers, IMAGE_BITS))
}

fn check(name: &str, numbers: &[f32]) -> Result<(), CalibrationError> {
    if numbers.iter().all(|number| number.is_finite()) {
        return Ok(());
    }
    Err(CalibrationError::Value { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_fitted() {
        let numbers: Vec<f32> = (-25..=75).map(|at| at as f32).collect();
        let range = |scale: ValueScale| {
            scale.centered_limits().map(|limit| (f64::from(limit) * f64::from(scale.scale)).round())
        };
        assert_eq!(range(RangeFit::MinMax.scale(&numbers, 8)), [-25.0, 75.0]);
        let percent = RangeFit::Percentile(Percent::new(90.0).unwrap());
        // Of 101 numbers the 91st from below and from above.
        assert_eq!(range(percent.scale(&numbers, 8)), [-15.0, 65.0]);
        assert_eq!(percent.scale(&[], 8), RangeFit::MinMax.scale(&[0.0], 8));
        // One number far away from a thousand others: the range leaves it out.
        let mut far: Vec<f32> = (0..1000).map(|at| at as f32 / 1000.0).collect();
        far.push(30.0);
        let [low, high] = RangeFit::LeastSquares.scale(&far, 4).centered_limits();
        let scale = f64::from(RangeFit::LeastSquares.scale(&far, 4).scale);
        assert_eq!(low, 0);
        assert!(f64::from(high) * scale < 30.0 && f64::from(high) * scale > 0.9, "{high} {scale}");
        assert_eq!(RangeFit::LeastSquares.scale(&[0.0; 9], 4), RangeFit::MinMax.scale(&[0.0], 4));
    }
}
