//! Convolutions, as one product per image and group: Y = W · columns(X) + b.
//! Knows nothing of the layers around it. dX = scatter(Wᵀ dY), dW = Σ dY · columns(X)ᵀ, db = Σ dY; sums over images are
//! made per block of [`IMAGES`], and the blocks added in order, whatever thread made them.

use rayon::prelude::*;

use super::columns::Columns;
use super::graph::Layer;
use super::sum::sum;
use crate::gemm::{Matrix, Output, Work, multiply, multiply_apart};

/// Images per block of work.
pub(crate) const IMAGES: usize = 4;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    columns: Columns,
    groups: usize,
    /// Output channels of one group.
    out: usize,
}

impl Conv {
    /// The convolution of a layer; none for any other layer.
    pub(crate) fn of(layer: &Layer) -> Option<Self> {
        let (columns, groups) = Columns::of(layer)?;
        Some(Self { columns, groups, out: layer.output.channels().0 / groups })
    }

    /// Returns how many numbers of scratch an image needs.
    pub(crate) fn scratch(&self) -> usize {
        self.columns.scratch()
    }

    /// Writes the outputs of one image.
    pub(crate) fn image(
        &self,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        scratch: &mut [f32],
        y: &mut [f32],
    ) {
        let plane = self.columns.len();
        if let Some(bias) = bias {
            y.chunks_exact_mut(plane).zip(bias).for_each(|(plane, bias)| plane.fill(*bias));
        }
        let output = if bias.is_some() { Output::Add } else { Output::Replace };
        let groups = x.chunks_exact(self.columns.size()).zip(y.chunks_exact_mut(self.out * plane));
        for ((x, y), weight) in groups.zip(weight.chunks_exact(self.weights())) {
            for rows in self.columns.tiles() {
                let pixels = self.columns.pixels(&rows);
                let scratch = &mut scratch[..self.columns.rows() * pixels.len()];
                self.columns.gather(x, &rows, scratch);
                let columns = Matrix::new(scratch, self.columns.rows(), pixels.len());
                multiply_apart(
                    &mut y[pixels.start..],
                    plane,
                    self.matrix(weight),
                    columns,
                    output,
                    Work::Alone,
                );
            }
        }
    }

    /// Writes the outputs of every image.
    pub(crate) fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let images = x.par_chunks(self.inputs()).zip(y.par_chunks_mut(self.outputs()));
        images.with_min_len(IMAGES).for_each_init(
            || vec![0.0; self.scratch()],
            |scratch, (x, y)| self.image(x, weight, bias, scratch, y),
        );
    }

    /// Writes the gradient at the inputs, from that at the outputs.
    pub(crate) fn input_gradient(&self, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        let images = dx.par_chunks_mut(self.inputs()).zip(dy.par_chunks(self.outputs()));
        images.with_min_len(IMAGES).for_each_init(
            || vec![0.0; self.scratch()],
            |scratch, (dx, dy)| self.image_gradient(dy, weight, scratch, dx),
        );
    }

    /// Writes the gradient of the weight.
    pub(crate) fn weight_gradient(&self, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let blocks = x.par_chunks(IMAGES * self.inputs()).zip(dy.par_chunks(IMAGES * self.outputs()));
        let sums: Vec<Vec<f32>> = blocks
            .map_init(
                || vec![0.0; self.scratch()],
                |scratch, (x, dy)| {
                    let mut sums = vec![0.0; self.groups * self.weights()];
                    for (x, dy) in x.chunks_exact(self.inputs()).zip(dy.chunks_exact(self.outputs())) {
                        self.add_weight_gradient(x, dy, scratch, &mut sums);
                    }
                    sums
                },
            )
            .collect();
        let inputs = self.columns.rows();
        dw.par_chunks_exact_mut(inputs).enumerate().for_each(|(out, dw)| {
            let first = out / self.out * self.weights() + out % self.out;
            dw.fill(0.0);
            for sums in &sums {
                dw.iter_mut().zip(sums[first..].iter().step_by(self.out)).for_each(|(dw, sum)| *dw += sum);
            }
        });
    }

    /// Writes the gradient of the bias.
    pub(crate) fn bias_gradient(&self, dy: &[f32], db: &mut [f32]) {
        let plane = self.columns.len();
        db.par_iter_mut().enumerate().for_each(|(channel, db)| {
            let planes =
                dy.chunks_exact(self.outputs()).map(|image| &image[channel * plane..(channel + 1) * plane]);
            *db = planes.map(sum).fold(0.0, |all, plane| all + plane);
        });
    }

    /// Writes the gradient at one image.
    fn image_gradient(&self, dy: &[f32], weight: &[f32], scratch: &mut [f32], dx: &mut [f32]) {
        let plane = self.columns.len();
        dx.fill(0.0);
        let groups = dx.chunks_exact_mut(self.columns.size()).zip(dy.chunks_exact(self.out * plane));
        for ((dx, dy), weight) in groups.zip(weight.chunks_exact(self.weights())) {
            for rows in self.columns.tiles() {
                let pixels = self.columns.pixels(&rows);
                let scratch = &mut scratch[..self.columns.rows() * pixels.len()];
                let dy = Matrix::new(dy, self.out, plane).columns(pixels.start, pixels.len());
                multiply(scratch, self.matrix(weight).transposed(), dy, Output::Replace, Work::Alone);
                self.columns.scatter(scratch, &rows, dx);
            }
        }
    }

    /// Adds one image's gradient of the weight, by inputs × outputs: so the columns, the larger operand by far, are read
    /// in the order they lie in.
    fn add_weight_gradient(&self, x: &[f32], dy: &[f32], scratch: &mut [f32], sums: &mut [f32]) {
        let plane = self.columns.len();
        let groups = x.chunks_exact(self.columns.size()).zip(dy.chunks_exact(self.out * plane));
        for ((x, dy), sums) in groups.zip(sums.chunks_exact_mut(self.weights())) {
            for rows in self.columns.tiles() {
                let pixels = self.columns.pixels(&rows);
                let scratch = &mut scratch[..self.columns.rows() * pixels.len()];
                self.columns.gather(x, &rows, scratch);
                let columns = Matrix::new(scratch, self.columns.rows(), pixels.len());
                let dy = Matrix::new(dy, self.out, plane).columns(pixels.start, pixels.len());
                multiply(sums, columns, dy.transposed(), Output::Add, Work::Alone);
            }
        }
    }

    fn matrix<'a>(&self, weight: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weight, self.out, self.columns.rows())
    }

    fn weights(&self) -> usize {
        self.out * self.columns.rows()
    }

    fn inputs(&self) -> usize {
        self.groups * self.columns.size()
    }

    fn outputs(&self) -> usize {
        self.groups * self.out * self.columns.len()
    }
}
