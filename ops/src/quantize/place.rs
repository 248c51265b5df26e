//! The rounding of single weights of a tensor, each at its place: with the scale of its group or another one, its codec and
//! its draw.
//! Knows nothing of the order in which weights are rounded.

use super::fitted::Fitted;
use super::{QuantizeError, Quantizer, Tensor, refuse_infinite};
use crate::format::{Codec, Draw, Draws, Rounding};
use crate::scale::{Scale, fit};

/// A quantization that is fitted to a tensor, ready to round numbers at the places of its weights.
#[derive(Debug)]
pub struct PlaceRounder {
    rounding: Rounding,
    scale: Scale,
    draws: Draws,
    fitted: Fitted,
    /// The codec of each group; one for all groups, unless they differ.
    codecs: Vec<Codec>,
}

impl Quantizer {
    /// Fits the quantization of a tensor to its weights; `None` if the tensor is not quantized. `importance` has a number
    /// for each weight, by which [`RealFit::HessianDiagonal`] weighs its error; without any, all weights are alike. Errors
    /// like [`Quantizer::quantize`].
    ///
    /// [`RealFit::HessianDiagonal`]: crate::scale::RealFit::HessianDiagonal
    pub fn rounder(
        &self,
        tensor: &Tensor<'_>,
        importance: &[f64],
    ) -> Result<Option<PlaceRounder>, QuantizeError> {
        refuse_infinite(tensor)?;
        if !self.tensors.include(tensor.shape) {
            return Ok(None);
        }
        let quantization = self.quantization_of(tensor.name);
        let codec = quantization.format.codec()?;
        let fitted = Fitted::to(quantization, &codec, tensor, importance)?;
        let groups = if fitted.addition.differs_by_group() { fitted.groups.count() } else { 1 };
        let codecs = (0..groups).map(|group| fitted.addition.codec(&codec, group).into_owned()).collect();
        let draws = self.draws(tensor.name);
        let (rounding, scale) = (quantization.rounding, quantization.scale);
        Ok(Some(PlaceRounder { rounding, scale, draws, fitted, codecs }))
    }
}

impl PlaceRounder {
    /// Returns the fit of the tensor.
    #[must_use]
    pub fn into_fitted(self) -> Fitted {
        self.fitted
    }

    /// Returns the fit of the tensor, with other scales, one for each group.
    #[must_use]
    pub fn into_fitted_with(self, scales: Vec<f32>) -> Fitted {
        debug_assert_eq!(scales.len(), self.fitted.groups.count(), "a scale for each group");
        Fitted { scales, ..self.fitted }
    }

    /// Returns the scales to try for the group at the place of a weight, the largest first; `None` unless the fit tries scales.
    #[must_use]
    pub fn scales_to_try(&self, place: usize) -> Option<Vec<f32>> {
        fit::scales_to_try(self.scale, self.scale_at(place))
    }

    fn scale_at(&self, place: usize) -> f32 {
        self.fitted.scales.get(self.fitted.groups.group_of(place)).copied().unwrap_or(1.0)
    }

    /// Returns the number of the code that a number gets at the place of a weight in the flattened tensor.
    #[must_use]
    pub fn round(&self, place: usize, number: f64) -> f32 {
        self.round_with_scale(self.scale_at(place), place, number)
    }

    /// Returns the number of the code that a number gets at a place with another scale.
    #[must_use]
    pub fn round_with_scale(&self, scale: f32, place: usize, number: f64) -> f32 {
        let (group, scale) = (self.fitted.groups.group_of(place), f64::from(scale));
        if scale == 0.0 {
            return 0.0;
        }
        let thresholds = self.fitted.addition.thresholds(self.rounding);
        if let Some(threshold) = thresholds.get(group) {
            let is_zero = number.abs() <= f64::from(*threshold);
            return if is_zero { 0.0 } else { (number.signum() * scale) as f32 };
        }
        let codec = self.codecs.get(group).unwrap_or(&self.codecs[0]);
        let draw = if self.rounding.is_random() { self.draws.draw(place as u64) } else { Draw::none() };
        let rounded = codec.round(number / scale, self.rounding, draw);
        // Every zero is +0, as in a whole tensor.
        (rounded * scale) as f32 + 0.0
    }
}
