//! An integer network: the steps of the arithmetic, with every code, bias and factor. Knows nothing of what computes them.
//!
//! All values are centered: u = q − zero point, so that the number of a code is scale · u, and padding is 0.

use std::collections::BTreeMap;

use super::error::IntegerError;
use super::multiplier::{Multiplier, SharedMultiplier};
use super::parameters::IntegerParameters;
use super::product::{MOST_TERMS, Product, Rows};
use super::roles::{ValueRole, value_roles};
use super::value_scale::ValueScale;
use crate::network::array::Array;
use crate::network::definition::{INPUT, Layer, Network};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::network::windows::Windows;
use crate::network::wiring::Source;

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
            if Self::is_done(network, at, &roles) {
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
    fn is_done(network: &Network, at: usize, roles: &[ValueRole]) -> bool {
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
                mean(layer, input, factor(&inputs[0], output))?
            }
            (LayerOp::Flatten, _) => StepOp::Flatten,
            (
                op @ (LayerOp::Relu
                | LayerOp::Relu6
                | LayerOp::LeakyRelu { .. }
                | LayerOp::Sigmoid
                | LayerOp::Tanh
                | LayerOp::HardSwish),
                Some(output),
            ) => StepOp::Table(table(op, input, output.scale)),
            // Only layers with weights give sums of 32 bits, and no trained network has the last two.
            (
                op @ (LayerOp::Add
                | LayerOp::Concat
                | LayerOp::AvgPool { .. }
                | LayerOp::GlobalAvgPool
                | LayerOp::Relu
                | LayerOp::Relu6
                | LayerOp::LeakyRelu { .. }
                | LayerOp::Sigmoid
                | LayerOp::Tanh
                | LayerOp::HardSwish),
                None,
            )
            | (op @ (LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. }), _) => {
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

/// Returns the multiplier for each number of pixels that the windows of an average pool count; `ratio` is the scale of the input over
/// that of the output. Errors if a window has so many pixels that binary32 cannot hold the sum.
fn mean(layer: &Layer, input: ValueScale, ratio: f64) -> Result<StepOp, IntegerError> {
    let count_padding = matches!(layer.op, LayerOp::AvgPool { count_padding: true, .. });
    let windows = Windows::new(layer);
    let [low, high] = input.centered_limits().map(i64::from);
    let most = MOST_TERMS / low.abs().max(high);
    let mut multipliers = BTreeMap::new();
    for (pixel, windows) in
        windows.iter().flat_map(|of| (0..layer.output.channels().1).map(move |at| (at, of)))
    {
        let terms = windows.pixels(pixel).len();
        if terms as i64 > most {
            return Err(IntegerError::Terms { layer: layer.name.clone(), terms, most: most as usize });
        }
        let count = windows.count(pixel, count_padding);
        multipliers.entry(count).or_insert_with(|| Multiplier::of(ratio / count as f64));
    }
    Ok(StepOp::Mean(multipliers))
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
