//! The numbers of a step with weights: codes, biases, multipliers. Knows nothing of the other steps.

use std::collections::BTreeMap;

use super::error::IntegerError;
use super::multiplier::Multiplier;
use super::network::IntegerValue;
use super::parameters::{IntegerParameters, WeightScales};
use super::value_scale::ValueScale;
use crate::network::array::Array;
use crate::network::definition::Layer;
use crate::network::layer::LayerOp;

/// The largest sum of a layer's products. A bias is below it, so that both together have 32 bits.
const MOST_SUM: i64 = 1 << 30;

/// The largest product of the number of terms of a sum and the largest activation: sums of activations alone are exact in binary32.
pub(super) const MOST_TERMS: i64 = 1 << 24;

/// The distance between the sums of an output without weights, as a power of two of the output's scale.
const EMPTY_SCALE: f64 = 1.0 / 65536.0;

/// The numbers of a step with weights. Each output is the sum of codes times centered inputs and of its bias, times
/// its multiplier.
#[derive(Clone, Debug)]
pub struct Product {
    /// The bits of a code.
    pub bits: u32,
    /// The codes, in the order of the layer's weight: outputs first.
    pub codes: Vec<i8>,
    /// One bias for each output.
    pub biases: Vec<i32>,
    /// One multiplier for each output; none if the outputs are the sums themselves.
    pub multipliers: Vec<Multiplier>,
    /// The scale of the sums of each output.
    pub scales: Vec<f64>,
}

impl Product {
    /// Returns the number of codes of each output.
    #[must_use]
    pub fn row(&self) -> usize {
        self.codes.len() / self.biases.len().max(1)
    }
}

/// The weight of a layer as codes with their scales, and its bias.
pub(super) struct Rows<'a> {
    layer: &'a Layer,
    bits: u32,
    codes: Vec<i8>,
    /// The scale of each output.
    scales: Vec<f64>,
    bias: Vec<f32>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(
        layer: &'a Layer,
        tensors: &BTreeMap<String, Array>,
        parameters: &IntegerParameters,
    ) -> Result<Self, IntegerError> {
        let fault = |what| IntegerError::Parameters { name: layer.name.clone(), what };
        let tensor = |word: &str| tensors.get(&format!("{}.{word}", layer.name)).map(Array::numbers);
        let weight = tensor("weight").ok_or_else(|| fault("lack a weight"))?;
        let outputs = layer.output.channels().0;
        let bias = tensor("bias").map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        if let Some(element) = bias.iter().position(|bias| !bias.is_finite()) {
            return Err(IntegerError::Bias { layer: layer.name.clone(), element, value: bias[element] });
        }
        if layer.op == LayerOp::Affine {
            return Self::of_affine(layer, weight, bias);
        }
        let scales = parameters.weights.get(&layer.name).ok_or_else(|| fault("are missing"))?;
        if !scales.is_sound(outputs) {
            return Err(fault("are out of range"));
        }
        Ok(Self {
            bits: scales.bits,
            codes: codes(layer, weight, outputs, scales)?,
            scales: (0..outputs).map(|output| f64::from(scales.of_output(output))).collect(),
            layer,
            bias,
        })
    }

    /// Returns a weight for each channel as the code ±127 with a scale of its own: nothing is lost.
    fn of_affine(layer: &'a Layer, weight: &[f32], bias: Vec<f32>) -> Result<Self, IntegerError> {
        const LARGEST: i8 = 127;
        if let Some(element) = weight.iter().position(|weight| !weight.is_finite()) {
            let (layer, value) = (layer.name.clone(), weight[element]);
            return Err(IntegerError::Weight { layer, element, value, bits: 8 });
        }
        let code = |weight: &f32| match weight {
            0.0 => 0,
            weight if *weight < 0.0 => -LARGEST,
            _ => LARGEST,
        };
        Ok(Self {
            layer,
            bits: 8,
            codes: weight.iter().map(code).collect(),
            scales: weight.iter().map(|weight| f64::from(weight.abs()) / f64::from(LARGEST)).collect(),
            bias,
        })
    }

    /// Returns the numbers of the step that reads a value and writes another; `None` stands for the logits.
    pub(super) fn product(
        self,
        input: ValueScale,
        output: Option<&IntegerValue>,
    ) -> Result<Product, IntegerError> {
        let row = self.codes.len() / self.bias.len().max(1);
        let [low, high] = input.centered_limits().map(i64::from);
        let largest = low.abs().max(high.abs());
        let rows = || self.codes.chunks_exact(row.max(1));
        let sum = |row: &[i8]| row.iter().map(|code| i64::from(code.unsigned_abs())).sum::<i64>() * largest;
        let most = (MOST_TERMS / largest) as usize;
        if row > most {
            return Err(IntegerError::Terms { layer: self.layer.name.clone(), terms: row, most });
        }
        if rows().any(|row| sum(row) > MOST_SUM) {
            return Err(IntegerError::Sums { layer: self.layer.name.clone() });
        }
        let is_empty: Vec<bool> = rows().map(|row| row.iter().all(|code| *code == 0)).collect();
        let mut scales: Vec<f64> = self.scales.iter().map(|scale| f64::from(input.scale) * scale).collect();
        let of_used = scales.iter().zip(&is_empty).filter(|(_, empty)| !**empty).map(|(scale, _)| *scale);
        let coarsest = of_used.fold(0.0, f64::max);
        // An output without weights is its bias alone, whose steps may be of any size.
        let of_empty = match output {
            Some(output) => f64::from(output.scale.scale) * EMPTY_SCALE,
            None if coarsest > 0.0 => coarsest,
            None => f64::from(input.scale),
        };
        for (scale, empty) in scales.iter_mut().zip(&is_empty) {
            *scale = if *empty { of_empty } else { *scale };
        }
        let most = (MOST_SUM - 1) as f64;
        let bias = |(bias, scale): (&f32, &f64)| {
            (f64::from(*bias) / scale).round_ties_even().clamp(-most, most) as i32
        };
        let biases = self.bias.iter().zip(&scales).map(bias).collect();
        let unit = output.map_or_else(
            || scales.iter().copied().fold(0.0, f64::max),
            |output| f64::from(output.scale.scale),
        );
        let are_sums = output.is_none() && scales.iter().all(|scale| *scale == unit);
        let multipliers =
            if are_sums { vec![] } else { scales.iter().map(|scale| Multiplier::of(scale / unit)).collect() };
        Ok(Product { bits: self.bits, codes: self.codes, biases, multipliers, scales })
    }
}

/// Returns the codes of a weight.
fn codes(
    layer: &Layer,
    weight: &[f32],
    outputs: usize,
    scales: &WeightScales,
) -> Result<Vec<i8>, IntegerError> {
    let row = weight.len() / outputs.max(1);
    let half = 2_f64.powi(scales.bits as i32 - 1);
    let code = |(element, weight): (usize, &f32)| {
        let scale = f64::from(scales.of_output(element / row.max(1)));
        let code = (f64::from(*weight) / scale).round_ties_even();
        let is_code = (-half..half).contains(&code) && (code * scale) as f32 == *weight;
        if is_code {
            Ok(code as i8)
        } else {
            Err(IntegerError::Weight {
                layer: layer.name.clone(),
                element,
                value: *weight,
                bits: scales.bits,
            })
        }
    };
    weight.iter().enumerate().map(code).collect()
}
