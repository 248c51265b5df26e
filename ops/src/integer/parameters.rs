//! What a model keeps for integer arithmetic, beside its weights: the scale and zero point of each value, and the scales of the
//! weights. Knows nothing of the arithmetic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::value_scale::ValueScale;

/// The parameters of an integer network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegerParameters {
    /// The scale of each value that has one of its own: of the images, `input`, and of outputs of layers, by their names.
    pub values: BTreeMap<String, ValueScale>,
    /// The scales of each layer's weight, by its name.
    pub weights: BTreeMap<String, WeightScales>,
}

/// The scales of a layer's weight: a weight is its code times the scale, rounded to binary32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightScales {
    /// The bits of a code, 2 to 8: codes are −2^(bits−1) to 2^(bits−1) − 1.
    pub bits: u32,
    /// One scale, or one for each output.
    pub scales: Vec<f32>,
}

impl WeightScales {
    /// Returns the scale of an output.
    #[must_use]
    pub fn of_output(&self, output: usize) -> f32 {
        if self.scales.len() == 1 { self.scales[0] } else { self.scales[output] }
    }

    /// Returns whether the fields are in their ranges, for a weight of so many outputs.
    #[must_use]
    pub fn is_sound(&self, outputs: usize) -> bool {
        (2..=8).contains(&self.bits)
            && (self.scales.len() == 1 || self.scales.len() == outputs)
            && self.scales.iter().all(|scale| scale.is_finite() && *scale > 0.0)
    }
}
