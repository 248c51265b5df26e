//! Linear layers: y = W x + b, with W of outputs × inputs. Knows nothing of neighbouring layers. The
//! gradients are dx = Wᵀ dy; dW = dy xᵀ, summed in the order of the images; db = dy, summed per lane over the
//! blocks, then over the lanes.

use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use crate::backend::own::kernels::lanes::{LANES, Lanes, sum, vectorized};
use crate::backend::own::kernels::tile::{
    VectorKernel, WeightRows, add_products, compute, load_all, splat, store_all, tiles,
};
use crate::backend::own::kernels::turn::turn;
use crate::network::definition::Layer;

/// The largest number of inputs per pass of a sum. The limit keeps the lines of a block and the weights of a
/// register tile in the cache.
const DEPTH: usize = 400;

/// Length of the shortest run of zero inputs between two used inputs that a sum skips.
const GAP: usize = 8;

/// Rows of the weight gradient per unit of parallel work.
const ROWS: usize = 48;

/// Buffers of a layer in training, allocated once and reused at every step.
#[derive(Debug, Default)]
pub(crate) struct LinearScratch {
    /// The transposed weight, of inputs × outputs.
    turned: Vec<f32>,
    /// The inputs in panels of 16 inputs. A panel has one line per image, and its lines are contiguous.
    panels: Vec<Lanes>,
}

/// The sizes of a linear layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
}

impl Linear {
    pub(crate) fn new(layer: &Layer) -> Self {
        Self { inputs: layer.input().len(), outputs: layer.output.len() }
    }

    /// Writes the outputs of blocks of images, on the calling thread. With `rectify`, negative outputs become
    /// 0.
    pub(crate) fn apply(
        &self,
        x: &[&[Lanes]],
        weight: Weight,
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [&mut [Lanes]],
    ) {
        let Self { inputs, outputs } = *self;
        compute(Product { weight, inputs, outputs, start: bias, rectify, source: x, out: y });
    }

    /// Writes the outputs of blocks of images, in parallel. With `rectify`, negative outputs become 0.
    pub(crate) fn forward(
        &self,
        x: &[&[Lanes]],
        weight: &[f32],
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [&mut [Lanes]],
    ) {
        let weight = Weight { numbers: weight, finite: is_finite(weight) };
        // The number of blocks per unit of work depends on the number of threads, but no sum runs over
        // images, so the bits of the result do not.
        let blocks = share(x.len());
        let parts = x.par_chunks(blocks).zip(y.par_chunks_mut(blocks));
        parts.for_each(|(x, y)| self.apply(x, weight, bias, rectify, y));
    }

    /// Writes the gradient at the inputs from the gradient at the outputs.
    pub(crate) fn input_gradient(
        &self,
        dy: &[&[Lanes]],
        weight: &[f32],
        scratch: &mut LinearScratch,
        dx: &mut [&mut [Lanes]],
    ) {
        self.turn(weight, &mut scratch.turned);
        let back = Self { inputs: self.outputs, outputs: self.inputs };
        back.forward(dy, &scratch.turned, None, false, dx);
    }

    /// Writes the gradients of the weight and the bias.
    pub(crate) fn parameter_gradients(
        &self,
        [x, dy]: [&[&[Lanes]]; 2],
        scratch: &mut LinearScratch,
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let blocks = x.len();
        self.cut(x, &mut scratch.panels);
        let panels = &scratch.panels;
        dw.par_chunks_mut(ROWS * self.inputs).enumerate().for_each(|(at, dw)| {
            let outputs = dw.len() / self.inputs;
            // The gradients at the outputs: one row per output, in the order of the images.
            let mut rows = vec![0.0; outputs * blocks * LANES];
            for (row, out) in rows.chunks_exact_mut(blocks * LANES).zip(at * ROWS..) {
                for (numbers, block) in row.chunks_exact_mut(LANES).zip(dy) {
                    numbers.copy_from_slice(&block[out].0);
                }
            }
            let depth = blocks * LANES;
            compute(LinearGradient { rows: &rows, depth, panels, inputs: self.inputs, dw });
        });
        for (output, db) in db.into_iter().flatten().enumerate() {
            *db = sum(dy.iter().map(|block| &block[output]));
        }
    }

    /// Transposes the weight.
    fn turn(&self, weight: &[f32], turned: &mut Vec<f32>) {
        turned.resize(weight.len(), 0.0);
        // Each unit of work fills sixteen rows, so that the cache holds the current end of every row.
        turned.par_chunks_mut(LANES * self.outputs).enumerate().for_each(|(at, rows)| {
            for (output, weights) in weight.chunks_exact(self.inputs).enumerate() {
                let weights = &weights[at * LANES..];
                for (row, weight) in rows.chunks_exact_mut(self.outputs).zip(weights) {
                    row[output] = *weight;
                }
            }
        });
    }

    /// Copies the inputs into panels with one line per image.
    fn cut(&self, x: &[&[Lanes]], panels: &mut Vec<Lanes>) {
        let depth = x.len() * LANES;
        panels.resize(self.inputs.div_ceil(LANES) * depth, Lanes::ZERO);
        panels.par_chunks_exact_mut(depth).enumerate().for_each(|(at, panel)| {
            compute(Cut { x, count: LANES.min(self.inputs - at * LANES), first: at * LANES, panel });
        });
    }
}

/// Copies at most sixteen inputs into a panel.
struct Cut<'a> {
    x: &'a [&'a [Lanes]],
    first: usize,
    count: usize,
    panel: &'a mut [Lanes],
}

impl VectorKernel for Cut<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let blocks = self.panel.as_chunks_mut::<LANES>().0.iter_mut().zip(self.x);
        blocks.for_each(|(to, block)| turn::<S, V>(simd, &block[self.first..][..self.count], to));
    }
}

/// The weight of a layer, of outputs × inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight<'a> {
    pub(crate) numbers: &'a [f32],
    /// Result of [`is_finite`]. If false, the product skips no zero input, because zero times infinity or NaN
    /// is NaN.
    pub(crate) finite: bool,
}

/// Returns whether every number is finite. The check costs as much as the outputs of a few images, so callers
/// check once for many images.
pub(crate) fn is_finite(numbers: &[f32]) -> bool {
    let mut finite = true;
    vectorized(
        &mut finite,
        #[inline(always)]
        |finite: &mut bool| {
            // The compiler vectorizes the loop only without an early exit.
            *finite = !numbers.iter().fold(false, |any, number| any | !number.is_finite());
        },
    );
    finite
}

/// Returns the number of blocks per unit of work. Each thread gets two units on average, so that one slow
/// thread delays the others less.
fn share(blocks: usize) -> usize {
    blocks.div_ceil(2 * rayon::current_num_threads()).max(1)
}

/// A matrix product for blocks of images: out = start + weight · source.
struct Product<'a, 'y> {
    weight: Weight<'a>,
    inputs: usize,
    outputs: usize,
    start: Option<&'a [f32]>,
    rectify: bool,
    source: &'a [&'a [Lanes]],
    out: &'a mut [&'y mut [Lanes]],
}

/// The part of a [`Product`] over a range of inputs.
struct Stretch<'a, 'p, 'y> {
    product: &'a mut Product<'p, 'y>,
    /// For each block, the ranges of inputs that the sum uses.
    used: &'a [Vec<Range<usize>>],
    first: usize,
    end: usize,
}

impl VectorKernel for Product<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let mut parts: Vec<Vec<Range<usize>>> = vec![];
        for block in self.source {
            let all = 0..self.inputs;
            parts.push(if self.weight.finite { used(block) } else { Vec::from([all]) });
        }
        let depth = self.inputs.div_ceil(self.inputs.div_ceil(DEPTH));
        for first in (0..self.inputs).step_by(depth) {
            let end = self.inputs.min(first + depth);
            let outputs = self.outputs;
            tiles::<S, V>(simd, outputs, &mut Stretch { product: &mut self, used: &parts, first, end });
        }
    }
}

/// Returns the ranges of inputs to sum, without runs of inputs that are 0 in all images of the block, such as
/// the background of a drawing. A range keeps runs of fewer than [`GAP`] zeros inside it, because splitting
/// the range costs more than skipping the zeros saves.
#[inline(always)]
fn used(block: &[Lanes]) -> Vec<Range<usize>> {
    let mut used: Vec<Range<usize>> = vec![];
    for (at, line) in block.iter().enumerate() {
        // The shift removes the sign, because −0 is also 0.
        if line.0.iter().fold(0, |any, number| any | number.to_bits() << 1) == 0 {
            continue;
        }
        match used.last_mut() {
            Some(last) if at - last.end < GAP => last.end = at + 1,
            _ => used.push(at..at + 1),
        }
    }
    used
}

impl WeightRows for Stretch<'_, '_, '_> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let Product { weight, inputs, start, rectify, source, ref mut out, .. } = *self.product;
        let rows: [&[f32]; M] = std::array::from_fn(|m| {
            let row = (row + m) * inputs;
            &weight.numbers[row + self.first..row + self.end]
        });
        for ((source, out), used) in source.iter().zip(out.iter_mut()).zip(self.used) {
            let out = &mut out[row..row + M];
            let mut sums = if self.first > 0 {
                load_all::<S, M, V>(out)
            } else {
                splat::<S, M, V>(simd, |m| start.map_or(0.0, |start| start[row + m]))
            };
            for part in used {
                let (from, to) = (part.start.max(self.first), part.end.min(self.end));
                if from < to {
                    let rows = rows.map(|row| &row[from - self.first..to - self.first]);
                    add_products(simd, &mut sums, rows, &source[from..to]);
                }
            }
            store_all(simd, sums, rectify && self.end == inputs, out);
        }
    }
}

/// The weight gradient: dw = rows · panels.
struct LinearGradient<'a> {
    rows: &'a [f32],
    depth: usize,
    panels: &'a [Lanes],
    inputs: usize,
    dw: &'a mut [f32],
}

impl VectorKernel for LinearGradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let rows = self.dw.len() / self.inputs;
        tiles::<S, V>(simd, rows, &mut self);
    }
}

impl WeightRows for LinearGradient<'_> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let rows: [&[f32]; M] =
            std::array::from_fn(|m| &self.rows[(row + m) * self.depth..(row + m + 1) * self.depth]);
        for (at, panel) in self.panels.chunks_exact(self.depth).enumerate() {
            let mut sums = splat::<S, M, V>(simd, |_| 0.0);
            add_products(simd, &mut sums, rows, panel);
            let mut lines = [Lanes::ZERO; M];
            store_all(simd, sums, false, &mut lines);
            for (m, line) in lines.iter().enumerate() {
                let dw = &mut self.dw[(row + m) * self.inputs..(row + m + 1) * self.inputs];
                let dw = &mut dw[at * LANES..];
                let count = dw.len().min(LANES);
                dw[..count].copy_from_slice(&line.0[..count]);
            }
        }
    }
}
