//! The forward pass and the backward pass of a network for one batch in training. Knows nothing of losses,
//! optimizers or epochs. Relu, Dropout and a Flatten that keeps the order of the numbers work in place where nothing
//! else reads their input; a Relu layer directly behind a product, a sum or a batch normalization is computed by that
//! layer's kernel; every other layer has a buffer of its own. Every step reuses the buffers. The gradient at a value
//! that several layers read is the sum of their gradients, from the last reader to the first.

use rayon::prelude::*;

use crate::backend::own::block::Block;
use crate::backend::own::kernels::conv::{ConvPart, GRADIENT_PARTS};
use crate::backend::own::kernels::lanes::{LANES, Lanes, blocks, fill_block};
use crate::backend::own::segment::{self, Segment, SegmentEnd};
use crate::backend::own::stage::{TrainingKernel, TrainingStage};
use crate::dataset::images::Images;
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::network::wiring::Source;
use crate::training::dropout::dropout_stream;
use crate::training::state::TrainingState;

/// The buffers of a network in training.
pub(crate) struct Pass {
    stages: Vec<TrainingStage>,
    forward: Vec<Segment>,
    backward: Vec<Segment>,
    /// Channels, height and width of an input.
    input: [usize; 3],
    /// The number of images of the current batch.
    rows: usize,
    blocks: Vec<Block>,
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
            let kernel = TrainingKernel::of(network, at, rectify)?;
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
                number: stages.len(),
                from,
                to,
                weight: specs.iter().take_while(|spec| spec.layer < at).count(),
                bias: layer.op.parameters(layer.input()).1.is_some(),
                rectify,
            });
        }
        let block = |number| {
            let kept = stages.iter().map(|stage| stage.kernel.kept(sizes[stage.to])).collect();
            Block::new(number, &sizes, kept)
        };
        let blocks = (0..blocks(batch)).map(block).collect();
        let gradients = specs.iter().map(|spec| vec![0.0; spec.shape.iter().product()]).collect();
        let (forward, backward) = (segment::forward(&stages), segment::backward(&stages));
        Ok(Self { stages, forward, backward, input: network.input, rows: 0, blocks, gradients })
    }

    /// Fills the input with the images at these places.
    pub(crate) fn fill(&mut self, images: &Images, places: &[u32]) {
        self.rows = places.len();
        let input = self.input;
        self.blocks.par_iter_mut().zip(places.par_chunks(LANES)).for_each(|(block, places)| {
            block.images = places.len();
            fill_block(images, places, input, &mut block.values[0]);
        });
    }

    /// Returns the logits of each block, and the buffer for the gradient at these logits.
    pub(crate) fn outputs(&mut self) -> impl IndexedParallelIterator<Item = (&[Lanes], &mut [Lanes])> {
        let last = self.stages.last().map_or(0, |stage| stage.to);
        self.blocks[..blocks(self.rows)].par_iter_mut().map(move |block| {
            let logits = &block.values[last];
            (&logits[..], block.deltas.begin(last, logits.len()))
        })
    }

    /// Computes the logits of the images and updates the running statistics. `moment` identifies the step, so that
    /// every step has other dropout masks.
    pub(crate) fn forward(&mut self, state: &mut TrainingState, seed: u64, moment: [usize; 2]) {
        let Self { stages, blocks: all, rows, .. } = self;
        let all = &mut all[..blocks(*rows)];
        for stage in &mut *stages {
            stage.prepare(state, |number| dropout_stream(seed, moment, number));
        }
        for Segment { own, end } in &self.forward {
            let run = |block: &mut Block| {
                for stage in own {
                    stages[*stage].forward(block, state);
                }
                match end {
                    SegmentEnd::Sums(stage) => stages[*stage].sums(block),
                    SegmentEnd::Squares(stage) => stages[*stage].squares(block),
                    SegmentEnd::NormGradients(_) | SegmentEnd::Linear(_) | SegmentEnd::Pass => vec![],
                }
            };
            let found: Vec<Vec<f64>> = all.par_iter_mut().map(run).collect();
            match end {
                SegmentEnd::Sums(stage) => stages[*stage].take_sums(*rows, &found),
                SegmentEnd::Squares(stage) => stages[*stage].take_squares(*rows, &found, state),
                SegmentEnd::Linear(stage) => stages[*stage].forward_linear(all, state),
                SegmentEnd::NormGradients(_) | SegmentEnd::Pass => {}
            }
        }
    }

    /// Computes the gradient of every parameter from the gradient at the logits. The forward pass of the same
    /// batch must precede.
    pub(crate) fn backward(&mut self, state: &TrainingState) {
        let Self { stages, blocks: all, rows, gradients, .. } = self;
        let all = &mut all[..blocks(*rows)];
        // The division depends on the batch size alone, so the bits do not depend on the number of threads.
        let part = all.len().div_ceil(GRADIENT_PARTS).max(1);
        for Segment { own, end } in &self.backward {
            let run = |blocks: &mut [Block]| {
                let mut parts: Vec<Option<ConvPart>> =
                    own.iter().map(|stage| stages[*stage].part()).collect();
                let mut sums = vec![];
                for block in blocks {
                    for (stage, part) in own.iter().zip(&mut parts) {
                        stages[*stage].backward(*rows, block, gradients, part);
                    }
                    if let SegmentEnd::NormGradients(stage) = end {
                        sums.push(stages[*stage].norm_gradients(block));
                    }
                }
                (parts, sums)
            };
            let found: Vec<PartSums> = all.par_chunks_mut(part).map(run).collect();
            for (at, stage) in own.iter().enumerate() {
                let parts: Vec<&ConvPart> =
                    found.iter().filter_map(|(parts, _)| parts[at].as_ref()).collect();
                stages[*stage].take_parts(&parts, gradients);
            }
            match end {
                SegmentEnd::NormGradients(stage) => {
                    let sums: Vec<Vec<f64>> = found.into_iter().flat_map(|(_, sums)| sums).collect();
                    stages[*stage].take_norm_gradients(&sums, gradients);
                }
                SegmentEnd::Linear(stage) => stages[*stage].backward_linear(all, state, gradients),
                SegmentEnd::Sums(_) | SegmentEnd::Squares(_) | SegmentEnd::Pass => {}
            }
        }
    }
}

/// The gradient sums of a part of the batch: for each stage of a segment those of a convolution, and for each block those
/// that the segment ends with.
type PartSums = (Vec<Option<ConvPart>>, Vec<Vec<f64>>);

/// Returns whether the kernel of a layer also computes the Relu layer behind it: the only reader.
fn rectifies(network: &Network, at: usize, readers: usize) -> bool {
    let reads = |op: &LayerOp, sources: &[Source]| *op == LayerOp::Relu && sources == [Source::Layer(at)];
    let can = matches!(
        network.layers[at].op,
        LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::BatchNorm { .. } | LayerOp::Add
    );
    can && readers == 1 && network.layers[at + 1..].iter().any(|next| reads(&next.op, &next.sources))
}
