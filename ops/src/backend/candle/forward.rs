//! The logits of a batch of images from a network and its parameters, as candle tensors. Knows nothing of training
//! loops.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::windows::WindowedImages;
use crate::network::definition::{Layer, Network};
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::shape::{ActivationShape, Window};
use crate::network::wiring::Source;

/// The mean and the variance of each batch normalization, by layer index.
pub(crate) type Statistics = BTreeMap<usize, [Tensor; 2]>;

/// The difference between training and evaluation.
pub(crate) enum Mode<'m> {
    /// Batch normalizations use these running statistics, and Dropout layers do nothing.
    Evaluation(&'m Statistics),
    /// Batch normalizations use the statistics of the batch, which are added here, and Dropout layers multiply by these
    /// factors: one tensor of the shape of their input for each, by layer index.
    Training { measured: &'m mut Statistics, factors: &'m BTreeMap<usize, Tensor> },
}

/// Computes the logits of images of batch × channels × height × width. The parameters have the order of
/// [`Network::parameters`].
pub(crate) fn forward(
    network: &Network,
    parameters: &[Tensor],
    images: &Tensor,
    mut mode: Mode<'_>,
) -> Result<Tensor> {
    let mut parameters = parameters.iter();
    let mut values: Vec<Tensor> = Vec::with_capacity(network.layers.len());
    for (at, layer) in network.layers.iter().enumerate() {
        let value = |source: &Source| match source {
            Source::Images => images,
            Source::Layer(before) => &values[*before],
        };
        let inputs: Vec<&Tensor> = layer.sources.iter().map(value).collect();
        let (has_weight, has_bias) = layer.op.parameters(layer.input());
        let weight = has_weight.and_then(|_| parameters.next());
        let bias = has_bias.and_then(|_| parameters.next());
        let y = apply(at, layer, &inputs, weight, &mut mode)?;
        let y = match bias {
            Some(bias) => y.broadcast_add(&per_channel(bias, layer.output)?)?,
            None => y,
        };
        values.push(y);
    }
    values.pop().ok_or_else(|| candle_core::Error::Msg("the network has no layers".into()))
}

/// Computes the output of a layer, without its bias.
fn apply(
    at: usize,
    layer: &Layer,
    inputs: &[&Tensor],
    weight: Option<&Tensor>,
    mode: &mut Mode<'_>,
) -> Result<Tensor> {
    let x = inputs[0];
    let weight = || weight.ok_or_else(|| candle_core::Error::Msg(format!("{} has no weight", layer.name)));
    let windowed = |window: Window, padding: f32| match layer.output {
        ActivationShape::Image([_, rows, columns]) => {
            WindowedImages::new(x, window, [rows, columns], padding)
        }
        ActivationShape::Row(_) => Err(candle_core::Error::Msg("windows on a row".into())),
    };
    let pool = |size, stride, padding| Window { size, stride, padding, dilation: HeightWidth::square(1) };
    match layer.op {
        LayerOp::Conv { kernel, stride, padding, dilation, groups, .. } => {
            windowed(Window { size: kernel, stride, padding, dilation }, 0.0)?.convolve(weight()?, groups)
        }
        LayerOp::Linear { .. } => x.matmul(&weight()?.t()?),
        LayerOp::BatchNorm { eps, .. } => {
            let [mean, variance] = match mode {
                Mode::Evaluation(running) => running
                    .get(&at)
                    .cloned()
                    .ok_or_else(|| candle_core::Error::Msg(format!("{} has no statistics", layer.name)))?,
                Mode::Training { measured, .. } => {
                    let statistics = batch_statistics(x)?;
                    measured.insert(at, statistics.clone().map(|of| of.detach()));
                    statistics
                }
            };
            let mean = per_channel(&mean, layer.output)?;
            let deviation = (per_channel(&variance, layer.output)? + eps)?.sqrt()?;
            let normal = x.broadcast_sub(&mean)?.broadcast_div(&deviation)?;
            normal.broadcast_mul(&per_channel(weight()?, layer.output)?)
        }
        LayerOp::Affine => x.broadcast_mul(&per_channel(weight()?, layer.output)?),
        LayerOp::Relu => x.relu(),
        LayerOp::Relu6 => x.clamp(0.0, 6.0),
        LayerOp::LeakyRelu { slope } => x.relu()? - (x.neg()?.relu()? * slope)?,
        LayerOp::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip(),
        LayerOp::Tanh => x.tanh(),
        LayerOp::HardSwish => x * ((x / 6.0)? + 0.5)?.clamp(0.0, 1.0)?,
        LayerOp::MaxPool { size, stride, padding } => {
            windowed(pool(size, stride, padding), f32::NEG_INFINITY)?.largest()
        }
        LayerOp::AvgPool { size, stride, padding, count_padding } => {
            let window = pool(size, stride, padding);
            let total = windowed(window, 0.0)?.total()?;
            if count_padding || padding.is_none() {
                total / size.area() as f64
            } else {
                total.broadcast_div(&seen_pixels(layer, window, x)?)
            }
        }
        LayerOp::GlobalAvgPool => x.mean_keepdim(3)?.mean_keepdim(2),
        LayerOp::Flatten => x.flatten_from(1),
        LayerOp::Dropout { .. } => match mode {
            Mode::Evaluation(_) => Ok(x.clone()),
            Mode::Training { factors, .. } => match factors.get(&at) {
                Some(factors) => x * factors,
                None => Ok(x.clone()),
            },
        },
        LayerOp::Add => inputs[1..].iter().try_fold(x.clone(), |sum, term| sum + *term),
        LayerOp::Concat => Tensor::cat(inputs, 1),
    }
}

/// Returns a tensor of one number per channel in a shape that broadcasts over a batch.
fn per_channel(numbers: &Tensor, output: ActivationShape) -> Result<Tensor> {
    match output {
        ActivationShape::Image(_) => numbers.reshape((1, (), 1, 1)),
        ActivationShape::Row(_) => numbers.reshape((1, ())),
    }
}

/// Returns the mean and the biased variance of each channel over a batch.
fn batch_statistics(x: &Tensor) -> Result<[Tensor; 2]> {
    let dims: &[usize] = if x.rank() == 4 { &[0, 2, 3] } else { &[0] };
    let mean = x.mean_keepdim(dims)?;
    let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim(dims)?;
    Ok([mean.flatten_all()?, variance.flatten_all()?])
}

/// Returns the number of pixels of the image in each window: 1 × 1 × rows × columns.
fn seen_pixels(layer: &Layer, window: Window, x: &Tensor) -> Result<Tensor> {
    let ActivationShape::Image([_, rows, columns]) = layer.output else {
        return Err(candle_core::Error::Msg("windows on a row".into()));
    };
    let ones = Tensor::ones((1, 1, x.dim(2)?, x.dim(3)?), x.dtype(), x.device())?;
    debug_assert!(window.padding != Padding::default());
    WindowedImages::new(&ones, window, [rows, columns], 0.0)?.total()
}
