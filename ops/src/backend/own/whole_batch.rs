//! The work of a stage that needs the whole batch: the statistics of batch normalizations, from sums over each block, and
//! the products of linear layers, which share the weights among blocks. Knows nothing of other layers.

use rayon::prelude::*;

use crate::backend::own::block::Block;
use crate::backend::own::deltas::Delta;
use crate::backend::own::kernels::batch_norm::BatchNorm;
use crate::backend::own::kernels::lanes::Lanes;
use crate::backend::own::stage::{TrainingKernel, TrainingStage};
use crate::network::array::Array;
use crate::training::state::TrainingState;

impl TrainingStage {
    /// Returns the sums of a block that the means of a batch normalization need.
    pub(crate) fn sums(&self, block: &Block) -> Vec<f64> {
        let TrainingKernel::BatchNorm(norm, _) = &self.kernel else { return vec![] };
        norm.sums(block.images, &block.values[self.from[0]])
    }

    /// Takes the means of a batch from the sums of all blocks.
    pub(crate) fn take_sums(&mut self, rows: usize, sums: &[Vec<f64>]) {
        if let TrainingKernel::BatchNorm(norm, statistics) = &mut self.kernel {
            statistics.means = norm.means(rows, sums);
        }
    }

    /// Returns the sums of a block that the variances of a batch normalization need.
    pub(crate) fn squares(&self, block: &Block) -> Vec<f64> {
        let TrainingKernel::BatchNorm(norm, statistics) = &self.kernel else { return vec![] };
        norm.squares(block.images, &statistics.means, &block.values[self.from[0]])
    }

    /// Takes the variances of a batch from the squares of all blocks, and updates the running statistics.
    pub(crate) fn take_squares(&mut self, rows: usize, squares: &[Vec<f64>], state: &mut TrainingState) {
        let bias = state.parameters.get(self.weight + 1).map_or(&[][..], Array::numbers);
        let parameters = [state.parameters[self.weight].numbers(), bias];
        let running = state.running.get_mut(&self.layer);
        if let (TrainingKernel::BatchNorm(norm, statistics), Some(running)) = (&mut self.kernel, running) {
            let running = running.each_mut().map(Array::numbers_mut);
            statistics.norms = norm.norms(rows, &statistics.means, squares, parameters, running);
        }
    }

    /// Computes the outputs of all blocks of a linear layer.
    pub(crate) fn forward_linear(&self, blocks: &mut [Block], state: &TrainingState) {
        let TrainingKernel::Linear(linear, _) = &self.kernel else { return };
        let mut lines = vec![];
        for block in blocks {
            let (before, after) = block.values.split_at_mut(self.to);
            lines.push((&before[self.from[0]][..], &mut after[0][..]));
        }
        let (x, mut y): (Vec<&[Lanes]>, Vec<&mut [Lanes]>) = lines.into_iter().unzip();
        linear.forward(&x, self.weight(state), self.bias(state), self.rectify, &mut y);
    }

    /// Returns the contribution of a block to the gradients of a batch normalization's parameters.
    pub(crate) fn norm_gradients(&self, block: &Block) -> Vec<f64> {
        let TrainingKernel::BatchNorm(norm, statistics) = &self.kernel else { return vec![] };
        let x = &block.values[self.from[0]];
        let Some(dy) = block.deltas.get(self.to) else { return vec![] };
        norm.gradients(block.images, &statistics.norms, [x, &dy[..x.len()]])
    }

    /// Writes the gradients of a batch normalization's parameters from the contributions of all blocks.
    pub(crate) fn take_norm_gradients(&self, parts: &[Vec<f64>], gradients: &mut [Vec<f32>]) {
        let found = gradients.get_mut(self.weight..);
        if let (TrainingKernel::BatchNorm(..), Some([dw, db, ..])) = (&self.kernel, found) {
            BatchNorm::parameter_gradients(parts, [dw, db]);
        }
    }

    /// Computes the gradients of a linear layer at its parameters and at the inputs of all blocks.
    pub(crate) fn backward_linear(
        &mut self,
        blocks: &mut [Block],
        state: &TrainingState,
        gradients: &mut [Vec<f32>],
    ) {
        let (from, to) = (self.from[0], self.to);
        let weight = self.weight(state);
        let deltas: Vec<Option<Delta>> = blocks.par_iter_mut().map(|block| self.take_delta(block)).collect();
        let deltas: Vec<Delta> = deltas.into_iter().flatten().collect();
        let (TrainingKernel::Linear(linear, scratch), Some([dw, more @ ..])) =
            (&mut self.kernel, gradients.get_mut(self.weight..))
        else {
            return;
        };
        if deltas.len() < blocks.len() {
            return;
        }
        let dy: Vec<&[Lanes]> =
            deltas.iter().zip(&*blocks).map(|(delta, block)| &delta[..block.values[to].len()]).collect();
        let x: Vec<&[Lanes]> = blocks.iter().map(|block| &block.values[from][..]).collect();
        let db = more.first_mut().filter(|_| self.bias).map(Vec::as_mut_slice);
        linear.parameter_gradients([&x, &dy], scratch, dw, db);
        if from > 0 {
            let lines = x.first().map_or(0, |x| x.len());
            let mut buffers: Vec<Vec<Lanes>> =
                blocks.iter_mut().map(|block| block.deltas.buffer(lines)).collect();
            let mut dx: Vec<&mut [Lanes]> = buffers.iter_mut().map(|buffer| &mut buffer[..lines]).collect();
            linear.input_gradient(&dy, weight, scratch, &mut dx);
            for (block, buffer) in blocks.iter_mut().zip(buffers) {
                block.deltas.give(from, lines, Delta::new(buffer));
            }
        }
        for (block, delta) in blocks.iter_mut().zip(deltas) {
            block.deltas.recycle(delta);
        }
    }
}
