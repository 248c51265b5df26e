//! One step of a pass: the kernel of a layer, with the data that all blocks of a batch share, and its work on one block.
//! Knows nothing of other layers or of the order of a pass.

use crate::backend::own::block::{Block, Kept};
use crate::backend::own::deltas::Delta;
use crate::backend::own::kernels::activation::Activation;
use crate::backend::own::kernels::avg_pool::AvgPool;
use crate::backend::own::kernels::batch_norm::{BatchNorm, ChannelNorm};
use crate::backend::own::kernels::conv::{Conv, ConvPart, Packed};
use crate::backend::own::kernels::dropout;
use crate::backend::own::kernels::flatten::Flatten;
use crate::backend::own::kernels::join::{self, Slot};
use crate::backend::own::kernels::lanes::{LANES, Lanes, zeros};
use crate::backend::own::kernels::linear::{Linear, LinearScratch};
use crate::backend::own::kernels::max_pool::MaxPool;
use crate::backend::own::kernels::relu;
use crate::backend::own::kernels::rescale::Finish;
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::random::Stream;
use crate::training::dropout::dropout_address;
use crate::training::state::TrainingState;

/// The kernel of a layer in training.
pub(crate) enum TrainingKernel {
    Conv(Box<TrainingConv>),
    Linear(Linear, LinearScratch),
    BatchNorm(BatchNorm, BatchStatistics),
    MaxPool(MaxPool),
    AvgPool(AvgPool),
    Flatten(Flatten),
    Activation(Activation),
    Relu,
    Dropout {
        p: f64,
        number: String,
        /// The random numbers of the current step.
        stream: Stream,
    },
    Add,
    /// The place of each branch.
    Concat(Vec<Slot>),
    Nothing,
}

/// A convolution with the weights of the current step in the orders of both passes.
pub(crate) struct TrainingConv {
    conv: Conv,
    forward: Packed,
    backward: Packed,
}

/// The statistics of a batch normalization at the current step.
#[derive(Default)]
pub(crate) struct BatchStatistics {
    pub(super) means: Vec<f64>,
    pub(super) norms: Vec<ChannelNorm>,
}

/// A kernel with its place among stages, values and parameters.
pub(crate) struct TrainingStage {
    pub kernel: TrainingKernel,
    pub layer: usize,
    /// The place among the stages.
    pub number: usize,
    /// Index of the value of each input.
    pub from: Vec<usize>,
    /// Index of the value of the output; equal to that of the input if the stage works in place.
    pub to: usize,
    /// Index of the layer's weight among the parameters; the index of the bias, if any, is one higher.
    pub weight: usize,
    pub bias: bool,
    /// Whether the kernel also computes the Relu layer behind this layer.
    pub rectify: bool,
}

impl TrainingKernel {
    /// Returns the kernel of a layer. Errors if the layer does not occur in training.
    pub(crate) fn of(network: &Network, at: usize, rectify: bool) -> Result<Self, String> {
        let layer = &network.layers[at];
        let unfit = || format!("layer {} cannot be trained", layer.name);
        let empty = || Packed(vec![]);
        Ok(match layer.op {
            LayerOp::Conv { .. } => {
                let conv = Conv::new(layer).ok_or_else(unfit)?;
                Self::Conv(Box::new(TrainingConv { conv, forward: empty(), backward: empty() }))
            }
            LayerOp::Linear { .. } => Self::Linear(Linear::new(layer), LinearScratch::default()),
            LayerOp::BatchNorm { eps, momentum } => {
                Self::BatchNorm(BatchNorm::new(layer, eps, momentum, rectify), BatchStatistics::default())
            }
            LayerOp::MaxPool { .. } => Self::MaxPool(MaxPool::new(layer).ok_or_else(unfit)?),
            LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool => {
                Self::AvgPool(AvgPool::new(layer).ok_or_else(unfit)?)
            }
            LayerOp::Relu6
            | LayerOp::LeakyRelu { .. }
            | LayerOp::Sigmoid
            | LayerOp::Tanh
            | LayerOp::HardSwish => Self::Activation(Activation::new(layer.op).ok_or_else(unfit)?),
            LayerOp::Add => Self::Add,
            LayerOp::Concat => {
                let channels: Vec<usize> = layer.inputs.iter().map(|input| input.channels().0).collect();
                Self::Concat(Slot::of(&channels))
            }
            LayerOp::Flatten => Flatten::new(layer).map_or(Self::Nothing, Self::Flatten),
            LayerOp::Relu => Self::Relu,
            LayerOp::Dropout { p } => {
                let number = dropout_address(network, at);
                Self::Dropout { p, stream: Stream::new(0, "dropout", &number), number }
            }
            LayerOp::Affine => return Err(unfit()),
        })
    }

    /// Returns whether the kernel can work on the value of its input.
    pub(crate) fn works_in_place(&self) -> bool {
        matches!(self, Self::Relu | Self::Dropout { .. } | Self::Nothing)
    }

    /// Returns buffers for the data that the kernel keeps of a block with `lines` lines of output.
    pub(crate) fn kept(&self, lines: usize) -> Kept {
        match self {
            Self::MaxPool(_) => Kept::Positions(vec![[0; LANES]; lines]),
            Self::Dropout { .. } => Kept::Factors(zeros(lines)),
            _ => Kept::Nothing,
        }
    }
}

impl TrainingStage {
    fn is_in_place(&self) -> bool {
        self.from == [self.to]
    }

    pub(super) fn weight<'s>(&self, state: &'s TrainingState) -> &'s [f32] {
        state.parameters[self.weight].numbers()
    }

    pub(super) fn bias<'s>(&self, state: &'s TrainingState) -> Option<&'s [f32]> {
        state.parameters.get(self.weight + 1).filter(|_| self.bias).map(Array::numbers)
    }

    /// Prepares both passes of a step, once for all blocks. `stream` returns the random numbers of a Dropout layer.
    pub(crate) fn prepare(&mut self, state: &TrainingState, stream_of: impl Fn(&str) -> Stream) {
        let (weight, reads_images) = (self.weight, self.from == [0]);
        match &mut self.kernel {
            TrainingKernel::Conv(kernel) => {
                let numbers = state.parameters[weight].numbers();
                kernel.forward = kernel.conv.pack(numbers);
                // No layer needs the gradient at the images.
                if !reads_images {
                    kernel.backward = kernel.conv.pack_backward(numbers);
                }
            }
            TrainingKernel::Dropout { number, stream, .. } => *stream = stream_of(number),
            _ => {}
        }
    }

    /// Computes the output of a block.
    pub(crate) fn forward(&self, block: &mut Block, state: &TrainingState) {
        let Block { number, images, values, kept, .. } = block;
        let kept = &mut kept[self.number];
        if self.is_in_place() {
            self.forward_in_place(*number, kept, &mut values[self.to]);
            return;
        }
        // Every input comes before the output.
        let (before, after) = values.split_at_mut(self.to);
        let (x, y) = (&before[self.from[0]][..], &mut after[0][..]);
        match (&self.kernel, &mut *kept) {
            (TrainingKernel::Conv(kernel), _) => {
                kernel.conv.apply(x, &kernel.forward, self.bias(state), Finish::relu(self.rectify), y);
            }
            (TrainingKernel::BatchNorm(norm, statistics), _) => {
                norm.forward(*images, &statistics.norms, x, y);
            }
            (TrainingKernel::MaxPool(pool), Kept::Positions(positions)) => pool.forward(x, y, positions),
            (TrainingKernel::AvgPool(pool), _) => pool.apply(x, y),
            (TrainingKernel::Flatten(flatten), _) => flatten.apply(x, y),
            (TrainingKernel::Activation(activation), _) => {
                y.copy_from_slice(x);
                activation.apply(y);
            }
            (TrainingKernel::Add, _) => {
                let inputs: Vec<&[Lanes]> = self.from.iter().map(|from| &before[*from][..]).collect();
                join::sum(&inputs, self.rectify, y);
            }
            (TrainingKernel::Concat(slots), _) => {
                slots.iter().zip(&self.from).for_each(|(slot, from)| slot.apply(&before[*from], y));
            }
            _ => {
                y.copy_from_slice(x);
                self.forward_in_place(*number, kept, y);
            }
        }
    }

    fn forward_in_place(&self, block: usize, kept: &mut Kept, x: &mut [Lanes]) {
        match (&self.kernel, kept) {
            (TrainingKernel::Relu, _) => relu::apply(x),
            (TrainingKernel::Dropout { p, stream, .. }, Kept::Factors(factors)) => {
                dropout::forward(*p, *stream, block * x.len(), x, factors);
            }
            _ => {}
        }
    }

    /// Returns whether the backward pass begins with a change of the gradient at the output.
    fn changes_delta(&self) -> bool {
        match self.kernel {
            TrainingKernel::Relu | TrainingKernel::Dropout { .. } => true,
            // Its gradients take the sign of the output from the input.
            TrainingKernel::BatchNorm(..) => false,
            _ => self.rectify,
        }
    }

    /// Takes the gradient at the output of a block, in front of a Relu or Dropout that the stage computes; `None` if no
    /// reader gave one.
    pub(super) fn take_delta(&self, block: &mut Block) -> Option<Delta> {
        let (y, deltas) = (&block.values[self.to], &mut block.deltas);
        let delta = deltas.take(self.to)?;
        if !self.changes_delta() {
            return Some(delta);
        }
        let mut own = deltas.unshared(delta, y.len());
        match &block.kept[self.number] {
            Kept::Factors(factors) => dropout::backward(factors, &mut own[..y.len()]),
            _ => relu::backward(y, &mut own[..y.len()]),
        }
        Some(Delta::new(own))
    }

    /// Returns zeros for the gradient sums of a part of the batch; `None` for a stage other than a convolution.
    pub(crate) fn part(&self) -> Option<ConvPart> {
        match &self.kernel {
            TrainingKernel::Conv(kernel) => Some(kernel.conv.part(self.bias)),
            _ => None,
        }
    }

    /// Computes the gradients at the inputs of a block, and adds the block's gradients at a convolution's parameters to
    /// the sums of its part. `rows` is the number of images of the batch, `gradients` has the gradient of each parameter.
    pub(crate) fn backward(
        &self,
        rows: usize,
        block: &mut Block,
        gradients: &[Vec<f32>],
        part: &mut Option<ConvPart>,
    ) {
        let Some(dy) = self.take_delta(block) else { return };
        let Block { images, values, kept, deltas, .. } = block;
        let lines = values[self.to].len();
        if self.is_in_place() {
            deltas.give(self.to, lines, dy);
            return;
        }
        if let (TrainingKernel::Conv(kernel), Some(part)) = (&self.kernel, part) {
            kernel.conv.add_gradients(&values[self.from[0]], &dy[..lines], part);
        }
        for (input, from) in self.from.iter().enumerate() {
            // The first value is the images, and no layer needs the gradient at the images.
            if *from == 0 {
                continue;
            }
            let (x, dy) = (&values[*from][..], &dy);
            if self.passes_on() {
                deltas.give(*from, x.len(), Delta::clone(dy));
                continue;
            }
            let is_conv = matches!(self.kernel, TrainingKernel::Conv(_));
            let before = if is_conv { deltas.take(*from) } else { None };
            let adds = before.is_some();
            let mut buffer = match before {
                Some(delta) => deltas.unshared(delta, x.len()),
                None => deltas.buffer(x.len()),
            };
            let (dx, dy) = (&mut buffer[..x.len()], &dy[..lines]);
            match (&self.kernel, &kept[self.number]) {
                (TrainingKernel::Conv(kernel), _) => {
                    kernel.conv.input_gradient(dy, &kernel.backward, adds, dx);
                }
                (TrainingKernel::BatchNorm(norm, statistics), _) => {
                    let sums = [&gradients[self.weight][..], &gradients[self.weight + 1][..]];
                    norm.input_gradient([*images, rows], &statistics.norms, sums, [x, dy], dx);
                }
                (TrainingKernel::MaxPool(pool), Kept::Positions(positions)) => {
                    pool.backward(dy, positions, dx);
                }
                (TrainingKernel::AvgPool(pool), _) => pool.backward(dy, dx),
                (TrainingKernel::Flatten(flatten), _) => flatten.backward(dy, dx),
                (TrainingKernel::Activation(activation), _) => activation.backward(x, dy, dx),
                (TrainingKernel::Concat(slots), _) => slots[input].backward(dy, dx),
                _ => {}
            }
            deltas.give(*from, x.len(), Delta::new(buffer));
        }
        deltas.recycle(dy);
    }

    /// Returns whether the gradient at every input is the gradient at the output.
    fn passes_on(&self) -> bool {
        matches!(self.kernel, TrainingKernel::Add) || self.kernel.works_in_place()
    }

    /// Writes the gradients of a convolution's parameters from the sums of all parts.
    pub(crate) fn take_parts(&self, parts: &[&ConvPart], gradients: &mut [Vec<f32>]) {
        let (Some([dw, more @ ..]), TrainingKernel::Conv(kernel)) =
            (gradients.get_mut(self.weight..), &self.kernel)
        else {
            return;
        };
        let db = more.first_mut().filter(|_| self.bias).map(Vec::as_mut_slice);
        kernel.conv.parameter_gradients(parts, dw, db);
    }
}
