//! The forward pass and the backward pass of a network for one batch in training. Knows nothing of losses,
//! optimizers or epochs. Relu, Dropout and a Flatten that keeps the order of the numbers work in place where nothing
//! else reads their input; every other layer has buffers of its own. Every step reuses the buffers. The gradient at a
//! value that several layers read is the sum of their gradients, from the last reader to the first.

use crate::backend::own::kernels::activation::Activation;
use crate::backend::own::kernels::avg_pool::AvgPool;
use crate::backend::own::kernels::batch_norm::{BatchNorm, Statistics};
use crate::backend::own::kernels::conv::Conv;
use crate::backend::own::kernels::dropout;
use crate::backend::own::kernels::flatten::Flatten;
use crate::backend::own::kernels::join::{self, Slot};
use crate::backend::own::kernels::lanes::{LANES, Lanes, blocks, zeros};
use crate::backend::own::kernels::linear::{Linear, LinearScratch};
use crate::backend::own::kernels::max_pool::{MaxPool, MaxPositions};
use crate::backend::own::kernels::relu;
use crate::network::array::Array;
use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;
use crate::network::wiring::Source;
use crate::random::Stream;
use crate::training::dropout::{dropout_address, dropout_stream};
use crate::training::state::TrainingState;

/// The kernel of a layer with the data that the backward pass needs from the forward pass.
enum TrainingKernel {
    Conv(Conv),
    Linear(Linear, LinearScratch),
    BatchNorm(BatchNorm, Vec<Statistics>),
    MaxPool(MaxPool, Vec<MaxPositions>),
    AvgPool(AvgPool),
    Flatten(Flatten),
    Activation(Activation),
    /// `done` is true directly after a convolution or linear layer, whose kernel then applies the Relu.
    Relu {
        done: bool,
    },
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

struct TrainingStage {
    kernel: TrainingKernel,
    layer: usize,
    /// Index of the buffer of each input.
    from: Vec<usize>,
    /// Index of the buffer of the output; equal to that of the input if the stage works in place.
    to: usize,
    /// For each input, whether another stage has written to the gradient before this one in the backward pass.
    adds: Vec<bool>,
    /// Index of the layer's weight among the parameters; the index of the bias, if any, is one higher.
    weight: usize,
    bias: bool,
    /// Whether the forward pass of the kernel also applies the Relu layer that follows this layer.
    rectify: bool,
}

/// The buffers of a network in training.
pub(crate) struct Pass {
    stages: Vec<TrainingStage>,
    /// Lines per block of each buffer.
    sizes: Vec<usize>,
    activations: Vec<Vec<Lanes>>,
    deltas: Vec<Vec<Lanes>>,
    /// A gradient that is to be added to another; empty without branches.
    addend: Vec<Lanes>,
    /// The gradient of each parameter, in the order of the network's parameters.
    pub gradients: Vec<Vec<f32>>,
}

impl Pass {
    /// Makes the buffers for batches of at most `batch` images. Errors if a layer does not occur in training.
    pub(crate) fn new(network: &Network, batch: usize) -> Result<Self, String> {
        let mut sizes = vec![network.input.iter().product()];
        let mut stages: Vec<TrainingStage> = Vec::new();
        let specs = network.parameters();
        let readers = network.readers();
        for (at, layer) in network.layers.iter().enumerate() {
            // A layer whose output nothing else reads.
            let only_read = |source: &Source| match source {
                Source::Images => None,
                Source::Layer(before) => Some(*before).filter(|before| readers[*before] == 1),
            };
            let before = only_read(&layer.sources[0]);
            let after_product = before.is_some_and(|before| is_product(&network.layers[before]));
            let kernel = TrainingKernel::of(network, at, batch, after_product)?;
            let buffer = |source: &Source| match source {
                Source::Images => 0,
                Source::Layer(before) => stages[*before].to,
            };
            let from: Vec<usize> = layer.sources.iter().map(buffer).collect();
            let to = if before.is_some() && kernel.works_in_place() {
                from[0]
            } else {
                sizes.push(layer.output.len());
                sizes.len() - 1
            };
            let rectify = is_product(layer)
                && readers[at] == 1
                && network.layers[at + 1..]
                    .iter()
                    .any(|next| next.sources == [Source::Layer(at)] && next.op == LayerOp::Relu);
            stages.push(TrainingStage {
                kernel,
                layer: at,
                adds: vec![false; from.len()],
                from,
                to,
                weight: specs.iter().take_while(|spec| spec.layer < at).count(),
                bias: layer.op.parameters(layer.input()).1.is_some(),
                rectify,
            });
        }
        let mut written = vec![false; sizes.len()];
        for stage in stages.iter_mut().rev().filter(|stage| !stage.is_in_place()) {
            for (from, adds) in stage.from.iter().zip(&mut stage.adds) {
                *adds = std::mem::replace(&mut written[*from], true);
            }
        }
        let adding = stages.iter().flat_map(|stage| stage.from.iter().zip(&stage.adds));
        let addend = adding.filter(|(_, adds)| **adds).map(|(from, _)| sizes[*from]).max().unwrap_or(0);
        let buffers = || sizes.iter().map(|size| zeros(blocks(batch) * size)).collect();
        let gradients = specs.iter().map(|spec| vec![0.0; spec.shape.iter().product()]).collect();
        let addend = zeros(blocks(batch) * addend);
        Ok(Self { stages, activations: buffers(), deltas: buffers(), sizes, addend, gradients })
    }

    /// Returns the buffer for the images of a batch.
    pub(crate) fn input(&mut self) -> &mut [Lanes] {
        &mut self.activations[0]
    }

    /// Returns the logits of a batch of `rows` images, and the buffer for the gradient at the logits.
    pub(crate) fn output(&mut self, rows: usize) -> (&[Lanes], &mut [Lanes]) {
        let last = self.stages.last().map_or(0, |stage| stage.to);
        let size = blocks(rows) * self.sizes[last];
        (&self.activations[last][..size], &mut self.deltas[last][..size])
    }

    /// Computes the logits of the `rows` images in the input buffer and updates the running statistics.
    /// `moment` identifies the step, so that every step has other dropout masks.
    pub(crate) fn forward(&mut self, state: &mut TrainingState, rows: usize, seed: u64, moment: [usize; 2]) {
        for stage in &mut self.stages {
            let size = |buffer: usize| blocks(rows) * self.sizes[buffer];
            if stage.is_in_place() {
                let x = &mut self.activations[stage.to][..size(stage.to)];
                stage.forward_in_place(x, |number| dropout_stream(seed, moment, number));
                continue;
            }
            // Every input has a buffer before that of the output.
            let (before, after) = self.activations.split_at_mut(stage.to);
            let inputs: Vec<&[Lanes]> = stage.from.iter().map(|from| &before[*from][..size(*from)]).collect();
            let y = &mut after[0][..size(stage.to)];
            stage.forward(rows, &inputs, y, state, |number| dropout_stream(seed, moment, number));
        }
    }

    /// Computes the gradient of every parameter from the gradient at the logits. The forward pass of the same
    /// batch must precede.
    pub(crate) fn backward(&mut self, state: &TrainingState, rows: usize) {
        for stage in self.stages.iter_mut().rev() {
            let size = |buffer: usize| blocks(rows) * self.sizes[buffer];
            let y = &self.activations[stage.to][..size(stage.to)];
            if stage.is_in_place() {
                stage.backward_in_place(y, &mut self.deltas[stage.to][..size(stage.to)]);
                continue;
            }
            let (before, after) = self.deltas.split_at_mut(stage.to);
            let dy = &mut after[0][..size(stage.to)];
            // A Relu or Dropout with a buffer of its own changes the gradient at its output first.
            stage.backward_in_place(y, dy);
            let first = &self.activations[stage.from[0]][..size(stage.from[0])];
            stage.parameter_gradients(rows, [first, &*dy], &mut self.gradients);
            for input in 0..stage.from.len() {
                let from = stage.from[input];
                // The first buffer holds the images, and no layer needs the gradient at the images.
                if from == 0 {
                    continue;
                }
                let (x, dx) = (&self.activations[from][..size(from)], &mut before[from][..size(from)]);
                if stage.adds[input] {
                    let addend = &mut self.addend[..size(from)];
                    stage.input_gradient(rows, input, [x, &*dy], state, &self.gradients, addend);
                    join::add(addend, dx);
                } else {
                    stage.input_gradient(rows, input, [x, &*dy], state, &self.gradients, dx);
                }
            }
        }
    }
}

fn is_product(layer: &Layer) -> bool {
    matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })
}

impl TrainingKernel {
    fn of(network: &Network, at: usize, batch: usize, after_product: bool) -> Result<Self, String> {
        let layer = &network.layers[at];
        let unfit = || format!("layer {} cannot be trained", layer.name);
        let outputs = blocks(batch) * layer.output.len();
        Ok(match layer.op {
            LayerOp::Conv { .. } => Self::Conv(Conv::new(layer).ok_or_else(unfit)?),
            LayerOp::Linear { .. } => Self::Linear(Linear::new(layer), LinearScratch::default()),
            LayerOp::BatchNorm { eps, momentum } => {
                Self::BatchNorm(BatchNorm::new(layer, eps, momentum), Vec::new())
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
            LayerOp::Relu => Self::Relu { done: after_product },
            LayerOp::Dropout { p } => {
                Self::Dropout { p, number: dropout_address(network, at), factors: zeros(outputs) }
            }
            LayerOp::Affine => return Err(unfit()),
        })
    }

    /// Returns whether the kernel can work in the buffer of its input.
    fn works_in_place(&self) -> bool {
        matches!(self, Self::Relu { .. } | Self::Dropout { .. } | Self::Nothing)
    }
}

impl TrainingStage {
    fn is_in_place(&self) -> bool {
        self.from == [self.to]
    }

    fn forward_in_place(&mut self, x: &mut [Lanes], stream: impl Fn(&str) -> Stream) {
        match &mut self.kernel {
            TrainingKernel::Relu { done: false } => relu::forward(x),
            TrainingKernel::Dropout { p, number, factors } => {
                let factors = &mut factors[..x.len()];
                dropout::forward(*p, stream(number), x, factors);
            }
            _ => {}
        }
    }

    fn forward(
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
            TrainingKernel::Add => {
                join::copy(x, y);
                inputs[1..].iter().for_each(|x| join::add(x, y));
            }
            TrainingKernel::Concat(slots) => slots.iter().zip(inputs).for_each(|(slot, x)| slot.apply(x, y)),
            TrainingKernel::Relu { .. } | TrainingKernel::Dropout { .. } | TrainingKernel::Nothing => {
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
            (TrainingKernel::BatchNorm(norm, batch), Some(running)) => {
                norm.measure(rows, x, batch, running.each_mut().map(Array::numbers_mut));
                norm.forward(rows, batch, weight, bias.unwrap_or(&[]), x, y);
            }
            _ => {}
        }
    }

    fn backward_in_place(&self, y: &[Lanes], delta: &mut [Lanes]) {
        match &self.kernel {
            TrainingKernel::Relu { .. } => relu::backward(y, delta),
            TrainingKernel::Dropout { factors, .. } => dropout::backward(&factors[..delta.len()], delta),
            _ => {}
        }
    }

    fn parameter_gradients(&mut self, rows: usize, [x, dy]: [&[Lanes]; 2], gradients: &mut [Vec<f32>]) {
        let Some([dw, more @ ..]) = gradients.get_mut(self.weight..) else { return };
        let db = more.first_mut().filter(|_| self.bias).map(Vec::as_mut_slice);
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => conv.parameter_gradients(x, dy, dw, db),
            TrainingKernel::Linear(linear, scratch) => linear.parameter_gradients([x, dy], scratch, dw, db),
            TrainingKernel::BatchNorm(norm, batch) => {
                norm.parameter_gradients(rows, batch, [x, dy], [dw, db.unwrap_or(&mut [])]);
            }
            _ => {}
        }
    }

    /// Writes the gradient at an input.
    fn input_gradient(
        &mut self,
        rows: usize,
        input: usize,
        [x, dy]: [&[Lanes]; 2],
        state: &TrainingState,
        gradients: &[Vec<f32>],
        dx: &mut [Lanes],
    ) {
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => {
                conv.input_gradient(dy, state.parameters[self.weight].numbers(), dx);
            }
            TrainingKernel::Linear(linear, scratch) => {
                linear.input_gradient(dy, state.parameters[self.weight].numbers(), scratch, dx);
            }
            TrainingKernel::BatchNorm(norm, batch) => {
                let weight = state.parameters[self.weight].numbers();
                let sums = [&gradients[self.weight][..], &gradients[self.weight + 1][..]];
                norm.input_gradient(rows, batch, weight, sums, [x, dy], dx);
            }
            TrainingKernel::MaxPool(pool, places) => pool.backward(dy, &places[..dy.len()], dx),
            TrainingKernel::AvgPool(pool) => pool.backward(dy, dx),
            TrainingKernel::Flatten(flatten) => flatten.backward(dy, dx),
            TrainingKernel::Activation(activation) => activation.backward(x, dy, dx),
            TrainingKernel::Concat(slots) => slots[input].backward(dy, dx),
            TrainingKernel::Add
            | TrainingKernel::Relu { .. }
            | TrainingKernel::Dropout { .. }
            | TrainingKernel::Nothing => join::copy(dy, dx),
        }
    }
}
