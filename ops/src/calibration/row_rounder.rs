//! Rounds rows of weights by a method, each with the scale that changes its output least, where the fit tries scales.
//! Knows nothing of layers.

use super::descent::descend;
use super::gptq::GptqPlan;
use super::sums::{dot, form};
use super::{Calibration, DAMPING, Method};
use crate::quantize::PlaceRounder;

/// The method for the rows of a group of outputs, which have the same inputs.
#[derive(Debug)]
pub(super) struct RowRounder<'r> {
    /// H, the means of the products of the inputs; empty if they are too many.
    products: &'r [f64],
    /// The means of the inputs.
    means: &'r [f64],
    rounder: &'r PlaceRounder,
    method: RowMethod,
    is_bias_corrected: bool,
}

#[derive(Debug)]
enum RowMethod {
    Direct,
    Gptq(GptqPlan),
    /// Coordinate descent from GPTQ's result on, with the damped H and the most passes.
    Descent(GptqPlan, Vec<f64>, usize),
}

impl<'r> RowRounder<'r> {
    /// Prepares a method; `None` if its damping is too large.
    pub(super) fn new(
        calibration: Calibration,
        [products, means]: [&'r [f64]; 2],
        rounder: &'r PlaceRounder,
    ) -> Option<Self> {
        let plan = |damping| GptqPlan::new(products, means.len(), damping);
        let method = match calibration.method {
            Method::Direct => RowMethod::Direct,
            Method::Gptq { damping } => RowMethod::Gptq(plan(damping)?),
            Method::CoordinateDescent { passes } => {
                let plan = plan(DAMPING)?;
                let damped = plan.damped(products);
                RowMethod::Descent(plan, damped, passes)
            }
        };
        Some(Self { products, means, rounder, method, is_bias_corrected: calibration.bias_correction })
    }

    /// Rounds a row of weights that begins at the place `first` of its tensor.
    pub(super) fn round(&self, weights: &[f32], first: usize) -> RoundedRow {
        let scale = self.rounder.scales_to_try(first).and_then(|scales| {
            let errors = scales.into_iter().map(|scale| (scale, self.error(scale, weights, first)));
            errors.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(scale, _)| scale)
        });
        let round = self.rounding(scale, first);
        let mut rounded = self.before_descent(weights, &round).0;
        if let RowMethod::Descent(_, damped, passes) = &self.method {
            descend(damped, weights, &mut rounded, *passes, round);
        }
        RoundedRow::new(rounded, weights, [self.products, self.means], scale)
    }

    /// Rounds a row of weights, without coordinate descent; with GPTQ, the squared error of the output by the damped H is known.
    fn before_descent(&self, weights: &[f32], round: impl Fn(usize, f64) -> f32) -> (Vec<f32>, Option<f64>) {
        match &self.method {
            RowMethod::Direct => {
                let numbers = weights.iter().enumerate();
                (numbers.map(|(column, weight)| round(column, f64::from(*weight))).collect(), None)
            }
            RowMethod::Gptq(plan) | RowMethod::Descent(plan, ..) => {
                let (rounded, error) = plan.round(weights, round);
                (rounded, Some(error))
            }
        }
    }

    /// Returns the squared error of the output with a scale, infinite for a scale with which a weight overflows. A correction of
    /// the bias takes the mean change away.
    fn error(&self, scale: f32, weights: &[f32], first: usize) -> f64 {
        let (rounded, error) = self.before_descent(weights, self.rounding(Some(scale), first));
        if !rounded.iter().all(|number| number.is_finite()) {
            return f64::INFINITY;
        }
        let error = error.unwrap_or_else(|| form(self.products, &change(weights, &rounded)));
        if !self.is_bias_corrected {
            return error;
        }
        let shift = dot(&change(weights, &rounded), self.means);
        (error - shift * shift).max(0.0)
    }

    /// Returns the rounding of a number in a column of a row, by a scale instead of the fitted one.
    fn rounding(&self, scale: Option<f32>, first: usize) -> impl Fn(usize, f64) -> f32 {
        move |column, number| match scale {
            Some(scale) => self.rounder.round_with_scale(scale, first + column, number),
            None => self.rounder.round(first + column, number),
        }
    }
}

fn change(weights: &[f32], rounded: &[f32]) -> Vec<f64> {
    rounded.iter().zip(weights).map(|(new, old)| f64::from(*new) - f64::from(*old)).collect()
}

/// A row of weights after rounding, and the change of its output.
#[derive(Clone, Debug)]
pub(super) struct RoundedRow {
    pub(super) rounded: Vec<f32>,
    /// The scale of least error, if the fit tries scales.
    pub(super) scale: Option<f32>,
    /// Means over the positions, without the bias: of the squared change of the output, of the output's square before
    /// rounding, of the change, and of the output before rounding.
    pub(super) error: f64,
    pub(super) square: f64,
    pub(super) shift: f64,
    pub(super) mean: f64,
}

impl RoundedRow {
    fn new(rounded: Vec<f32>, weights: &[f32], [h, means]: [&[f64]; 2], scale: Option<f32>) -> Self {
        let before: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let change = change(weights, &rounded);
        // Without products there is no H.
        let (error, square) = if h.is_empty() { (0.0, 0.0) } else { (form(h, &change), form(h, &before)) };
        Self { error, square, shift: dot(&change, means), mean: dot(&before, means), rounded, scale }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::gptq::tests::{X, products};
    use super::*;
    use crate::format::{Format, RandomBits, Rounding};
    use crate::quantize::{Quantization, Quantizer, Tensor, Tensors};
    use crate::random::Stream;
    use crate::scale::{Per, PowerFit, RealFit, Scale, ScaleType};

    const A: [f32; 5] = [0.31, -0.22, 0.17, 0.43, -0.38];
    const B: [f32; 5] = [-0.09, 0.28, -0.41, 0.12, 0.25];
    const GPTQ: Method = Method::Gptq { damping: DAMPING };

    fn rounded(
        format: &str,
        scale: Scale,
        (method, bias_correction): (Method, bool),
        row: &[f32],
    ) -> RoundedRow {
        let h = products();
        let means: Vec<f64> = (0..5).map(|at| X.iter().map(|row| row[at]).sum::<f64>() / 6.0).collect();
        let format = Format::parse(format).unwrap();
        let quantizer = Quantizer {
            quantization: Quantization::new(format, Rounding::Nearest, Some(scale)).unwrap(),
            layers: BTreeMap::new(),
            seed: 0,
            random_bits: RandomBits::new(32).unwrap(),
            tensors: Tensors::Weights,
        };
        let tensor = Tensor { name: "linear1.weight", shape: &[1, 5], data: row };
        let rounder = quantizer.rounder(&tensor, &[]).unwrap().unwrap();
        let calibration = Calibration { method, images: 6, seed: 0, bias_correction };
        RowRounder::new(calibration, [&h, &means], &rounder).unwrap().round(row, 0)
    }

    /// The scales and codes are those of `NumPy` 2.4.6, by the published formulas of GPTQ (see `gptq.rs`): for each scale
    /// s = max|w| / largest · 2^(−i/8) the codes q, then the i of the least e H eᵀ for e = q·s − w, with a corrected bias of the
    /// least e H eᵀ − (e · mean)²; H is damped as in GPTQ.
    #[test]
    fn the_scale_is_the_one_that_changes_the_output_least() {
        let scale = Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store: ScaleType::F32 };
        let check = |format, calibration, row: [f32; 5], i: f64, codes: [f32; 5]| {
            let found = rounded(format, scale, calibration, &row);
            let largest = if format == "Int(2)" { 1.0 } else { 3.0 };
            let all = row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / largest;
            let expected = (f64::from(all) * (-i / 8.0).exp2()) as f32;
            assert_eq!(found.scale, Some(expected), "{format} {calibration:?}");
            assert_eq!(found.rounded, codes.map(|code| code * expected), "{format} {calibration:?}");
        };
        check("Int(2)", (GPTQ, false), A, 5.0, [1.0, -1.0, 1.0, 1.0, -1.0]);
        check("Int(2)", (GPTQ, true), A, 4.0, [1.0, -1.0, 1.0, 1.0, -1.0]);
        check("Int(2)", (GPTQ, true), B, 2.0, [0.0, 1.0, -1.0, 1.0, 1.0]);
        check("Int(2)", (Method::Direct, true), B, 4.0, [0.0, 1.0, -1.0, 0.0, 1.0]);
        check("Int(3)", (GPTQ, false), A, 0.0, [2.0, -1.0, 1.0, 3.0, -3.0]);
        check("Int(3)", (Method::Direct, false), A, 1.0, [2.0, -2.0, 1.0, 3.0, -3.0]);
    }

    /// The scale is that of `NumPy` 2.4.6, as above, of 0.25 · 2^(−i) for i from 0 to 4.
    #[test]
    fn powers_of_two_are_tried_in_four_octaves() {
        let scale = Scale::PowerOfTwo { per: Per::Channel, fit: PowerFit::OutputError };
        let stored = Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store: ScaleType::E8M0 };
        let found = rounded("Int(3)", scale, (GPTQ, false), &A);
        assert_eq!(found.scale, Some(0.125));
        assert_eq!(rounded("Int(3)", stored, (GPTQ, false), &A).scale, found.scale);
    }

    /// Coordinate descent begins with the scale and the codes of GPTQ; it leaves no more of the damped error, and less in some
    /// rows.
    #[test]
    fn descent_keeps_the_scale_and_leaves_less() {
        let scale = Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store: ScaleType::F32 };
        let h = GptqPlan::new(&products(), 5, DAMPING).unwrap().damped(&products());
        let mut better = 0;
        for case in 0..400 {
            let drawn = Stream::new(case, "test", "weights");
            let row: Vec<f32> = (0..5).map(|at| drawn.unit(at) - 0.5).collect();
            let [gptq, descent] = [GPTQ, Method::CoordinateDescent { passes: 20 }]
                .map(|method| rounded("Int(4)", scale, (method, false), &row));
            assert_eq!(gptq.scale, descent.scale);
            let [before, after] = [gptq, descent].map(|found| form(&h, &change(&row, &found.rounded)));
            assert!(after <= before * (1.0 + 1e-9), "{case} {after} {before}");
            better += i32::from(after < before * (1.0 - 1e-6));
        }
        assert!(better > 0);
    }

    /// With a smaller scale, weights become NaN or infinite in formats whose overflow is special; such scales are not taken.
    #[test]
    fn scales_with_which_weights_overflow_are_not_taken() {
        let scale = Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store: ScaleType::F32 };
        for format in ["float8_e4m3fnuz", "float8_e5m2"] {
            for calibration in [(GPTQ, true), (GPTQ, false), (Method::Direct, true)] {
                let found = rounded(format, scale, calibration, &A);
                assert!(found.rounded.iter().all(|number| number.is_finite()), "{format} {calibration:?}");
            }
        }
    }

    /// A row of zeros has the scale that every fit gives it; `Binary`, which has no zero, keeps them by a scale of 0.
    #[test]
    fn zeros_stay_zeros() {
        let scale = Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store: ScaleType::F32 };
        for (format, expected) in [("Int(2)", 1.0), ("Binary", 0.0)] {
            let found = rounded(format, scale, (GPTQ, true), &[0.0; 5]);
            assert_eq!((found.scale, found.rounded), (Some(expected), vec![0.0; 5]), "{format}");
        }
    }
}
