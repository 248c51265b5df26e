//! The way through a network and back: activations forward, gradients backward, for one batch in training.
//! Knows nothing of losses, optimizers or epochs. What changes numbers one by one (Relu, Dropout, Flatten) works in
//! place, so that only the other layers have buffers of their own; every buffer is used again at each step.

use candle_core::{Result, Tensor};

use super::batch_norm::{BatchNorm, Statistics};
use super::conv::Conv;
use super::dropout;
use super::graph::{Graph, Layer};
use super::linear::Linear;
use super::max_pool::MaxPool;
use super::numbers::{read, write, zeros};
use super::op::Op;
use super::relu;
use super::state::State;
use crate::random::Stream;

/// A layer with what it remembers from forward to backward.
enum Kernel {
    Conv(Conv),
    Linear(Linear),
    BatchNorm(BatchNorm, Vec<Statistics>),
    Relu,
    MaxPool(MaxPool, Vec<u32>),
    Flatten,
    Dropout { p: f64, number: String, kept: Vec<bool> },
}

struct Stage {
    kernel: Kernel,
    layer: usize,
    /// The buffer it reads, and the one it writes: the same if it works in place.
    from: usize,
    to: usize,
    /// The place of its weight among the parameters; its bias, if any, follows.
    weight: usize,
    bias: bool,
}

/// The buffers of a network in training.
pub(crate) struct Pass {
    stages: Vec<Stage>,
    /// Numbers per image of each buffer.
    sizes: Vec<usize>,
    activations: Vec<Tensor>,
    deltas: Vec<Tensor>,
    /// The gradient of each parameter.
    pub gradients: Vec<Tensor>,
}

impl Pass {
    /// Makes the buffers for batches of at most `batch` images.
    pub(crate) fn new(graph: &Graph, batch: usize) -> Result<Self> {
        let mut sizes = vec![graph.input.iter().product()];
        let mut stages = Vec::new();
        let specs = graph.parameters();
        for (at, layer) in graph.layers.iter().enumerate() {
            let kernel = Kernel::of(graph, at, layer, batch)?;
            let from = sizes.len() - 1;
            if !matches!(layer.op, Op::Relu | Op::Flatten | Op::Dropout { .. }) {
                sizes.push(layer.output.len());
            }
            let weight = specs.iter().take_while(|spec| spec.layer < at).count();
            let bias = layer.op.parameters(layer.input).1.is_some();
            stages.push(Stage { kernel, layer: at, from, to: sizes.len() - 1, weight, bias });
        }
        let buffers = || sizes.iter().map(|size| zeros(&[batch, *size])).collect::<Result<Vec<_>>>();
        let gradients = specs.iter().map(|spec| zeros(&spec.shape)).collect::<Result<_>>()?;
        Ok(Self { stages, activations: buffers()?, deltas: buffers()?, sizes, gradients })
    }

    /// Returns the buffer for the images of a batch.
    pub(crate) fn input(&self) -> &Tensor {
        &self.activations[0]
    }

    /// Returns the buffers of the logits, and of the gradient at them.
    pub(crate) fn output(&self) -> (&Tensor, &Tensor) {
        let last = self.sizes.len() - 1;
        (&self.activations[last], &self.deltas[last])
    }

    /// Computes the logits of the images in the input buffer. `moment` names the step, for Dropout.
    pub(crate) fn forward(&mut self, state: &State, rows: usize, seed: u64, moment: &str) -> Result<()> {
        for stage in &mut self.stages {
            stage.forward(&self.activations, &self.sizes, state, rows, |number| {
                Stream::new(seed, "dropout", &format!("{moment}.{number}"))
            })?;
        }
        Ok(())
    }

    /// Computes the gradient of every parameter from that at the logits.
    pub(crate) fn backward(&mut self, state: &State, rows: usize) -> Result<()> {
        for stage in self.stages.iter().rev() {
            let size = |buffer: usize| rows * self.sizes[buffer];
            let (from, to) = (size(stage.from), size(stage.to));
            if stage.from == stage.to {
                let y = read(&self.activations[stage.to])?;
                write(&self.deltas[stage.to], |delta| stage.backward_in_place(&y[..to], &mut delta[..to]))?;
                continue;
            }
            let (x, dy) = (read(&self.activations[stage.from])?, read(&self.deltas[stage.to])?);
            let (x, dy) = (&x[..from], &dy[..to]);
            stage.parameter_gradients(rows, x, dy, &self.gradients)?;
            // No one asks for the gradient at the images.
            if stage.from > 0 {
                stage.input_gradient(rows, [x, dy], state, &self.gradients, &self.deltas[stage.from])?;
            }
        }
        Ok(())
    }
}

impl Kernel {
    fn of(graph: &Graph, at: usize, layer: &Layer, batch: usize) -> Result<Self> {
        let unfit = || candle_core::Error::Msg(format!("layer {} cannot be trained", layer.name));
        Ok(match layer.op {
            Op::Conv { .. } => Self::Conv(Conv::of(layer).ok_or_else(unfit)?),
            Op::Linear { .. } => Self::Linear(Linear::of(layer)),
            Op::BatchNorm { eps, momentum } => {
                Self::BatchNorm(BatchNorm::of(layer, eps, momentum), Vec::new())
            }
            Op::Relu => Self::Relu,
            Op::MaxPool { .. } => {
                Self::MaxPool(MaxPool::of(layer).ok_or_else(unfit)?, vec![0; batch * layer.output.len()])
            }
            Op::Flatten => Self::Flatten,
            Op::Dropout { p } => Self::Dropout {
                p,
                number: dropout_number(graph, at),
                kept: vec![false; batch * layer.input.len()],
            },
            Op::Affine => return Err(unfit()),
        })
    }
}

/// Names a Dropout by the products before it and the Dropouts since: one put elsewhere moves no other's mask.
fn dropout_number(graph: &Graph, at: usize) -> String {
    let product = |layer: &Layer| matches!(layer.op, Op::Conv { .. } | Op::Linear { .. });
    let before = &graph.layers[..at];
    let last = before.iter().rposition(product).unwrap_or(0);
    let since = before[last..].iter().filter(|layer| matches!(layer.op, Op::Dropout { .. })).count();
    format!("{}.{since}", before.iter().filter(|layer| product(layer)).count())
}

impl Stage {
    fn forward(
        &mut self,
        buffers: &[Tensor],
        sizes: &[usize],
        state: &State,
        rows: usize,
        stream: impl Fn(&str) -> Stream,
    ) -> Result<()> {
        let (from, to) = (rows * sizes[self.from], rows * sizes[self.to]);
        match &mut self.kernel {
            Kernel::Relu => return write(&buffers[self.to], |x| relu::forward(&mut x[..to])),
            Kernel::Dropout { p, number, kept } => {
                let stream = stream(number);
                return write(&buffers[self.to], |x| {
                    dropout::forward(*p, stream, &mut x[..to], &mut kept[..to]);
                });
            }
            Kernel::Flatten => return Ok(()),
            Kernel::Conv(_) | Kernel::Linear(_) | Kernel::BatchNorm(..) | Kernel::MaxPool(..) => {}
        }
        let x = read(&buffers[self.from])?;
        self.forward_apart(&x[..from], &buffers[self.to], to, state, rows)
    }

    /// Computes what does not work in place: `size` numbers into `y`.
    fn forward_apart(
        &mut self,
        x: &[f32],
        y: &Tensor,
        size: usize,
        state: &State,
        rows: usize,
    ) -> Result<()> {
        if let Kernel::MaxPool(pool, places) = &mut self.kernel {
            return write(y, |y| pool.forward_with_places(x, &mut y[..size], &mut places[..size]));
        }
        let weight = read(&state.parameters[self.weight])?;
        let bias = state.parameters.get(self.weight + 1).filter(|_| self.bias).map(read).transpose()?;
        if let (Kernel::BatchNorm(norm, batch), Some([mean, variance])) =
            (&mut self.kernel, state.running.get(&self.layer))
        {
            write(mean, |mean| write(variance, |variance| norm.measure(x, batch, (mean, variance))))??;
        }
        write(y, |y| {
            let (y, bias) = (&mut y[..size], bias.as_deref());
            match &self.kernel {
                Kernel::Conv(conv) => conv.forward(x, &weight, bias, y),
                Kernel::Linear(linear) => linear.forward(rows, x, &weight, bias, y),
                Kernel::BatchNorm(norm, batch) => norm.forward(batch, &weight, bias.unwrap_or(&[]), x, y),
                Kernel::Relu | Kernel::Flatten | Kernel::Dropout { .. } | Kernel::MaxPool(..) => {}
            }
        })
    }

    fn backward_in_place(&self, y: &[f32], delta: &mut [f32]) {
        match &self.kernel {
            Kernel::Relu => relu::backward(y, delta),
            Kernel::Dropout { p, kept, .. } => dropout::backward(*p, &kept[..delta.len()], delta),
            Kernel::Flatten
            | Kernel::Conv(_)
            | Kernel::Linear(_)
            | Kernel::BatchNorm(..)
            | Kernel::MaxPool(..) => {}
        }
    }

    fn parameter_gradients(&self, rows: usize, x: &[f32], dy: &[f32], gradients: &[Tensor]) -> Result<()> {
        let weight = gradients.get(self.weight);
        let bias = gradients.get(self.weight + 1).filter(|_| self.bias);
        match (&self.kernel, weight, bias) {
            (Kernel::Conv(conv), Some(weight), bias) => {
                write(weight, |dw| conv.weight_gradient(x, dy, dw))?;
                bias.map_or(Ok(()), |bias| write(bias, |db| conv.bias_gradient(dy, db)))
            }
            (Kernel::Linear(linear), Some(weight), bias) => {
                write(weight, |dw| linear.weight_gradient(rows, x, dy, dw))?;
                bias.map_or(Ok(()), |bias| write(bias, |db| linear.bias_gradient(dy, db)))
            }
            (Kernel::BatchNorm(norm, batch), Some(weight), Some(bias)) => {
                write(weight, |dw| write(bias, |db| norm.parameter_gradient(batch, x, dy, [dw, db])))?
            }
            _ => Ok(()),
        }
    }

    fn input_gradient(
        &self,
        rows: usize,
        [x, dy]: [&[f32]; 2],
        state: &State,
        gradients: &[Tensor],
        dx: &Tensor,
    ) -> Result<()> {
        let size = x.len();
        match &self.kernel {
            Kernel::Conv(conv) => {
                let weight = read(&state.parameters[self.weight])?;
                write(dx, |dx| conv.input_gradient(dy, &weight, &mut dx[..size]))
            }
            Kernel::Linear(linear) => {
                let weight = read(&state.parameters[self.weight])?;
                write(dx, |dx| linear.input_gradient(rows, dy, &weight, &mut dx[..size]))
            }
            Kernel::BatchNorm(norm, batch) => {
                let weight = read(&state.parameters[self.weight])?;
                let sums = [read(&gradients[self.weight])?, read(&gradients[self.weight + 1])?];
                let sums = [&*sums[0], &*sums[1]];
                write(dx, |dx| norm.input_gradient(batch, &weight, sums, [x, dy], &mut dx[..size]))
            }
            Kernel::MaxPool(pool, places) => {
                write(dx, |dx| pool.backward(dy, &places[..dy.len()], &mut dx[..size]))
            }
            Kernel::Relu | Kernel::Flatten | Kernel::Dropout { .. } => Ok(()),
        }
    }
}
