//! Inference: the logits of images from a trained network. Knows nothing of labels. The logits of an image
//! depend neither on its position nor on the other images, because no sum runs over images.

use candle_core::Tensor;
use rayon::prelude::*;
use thiserror::Error;

use crate::dataset::images::Images;
use crate::network::definition::{Layer, Network};
use crate::network::kernels::conv::{Conv, Packed};
use crate::network::kernels::flatten::Flatten;
use crate::network::kernels::lanes::fill_block;
use crate::network::kernels::lanes::{LANES, Lanes, read_lane, zeros};
use crate::network::kernels::linear::{Linear, Weight, is_finite};
use crate::network::kernels::max_pool::MaxPool;
use crate::network::kernels::numbers::{TensorNumbers, read_tensor};
use crate::network::kernels::relu;
use crate::network::layer::LayerOp;
use crate::network::model::Model;

/// Number of images that a thread computes together: large enough to amortize reading the weights, small
/// enough that the activations stay in the cache.
const GROUP: usize = 4 * LANES;

/// Target number of multiply-accumulates between two calls of `cancelled`: less than a second of work.
const ROUND: u64 = 20_000_000_000;

/// The smallest number of groups per unit of parallel work, so that a thread reuses its buffers.
const GROUPS: usize = 8;

/// An error during inference.
#[derive(Debug, Error)]
pub enum InferenceError {
    /// The caller cancelled the inference.
    #[error("cancelled")]
    Cancelled,
    /// The shape or the number of classes of the images differs from the shape or the number of classes of
    /// the network.
    #[error(
        "the network takes images of {expected:?} in {classes} classes, these are {found:?} in {found_classes}"
    )]
    Images {
        /// Channels, height and width that the network takes.
        expected: [usize; 3],
        /// Number of classes of the network.
        classes: usize,
        /// Shape of the images.
        found: [usize; 3],
        /// Number of classes of the images.
        found_classes: usize,
    },
    /// candle returned an error.
    #[error("a tensor of the network cannot be used")]
    Tensor(#[from] candle_core::Error),
}

/// Returns the logits of every image, `classes` numbers each, in the order of the images. Calls `cancelled`
/// from time to time. Errors if `cancelled` returns true, the images do not fit the network or a tensor is
/// unusable.
pub fn logits(
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f32>, InferenceError> {
    check(model.network(), images)?;
    let stages = InferenceStage::all(model)?;
    let mut logits = vec![0.0; images.len() * images.classes];
    let each = (ROUND / model.network().multiply_accumulates().max(1)).clamp(1, images.len().max(1) as u64);
    let each = (each as usize).next_multiple_of(GROUPS * GROUP);
    for (round, logits) in logits.chunks_mut(each * images.classes).enumerate() {
        if cancelled() {
            return Err(InferenceError::Cancelled);
        }
        let groups = logits.par_chunks_mut(GROUP * images.classes).enumerate().with_min_len(GROUPS);
        groups.for_each_init(
            || InferenceScratch::new(&stages, images.size()),
            |scratch, (group, logits)| {
                scratch.run(&stages, images, round * each + group * GROUP, logits);
            },
        );
    }
    Ok(logits)
}

fn check(network: &Network, images: &Images) -> Result<(), InferenceError> {
    if network.input == images.shape && network.classes == images.classes {
        return Ok(());
    }
    Err(InferenceError::Images {
        expected: network.input,
        classes: network.classes,
        found: images.shape,
        found_classes: images.classes,
    })
}

/// A layer with its kernel, and with the parameters open for reading.
struct InferenceStage<'a> {
    layer: &'a Layer,
    kernel: InferenceKernel,
    weight: Option<TensorNumbers<'a>>,
    bias: Option<TensorNumbers<'a>>,
    /// Whether the kernel also applies the Relu layer that follows this layer.
    rectify: bool,
}

enum InferenceKernel {
    Conv(Box<Conv>, Packed),
    /// The flag is true if every weight is finite.
    Linear(Linear, bool),
    MaxPool(MaxPool),
    Flatten(Flatten),
    Affine,
    Relu,
    Nothing,
}

/// Buffers of one thread: the activations of a group of images before and after a layer.
struct InferenceScratch {
    now: Vec<Lanes>,
    next: Vec<Lanes>,
}

impl InferenceScratch {
    fn new(stages: &[InferenceStage], image: usize) -> Self {
        let widest = stages.iter().map(|stage| stage.layer.output.len()).fold(image, usize::max);
        Self { now: zeros(GROUP / LANES * widest), next: zeros(GROUP / LANES * widest) }
    }

    /// Computes the logits of the images from index `first` on; the length of `logits` gives the number of
    /// images.
    fn run(&mut self, stages: &[InferenceStage], images: &Images, first: usize, logits: &mut [f32]) {
        let count = logits.len() / images.classes;
        let places: Vec<usize> = (first..first + count).collect();
        let blocks = places.chunks(LANES).len();
        for (places, block) in places.chunks(LANES).zip(self.now.chunks_exact_mut(images.size())) {
            let bytes: Vec<&[u8]> = places.iter().map(|place| images.image(*place)).collect();
            fill_block(images, &bytes, block);
        }
        for stage in stages {
            let (from, to) = (blocks * stage.layer.input.len(), blocks * stage.layer.output.len());
            if stage.run(&mut self.now[..from], &mut self.next[..to]) {
                std::mem::swap(&mut self.now, &mut self.next);
            }
        }
        for (row, logits) in logits.chunks_exact_mut(images.classes).enumerate() {
            read_lane(&self.now[row / LANES * images.classes..], row % LANES, logits);
        }
    }
}

impl<'a> InferenceStage<'a> {
    fn all(model: &'a Model) -> candle_core::Result<Vec<Self>> {
        let open = |layer: &Layer, word: &str| -> candle_core::Result<Option<TensorNumbers<'a>>> {
            let tensor: Option<&'a Tensor> = model.tensors().get(&format!("{}.{word}", layer.name));
            tensor.map(read_tensor).transpose()
        };
        let layers = &model.network().layers;
        let stage = |(at, layer): (usize, &'a Layer)| {
            let (weight, bias) = (open(layer, "weight")?, open(layer, "bias")?);
            let is = |at: usize, product: bool| {
                layers.get(at).is_some_and(|layer| match layer.op {
                    LayerOp::Conv { .. } | LayerOp::Linear { .. } => product,
                    LayerOp::Relu => !product,
                    _ => false,
                })
            };
            let kernel = match layer.op {
                LayerOp::Conv { .. } => Conv::new(layer).map(|conv| {
                    let packed = conv.pack(weight.as_deref().unwrap_or(&[]));
                    InferenceKernel::Conv(Box::new(conv), packed)
                }),
                LayerOp::Linear { .. } => Some(InferenceKernel::Linear(
                    Linear::new(layer),
                    is_finite(weight.as_deref().unwrap_or(&[])),
                )),
                LayerOp::Affine => Some(InferenceKernel::Affine),
                LayerOp::Relu if at > 0 && is(at - 1, true) => Some(InferenceKernel::Nothing),
                LayerOp::Relu => Some(InferenceKernel::Relu),
                LayerOp::MaxPool { .. } => MaxPool::new(layer).map(InferenceKernel::MaxPool),
                LayerOp::Flatten => {
                    Some(Flatten::new(layer).map_or(InferenceKernel::Nothing, InferenceKernel::Flatten))
                }
                LayerOp::Dropout { .. } => Some(InferenceKernel::Nothing),
                LayerOp::BatchNorm { .. } => None,
            };
            let kernel =
                kernel.ok_or_else(|| candle_core::Error::Msg(format!("layer {} cannot run", layer.name)))?;
            let rectify = is(at, true) && is(at + 1, false);
            Ok(Self { layer, kernel, weight, bias, rectify })
        };
        layers.iter().enumerate().map(stage).collect()
    }

    /// Applies the layer to blocks of images. Returns true if the output is in `y`, and false if the output
    /// is in `x`.
    fn run(&self, x: &mut [Lanes], y: &mut [Lanes]) -> bool {
        let (weight, bias) = (self.weight.as_deref().unwrap_or(&[]), self.bias.as_deref());
        let (from, to) = (self.layer.input.len(), self.layer.output.len());
        let blocks = x.chunks_exact_mut(from).zip(y.chunks_exact_mut(to));
        match &self.kernel {
            InferenceKernel::Conv(conv, packed) => {
                blocks.for_each(|(x, y)| conv.apply(x, packed, bias, self.rectify, y));
            }
            InferenceKernel::Linear(linear, finite) => {
                linear.apply(x, Weight { numbers: weight, finite: *finite }, bias, self.rectify, y);
            }
            InferenceKernel::MaxPool(pool) => blocks.for_each(|(x, y)| pool.apply(x, y)),
            InferenceKernel::Flatten(flatten) => flatten.apply(x, y),
            InferenceKernel::Affine => {
                let channels = self.layer.input.channels().0;
                for pixel in x.chunks_exact_mut(channels) {
                    let parameters = weight.iter().zip(bias.unwrap_or(&[]));
                    for (line, (weight, bias)) in pixel.iter_mut().zip(parameters) {
                        line.0.iter_mut().for_each(|x| *x = *x * weight + bias);
                    }
                }
                return false;
            }
            InferenceKernel::Relu => {
                relu::apply(x);
                return false;
            }
            InferenceKernel::Nothing => return false,
        }
        true
    }
}
