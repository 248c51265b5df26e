//! The gradients of a depthwise convolution at its weight and bias. A vector holds sixteen channels: strip by strip, images
//! and gradients are transposed from one line per channel to one line per image.

use std::array::from_fn;
use std::ops::Range;

use pulp::Simd;

use crate::backend::own::kernels::conv::{ConvPart, bias_sums};
use crate::backend::own::kernels::depthwise::Plane;
use crate::backend::own::kernels::grouped::STRIP;
use crate::backend::own::kernels::lanes::{LANES, Lanes, zeros};
use crate::backend::own::kernels::taps::Taps;
use crate::backend::own::kernels::tile::{
    TileSums, VectorKernel, WeightRows, compute, load, store_all, tiles,
};
use crate::backend::own::kernels::turn::turn;

/// Adds the gradients of one block. `forward` has the taps of the outputs.
pub(super) fn add(taps: &Taps, forward: &Plane, [x, dy]: [&[Lanes]; 2], part: &mut ConvPart) {
    let Taps { input, output: [_, rows, columns], kernel, .. } = *taps;
    let high = (STRIP / columns).clamp(1, rows);
    // The rows of the image that a strip of output rows reads, up to the last row that any strip so far has read: with
    // dilation, a strip may read rows above those of the strip before it.
    let mut last = 0;
    let reach = |strip: &[Vec<[usize; 2]>]| {
        let sources = || strip.iter().flatten().map(|[_, source]| *source);
        last = last.max(sources().max()? + 1);
        Some(sources().min()?..last)
    };
    let strips: Vec<Option<Range<usize>>> = forward.rows.chunks(high).map(reach).collect();
    let held = strips.iter().flatten().map(Range::len).max().unwrap_or(0);
    let mut turned = [zeros(held * input[2] * LANES), zeros(high * columns * LANES)];
    for (set, dw) in part.dw.chunks_exact_mut(kernel.area()).enumerate() {
        let (strips, first, turned) = (&strips[..], set * LANES, &mut turned);
        compute(DepthwiseGradient { taps, forward, strips, high, held, first, x, dy, turned, dw });
    }
    compute(BiasSums(dy, &mut part.db));
}

/// The contribution of one block to dw, for 16 outputs.
struct DepthwiseGradient<'a> {
    taps: &'a Taps,
    forward: &'a Plane,
    /// For each strip of `high` output rows, the rows of the image that it reads: at most `held`.
    strips: &'a [Option<Range<usize>>],
    high: usize,
    held: usize,
    /// The first of the outputs.
    first: usize,
    x: &'a [Lanes],
    dy: &'a [Lanes],
    /// For every pixel of the held rows of the image and of the strip, one line of 16 channels per image.
    turned: &'a mut [Vec<Lanes>; 2],
    dw: &'a mut [Lanes],
}

impl VectorKernel for DepthwiseGradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { taps, forward, strips, high, held, first, x, dy, turned: [turned_x, turned_dy], dw } =
            self;
        let Taps { input: [.., width], output: [share, _, columns], groups, kernel, .. } = *taps;
        let outputs = groups * share;
        let count = LANES.min(outputs - first);
        // The rows of the image below `done` were turned; the last `held` of them are there.
        let mut done = 0;
        for ((strip, downs), reach) in forward.rows.chunks(high).enumerate().zip(strips) {
            let Some(reach) = reach else { continue };
            for row in done..reach.end {
                let to = &mut turned_x[row % held * width * LANES..][..width * LANES];
                let pixels = x[row * width * groups..].chunks_exact(groups);
                for (pixel, to) in pixels.zip(to.as_chunks_mut::<LANES>().0) {
                    if share == 1 {
                        turn::<S, V>(simd, &pixel[first..first + count], to);
                    } else {
                        let lines: [Lanes; LANES] = from_fn(|at| pixel[(first + at.min(count - 1)) / share]);
                        turn::<S, V>(simd, &lines[..count], to);
                    }
                }
            }
            done = done.max(reach.end);
            let pixels = dy[strip * high * columns * outputs..].chunks_exact(outputs);
            for (pixel, to) in pixels.zip(turned_dy.as_chunks_mut::<LANES>().0).take(downs.len() * columns) {
                turn::<S, V>(simd, &pixel[first..first + count], to);
            }
            for group in &forward.columns {
                for (row, downs) in downs.iter().enumerate() {
                    let tap = |[[down, y], [right, x]]: [&[usize; 2]; 2]| {
                        [down * kernel.width + right, (y % held * width + x) * LANES]
                    };
                    let taps =
                        downs.iter().flat_map(|down| group.taps.iter().map(move |right| tap([down, right])));
                    let taps: Vec<[usize; 2]> = taps.collect();
                    let dy = &turned_dy[(row * columns + group.positions.start) * LANES..];
                    let dy = &dy[..group.positions.len() * LANES];
                    let (x, step) = (&turned_x[..], group.step * LANES);
                    tiles::<S, V>(simd, taps.len(), &mut Sixteen { taps: &taps, step, x, dy, dw });
                }
            }
        }
    }
}

/// The columns of a group in one row of a [`DepthwiseGradient`].
struct Sixteen<'a> {
    /// The number and the first source of each tap.
    taps: &'a [[usize; 2]],
    /// The distance between the sources of neighbouring pixels.
    step: usize,
    x: &'a [Lanes],
    dy: &'a [Lanes],
    dw: &'a mut [Lanes],
}

impl WeightRows for Sixteen<'_> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, first: usize) {
        let taps: [[usize; 2]; M] = from_fn(|m| self.taps[first + m]);
        let mut sums: TileSums<S::f32s, M, V> = taps.map(|[tap, _]| load::<S, V>(&self.dw[tap]));
        for (pixel, dy) in self.dy.as_chunks::<LANES>().0.iter().enumerate() {
            let x: [&[Lanes; LANES]; M] =
                taps.map(|[_, source]| self.x[source + pixel * self.step..].first_chunk().unwrap_or(dy));
            for (image, dy) in dy.iter().enumerate() {
                let dy = load::<S, V>(dy);
                for (sums, x) in sums.iter_mut().zip(x) {
                    for ((sum, x), dy) in sums.iter_mut().zip(load::<S, V>(&x[image])).zip(dy) {
                        *sum = simd.mul_add_f32s(x, dy, *sum);
                    }
                }
            }
        }
        for ([tap, _], sums) in taps.into_iter().zip(sums) {
            store_all::<S, 1, V>(simd, [sums], false, &mut self.dw[tap..]);
        }
    }
}

/// Adds the gradient at the outputs of one block to one line per output.
struct BiasSums<'a>(&'a [Lanes], &'a mut [Lanes]);

impl VectorKernel for BiasSums<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, _: S) {
        bias_sums(self.0, self.1);
    }
}
