//! An integer network: the steps of the arithmetic, with every code, bias and factor. Knows nothing of what computes them.
//!
//! All values are centered: u = q − zero point, so that the number of a code is scale · u, and padding is 0.

use std::collections::BTreeMap;

use super::error::IntegerError;
use super::multiplier::{Multiplier, SharedMultiplier};
use super::parameters::{IntegerParameters, WeightScales};
use super::roles::{ValueRole, value_roles};
use super::value_scale::ValueScale;
use crate::network::array::Array;
use crate::network::definition::{INPUT, Layer, Network};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// The largest sum of a layer's products. A bias is below it, so that both together have 32 bits.
const MOST_SUM: i64 = 1 << 30;

/// The largest product of the number of terms of a sum and the largest activation: sums of activations alone are exact in binary32.
const MOST_TERMS: i64 = 1 << 24;

/// The distance between the sums of an output without weights, as a power of two of the output's scale.
const EMPTY_SCALE: f64 = 1.0 / 65536.0;

/// An integer network.
#[derive(Clone, Debug)]
pub struct IntegerNetwork {
    /// The values; the first one are the images.
    pub values: Vec<IntegerValue>,
    /// The steps in the order of the forward pass.
    pub steps: Vec<Step>,
    /// The number that a difference of 1 between the outputs stands for.
    pub output_scale: f64,
}

/// A value: the images or the output of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntegerValue {
    /// The meaning of its codes.
    pub scale: ValueScale,
    /// The shape for one image.
    pub shape: ActivationShape,
}

/// A layer, with the Relu or Relu6 layer behind it if they are computed together.
#[derive(Clone, Debug)]
pub struct Step {
    /// The index of the layer.
    pub layer: usize,
    /// The values that it reads.
    pub inputs: Vec<usize>,
    /// The value that it writes; `None` for logits that are sums of 32 bits.
    pub output: Option<usize>,
    /// The smallest and the largest output.
    pub limits: [i32; 2],
    /// The operation.
    pub op: StepOp,
}

/// The operation of a step.
#[derive(Clone, Debug)]
pub enum StepOp {
    /// Sums of products with weights: a convolution, a linear layer, or a weight and a bias for each channel.
    Product(Product),
    /// The sum of the inputs.
    Add(SharedMultiplier),
    /// The inputs one behind the other along the channels, each with its own factor.
    Concat(Vec<SharedMultiplier>),
    /// The largest number of each window.
    MaxPool,
    /// The mean of each window, by the number of pixels that it counts.
    Mean(BTreeMap<usize, Multiplier>),
    /// The numbers channel by channel.
    Flatten,
    /// A function of each number: the code of the output, zero point included, for each code of the input, from the smallest on.
    Table(Vec<i8>),
}

/// The numbers of a step with weights. Output c is (Σ codes · u + bias_c) times its multiplier.
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

impl IntegerNetwork {
    /// Makes the steps of a network. Errors if weights are no codes, biases are not finite, sums may exceed 32 bits, or the
    /// parameters do not fit.
    pub fn new(
        network: &Network,
        tensors: &BTreeMap<String, Array>,
        parameters: &IntegerParameters,
    ) -> Result<Self, IntegerError> {
        let images = Self::value(parameters, INPUT, ActivationShape::Image(network.input))?;
        let mut made = Self { values: vec![images], steps: vec![], output_scale: 1.0 };
        let roles = value_roles(network);
        // The value of each layer's output.
        let mut of_layer: Vec<usize> = vec![];
        for (at, layer) in network.layers.iter().enumerate() {
            let value = |source: &Source| match source {
                Source::Images => 0,
                Source::Layer(at) => of_layer[*at],
            };
            let inputs: Vec<usize> = layer.sources.iter().map(value).collect();
            if made.is_done(network, at, &roles) {
                of_layer.push(inputs[0]);
                continue;
            }
            let (from, end) = match roles[at] {
                ValueRole::Fused => (layer, reader(network, at)),
                _ => (layer, layer),
            };
            let of_output = match roles[at] {
                ValueRole::Logits => None,
                ValueRole::OfInput => Some(IntegerValue { shape: layer.output, ..made.values[inputs[0]] }),
                ValueRole::Own | ValueRole::Fused => Some(Self::value(parameters, &end.name, layer.output)?),
            };
            let step = made.step((at, from), end, inputs, of_output, (tensors, parameters))?;
            made.steps.push(step);
            of_layer.push(made.values.len());
            made.values.extend(of_output);
        }
        if let Some(last) = made.steps.last()
            && let Some(output) = last.output
        {
            made.output_scale = f64::from(made.values[output].scale.scale);
        }
        Ok(made)
    }

    fn value(
        parameters: &IntegerParameters,
        name: &str,
        shape: ActivationShape,
    ) -> Result<IntegerValue, IntegerError> {
        let fault = |what| IntegerError::Parameters { name: name.to_owned(), what };
        let scale = *parameters.values.get(name).ok_or_else(|| fault("are missing"))?;
        if !scale.is_sound() {
            return Err(fault("are out of range"));
        }
        Ok(IntegerValue { scale, shape })
    }

    /// Returns whether a layer has no step of its own: the step before computes it, or it changes nothing.
    fn is_done(&self, network: &Network, at: usize, roles: &[ValueRole]) -> bool {
        let layer = &network.layers[at];
        match (layer.op, layer.sources[0]) {
            (LayerOp::Relu | LayerOp::Relu6, Source::Layer(before)) => roles[before] == ValueRole::Fused,
            (LayerOp::Flatten, _) => {
                let (channels, pixels) = layer.input().channels();
                channels == 1 || pixels == 1
            }
            _ => false,
        }
    }

    fn step(
        &mut self,
        (at, layer): (usize, &Layer),
        end: &Layer,
        inputs: Vec<usize>,
        output: Option<IntegerValue>,
        (tensors, parameters): (&BTreeMap<String, Array>, &IntegerParameters),
    ) -> Result<Step, IntegerError> {
        let input = self.values[inputs[0]].scale;
        let factor = |value: &usize, output: &IntegerValue| {
            f64::from(self.values[*value].scale.scale) / f64::from(output.scale.scale)
        };
        let op = match (&layer.op, &output) {
            (LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::Affine, _) => {
                let rows = Rows::of(layer, tensors, parameters)?;
                let product = rows.product(input, output.as_ref())?;
                if output.is_none() {
                    self.output_scale = product.scales.iter().copied().fold(0.0, f64::max);
                }
                StepOp::Product(product)
            }
            (LayerOp::Add, Some(output)) => {
                let factors: Vec<f64> = inputs.iter().map(|input| factor(input, output)).collect();
                StepOp::Add(SharedMultiplier::of(&factors))
            }
            (LayerOp::Concat, Some(output)) => {
                let of = |input| SharedMultiplier::of(&[factor(input, output)]);
                StepOp::Concat(inputs.iter().map(of).collect())
            }
            (LayerOp::MaxPool { .. }, _) => StepOp::MaxPool,
            (LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool, Some(output)) => {
                let ratio = factor(&inputs[0], output);
                let multiplier = |count: usize| (count, Multiplier::of(ratio / count as f64));
                StepOp::Mean(counts(layer).into_iter().map(multiplier).collect())
            }
            (LayerOp::Flatten, _) => StepOp::Flatten,
            (op, Some(output)) if function(op).is_some() => StepOp::Table(table(op, input, output.scale)),
            (op, _) => {
                return Err(IntegerError::Layer { layer: layer.name.clone(), kind: op.kind() });
            }
        };
        let limits = output.map_or([i32::MIN, i32::MAX], |output| limits(&end.op, output.scale));
        let output = output.map(|_| self.values.len());
        Ok(Step { layer: at, inputs, output, limits, op })
    }
}

/// Returns the only reader of a layer.
fn reader(network: &Network, at: usize) -> &Layer {
    let reads = |layer: &&Layer| layer.sources.contains(&Source::Layer(at));
    network.layers.iter().find(reads).unwrap_or(&network.layers[at])
}

/// Returns the smallest and the largest output of a step that ends with this layer.
fn limits(end: &LayerOp, output: ValueScale) -> [i32; 2] {
    let [low, high] = output.centered_limits();
    match end {
        LayerOp::Relu => [low.max(0), high],
        LayerOp::Relu6 => {
            let six = (6.0 / f64::from(output.scale)).round_ties_even().min(f64::from(high));
            [low.max(0), six as i32]
        }
        _ => [low, high],
    }
}

/// Returns the numbers of pixels that the windows of an average pool count.
fn counts(layer: &Layer) -> Vec<usize> {
    use crate::backend::own::kernels::avg_pool::AvgPool;
    let pixels = layer.output.channels().1;
    let Some(pool) = AvgPool::new(layer) else { return vec![] };
    let mut counts: Vec<usize> = (0..pixels).map(|pixel| pool.count(pixel)).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Returns the function of a layer that works on each number by itself.
fn function(op: &LayerOp) -> Option<Box<dyn Fn(f64) -> f64>> {
    Some(match *op {
        LayerOp::Relu => Box::new(|x| x.max(0.0)),
        LayerOp::Relu6 => Box::new(|x| x.clamp(0.0, 6.0)),
        LayerOp::LeakyRelu { slope } => Box::new(move |x| if x < 0.0 { slope * x } else { x }),
        LayerOp::Sigmoid => Box::new(|x| 1.0 / (1.0 + libm::exp(-x))),
        LayerOp::Tanh => Box::new(libm::tanh),
        LayerOp::HardSwish => Box::new(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        _ => return None,
    })
}

/// Returns the code of the output for each code of the input, from the smallest on.
fn table(op: &LayerOp, input: ValueScale, output: ValueScale) -> Vec<i8> {
    let [low, high] = input.centered_limits();
    let Some(function) = function(op) else { return vec![] };
    let number = |u: i32| function(f64::from(input.scale) * f64::from(u));
    (low..=high).map(|u| output.code(number(u)) as i8).collect()
}

/// The weight of a layer as codes with their scales, and its bias.
struct Rows<'a> {
    layer: &'a Layer,
    bits: u32,
    codes: Vec<i8>,
    /// The scale of each output.
    scales: Vec<f64>,
    bias: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn of(
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
    fn product(self, input: ValueScale, output: Option<&IntegerValue>) -> Result<Product, IntegerError> {
        let row = self.codes.len() / self.bias.len().max(1);
        let [low, high] = input.centered_limits().map(i64::from);
        let largest = low.abs().max(high.abs());
        let rows = || self.codes.chunks_exact(row.max(1));
        let sum = |row: &[i8]| row.iter().map(|code| i64::from(code.unsigned_abs())).sum::<i64>() * largest;
        if row as i64 * largest > MOST_TERMS || rows().any(|row| sum(row) > MOST_SUM) {
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
