//! One step of a pass: the kernel of a layer, with the data that its backward pass needs from its forward pass. Knows
//! nothing of other layers or of the order of a pass.

use crate::backend::own::kernels::activation::Activation;
use crate::backend::own::kernels::avg_pool::AvgPool;
use crate::backend::own::kernels::batch_norm::{BatchNorm, ChannelNorm};
use crate::backend::own::kernels::conv::Conv;
use crate::backend::own::kernels::dropout;
use crate::backend::own::kernels::flatten::Flatten;
use crate::backend::own::kernels::join::{self, Slot};
use crate::backend::own::kernels::lanes::{LANES, Lanes, blocks, zeros};
use crate::backend::own::kernels::linear::{Linear, LinearScratch};
use crate::backend::own::kernels::max_pool::{MaxPool, MaxPositions};
use crate::backend::own::kernels::relu;
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::random::Stream;
use crate::training::dropout::dropout_address;
use crate::training::state::TrainingState;

/// The kernel of a layer in training.
pub(crate) enum TrainingKernel {
    Conv(Box<Conv>),
    Linear(Linear, LinearScratch),
    BatchNorm(BatchNorm, Vec<ChannelNorm>),
    MaxPool(MaxPool, Vec<MaxPositions>),
    AvgPool(AvgPool),
    Flatten(Flatten),
    Activation(Activation),
    Relu,
    Dropout {
        p: f64,
        number: String,
        factors: Vec<Lanes>,
    },
    Add,
    /// The place of each branch.
    Concat(Vec<Slot>),
    Nothing,
}

/// A kernel with its place among buffers and parameters.
pub(crate) struct TrainingStage {
    pub kernel: TrainingKernel,
    pub layer: usize,
    /// Index of the buffer of each input.
    pub from: Vec<usize>,
    /// Index of the buffer of the output; equal to that of the input if the stage works in place.
    pub to: usize,
    /// Index of the layer's weight among the parameters; the index of the bias, if any, is one higher.
    pub weight: usize,
    pub bias: bool,
    /// Whether the kernel also computes the Relu layer behind this layer.
    pub rectify: bool,
}

impl TrainingKernel {
    /// Returns the kernel of a layer for batches of at most `batch` images. Errors if the layer does not occur in
    /// training.
    pub(crate) fn of(network: &Network, at: usize, batch: usize, rectify: bool) -> Result<Self, String> {
        let layer = &network.layers[at];
        let unfit = || format!("layer {} cannot be trained", layer.name);
        let outputs = blocks(batch) * layer.output.len();
        Ok(match layer.op {
            LayerOp::Conv { .. } => Self::Conv(Box::new(Conv::new(layer).ok_or_else(unfit)?)),
            LayerOp::Linear { .. } => Self::Linear(Linear::new(layer), LinearScratch::default()),
            LayerOp::BatchNorm { eps, momentum } => {
                Self::BatchNorm(BatchNorm::new(layer, eps, momentum, rectify), Vec::new())
            }
            LayerOp::MaxPool { .. } => {
                Self::MaxPool(MaxPool::new(layer).ok_or_else(unfit)?, vec![[0; LANES]; outputs])
            }
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
                Self::Dropout { p, number: dropout_address(network, at), factors: zeros(outputs) }
            }
            LayerOp::Affine => return Err(unfit()),
        })
    }

    /// Returns whether the kernel can work in the buffer of its input.
    pub(crate) fn works_in_place(&self) -> bool {
        matches!(self, Self::Relu | Self::Dropout { .. } | Self::Nothing)
    }
}

impl TrainingStage {
    pub(crate) fn is_in_place(&self) -> bool {
        self.from == [self.to]
    }

    pub(crate) fn forward_in_place(&mut self, x: &mut [Lanes], stream: impl Fn(&str) -> Stream) {
        match &mut self.kernel {
            TrainingKernel::Relu => relu::forward(x),
            TrainingKernel::Dropout { p, number, factors } => {
                let factors = &mut factors[..x.len()];
                dropout::forward(*p, stream(number), x, factors);
            }
            _ => {}
        }
    }

    pub(crate) fn forward(
        &mut self,
        rows: usize,
        inputs: &[&[Lanes]],
        y: &mut [Lanes],
        state: &mut TrainingState,
        stream: impl Fn(&str) -> Stream,
    ) {
        let x = inputs[0];
        match &mut self.kernel {
            TrainingKernel::MaxPool(pool, places) => pool.forward(x, y, &mut places[..y.len()]),
            TrainingKernel::AvgPool(pool) => pool.forward(x, y),
            TrainingKernel::Flatten(flatten) => flatten.forward(x, y),
            TrainingKernel::Activation(activation) => activation.forward(x, y),
            TrainingKernel::Add => join::sum(inputs, self.rectify, y),
            TrainingKernel::Concat(slots) => slots.iter().zip(inputs).for_each(|(slot, x)| slot.apply(x, y)),
            TrainingKernel::Relu | TrainingKernel::Dropout { .. } | TrainingKernel::Nothing => {
                join::copy(x, y);
                self.forward_in_place(y, stream);
            }
            TrainingKernel::Conv(_) | TrainingKernel::Linear(..) | TrainingKernel::BatchNorm(..) => {
                self.forward_parameters(rows, x, y, state);
            }
        }
    }

    /// Runs the forward pass of a layer with parameters.
    fn forward_parameters(&mut self, rows: usize, x: &[Lanes], y: &mut [Lanes], state: &mut TrainingState) {
        let weight = state.parameters[self.weight].numbers();
        let bias = state.parameters.get(self.weight + 1).filter(|_| self.bias).map(Array::numbers);
        match (&mut self.kernel, state.running.get_mut(&self.layer)) {
            (TrainingKernel::Conv(conv), _) => conv.forward(x, weight, bias, self.rectify, y),
            (TrainingKernel::Linear(linear, _), _) => linear.forward(x, weight, bias, self.rectify, y),
            (TrainingKernel::BatchNorm(norm, norms), Some(running)) => {
                let parameters = [weight, bias.unwrap_or(&[])];
                *norms = norm.measure(rows, x, parameters, running.each_mut().map(Array::numbers_mut));
                norm.forward(rows, norms, x, y);
            }
            _ => {}
        }
    }

    /// Returns whether the backward pass begins with [`Self::backward_in_place`].
    pub(crate) fn changes_delta(&self) -> bool {
        match self.kernel {
            TrainingKernel::Relu | TrainingKernel::Dropout { .. } => true,
            // Its gradients take the sign of the output from the input.
            TrainingKernel::BatchNorm(..) => false,
            _ => self.rectify,
        }
    }

    /// Changes the gradient at the output to that in front of a Relu or Dropout.
    pub(crate) fn backward_in_place(&self, y: &[Lanes], delta: &mut [Lanes]) {
        match &self.kernel {
            TrainingKernel::Dropout { factors, .. } => dropout::backward(&factors[..delta.len()], delta),
            _ => relu::backward(y, delta),
        }
    }

    pub(crate) fn parameter_gradients(
        &mut self,
        rows: usize,
        [x, dy]: [&[Lanes]; 2],
        gradients: &mut [Vec<f32>],
    ) {
        let Some([dw, more @ ..]) = gradients.get_mut(self.weight..) else { return };
        let db = more.first_mut().filter(|_| self.bias).map(Vec::as_mut_slice);
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => conv.parameter_gradients(x, dy, dw, db),
            TrainingKernel::Linear(linear, scratch) => linear.parameter_gradients([x, dy], scratch, dw, db),
            TrainingKernel::BatchNorm(norm, norms) => {
                norm.parameter_gradients(rows, norms, [x, dy], [dw, db.unwrap_or(&mut [])]);
            }
            _ => {}
        }
    }

    /// Returns whether the gradient at an input is the gradient at the output.
    pub(crate) fn passes_on(&self) -> bool {
        matches!(self.kernel, TrainingKernel::Add) || self.kernel.works_in_place()
    }

    /// Returns whether [`Self::input_gradient`] can add to a gradient.
    pub(crate) fn can_add(&self) -> bool {
        matches!(self.kernel, TrainingKernel::Conv(_))
    }

    /// Writes the gradient at an input, or adds it to `dx` if `adds` is true.
    pub(crate) fn input_gradient(
        &mut self,
        rows: usize,
        input: usize,
        [x, dy]: [&[Lanes]; 2],
        parameters: (&TrainingState, &[Vec<f32>]),
        adds: bool,
        dx: &mut [Lanes],
    ) {
        let (state, gradients) = parameters;
        let weight = || state.parameters[self.weight].numbers();
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => conv.input_gradient(dy, weight(), adds, dx),
            TrainingKernel::Linear(linear, scratch) => linear.input_gradient(dy, weight(), scratch, dx),
            TrainingKernel::BatchNorm(norm, norms) => {
                let sums = [&gradients[self.weight][..], &gradients[self.weight + 1][..]];
                norm.input_gradient(rows, norms, sums, [x, dy], dx);
            }
            TrainingKernel::MaxPool(pool, places) => pool.backward(dy, &places[..dy.len()], dx),
            TrainingKernel::AvgPool(pool) => pool.backward(dy, dx),
            TrainingKernel::Flatten(flatten) => flatten.backward(dy, dx),
            TrainingKernel::Activation(activation) => activation.backward(x, dy, dx),
            TrainingKernel::Concat(slots) => slots[input].backward(dy, dx),
            TrainingKernel::Add
            | TrainingKernel::Relu
            | TrainingKernel::Dropout { .. }
            | TrainingKernel::Nothing => {}
        }
    }
}
