//! Depthwise convolutions, in which every output channel reads one input channel. Knows nothing of neighbouring layers.
//!
//! The sums have the terms and the order of [`grouped`](crate::backend::own::kernels::grouped). But channels share no
//! inputs: so each register of a tile of channels and pixels has a source line of its own, and for the weight gradient
//! ([`depthwise_gradient`]) a vector holds sixteen channels instead of the outputs of a group.

use pulp::Simd;

use crate::backend::own::kernels::conv::{ConvPart, Packed};
use crate::backend::own::kernels::depthwise_gradient;
use crate::backend::own::kernels::lanes::{LANES, Lanes};
use crate::backend::own::kernels::rescale::{Finish, rescale};
use crate::backend::own::kernels::taps::{TapGroup, TapSide, Taps};
use crate::backend::own::kernels::tile::{
    Start, TileSums, VectorKernel, compute, load, load_all, splat, store_all,
};

/// The taps of a depthwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct Depthwise {
    taps: Taps,
    forward: Plane,
    backward: Plane,
}

/// The taps of every target pixel, by rows and by groups of columns.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub rows: TapSide,
    pub columns: Vec<TapGroup>,
    /// Columns of the source and of the target.
    widths: [usize; 2],
}

impl Depthwise {
    pub(crate) fn new(taps: Taps) -> Self {
        let ([.., from], [.., to]) = (taps.input, taps.output);
        let plane = |rows, columns: TapSide, widths| Plane { rows, columns: TapGroup::of(&columns), widths };
        let forward = plane(taps.side(0), taps.side(1), [from, to]);
        let backward = plane(taps.side_backward(0), taps.side_backward(1), [to, from]);
        Self { taps, forward, backward }
    }

    /// Copies weights of outputs × kernel × kernel in the order kernel row, kernel column, output.
    pub(crate) fn pack(&self, weight: &[f32]) -> Packed {
        let taps = self.taps.kernel.area();
        let outputs = weight.len() / taps;
        Packed((0..weight.len()).map(|at| weight[at % outputs * taps + at / outputs]).collect())
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
        let (plane, share) = (&self.forward, self.taps.output[0]);
        let (taps, weight) = (&self.taps, &weight.0);
        let rectify = finish.rectifies();
        compute(DepthwiseSums { taps, plane, fan: 1, share, weight, start, rectify, x, y: &mut *y });
        if let Finish::Rescale(rescalings, limits) = finish {
            rescale(y, rescalings, limits);
        }
    }

    /// Writes the gradient at the inputs of one block of images.
    pub(crate) fn apply_backward(&self, dy: &[Lanes], weight: &Packed, start: Start<'_>, dx: &mut [Lanes]) {
        let (plane, fan) = (&self.backward, self.taps.output[0]);
        let (taps, weight, rectify) = (&self.taps, &weight.0, false);
        compute(DepthwiseSums { taps, plane, fan, share: 1, weight, start, rectify, x: dy, y: dx });
    }

    /// Returns the number of lines of the weight gradient: one line of 16 outputs per set of 16 outputs and tap.
    pub(crate) fn gradient_lines(&self) -> usize {
        let Taps { output: [share, ..], groups, kernel, .. } = self.taps;
        (groups * share).div_ceil(LANES) * kernel.area()
    }

    /// Adds the gradients of one block.
    pub(crate) fn add_gradients(&self, x: &[Lanes], dy: &[Lanes], part: &mut ConvPart) {
        depthwise_gradient::add(&self.taps, &self.forward, [x, dy], part);
    }

    /// Returns the line and the lane of a weight in the weight gradient of a part.
    pub(crate) fn place(&self, out: usize, tap: usize) -> (usize, usize) {
        (out / LANES * self.taps.kernel.area() + tap, out % LANES)
    }
}

/// The sums of all target pixels of one block: y = start + Σ weight · x, over taps and over `fan` source channels.
/// `share` target channels read the same source channel.
struct DepthwiseSums<'a> {
    taps: &'a Taps,
    plane: &'a Plane,
    fan: usize,
    share: usize,
    weight: &'a [f32],
    start: Start<'a>,
    rectify: bool,
    x: &'a [Lanes],
    y: &'a mut [Lanes],
}

impl VectorKernel for DepthwiseSums<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let Plane { rows, columns, widths: [from, to] } = self.plane;
        let (sources, targets) = (self.taps.groups * self.fan, self.taps.groups * self.share);
        let mut taps: Vec<[usize; 2]> = vec![];
        for (row, downs) in rows.iter().enumerate() {
            for TapGroup { positions, taps: rights, step } in columns {
                taps.clear();
                for [down, y] in downs {
                    let tap = |[right, x]: &[usize; 2]| {
                        [
                            (down * self.taps.kernel.width + right) * sources.max(targets),
                            (y * from + x) * sources,
                        ]
                    };
                    taps.extend(rights.iter().map(tap));
                }
                let first = (row * to + positions.start) * targets;
                let pixels = Pixels { taps: &taps, count: positions.len(), apart: step * sources, first };
                let mut channel = 0;
                while channel < targets {
                    // A tile of channels goes along the row, so that the taps of the next pixels find their lines in the
                    // first-level cache: lines of one channel lie so far apart that they compete for the same places.
                    let left = targets - channel;
                    if const { V == 1 } && left >= 8 {
                        self.row::<S, 8, V>(simd, &pixels, channel);
                        channel += 8;
                    } else if left >= 2 {
                        self.row::<S, 2, V>(simd, &pixels, channel);
                        channel += 2;
                    } else {
                        self.row::<S, 1, V>(simd, &pixels, channel);
                        channel += 1;
                    }
                }
            }
        }
    }
}

/// Neighbouring target pixels that use the same taps.
struct Pixels<'a> {
    /// The first weight and the first source of each tap of the first pixel.
    taps: &'a [[usize; 2]],
    count: usize,
    /// The distance between the sources of neighbouring pixels.
    apart: usize,
    /// The first line of the first pixel in the target.
    first: usize,
}

impl DepthwiseSums<'_> {
    /// Writes C channels of all pixels.
    #[inline(always)]
    fn row<S: Simd, const C: usize, const V: usize>(&mut self, simd: S, pixels: &Pixels<'_>, channel: usize) {
        let mut at = 0;
        while at + 2 <= pixels.count {
            self.tile::<S, 2, C, V>(simd, pixels, at, channel);
            at += 2;
        }
        if at < pixels.count {
            self.tile::<S, 1, C, V>(simd, pixels, at, channel);
        }
    }

    /// Writes C channels of P neighbouring pixels, from pixel `at` on.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const C: usize, const V: usize>(
        &mut self,
        simd: S,
        pixels: &Pixels<'_>,
        at: usize,
        channel: usize,
    ) {
        let Self { fan, share, weight, rectify, x, .. } = *self;
        let targets = self.taps.groups * share;
        let first = pixels.first + at * targets + channel;
        let mut sums: [TileSums<S::f32s, C, V>; P] = [[[simd.splat_f32s(0.0); V]; C]; P];
        match self.start {
            Start::Zero => {}
            Start::Bias(bias) => sums = [splat::<S, C, V>(simd, |c| bias[channel + c]); P],
            Start::Target => {
                for (p, sums) in sums.iter_mut().enumerate() {
                    *sums = load_all::<S, C, V>(&self.y[first + p * targets..]);
                }
            }
        }
        if fan == 1 && share == 1 {
            add_taps(simd, &mut sums, pixels, &x[at * pixels.apart + channel..], &weight[channel..]);
        } else {
            self.add_fans(simd, &mut sums, pixels, at, channel);
        }
        for (p, sums) in sums.into_iter().enumerate() {
            store_all::<S, C, V>(simd, sums, rectify, &mut self.y[first + p * targets..]);
        }
    }

    /// Adds the products of all taps where several source channels reach a target channel, or one reaches several.
    #[inline(always)]
    fn add_fans<S: Simd, const P: usize, const C: usize, const V: usize>(
        &self,
        simd: S,
        sums: &mut [TileSums<S::f32s, C, V>; P],
        pixels: &Pixels<'_>,
        at: usize,
        channel: usize,
    ) {
        let Self { fan, share, weight, x, .. } = *self;
        for [weights, tap] in pixels.taps {
            for (p, sums) in sums.iter_mut().enumerate() {
                let x = &x[tap + (at + p) * pixels.apart..];
                for (channel, sums) in (channel..).zip(sums) {
                    let source = if share == 1 { channel * fan } else { channel / share };
                    let weights = &weight[weights + channel * fan..][..fan];
                    for (line, weight) in x[source..].iter().zip(weights) {
                        let weight = simd.splat_f32s(*weight);
                        for (sum, numbers) in sums.iter_mut().zip(load::<S, V>(line)) {
                            *sum = simd.mul_add_f32s(weight, numbers, *sum);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of all taps where each target channel has one source channel. `x` begins at the first channel of the
/// first pixel, `weight` at the first channel.
#[inline(always)]
fn add_taps<S: Simd, const P: usize, const C: usize, const V: usize>(
    simd: S,
    sums: &mut [TileSums<S::f32s, C, V>; P],
    pixels: &Pixels<'_>,
    x: &[Lanes],
    weight: &[f32],
) {
    // A copy stays in registers.
    let mut all = *sums;
    for [weights, tap] in pixels.taps {
        let weight = &weight[*weights..][..C];
        let x = &x[*tap..][..(P - 1) * pixels.apart + C];
        for p in 0..P {
            let lines = &x[p * pixels.apart..][..C];
            for c in 0..C {
                let (weight, line) = (simd.splat_f32s(weight[c]), load::<S, V>(&lines[c]));
                for v in 0..V {
                    all[p][c][v] = simd.mul_add_f32s(weight, line[v], all[p][c][v]);
                }
            }
        }
    }
    *sums = all;
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;
    use crate::backend::own::kernels::grouped::Grouped;
    use crate::backend::own::kernels::lanes::zeros;
    use crate::network::geometry::Padding;
    use crate::random::Stream;

    fn lines(count: usize, name: &str) -> Vec<Lanes> {
        let stream = Stream::new(1, "test", name);
        (0..count as u64).map(|at| Lanes(from_fn(|lane| stream.unit(at * 16 + lane as u64) - 0.5))).collect()
    }

    /// The kernel for groups of any size is the reference.
    #[test]
    fn bits_are_those_of_a_convolution_in_groups() {
        let cases = [
            // Channels, height, width; outputs of a channel; kernel; stride; dilation; padding.
            ([20, 9, 21], 1, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
            ([3, 8, 8], 1, [3, 3], [2, 2], [1, 1], [0, 0, 1, 1]),
            ([5, 7, 6], 3, [5, 2], [1, 2], [1, 2], [2, 0, 0, 1]),
            ([17, 4, 40], 1, [1, 7], [1, 1], [1, 3], [0, 9, 0, 9]),
            ([2, 10, 5], 2, [2, 2], [3, 3], [1, 1], [0, 0, 0, 0]),
            ([17, 24, 20], 1, [3, 3], [1, 1], [2, 2], [1, 1, 1, 1]),
            ([16, 30, 18], 1, [7, 3], [1, 1], [4, 1], [12, 1, 12, 1]),
            ([3, 21, 17], 1, [3, 1], [2, 1], [3, 1], [2, 0, 3, 0]),
            ([4, 19, 16], 2, [2, 2], [1, 1], [2, 3], [1, 1, 1, 2]),
        ];
        for ([channels, height, width], share, kernel, stride, dilation, padding) in cases {
            let (image, sides) = ([1, height, width], [kernel, stride, dilation]);
            let taps = Taps::sized(image, share, channels, sides, Padding::from(padding));
            let (own, reference) = (Depthwise::new(taps), Grouped::new(taps));
            let (x, dy) = (lines(2 * taps.inputs(), "x"), lines(2 * taps.outputs(), "dy"));
            let channels = channels * share;
            let stream = Stream::new(1, "test", "weight");
            let weight: Vec<f32> =
                (0..channels * kernel[0] * kernel[1]).map(|at| stream.unit(at as u64)).collect();
            let bias: Vec<f32> = (0..channels).map(|at| at as f32 * 0.1 - 0.3).collect();

            let mut found = [lines(taps.outputs(), "y"), lines(taps.outputs(), "y")];
            let start = Start::Bias(&bias);
            own.apply(&x[..taps.inputs()], &own.pack(&weight), start, Finish::Rectify, &mut found[0]);
            reference.apply(
                &x[..taps.inputs()],
                &reference.pack(&weight),
                start,
                Finish::Rectify,
                &mut found[1],
            );
            assert_eq!(found[0], found[1], "{taps:?}");

            let mut found = [lines(taps.inputs(), "dx"), lines(taps.inputs(), "dx")];
            let (dy_block, start) = (&dy[..taps.outputs()], Start::Target);
            own.apply_backward(dy_block, &own.pack(&weight), start, &mut found[0]);
            reference.apply_backward(dy_block, &reference.pack_backward(&weight), start, &mut found[1]);
            assert_eq!(found[0], found[1], "{taps:?}");

            let part = |lines: usize| ConvPart { dw: zeros(lines), db: zeros(channels) };
            let mut parts = [part(own.gradient_lines()), part(reference.gradient_lines())];
            for (x, dy) in x.chunks_exact(taps.inputs()).zip(dy.chunks_exact(taps.outputs())) {
                own.add_gradients(x, dy, &mut parts[0]);
                reference.add_gradients(x, dy, &mut parts[1]);
            }
            let [found, expected] = parts;
            assert_eq!(found.db, expected.db);
            for out in 0..channels {
                for tap in 0..kernel[0] * kernel[1] {
                    let number = |dw: &[Lanes], (line, lane): (usize, usize)| dw[line].0[lane];
                    let expected = number(&expected.dw, reference.place(out, tap));
                    assert_eq!(
                        number(&found.dw, own.place(out, tap)).to_bits(),
                        expected.to_bits(),
                        "{taps:?} {out} {tap}"
                    );
                }
            }
        }
    }
}
