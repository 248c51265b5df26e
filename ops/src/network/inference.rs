//! The logits of images under a trained network.
//! Knows nothing of labels. Layers before the first Linear work image by image, so that what is between them stays in
//! cache; from there on every product has exactly [`ROWS`] rows, because its bits depend on how many there are: an
//! image's logits are the same wherever it stands and however many there are.

use candle_core::Tensor;
use rayon::prelude::*;
use thiserror::Error;

use super::conv::Conv;
use super::graph::{Graph, Layer};
use super::linear::Linear;
use super::max_pool::MaxPool;
use super::model::Model;
use super::numbers::{Numbers, read};
use super::op::Op;
use super::relu;
use crate::dataset::images::Images;

/// Images per batch; the last batch is filled up with zeros.
pub const ROWS: usize = 1000;

/// Images that a thread takes at least, so that it can use its buffers again.
const IMAGES: usize = 8;

/// Why there are no logits.
#[derive(Debug, Error)]
pub enum InferenceError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The images are of another shape or number of classes.
    #[error(
        "the network takes images of {expected:?} in {classes} classes, these are {found:?} in {found_classes}"
    )]
    Images {
        /// Channels, height, width the network takes.
        expected: [usize; 3],
        /// Classes of the network.
        classes: usize,
        /// Shape of the images.
        found: [usize; 3],
        /// Classes of the images.
        found_classes: usize,
    },
    /// candle refused.
    #[error("a tensor of the network cannot be used")]
    Tensor(#[from] candle_core::Error),
}

/// Returns the logits of every image, `classes` numbers each, in order.
pub fn logits(
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f32>, InferenceError> {
    check(model.graph(), images)?;
    let stages = Stage::all(model)?;
    let is_linear = |stage: &Stage| matches!(stage.kernel, Kernel::Linear(_));
    let (single, batched) = stages.split_at(stages.iter().position(is_linear).unwrap_or(stages.len()));
    let width = single.last().map_or(images.size(), |stage| stage.layer.output.len());
    let (mut now, mut next) = (Vec::new(), Vec::new());
    let mut logits = Vec::with_capacity(images.len() * images.classes);
    for first in (0..images.len()).step_by(ROWS) {
        if cancelled() {
            return Err(InferenceError::Cancelled);
        }
        let rows = ROWS.min(images.len() - first);
        now.resize(ROWS * width, 0.0);
        now[rows * width..].fill(0.0);
        let each = now[..rows * width].par_chunks_exact_mut(width).enumerate().with_min_len(IMAGES);
        each.for_each_init(
            || Scratch::new(single, images.size()),
            |scratch, (row, out)| {
                images.read(first + row, &mut scratch.now[..images.size()]);
                scratch.run(single, out);
            },
        );
        for stage in batched {
            stage.rows(&mut now, &mut next);
        }
        logits.extend_from_slice(&now[..rows * images.classes]);
    }
    Ok(logits)
}

fn check(graph: &Graph, images: &Images) -> Result<(), InferenceError> {
    if graph.input == images.shape && graph.classes == images.classes {
        return Ok(());
    }
    Err(InferenceError::Images {
        expected: graph.input,
        classes: graph.classes,
        found: images.shape,
        found_classes: images.classes,
    })
}

/// A layer with its parameters open.
struct Stage<'a> {
    layer: &'a Layer,
    kernel: Kernel,
    weight: Option<Numbers<'a>>,
    bias: Option<Numbers<'a>>,
}

enum Kernel {
    Conv(Conv),
    Linear(Linear),
    Affine,
    Relu,
    MaxPool(MaxPool),
    Nothing,
}

/// One thread's buffers: an image before and after a layer, and a convolution's columns.
struct Scratch {
    now: Vec<f32>,
    next: Vec<f32>,
    columns: Vec<f32>,
}

impl Scratch {
    fn new(stages: &[Stage], image: usize) -> Self {
        let widest = stages.iter().map(|stage| stage.layer.output.len()).fold(image, usize::max);
        let columns = stages
            .iter()
            .map(|stage| if let Kernel::Conv(conv) = &stage.kernel { conv.scratch() } else { 0 });
        Self {
            now: vec![0.0; widest],
            next: vec![0.0; widest],
            columns: vec![0.0; columns.max().unwrap_or(0)],
        }
    }

    /// Takes one image, in `now`, through the layers.
    fn run(&mut self, stages: &[Stage], out: &mut [f32]) {
        for stage in stages {
            let (from, to) = (stage.layer.input.len(), stage.layer.output.len());
            let (x, y) = (&mut self.now[..from], &mut self.next[..to]);
            match &stage.kernel {
                Kernel::Conv(conv) => {
                    let columns = &mut self.columns[..conv.scratch()];
                    conv.image(x, stage.weight(), stage.bias.as_deref(), columns, y);
                }
                Kernel::MaxPool(pool) => pool.forward(x, y),
                Kernel::Linear(_) | Kernel::Affine | Kernel::Relu | Kernel::Nothing => {
                    stage.in_place(x);
                    continue;
                }
            }
            std::mem::swap(&mut self.now, &mut self.next);
        }
        out.copy_from_slice(&self.now[..out.len()]);
    }
}

impl<'a> Stage<'a> {
    fn all(model: &'a Model) -> candle_core::Result<Vec<Self>> {
        let open = |layer: &Layer, word: &str| -> candle_core::Result<Option<Numbers<'a>>> {
            let tensor: Option<&'a Tensor> = model.tensors().get(&format!("{}.{word}", layer.name));
            tensor.map(read).transpose()
        };
        let stage = |layer: &'a Layer| {
            let kernel = match layer.op {
                Op::Conv { .. } => Conv::of(layer).map(Kernel::Conv),
                Op::Linear { .. } => Some(Kernel::Linear(Linear::of(layer))),
                Op::Affine => Some(Kernel::Affine),
                Op::Relu => Some(Kernel::Relu),
                Op::MaxPool { .. } => MaxPool::of(layer).map(Kernel::MaxPool),
                Op::Flatten | Op::Dropout { .. } => Some(Kernel::Nothing),
                Op::BatchNorm { .. } => None,
            };
            let kernel =
                kernel.ok_or_else(|| candle_core::Error::Msg(format!("layer {} cannot run", layer.name)))?;
            Ok(Self { layer, kernel, weight: open(layer, "weight")?, bias: open(layer, "bias")? })
        };
        model.graph().layers.iter().map(stage).collect()
    }

    fn weight(&self) -> &[f32] {
        self.weight.as_deref().unwrap_or(&[])
    }

    /// Takes a whole batch through the layer; the result is in `x`.
    fn rows(&self, x: &mut Vec<f32>, other: &mut Vec<f32>) {
        match &self.kernel {
            Kernel::Linear(linear) => {
                other.resize(ROWS * self.layer.output.len(), 0.0);
                linear.forward(ROWS, x, self.weight(), self.bias.as_deref(), other);
                std::mem::swap(x, other);
            }
            Kernel::Relu => relu::forward(x),
            Kernel::Affine => x.chunks_exact_mut(self.layer.input.len()).for_each(|row| self.in_place(row)),
            // Images do not come after a Linear layer.
            Kernel::Nothing | Kernel::Conv(_) | Kernel::MaxPool(_) => {}
        }
    }

    /// Changes one image number by number.
    fn in_place(&self, x: &mut [f32]) {
        match &self.kernel {
            Kernel::Relu => relu::apply(x),
            Kernel::Affine => {
                let plane = self.layer.input.channels().1;
                let parameters = self.weight().iter().zip(self.bias.as_deref().unwrap_or(&[]));
                for (x, (weight, bias)) in x.chunks_exact_mut(plane).zip(parameters) {
                    for x in x {
                        *x = *x * weight + bias;
                    }
                }
            }
            Kernel::Conv(_) | Kernel::Linear(_) | Kernel::MaxPool(_) | Kernel::Nothing => {}
        }
    }
}
