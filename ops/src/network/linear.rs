//! Linear layers: y = x Wᵀ + b, with W of outputs × inputs.
//! Knows nothing of what comes before or after; the gradients are dx = dy W, dW = dyᵀ x, db = Σ dy over rows.

use rayon::prelude::*;

use super::graph::Layer;
use crate::gemm::{Matrix, Output, Work, multiply};

/// Columns whose sums one piece of work makes.
const COLUMNS: usize = 128;

/// The sizes of a linear layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
}

impl Linear {
    pub(crate) fn of(layer: &Layer) -> Self {
        Self { inputs: layer.input.len(), outputs: layer.output.len() }
    }

    /// Writes the outputs of `rows` rows.
    pub(crate) fn forward(
        &self,
        rows: usize,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        if let Some(bias) = bias {
            y.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(bias));
        }
        let output = if bias.is_some() { Output::Add } else { Output::Replace };
        multiply(
            y,
            Matrix::new(x, rows, self.inputs),
            self.weight(weight).transposed(),
            output,
            Work::Shared,
        );
    }

    /// Writes the gradient at the inputs, from that at the outputs.
    pub(crate) fn input_gradient(&self, rows: usize, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        multiply(dx, Matrix::new(dy, rows, self.outputs), self.weight(weight), Output::Replace, Work::Shared);
    }

    /// Writes the gradient of the weight.
    pub(crate) fn weight_gradient(&self, rows: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let dy = Matrix::new(dy, rows, self.outputs).transposed();
        multiply(dw, dy, Matrix::new(x, rows, self.inputs), Output::Replace, Work::Shared);
    }

    /// Writes the gradient of the bias, adding row after row.
    pub(crate) fn bias_gradient(&self, dy: &[f32], db: &mut [f32]) {
        db.par_chunks_mut(COLUMNS).enumerate().for_each(|(at, sums)| {
            sums.fill(0.0);
            for row in dy.chunks_exact(self.outputs) {
                for (sum, number) in sums.iter_mut().zip(&row[at * COLUMNS..]) {
                    *sum += number;
                }
            }
        });
    }

    fn weight<'a>(&self, weight: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weight, self.outputs, self.inputs)
    }
}
