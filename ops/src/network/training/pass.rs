//! The forward pass and the backward pass of a network for one batch in training. Knows nothing of losses,
//! optimizers or epochs. Relu, Dropout and a Flatten that keeps the order of the numbers work in place; every
//! other layer has buffers of its own. Every step reuses the buffers.

use candle_core::{Result, Tensor};

use crate::network::definition::{Layer, Network};
use crate::network::kernels::batch_norm::{BatchNorm, Statistics};
use crate::network::kernels::conv::Conv;
use crate::network::kernels::dropout;
use crate::network::kernels::flatten::Flatten;
use crate::network::kernels::lanes::{LANES, Lanes, blocks, zeros};
use crate::network::kernels::linear::{Linear, LinearScratch};
use crate::network::kernels::max_pool::{MaxPool, MaxPositions};
use crate::network::kernels::numbers::{read_tensor, write};
use crate::network::kernels::relu;
use crate::network::layer::LayerOp;
use crate::network::training::state::TrainingState;
use crate::random::Stream;

/// The kernel of a layer with the data that the backward pass needs from the forward pass.
enum TrainingKernel {
    Conv(Conv),
    Linear(Linear, LinearScratch),
    BatchNorm(BatchNorm, Vec<Statistics>),
    MaxPool(MaxPool, Vec<MaxPositions>),
    Flatten(Flatten),
    /// `done` is true directly after a convolution or linear layer, whose kernel then applies the Relu.
    Relu {
        done: bool,
    },
    Dropout {
        p: f64,
        number: String,
        factors: Vec<Lanes>,
    },
    Nothing,
}

struct TrainingStage {
    kernel: TrainingKernel,
    layer: usize,
    /// Index of the buffer that the forward pass of the stage reads.
    from: usize,
    /// Index of the buffer that the forward pass of the stage writes; equal to `from` if the stage works in
    /// place.
    to: usize,
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
    /// The gradient of each parameter, in the order of the network's parameters.
    pub gradients: Vec<Tensor>,
}

impl Pass {
    /// Makes the buffers for batches of at most `batch` images. Errors if a layer does not occur in training.
    pub(crate) fn new(network: &Network, batch: usize) -> Result<Self> {
        let mut sizes = vec![network.input.iter().product()];
        let mut stages = Vec::new();
        let specs = network.parameters();
        for (at, layer) in network.layers.iter().enumerate() {
            let product = |layer: &Layer| matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. });
            let after_product = at > 0 && product(&network.layers[at - 1]);
            let kernel = TrainingKernel::of(network, at, batch, after_product)?;
            let from = sizes.len() - 1;
            if !matches!(
                kernel,
                TrainingKernel::Relu { .. } | TrainingKernel::Dropout { .. } | TrainingKernel::Nothing
            ) {
                sizes.push(layer.output.len());
            }
            let weight = specs.iter().take_while(|spec| spec.layer < at).count();
            let bias = layer.op.parameters(layer.input).1.is_some();
            let rectify =
                product(layer) && network.layers.get(at + 1).is_some_and(|next| next.op == LayerOp::Relu);
            stages.push(TrainingStage {
                kernel,
                layer: at,
                from,
                to: sizes.len() - 1,
                weight,
                bias,
                rectify,
            });
        }
        let buffers = || sizes.iter().map(|size| zeros(blocks(batch) * size)).collect();
        let gradients = specs
            .iter()
            .map(|spec| crate::network::kernels::numbers::zeros(&spec.shape))
            .collect::<Result<_>>()?;
        Ok(Self { stages, activations: buffers(), deltas: buffers(), sizes, gradients })
    }

    /// Returns the buffer for the images of a batch.
    pub(crate) fn input(&mut self) -> &mut [Lanes] {
        &mut self.activations[0]
    }

    /// Returns the logits of a batch of `rows` images, and the buffer for the gradient at the logits.
    pub(crate) fn output(&mut self, rows: usize) -> (&[Lanes], &mut [Lanes]) {
        let last = self.sizes.len() - 1;
        let size = blocks(rows) * self.sizes[last];
        (&self.activations[last][..size], &mut self.deltas[last][..size])
    }

    /// Computes the logits of the `rows` images in the input buffer and updates the running statistics.
    /// `moment` identifies the step, so that every step has other dropout masks.
    pub(crate) fn forward(
        &mut self,
        state: &TrainingState,
        rows: usize,
        seed: u64,
        moment: &str,
    ) -> Result<()> {
        for stage in &mut self.stages {
            let size = |buffer: usize| blocks(rows) * self.sizes[buffer];
            let (from, to) = (size(stage.from), size(stage.to));
            let (before, after) = self.activations.split_at_mut(stage.from + 1);
            if stage.from == stage.to {
                let x = &mut before[stage.from][..to];
                stage.forward_in_place(x, |number| {
                    Stream::new(seed, "dropout", &format!("{moment}.{number}"))
                });
            } else {
                stage.forward(rows, &before[stage.from][..from], &mut after[0][..to], state)?;
            }
        }
        Ok(())
    }

    /// Computes the gradient of every parameter from the gradient at the logits. The forward pass of the same
    /// batch must precede.
    pub(crate) fn backward(&mut self, state: &TrainingState, rows: usize) -> Result<()> {
        for stage in self.stages.iter_mut().rev() {
            let size = |buffer: usize| blocks(rows) * self.sizes[buffer];
            let (from, to) = (size(stage.from), size(stage.to));
            let (before, after) = self.deltas.split_at_mut(stage.from + 1);
            if stage.from == stage.to {
                let y = &self.activations[stage.to][..to];
                stage.backward_in_place(y, &mut before[stage.from][..to]);
                continue;
            }
            let (x, dy) = (&self.activations[stage.from][..from], &after[0][..to]);
            stage.parameter_gradients(rows, [x, dy], &self.gradients)?;
            // The first buffer holds the images, and no layer needs the gradient at the images.
            if stage.from > 0 {
                let dx = &mut before[stage.from][..from];
                stage.input_gradient(rows, [x, dy], state, &self.gradients, dx)?;
            }
        }
        Ok(())
    }
}

impl TrainingKernel {
    fn of(network: &Network, at: usize, batch: usize, after_product: bool) -> Result<Self> {
        let layer = &network.layers[at];
        let unfit = || candle_core::Error::Msg(format!("layer {} cannot be trained", layer.name));
        let (inputs, outputs) = (blocks(batch) * layer.input.len(), blocks(batch) * layer.output.len());
        Ok(match layer.op {
            LayerOp::Conv { .. } => Self::Conv(Conv::new(layer).ok_or_else(unfit)?),
            LayerOp::Linear { .. } => Self::Linear(Linear::new(layer), LinearScratch::default()),
            LayerOp::BatchNorm { eps, momentum } => {
                Self::BatchNorm(BatchNorm::new(layer, eps, momentum), Vec::new())
            }
            LayerOp::MaxPool { .. } => {
                Self::MaxPool(MaxPool::new(layer).ok_or_else(unfit)?, vec![[0; LANES]; outputs])
            }
            LayerOp::Flatten => Flatten::new(layer).map_or(Self::Nothing, Self::Flatten),
            LayerOp::Relu => Self::Relu { done: after_product },
            LayerOp::Dropout { p } => {
                Self::Dropout { p, number: dropout_number(network, at), factors: zeros(inputs) }
            }
            LayerOp::Affine => return Err(unfit()),
        })
    }
}

/// Returns the identifier of a Dropout layer: the number of convolutions and linear layers before it, and the
/// number of Dropout layers since the last of these layers. A Dropout layer added before the last of these
/// layers, or after this Dropout layer, does not change the mask.
fn dropout_number(network: &Network, at: usize) -> String {
    let product = |layer: &Layer| matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. });
    let before = &network.layers[..at];
    let last = before.iter().rposition(product).unwrap_or(0);
    let since = before[last..].iter().filter(|layer| matches!(layer.op, LayerOp::Dropout { .. })).count();
    format!("{}.{since}", before.iter().filter(|layer| product(layer)).count())
}

/// A function that writes the gradients of the weight and the bias.
type Make<'a> = &'a mut dyn FnMut(&mut [f32], Option<&mut [f32]>);

impl TrainingStage {
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

    fn forward(&mut self, rows: usize, x: &[Lanes], y: &mut [Lanes], state: &TrainingState) -> Result<()> {
        match &mut self.kernel {
            TrainingKernel::MaxPool(pool, places) => {
                pool.forward(x, y, &mut places[..y.len()]);
                return Ok(());
            }
            TrainingKernel::Flatten(flatten) => {
                flatten.forward(x, y);
                return Ok(());
            }
            _ => {}
        }
        let weight = read_tensor(&state.parameters[self.weight])?;
        let bias =
            state.parameters.get(self.weight + 1).filter(|_| self.bias).map(read_tensor).transpose()?;
        let bias = bias.as_deref();
        match (&mut self.kernel, state.running.get(&self.layer)) {
            (TrainingKernel::Conv(conv), _) => conv.forward(x, &weight, bias, self.rectify, y),
            (TrainingKernel::Linear(linear, _), _) => linear.forward(x, &weight, bias, self.rectify, y),
            (TrainingKernel::BatchNorm(norm, batch), Some([mean, variance])) => {
                write(mean, |mean| {
                    write(variance, |variance| norm.measure(rows, x, batch, [mean, variance]))
                })??;
                norm.forward(rows, batch, &weight, bias.unwrap_or(&[]), x, y);
            }
            _ => {}
        }
        Ok(())
    }

    fn backward_in_place(&self, y: &[Lanes], delta: &mut [Lanes]) {
        match &self.kernel {
            TrainingKernel::Relu { .. } => relu::backward(y, delta),
            TrainingKernel::Dropout { factors, .. } => dropout::backward(&factors[..delta.len()], delta),
            _ => {}
        }
    }

    fn parameter_gradients(
        &mut self,
        rows: usize,
        [x, dy]: [&[Lanes]; 2],
        gradients: &[Tensor],
    ) -> Result<()> {
        let Some(weight) = gradients.get(self.weight) else { return Ok(()) };
        let bias = gradients.get(self.weight + 1).filter(|_| self.bias);
        // One call of the kernel writes both gradients, so the bias gradient is opened while the weight
        // gradient is open.
        let both = |make: Make| match bias {
            Some(bias) => write(weight, |dw| write(bias, |db| make(dw, Some(db))))?,
            None => write(weight, |dw| make(dw, None)),
        };
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => both(&mut |dw, db| conv.parameter_gradients(x, dy, dw, db)),
            TrainingKernel::Linear(linear, scratch) => {
                both(&mut |dw, db| linear.parameter_gradients([x, dy], scratch, dw, db))
            }
            TrainingKernel::BatchNorm(norm, batch) => both(&mut |dw, db| {
                norm.parameter_gradients(rows, batch, [x, dy], [dw, db.unwrap_or(&mut [])]);
            }),
            _ => Ok(()),
        }
    }

    fn input_gradient(
        &mut self,
        rows: usize,
        [x, dy]: [&[Lanes]; 2],
        state: &TrainingState,
        gradients: &[Tensor],
        dx: &mut [Lanes],
    ) -> Result<()> {
        match &mut self.kernel {
            TrainingKernel::Conv(conv) => {
                conv.input_gradient(dy, &read_tensor(&state.parameters[self.weight])?, dx);
            }
            TrainingKernel::Linear(linear, scratch) => {
                linear.input_gradient(dy, &read_tensor(&state.parameters[self.weight])?, scratch, dx);
            }
            TrainingKernel::BatchNorm(norm, batch) => {
                let weight = read_tensor(&state.parameters[self.weight])?;
                let sums = [read_tensor(&gradients[self.weight])?, read_tensor(&gradients[self.weight + 1])?];
                norm.input_gradient(rows, batch, &weight, [&*sums[0], &*sums[1]], [x, dy], dx);
            }
            TrainingKernel::MaxPool(pool, places) => pool.backward(dy, &places[..dy.len()], dx),
            TrainingKernel::Flatten(flatten) => flatten.backward(dy, dx),
            TrainingKernel::Relu { .. } | TrainingKernel::Dropout { .. } | TrainingKernel::Nothing => {}
        }
        Ok(())
    }
}
