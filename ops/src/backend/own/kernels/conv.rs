//! Convolutions: each output pixel is the sum, over kernel taps and input channels, of weight times input.
//! Knows nothing of neighbouring layers, or of geometry, which [`taps`](crate::backend::own::kernels::taps)
//! provides as lists.
//!
//! The gradient at the inputs is a sum of the same kind. The weight gradient is a sum over pixels and images:
//! each part of the batch has a sum of its own, and the sums of the parts are added in order.

use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use crate::backend::own::kernels::lanes::{LANES, Lanes, turn, zeros};
use crate::backend::own::kernels::taps::{Patch, TapRun, TapSums, Taps};
use crate::backend::own::kernels::tile::{
    VectorKernel, WeightRows, add_products, compute, load_all, splat, store_all, tiles,
};
use crate::network::definition::Layer;

/// Output pixels per step of the weight gradient, chosen so that the data of a step stays in the first-level
/// cache.
const STRIP: usize = 16;

/// The largest number of parts of a batch with separate gradient sums. The sums of a part take as much memory
/// as a weight whose outputs per group are rounded up to a multiple of 16.
pub(crate) const GRADIENT_PARTS: usize = 16;

/// A convolution: sizes, and the lists of inputs and weights of its sums.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    taps: Taps,
    forward: TapSums,
    backward: TapSums,
    patches: Vec<Patch>,
}

/// The weights of a convolution in the order in which the kernel reads weights: one row per output channel in
/// the forward pass, one row per input channel in the backward pass.
pub(crate) struct Packed(Vec<f32>);

impl Conv {
    /// Returns the convolution of a layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        let taps = Taps::new(layer)?;
        Some(Self { taps, forward: taps.forward(), backward: taps.backward(), patches: taps.patches() })
    }

    /// Copies weights of outputs × inputs × kernel × kernel in the order output, kernel row, kernel column,
    /// input.
    pub(crate) fn pack(&self, weight: &[f32]) -> Packed {
        let (inputs, taps) = (self.taps.input[0], self.window());
        let mut packed = vec![0.0; weight.len()];
        for (to, from) in packed.chunks_exact_mut(inputs * taps).zip(weight.chunks_exact(inputs * taps)) {
            for (at, number) in to.iter_mut().enumerate() {
                *number = from[at % inputs * taps + at / inputs];
            }
        }
        Packed(packed)
    }

    /// Copies the weights of each group in the order input, kernel row, kernel column from right to left,
    /// output.
    fn pack_backward(&self, weight: &[f32]) -> Packed {
        let ([inputs, ..], [outputs, ..], taps) = (self.taps.input, self.taps.output, self.window());
        let columns = self.taps.kernel.width;
        let mut packed = vec![0.0; weight.len()];
        let groups = packed.chunks_exact_mut(inputs * outputs * taps);
        for (to, from) in groups.zip(weight.chunks_exact(inputs * outputs * taps)) {
            for (input, row) in to.chunks_exact_mut(outputs * taps).enumerate() {
                for (at, number) in row.iter_mut().enumerate() {
                    let (output, down, left) = (at % outputs, at / outputs / columns, at / outputs % columns);
                    *number = from[(output * inputs + input) * taps + (down + 1) * columns - 1 - left];
                }
            }
        }
        Packed(packed)
    }

    /// Writes the outputs of one block of images, on the calling thread. With `rectify`, negative outputs
    /// become 0.
    pub(crate) fn apply(
        &self,
        x: &[Lanes],
        weight: &Packed,
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [Lanes],
    ) {
        let Taps { input: [inputs, ..], output: [outputs, ..], groups, .. } = self.taps;
        let (step, rows, width) = (inputs, outputs, inputs * self.window());
        let (weight, sums) = (&weight.0, &self.forward);
        compute(Correlation { sums, groups, rows, width, step, weight, start: bias, rectify, x, y });
    }

    /// Writes the outputs of every block, in parallel. With `rectify`, negative outputs become 0.
    pub(crate) fn forward(
        &self,
        x: &[Lanes],
        weight: &[f32],
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [Lanes],
    ) {
        let weight = self.pack(weight);
        let blocks = x.par_chunks_exact(self.inputs()).zip(y.par_chunks_exact_mut(self.outputs()));
        blocks.for_each(|(x, y)| self.apply(x, &weight, bias, rectify, y));
    }

    /// Writes the gradient at the inputs from the gradient at the outputs.
    pub(crate) fn input_gradient(&self, dy: &[Lanes], weight: &[f32], dx: &mut [Lanes]) {
        let weight = &self.pack_backward(weight).0;
        let Taps { input: [inputs, ..], output: [outputs, ..], groups, .. } = self.taps;
        let (step, rows, width) = (outputs, inputs, outputs * self.window());
        let (sums, start, rectify) = (&self.backward, None, false);
        let blocks = dy.par_chunks_exact(self.outputs()).zip(dx.par_chunks_exact_mut(self.inputs()));
        blocks.for_each(|(x, y)| {
            compute(Correlation { sums, groups, rows, width, step, weight, start, rectify, x, y });
        });
    }

    /// Writes the gradients of the weight and the bias.
    pub(crate) fn parameter_gradients(
        &self,
        x: &[Lanes],
        dy: &[Lanes],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let ([inputs, ..], [outputs, ..], taps) = (self.taps.input, self.taps.output, self.window());
        // The division depends on the batch size alone, so the bits do not depend on the number of threads.
        let blocks = (x.len() / self.inputs()).div_ceil(GRADIENT_PARTS);
        let parts = x.par_chunks(blocks * self.inputs()).zip(dy.par_chunks(blocks * self.outputs()));
        let parts: Vec<[Vec<Lanes>; 2]> = parts.map(|(x, dy)| self.part_gradients(x, dy)).collect();
        let sets = outputs.div_ceil(LANES);
        dw.par_chunks_exact_mut(inputs * taps).enumerate().for_each(|(out, dw)| {
            let (group, out) = (out / outputs, out % outputs);
            let first = (group * sets + out / LANES) * inputs * taps;
            for (at, dw) in dw.iter_mut().enumerate() {
                let line = first + at % taps * inputs + at / taps;
                *dw = parts.iter().fold(0.0, |sum, [part, _]| sum + part[line].0[out % LANES]);
            }
        });
        for (at, db) in db.into_iter().flatten().enumerate() {
            let block = |[_, part]: &[Vec<Lanes>; 2]| part[at].0.iter().fold(0.0, |sum, number| sum + number);
            *db = parts.iter().map(block).fold(0.0, |sum, block| sum + block);
        }
    }

    /// Returns the gradients of a part of the batch. The weight gradient has one line of 16 outputs per
    /// group, set of 16 outputs and position in a row of weights; the bias gradient has one line of 16 images
    /// per output.
    fn part_gradients(&self, x: &[Lanes], dy: &[Lanes]) -> [Vec<Lanes>; 2] {
        let Taps { input: [inputs, ..], output: [outputs, rows, columns], groups, .. } = self.taps;
        let sets = outputs.div_ceil(LANES);
        let mut dw = zeros(groups * sets * inputs * self.window());
        let mut db = zeros(groups * outputs);
        let (wide, high) = (columns.min(STRIP), (STRIP / columns).clamp(1, rows));
        let mut turned = zeros(high * wide * groups * sets * LANES);
        for (x, dy) in x.chunks_exact(self.inputs()).zip(dy.chunks_exact(self.outputs())) {
            for top in (0..rows).step_by(high) {
                for left in (0..columns).step_by(wide) {
                    let (turned, dw, db) = (&mut *turned, &mut *dw, &mut *db);
                    let (rows, columns) = (top..rows.min(top + high), left..columns.min(left + wide));
                    compute(ConvGradient { conv: self, rows, columns, x, dy, turned, dw, db });
                }
            }
        }
        [dw, db]
    }

    /// Returns the number of kernel taps.
    fn window(&self) -> usize {
        self.taps.kernel.area()
    }

    fn inputs(&self) -> usize {
        self.taps.groups * self.taps.input.iter().product::<usize>()
    }

    fn outputs(&self) -> usize {
        self.taps.groups * self.taps.output.iter().product::<usize>()
    }
}

/// The sums of all target pixels of one block: y = start + Σ weight · x, over the runs of each pixel.
struct Correlation<'a> {
    sums: &'a TapSums,
    groups: usize,
    /// Channels of a group in the target.
    rows: usize,
    /// Weights per target channel.
    width: usize,
    /// Channels of a group in the source.
    step: usize,
    weight: &'a [f32],
    start: Option<&'a [f32]>,
    rectify: bool,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
}

/// One target pixel and group of a [`Correlation`].
struct Pixel<'a> {
    runs: &'a [TapRun],
    width: usize,
    weight: &'a [f32],
    start: Option<&'a [f32]>,
    rectify: bool,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
}

impl VectorKernel for Correlation<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { sums, groups, rows, width, step, weight, start, rectify, x, y } = self;
        for (runs, y) in sums.pixels().zip(y.chunks_exact_mut(groups * rows)) {
            for (group, y) in y.chunks_exact_mut(rows).enumerate() {
                let weight = &weight[group * rows * width..(group + 1) * rows * width];
                let start = start.map(|start| &start[group * rows..(group + 1) * rows]);
                let x = &x[group * step..];
                tiles::<S, V>(simd, rows, &mut Pixel { runs, width, weight, start, rectify, x, y });
            }
        }
    }
}

impl WeightRows for Pixel<'_> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let mut sums = splat::<S, M, V>(simd, |m| self.start.map_or(0.0, |start| start[row + m]));
        for run in self.runs {
            let rows: [&[f32]; M] =
                std::array::from_fn(|m| &self.weight[(row + m) * self.width + run.weight..][..run.len]);
            add_products(simd, &mut sums, rows, &self.x[run.source..run.source + run.len]);
        }
        store_all(simd, sums, self.rectify, &mut self.y[row..row + M]);
    }
}

/// The contribution of a rectangle of output pixels of one block to dw and db.
struct ConvGradient<'a> {
    conv: &'a Conv,
    rows: Range<usize>,
    columns: Range<usize>,
    x: &'a [Lanes],
    dy: &'a [Lanes],
    turned: &'a mut [Lanes],
    dw: &'a mut [Lanes],
    db: &'a mut [Lanes],
}

/// One patch of a [`ConvGradient`], for 16 outputs: sums of x · dy over pixels and images.
struct Sixteen<'a> {
    patch: &'a Patch,
    rows: Range<usize>,
    columns: Range<usize>,
    steps: [usize; 2],
    x: &'a [Lanes],
    /// For every pixel of the rectangle, one line of 16 outputs per image. The first lines of neighbouring
    /// pixels are `apart` lines apart.
    turned: &'a [Lanes],
    apart: usize,
    dw: &'a mut [Lanes],
}

impl VectorKernel for ConvGradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { conv, rows, columns, x, dy, turned, dw, db } = self;
        let Taps { input: [inputs, ..], output: [outputs, _, width], groups, .. } = conv.taps;
        let all = groups * outputs;
        let sets = outputs.div_ceil(LANES);
        let apart = groups * sets * LANES;
        for (row, turned) in rows.clone().zip(turned.chunks_exact_mut(columns.len() * apart)) {
            let dy = &dy[(row * width + columns.start) * all..(row * width + columns.end) * all];
            for pixel in dy.chunks_exact(all) {
                for (sum, line) in db.iter_mut().zip(pixel) {
                    sum.0.iter_mut().zip(line.0).for_each(|(sum, number)| *sum += number);
                }
            }
            turn_outputs(dy, outputs, turned);
        }
        for (set, dw) in dw.chunks_exact_mut(inputs * conv.window()).enumerate() {
            let (x, turned) = (&x[set / sets * inputs..], &turned[set * LANES..]);
            for patch in &conv.patches {
                let dw = &mut dw[patch.weight..patch.weight + patch.len];
                let (rows, columns, steps) = (rows.clone(), columns.clone(), conv.taps.steps());
                let mut sixteen = Sixteen { patch, rows, columns, steps, x, turned, apart, dw };
                tiles::<S, V>(simd, patch.len, &mut sixteen);
            }
        }
    }
}

impl WeightRows for Sixteen<'_> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, weight: usize) {
        let patch = self.patch;
        let inside =
            |all: &Range<usize>, part: &Range<usize>| all.start.max(part.start)..all.end.min(part.end);
        let (rows, columns) = (inside(&patch.rows, &self.rows), inside(&patch.columns, &self.columns));
        let [down, across] = self.steps;
        let mut sums = load_all::<S, M, V>(&self.dw[weight..]);
        for row in rows {
            let source = (patch.source + (row * down) as isize) as usize + weight;
            let pixels = (row - self.rows.start) * self.columns.len();
            for column in columns.clone() {
                let lines = &self.x[source + (column - patch.columns.start) * across..][..M];
                let rows: [&[f32]; M] = std::array::from_fn(|m| &lines[m].0[..]);
                let turned = &self.turned[(pixels + column - self.columns.start) * self.apart..][..LANES];
                add_products(simd, &mut sums, rows, turned);
            }
        }
        store_all(simd, sums, false, &mut self.dw[weight..weight + M]);
    }
}

/// Transposes each set of 16 channels of a group from one line per channel to one line per image.
#[inline(always)]
fn turn_outputs(dy: &[Lanes], outputs: usize, turned: &mut [Lanes]) {
    let mut turned = turned.as_chunks_mut::<LANES>().0.iter_mut();
    for group in dy.chunks_exact(outputs) {
        group.chunks(LANES).zip(&mut turned).for_each(|(lines, to)| turn(lines, to));
    }
}
