//! Inference: the logits of images from a trained network. Knows nothing of labels. The logits of an image
//! depend neither on its position nor on the other images, because no sum runs over images.

use rayon::prelude::*;
use thiserror::Error;

use crate::backend::own::kernels::activation::Activation;
use crate::backend::own::kernels::avg_pool::AvgPool;
use crate::backend::own::kernels::conv::{Conv, Packed};
use crate::backend::own::kernels::flatten::Flatten;
use crate::backend::own::kernels::join::{self, Slot};
use crate::backend::own::kernels::lanes::fill_block;
use crate::backend::own::kernels::lanes::{LANES, Lanes, read_lane, zeros};
use crate::backend::own::kernels::linear::{Linear, Weight, is_finite};
use crate::backend::own::kernels::max_pool::MaxPool;
use crate::backend::own::kernels::relu;
use crate::backend::own::kernels::rescale::Finish;
use crate::backend::{BackendError, check};
use crate::dataset::images::Images;
use crate::integer::error::IntegerError;
use crate::network::array::Array;
use crate::network::definition::{Layer, Network};
use crate::network::fit::NetworkMismatch;
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::wiring::Source;

/// The most blocks that a thread computes together: enough to amortize reading the weights of linear layers.
const BLOCKS: usize = 4;

/// Bytes of the widest value of all blocks that a thread computes together, so that values stay in the cache.
const CACHE: usize = 1 << 19;

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
    /// The images do not fit the network.
    #[error(transparent)]
    Images(#[from] NetworkMismatch),
    /// The images have no labels.
    #[error(
        "the images have no labels, which tell right answers from wrong ones; Compare counts equal answers without labels"
    )]
    Unlabelled,
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The network has a layer that occurs in training only.
    #[error("layer {0} cannot run: only a trained network can")]
    Layer(String),
    /// The integer network has a fault.
    #[error(transparent)]
    Integer(#[from] IntegerError),
}

/// Returns the logits of every image, `classes` numbers each, in the order of the images. Calls `cancelled`
/// from time to time. Errors if `cancelled` returns true, the images do not fit the network or a tensor is
/// unusable.
pub fn logits(
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f32>, InferenceError> {
    let network = model.network();
    check(network, images)?;
    let plan = InferencePlan::new(model)?;
    in_groups(
        network,
        (images.len(), plan.blocks),
        cancelled,
        || InferenceScratch::new(&plan),
        |scratch, places, logits| scratch.run(&plan, images, places, logits),
    )
}

/// Computes the outputs of images in groups of some blocks, in parallel: `run` writes those of the images at some places, with the
/// buffers of its thread. Errors if `cancelled` returns true.
pub(crate) fn in_groups<T: Clone + Default + Send, S>(
    network: &Network,
    (images, blocks): (usize, usize),
    cancelled: &dyn Fn() -> bool,
    scratch: impl Fn() -> S + Sync,
    run: impl Fn(&mut S, &[u32], &mut [T]) + Sync,
) -> Result<Vec<T>, InferenceError> {
    let (classes, places) = (network.classes, (0..images as u32).collect::<Vec<_>>());
    let mut outputs = vec![T::default(); places.len() * classes];
    let each = (ROUND / network.multiply_accumulates().max(1)).clamp(1, places.len().max(1) as u64);
    let group = blocks * LANES;
    let each = (each as usize).next_multiple_of(GROUPS * group);
    for (round, outputs) in outputs.chunks_mut(each * classes).enumerate() {
        if cancelled() {
            return Err(InferenceError::Cancelled);
        }
        let groups = outputs.par_chunks_mut(group * classes).enumerate().with_min_len(GROUPS);
        groups.for_each_init(&scratch, |scratch, (at, outputs)| {
            let places = &places[round * each + at * group..][..outputs.len() / classes];
            run(scratch, places, outputs);
        });
    }
    Ok(outputs)
}

/// Returns the blocks that a thread computes together, where the widest buffer has so many lines per block.
pub(crate) fn blocks_together(widest: usize) -> usize {
    (CACHE / (widest * size_of::<Lanes>()).max(1)).clamp(1, BLOCKS)
}

/// A layer with its kernel, and with the parameters open for reading.
pub(super) struct InferenceStage<'a> {
    layer: &'a Layer,
    kernel: InferenceKernel,
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    /// Whether the kernel also applies the Relu layer that follows this layer.
    rectify: bool,
    /// The slot of each input.
    from: Vec<usize>,
    /// The slot of the output; equal to that of the first input if the kernel works in place.
    to: usize,
}

enum InferenceKernel {
    Conv(Box<Conv>, Packed),
    /// The flag is true if every weight is finite.
    Linear(Linear, bool),
    MaxPool(MaxPool),
    AvgPool(AvgPool),
    Flatten(Flatten),
    Affine,
    Relu,
    Activation(Activation),
    Add,
    /// The place of each branch.
    Concat(Vec<Slot>),
    Nothing,
}

impl InferenceKernel {
    /// Returns whether the kernel can work in the buffer of its first input.
    fn works_in_place(&self) -> bool {
        matches!(self, Self::Affine | Self::Relu | Self::Activation(_) | Self::Add | Self::Nothing)
    }
}

/// The layers of a model, and the buffers that they need.
struct InferencePlan<'a> {
    stages: Vec<InferenceStage<'a>>,
    /// Lines per block of each buffer. A buffer holds one value after another, each until its last reader is done.
    slots: Vec<usize>,
    /// The blocks that a thread computes together.
    blocks: usize,
    /// Channels, height and width of an input, and the number of its logits.
    input: [usize; 3],
    classes: usize,
}

/// Buffers of one thread, for a group of images.
struct InferenceScratch(Vec<Vec<Lanes>>);

impl InferenceScratch {
    fn new(plan: &InferencePlan) -> Self {
        Self(plan.slots.iter().map(|lines| zeros(plan.blocks * lines)).collect())
    }

    /// Computes the logits of the images at these places.
    fn run(&mut self, plan: &InferencePlan, images: &Images, places: &[u32], logits: &mut [f32]) {
        let blocks = places.len().div_ceil(LANES);
        let size = plan.input.iter().product();
        for (places, block) in places.chunks(LANES).zip(self.0[0].chunks_exact_mut(size)) {
            fill_block(images, places, plan.input, block);
        }
        let mut last = 0;
        for stage in &plan.stages {
            let mut y = std::mem::take(&mut self.0[stage.to]);
            stage.run(blocks, &self.0, &mut y[..blocks * stage.layer.output.len()]);
            self.0[stage.to] = y;
            last = stage.to;
        }
        for (row, logits) in logits.chunks_exact_mut(plan.classes).enumerate() {
            read_lane(&self.0[last][row / LANES * plan.classes..], row % LANES, logits);
        }
    }
}

impl<'a> InferencePlan<'a> {
    fn new(model: &'a Model) -> Result<Self, InferenceError> {
        let network = model.network();
        let (mut stages, mut slots) = (Vec::<InferenceStage>::new(), vec![network.input.iter().product()]);
        // The readers of each value that are still to come, the images first, and the slots without a value.
        let index = |source: &Source| match source {
            Source::Images => 0,
            Source::Layer(at) => at + 1,
        };
        let mut readers = vec![0; network.layers.len() + 1];
        network.layers.iter().flat_map(|layer| &layer.sources).for_each(|source| readers[index(source)] += 1);
        let (mut places, mut free): (Vec<usize>, Vec<usize>) = (vec![0], vec![]);
        for (at, layer) in network.layers.iter().enumerate() {
            let read =
                |word: &str| model.tensors().get(&format!("{}.{word}", layer.name)).map(Array::numbers);
            let (weight, bias) = (read("weight"), read("bias"));
            let kernel = open(network, at, weight.unwrap_or(&[]))?;
            let values: Vec<usize> = layer.sources.iter().map(index).collect();
            let from: Vec<usize> = values.iter().map(|value| places[*value]).collect();
            let lines = layer.output.len();
            let is_in_place = kernel.works_in_place() && readers[values[0]] == 1;
            let to = if is_in_place { from[0] } else { take(&mut free, &mut slots, lines) };
            slots[to] = slots[to].max(lines);
            for value in values {
                readers[value] -= 1;
                if readers[value] == 0 && places[value] != to {
                    free.push(places[value]);
                }
            }
            places.push(to);
            let rectify = is_product(layer) && rectifier(network, at).is_some();
            stages.push(InferenceStage { layer, kernel, weight, bias, rectify, from, to });
        }
        let blocks = blocks_together(slots.iter().max().copied().unwrap_or(1));
        Ok(Self { stages, slots, blocks, input: network.input, classes: network.classes })
    }
}

/// Takes a slot for a value: the free one that needs to grow least, else a new one.
pub(crate) fn take(free: &mut Vec<usize>, slots: &mut Vec<usize>, lines: usize) -> usize {
    let growth = |slot: &usize| (lines.saturating_sub(slots[*slot]), slots[*slot]);
    let best = (0..free.len()).min_by_key(|at| growth(&free[*at]));
    best.map_or_else(
        || {
            slots.push(lines);
            slots.len() - 1
        },
        |at| free.remove(at),
    )
}

fn is_product(layer: &Layer) -> bool {
    matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })
}

/// Returns the Relu layer that is the only reader of a layer.
fn rectifier(network: &Network, at: usize) -> Option<usize> {
    let reads = |layer: &Layer| layer.sources.contains(&Source::Layer(at));
    let mut readers = network.layers.iter().enumerate().filter(|(_, layer)| reads(layer));
    let (only, layer) = readers.next()?;
    (readers.next().is_none() && layer.op == LayerOp::Relu).then_some(only)
}

/// Returns the kernel of a layer, given its weight. A Relu layer that the kernel of the layer before it applies has none.
fn open(network: &Network, at: usize, weight: &[f32]) -> Result<InferenceKernel, InferenceError> {
    let is_done =
        |before: usize| is_product(&network.layers[before]) && rectifier(network, before) == Some(at);
    let layer = &network.layers[at];
    match (layer.op, layer.sources[0]) {
        (LayerOp::Relu, Source::Layer(before)) if is_done(before) => Ok(InferenceKernel::Nothing),
        _ => kernel(layer, weight),
    }
}

/// Returns the kernel of a layer by itself.
fn kernel(layer: &Layer, weight: &[f32]) -> Result<InferenceKernel, InferenceError> {
    let kernel = match layer.op {
        LayerOp::Conv { .. } => Conv::new(layer).map(|conv| {
            let packed = conv.pack(weight);
            InferenceKernel::Conv(Box::new(conv), packed)
        }),
        LayerOp::Linear { .. } => Some(InferenceKernel::Linear(Linear::new(layer), is_finite(weight))),
        LayerOp::Affine => Some(InferenceKernel::Affine),
        LayerOp::Relu => Some(InferenceKernel::Relu),
        LayerOp::Relu6
        | LayerOp::LeakyRelu { .. }
        | LayerOp::Sigmoid
        | LayerOp::Tanh
        | LayerOp::HardSwish => Activation::new(layer.op).map(InferenceKernel::Activation),
        LayerOp::MaxPool { .. } => MaxPool::new(layer).map(InferenceKernel::MaxPool),
        LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool => AvgPool::new(layer).map(InferenceKernel::AvgPool),
        LayerOp::Flatten => {
            Some(Flatten::new(layer).map_or(InferenceKernel::Nothing, InferenceKernel::Flatten))
        }
        LayerOp::Add => Some(InferenceKernel::Add),
        LayerOp::Concat => {
            let channels: Vec<usize> = layer.inputs.iter().map(|input| input.channels().0).collect();
            Some(InferenceKernel::Concat(Slot::of(&channels)))
        }
        LayerOp::Dropout { .. } => Some(InferenceKernel::Nothing),
        LayerOp::BatchNorm { .. } => None,
    };
    kernel.ok_or_else(|| InferenceError::Layer(layer.name.clone()))
}

impl<'a> InferenceStage<'a> {
    /// Makes the stage of a layer by itself, whose values lie in slots of their own.
    pub(super) fn alone(
        layer: &'a Layer,
        weight: &'a [f32],
        bias: Option<&'a [f32]>,
        from: Vec<usize>,
        to: usize,
    ) -> Result<Self, InferenceError> {
        let kernel = kernel(layer, weight)?;
        Ok(Self { layer, kernel, weight: Some(weight), bias, rectify: false, from, to })
    }

    /// Applies the layer to blocks of images. Where the kernel works in place, `y` holds the first input, and its slot
    /// is empty.
    pub(super) fn run(&self, blocks: usize, slots: &[Vec<Lanes>], y: &mut [Lanes]) {
        let (weight, bias) = (self.weight.unwrap_or(&[]), self.bias);
        let input = |at: usize| &slots[self.from[at]][..blocks * self.layer.inputs[at].len()];
        let (from, to) = (self.layer.input().len(), self.layer.output.len());
        if self.kernel.works_in_place() && self.from[0] != self.to {
            y.copy_from_slice(input(0));
        }
        match &self.kernel {
            InferenceKernel::Conv(conv, packed) => {
                let blocks = input(0).chunks_exact(from).zip(y.chunks_exact_mut(to));
                blocks.for_each(|(x, y)| conv.apply(x, packed, bias, Finish::relu(self.rectify), y));
            }
            InferenceKernel::Linear(linear, finite) => {
                let x: Vec<&[Lanes]> = input(0).chunks_exact(from).collect();
                let mut y: Vec<&mut [Lanes]> = y.chunks_exact_mut(to).collect();
                linear.apply(&x, Weight { numbers: weight, finite: *finite }, bias, self.rectify, &mut y);
            }
            InferenceKernel::MaxPool(pool) => {
                let blocks = input(0).chunks_exact(from).zip(y.chunks_exact_mut(to));
                blocks.for_each(|(x, y)| pool.apply(x, y));
            }
            InferenceKernel::AvgPool(pool) => {
                let blocks = input(0).chunks_exact(from).zip(y.chunks_exact_mut(to));
                blocks.for_each(|(x, y)| pool.apply(x, y));
            }
            InferenceKernel::Flatten(flatten) => flatten.apply(input(0), y),
            InferenceKernel::Concat(slots) => {
                slots.iter().enumerate().for_each(|(at, slot)| slot.apply(input(at), y));
            }
            InferenceKernel::Affine => {
                let channels = self.layer.input().channels().0;
                for pixel in y.chunks_exact_mut(channels) {
                    let parameters = weight.iter().zip(bias.unwrap_or(&[]));
                    for (line, (weight, bias)) in pixel.iter_mut().zip(parameters) {
                        line.0.iter_mut().for_each(|x| *x = *x * weight + bias);
                    }
                }
            }
            InferenceKernel::Relu => relu::apply(y),
            InferenceKernel::Activation(activation) => activation.apply(y),
            InferenceKernel::Add => (1..self.from.len()).for_each(|at| join::add(input(at), y)),
            InferenceKernel::Nothing => {}
        }
    }
}
