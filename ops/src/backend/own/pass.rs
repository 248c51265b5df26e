//! The forward pass and the backward pass of a network for one batch in training. Knows nothing of losses,
//! optimizers or epochs. Relu, Dropout and a Flatten that keeps the order of the numbers work in place where nothing
//! else reads their input; a Relu layer directly behind a product, a sum or a batch normalization is computed by that
//! layer's kernel; every other layer has a buffer of its own. Every step reuses the buffers. The gradient at a value
//! that several layers read is the sum of their gradients, from the last reader to the first.

use crate::backend::own::deltas::{Delta, Deltas};
use crate::backend::own::kernels::lanes::{Lanes, blocks, zeros};
use crate::backend::own::stage::{TrainingKernel, TrainingStage};
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::network::wiring::Source;
use crate::training::dropout::dropout_stream;
use crate::training::state::TrainingState;

/// The buffers of a network in training.
pub(crate) struct Pass {
    stages: Vec<TrainingStage>,
    /// Lines per block of each buffer.
    sizes: Vec<usize>,
    activations: Vec<Vec<Lanes>>,
    deltas: Deltas,
    /// The gradient of each parameter, in the order of the network's parameters.
    pub gradients: Vec<Vec<f32>>,
}

impl Pass {
    /// Makes the buffers for batches of at most `batch` images. Errors if a layer does not occur in training.
    pub(crate) fn new(network: &Network, batch: usize) -> Result<Self, String> {
        let mut sizes = vec![network.input.iter().product()];
        let mut stages: Vec<TrainingStage> = Vec::new();
        // The stage and the buffer of each layer.
        let mut places: Vec<(usize, usize)> = Vec::new();
        let specs = network.parameters();
        let readers = network.readers();
        for (at, layer) in network.layers.iter().enumerate() {
            // A layer whose output nothing else reads.
            let before = match layer.sources[0] {
                Source::Layer(before) if readers[before] == 1 => Some(places[before]),
                _ => None,
            };
            if let (LayerOp::Relu, Some((stage, buffer))) = (layer.op, before)
                && stages[stage].rectify
            {
                places.push((stage, buffer));
                continue;
            }
            let buffer = |source: &Source| match source {
                Source::Images => 0,
                Source::Layer(before) => places[*before].1,
            };
            let rectify = rectifies(network, at, readers[at]);
            let kernel = TrainingKernel::of(network, at, batch, rectify)?;
            let from: Vec<usize> = layer.sources.iter().map(buffer).collect();
            let to = if before.is_some() && kernel.works_in_place() {
                from[0]
            } else {
                sizes.push(layer.output.len());
                sizes.len() - 1
            };
            places.push((stages.len(), to));
            stages.push(TrainingStage {
                kernel,
                layer: at,
                from,
                to,
                weight: specs.iter().take_while(|spec| spec.layer < at).count(),
                bias: layer.op.parameters(layer.input()).1.is_some(),
                rectify,
            });
        }
        let activations = sizes.iter().map(|size| zeros(blocks(batch) * size)).collect();
        let gradients = specs.iter().map(|spec| vec![0.0; spec.shape.iter().product()]).collect();
        let deltas = Deltas::new(sizes.len());
        Ok(Self { stages, sizes, activations, deltas, gradients })
    }

    /// Returns the buffer for the images of a batch.
    pub(crate) fn input(&mut self) -> &mut [Lanes] {
        &mut self.activations[0]
    }

    /// Returns the logits of a batch of `rows` images, and the buffer for the gradient at the logits.
    pub(crate) fn output(&mut self, rows: usize) -> (&[Lanes], &mut [Lanes]) {
        let last = self.stages.last().map_or(0, |stage| stage.to);
        let size = blocks(rows) * self.sizes[last];
        (&self.activations[last][..size], self.deltas.begin(last, size))
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
        let size = |buffer: usize| blocks(rows) * self.sizes[buffer];
        let deltas = &mut self.deltas;
        for stage in self.stages.iter_mut().rev() {
            let lines = size(stage.to);
            let Some(mut dy) = deltas.take(stage.to) else { continue };
            let y = &self.activations[stage.to][..lines];
            if stage.changes_delta() {
                let mut own = deltas.unshared(dy, lines);
                stage.backward_in_place(y, &mut own[..lines]);
                dy = Delta::new(own);
            }
            if stage.is_in_place() {
                deltas.give(stage.to, lines, dy);
                continue;
            }
            let first = &self.activations[stage.from[0]][..size(stage.from[0])];
            stage.parameter_gradients(rows, [first, &dy[..lines]], &mut self.gradients);
            for input in 0..stage.from.len() {
                let from = stage.from[input];
                // The first buffer holds the images, and no layer needs the gradient at the images.
                if from == 0 {
                    continue;
                }
                let x = &self.activations[from][..size(from)];
                if stage.passes_on() {
                    deltas.give(from, x.len(), Delta::clone(&dy));
                    continue;
                }
                let before = if stage.can_add() { deltas.take(from) } else { None };
                let adds = before.is_some();
                let mut dx = match before {
                    Some(delta) => deltas.unshared(delta, x.len()),
                    None => deltas.buffer(x.len()),
                };
                let parameters = (state, &self.gradients[..]);
                stage.input_gradient(rows, input, [x, &dy[..lines]], parameters, adds, &mut dx[..x.len()]);
                deltas.give(from, x.len(), Delta::new(dx));
            }
            deltas.recycle(dy);
        }
    }
}

/// Returns whether the kernel of a layer also computes the Relu layer behind it: the only reader.
fn rectifies(network: &Network, at: usize, readers: usize) -> bool {
    let reads = |op: &LayerOp, sources: &[Source]| *op == LayerOp::Relu && sources == [Source::Layer(at)];
    let can = matches!(
        network.layers[at].op,
        LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::BatchNorm { .. } | LayerOp::Add
    );
    can && readers == 1 && network.layers[at + 1..].iter().any(|next| reads(&next.op, &next.sources))
}
