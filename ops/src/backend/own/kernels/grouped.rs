//! Convolutions whose output channels read several input channels, in any number of groups. Knows nothing of
//! neighbouring layers, or of geometry, which [`taps`](crate::backend::own::kernels::taps) provides as lists. A register
//! tile holds the output channels of one pixel, and for the weight gradient the weights of sixteen output channels.

use std::ops::Range;

use pulp::Simd;

use crate::backend::own::kernels::conv::{ConvPart, Packed, bias_sums};
use crate::backend::own::kernels::lanes::{LANES, Lanes, zeros};
use crate::backend::own::kernels::rescale::Finish;
use crate::backend::own::kernels::taps::{Patch, TapRun, TapSums, Taps};
use crate::backend::own::kernels::tile::{
    Start, VectorKernel, WeightRows, add_column_products, add_line_products, compute, load_all, store_all,
    tiles,
};
use crate::backend::own::kernels::turn::turn;

/// Output pixels per step of the weight gradient, chosen so that the data of a step stays in the first-level
/// cache.
pub(crate) const STRIP: usize = 16;

/// The lists of inputs and weights of a convolution's sums.
#[derive(Clone, Debug)]
pub(crate) struct Grouped {
    taps: Taps,
    forward: TapSums,
    backward: TapSums,
    patches: Vec<Patch>,
}

impl Grouped {
    pub(crate) fn new(taps: Taps) -> Self {
        Self { taps, forward: taps.forward(), backward: taps.backward(), patches: taps.patches() }
    }

    /// Copies weights of outputs × inputs × kernel × kernel in the order output, kernel row, kernel column, input; the
    /// rows of a register tile lie side by side, number by number.
    pub(crate) fn pack(&self, weight: &[f32]) -> Packed {
        let (inputs, taps) = (self.taps.input[0], self.taps.kernel.area());
        let mut rows = vec![0.0; weight.len()];
        for (to, from) in rows.chunks_exact_mut(inputs * taps).zip(weight.chunks_exact(inputs * taps)) {
            for (at, number) in to.iter_mut().enumerate() {
                *number = from[at % inputs * taps + at / inputs];
            }
        }
        interleaved(&rows, self.taps.output[0], inputs * taps)
    }

    /// Copies the weights of each group in the order input, kernel row, kernel column from right to left, output; the
    /// rows of a register tile lie side by side.
    pub(crate) fn pack_backward(&self, weight: &[f32]) -> Packed {
        let ([inputs, ..], [outputs, ..], taps) =
            (self.taps.input, self.taps.output, self.taps.kernel.area());
        let columns = self.taps.kernel.width;
        let mut rows = vec![0.0; weight.len()];
        let groups = rows.chunks_exact_mut(inputs * outputs * taps);
        for (to, from) in groups.zip(weight.chunks_exact(inputs * outputs * taps)) {
            for (input, row) in to.chunks_exact_mut(outputs * taps).enumerate() {
                for (at, number) in row.iter_mut().enumerate() {
                    let (output, down, left) = (at % outputs, at / outputs / columns, at / outputs % columns);
                    *number = from[(output * inputs + input) * taps + (down + 1) * columns - 1 - left];
                }
            }
        }
        interleaved(&rows, inputs, outputs * taps)
    }

    /// Writes the outputs of one block of images.
    pub(crate) fn apply(
        &self,
        x: &[Lanes],
        weight: &Packed,
        start: Start<'_>,
        finish: Finish<'_>,
        y: &mut [Lanes],
    ) {
        let Taps { input: [inputs, ..], output: [outputs, ..], groups, kernel, .. } = self.taps;
        let (step, rows, width, sums) = (inputs, outputs, inputs * kernel.area(), &self.forward);
        compute(Correlation { sums, groups, rows, width, step, weight: &weight.0, start, finish, x, y });
    }

    /// Writes the gradient at the inputs of one block of images.
    pub(crate) fn apply_backward(&self, dy: &[Lanes], weight: &Packed, start: Start<'_>, dx: &mut [Lanes]) {
        let Taps { input: [inputs, ..], output: [outputs, ..], groups, kernel, .. } = self.taps;
        let (step, rows, width, sums) = (outputs, inputs, outputs * kernel.area(), &self.backward);
        let (weight, finish) = (&weight.0, Finish::Plain);
        compute(Correlation { sums, groups, rows, width, step, weight, start, finish, x: dy, y: dx });
    }

    /// Returns the number of lines of the weight gradient: one line of 16 outputs per group, set of 16 outputs and
    /// position in a row of weights.
    pub(crate) fn gradient_lines(&self) -> usize {
        let Taps { input: [inputs, ..], output: [outputs, ..], groups, kernel, .. } = self.taps;
        groups * outputs.div_ceil(LANES) * inputs * kernel.area()
    }

    /// Adds the gradients of one block.
    pub(crate) fn add_gradients(&self, x: &[Lanes], dy: &[Lanes], part: &mut ConvPart) {
        let Taps { output: [outputs, rows, columns], groups, .. } = self.taps;
        let (wide, high) = (columns.min(STRIP), (STRIP / columns).clamp(1, rows));
        let mut turned = zeros(high * wide * groups * outputs.div_ceil(LANES) * LANES);
        for top in (0..rows).step_by(high) {
            for left in (0..columns).step_by(wide) {
                let (turned, part) = (&mut *turned, &mut *part);
                let (rows, columns) = (top..rows.min(top + high), left..columns.min(left + wide));
                compute(GroupedGradient { conv: self, rows, columns, x, dy, turned, part });
            }
        }
    }

    /// Returns the line and the lane of a weight in the weight gradient of a part. `out` counts the outputs of all
    /// groups, `at` the inputs and taps of a group.
    pub(crate) fn place(&self, out: usize, at: usize) -> (usize, usize) {
        let ([inputs, ..], [outputs, ..], taps) =
            (self.taps.input, self.taps.output, self.taps.kernel.area());
        let (group, out) = (out / outputs, out % outputs);
        let first = (group * outputs.div_ceil(LANES) + out / LANES) * inputs * taps;
        (first + at % taps * inputs + at / taps, out % LANES)
    }
}

/// Copies rows of `width` weights, `rows` for each group, so that the rows of each register tile lie side by side.
fn interleaved(weight: &[f32], rows: usize, width: usize) -> Packed {
    let mut packed = vec![0.0; weight.len()];
    for (from, to) in weight.chunks_exact(rows * width).zip(packed.chunks_exact_mut(rows * width)) {
        compute(Interleave { from, to, rows, width });
    }
    Packed(packed)
}

/// Copies the rows of each register tile side by side.
struct Interleave<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    rows: usize,
    width: usize,
}

impl VectorKernel for Interleave<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        tiles::<S, V>(simd, self.rows, &mut self);
    }
}

impl WeightRows for Interleave<'_> {
    const MOST: usize = Pixel::MOST;

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, _: S, row: usize) {
        let tile = row * self.width..(row + M) * self.width;
        for (at, column) in self.to[tile.clone()].as_chunks_mut::<M>().0.iter_mut().enumerate() {
            *column = std::array::from_fn(|m| self.from[tile.start + m * self.width + at]);
        }
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
    start: Start<'a>,
    finish: Finish<'a>,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
}

/// One target pixel and group of a [`Correlation`].
struct Pixel<'a> {
    runs: &'a [TapRun],
    width: usize,
    weight: &'a [f32],
    start: Start<'a>,
    finish: Finish<'a>,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
}

impl VectorKernel for Correlation<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { sums, groups, rows, width, step, weight, start, finish, x, y } = self;
        for (runs, y) in sums.pixels().zip(y.chunks_exact_mut(groups * rows)) {
            for (group, y) in y.chunks_exact_mut(rows).enumerate() {
                let weight = &weight[group * rows * width..(group + 1) * rows * width];
                let start = match start {
                    Start::Bias(bias) => Start::Bias(&bias[group * rows..(group + 1) * rows]),
                    other => other,
                };
                let (x, finish) = (&x[group * step..], finish.of_group(group, rows));
                tiles::<S, V>(simd, rows, &mut Pixel { runs, width, weight, start, finish, x, y });
            }
        }
    }
}

impl WeightRows for Pixel<'_> {
    const MOST: usize = 16;

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let mut sums = self.start.sums::<S, M, V>(simd, row, &self.y[row..row + M]);
        let columns = self.weight[row * self.width..(row + M) * self.width].as_chunks::<M>().0;
        for run in self.runs {
            let (columns, x) = (&columns[run.weight..][..run.len], &self.x[run.source..][..run.len]);
            add_column_products(simd, &mut sums, columns, x);
        }
        let lines = &mut self.y[row..row + M];
        store_all(simd, sums, self.finish.rectifies(), lines);
        self.finish.rescale(row, lines);
    }
}

/// The contribution of a rectangle of output pixels of one block to the gradients.
struct GroupedGradient<'a> {
    conv: &'a Grouped,
    rows: Range<usize>,
    columns: Range<usize>,
    x: &'a [Lanes],
    dy: &'a [Lanes],
    turned: &'a mut [Lanes],
    part: &'a mut ConvPart,
}

/// One patch of a [`GroupedGradient`], for 16 outputs: sums of x · dy over pixels and images.
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

impl VectorKernel for GroupedGradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { conv, rows, columns, x, dy, turned, part: ConvPart { dw, db } } = self;
        let Taps { input: [inputs, ..], output: [outputs, _, width], groups, .. } = conv.taps;
        let all = groups * outputs;
        let sets = outputs.div_ceil(LANES);
        let apart = groups * sets * LANES;
        for (row, turned) in rows.clone().zip(turned.chunks_exact_mut(columns.len() * apart)) {
            let dy = &dy[(row * width + columns.start) * all..(row * width + columns.end) * all];
            bias_sums(dy, db);
            turn_outputs::<S, V>(simd, dy, outputs, turned);
        }
        for (set, dw) in dw.chunks_exact_mut(inputs * conv.taps.kernel.area()).enumerate() {
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
    const MOST: usize = 16;

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
                let turned = &self.turned[(pixels + column - self.columns.start) * self.apart..][..LANES];
                add_line_products(simd, &mut sums, lines, turned);
            }
        }
        store_all(simd, sums, false, &mut self.dw[weight..weight + M]);
    }
}

/// Transposes each set of 16 channels of a group from one line per channel to one line per image.
#[inline(always)]
fn turn_outputs<S: Simd, const V: usize>(simd: S, dy: &[Lanes], outputs: usize, turned: &mut [Lanes]) {
    let mut turned = turned.as_chunks_mut::<LANES>().0.iter_mut();
    for group in dy.chunks_exact(outputs) {
        group.chunks(LANES).zip(&mut turned).for_each(|(lines, to)| turn::<S, V>(simd, lines, to));
    }
}
