//! Batch normalization (Ioffe & Szegedy 2015) in training: y = γ (x − mean) / √(variance + eps) + β per
//! channel, with the mean and variance of the batch. The kernel also computes a Relu layer directly behind: its
//! gradient needs no second pass over the numbers, because the sign of an output follows from the input. Knows
//! nothing of inference: folding removes batch normalizations before inference.
//!
//! The conventions are `PyTorch`'s: the normalization uses the biased variance of the batch, and the running
//! variance averages the unbiased variance. A batch with a single number per channel has no variance:
//! `PyTorch` refuses such a batch, and training never makes such a batch. Sums are in binary64: per lane over
//! the pixels of a block, then over the images of the block, then over the blocks.

use std::array::from_fn;

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::network::definition::Layer;

/// Pixels whose numbers are summed channel by channel: few enough that they stay in the first-level cache.
const STRIP: usize = 8;

/// The sizes and constants of a batch normalization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchNorm {
    channels: usize,
    /// Numbers of one channel in one image.
    plane: usize,
    eps: f64,
    momentum: f64,
    /// Whether the kernel also computes the Relu layer behind this layer.
    rectify: bool,
}

/// The normalization of one channel for one batch: y = (x − mean) · scale + bias, with scale = γ · inverse and
/// inverse = 1 / √(variance + eps).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelNorm {
    mean: f32,
    inverse: f32,
    scale: f32,
    bias: f32,
}

impl ChannelNorm {
    #[inline(always)]
    fn of(self, x: f32) -> f32 {
        (x - self.mean) * self.scale + self.bias
    }
}

impl BatchNorm {
    pub(crate) fn new(layer: &Layer, eps: f64, momentum: f64, rectify: bool) -> Self {
        let (channels, plane) = layer.input().channels();
        Self { channels, plane, eps, momentum, rectify }
    }

    /// Returns the sum of each channel over a block of images.
    pub(crate) fn sums(&self, images: usize, x: &[Lanes]) -> Vec<f64> {
        let no_constants = vec![(); self.channels];
        self.block_sums(
            images,
            &no_constants,
            [x, x],
            #[inline(always)]
            |(), x, _| [x.map(f64::from)],
        )
    }

    /// Returns the mean of each channel over a batch of `rows` images, from the sums of all blocks.
    pub(crate) fn means(&self, rows: usize, sums: &[Vec<f64>]) -> Vec<f64> {
        let n = (rows * self.plane) as f64;
        total(sums).into_iter().map(|sum| sum / n).collect()
    }

    /// Returns the sum of each channel's squared differences from its mean over a block of images.
    pub(crate) fn squares(&self, images: usize, means: &[f64], x: &[Lanes]) -> Vec<f64> {
        self.block_sums(
            images,
            means,
            [x, x],
            #[inline(always)]
            |mean, x, _| [x.map(|x| (f64::from(x) - mean) * (f64::from(x) - mean))],
        )
    }

    /// Returns the normalization of every channel for a batch of `rows` images, from the squares of all blocks, and
    /// updates the running mean and the running variance.
    pub(crate) fn norms(
        &self,
        rows: usize,
        means: &[f64],
        squares: &[Vec<f64>],
        [weight, bias]: [&[f32]; 2],
        running: [&mut [f32]; 2],
    ) -> Vec<ChannelNorm> {
        let n = (rows * self.plane) as f64;
        let variances: Vec<f64> = total(squares).into_iter().map(|sum| sum / n).collect();
        let [old_means, old_variances] = running;
        let blend = |old: &mut f32, new: f64| {
            *old = ((1.0 - self.momentum) * f64::from(*old) + self.momentum * new) as f32;
        };
        old_means.iter_mut().zip(means).for_each(|(old, mean)| blend(old, *mean));
        let unbiased = n / (n - 1.0).max(1.0);
        old_variances.iter_mut().zip(&variances).for_each(|(old, variance)| blend(old, variance * unbiased));
        let channel = |channel: usize| {
            let inverse = (1.0 / (variances[channel] + self.eps).sqrt()) as f32;
            let (mean, scale) = (means[channel] as f32, inverse * weight[channel]);
            ChannelNorm { mean, inverse, scale, bias: bias[channel] }
        };
        (0..self.channels).map(channel).collect()
    }

    /// Writes the normalized numbers of a block of images, and zeros to the lanes without an image.
    pub(crate) fn forward(&self, images: usize, norms: &[ChannelNorm], x: &[Lanes], y: &mut [Lanes]) {
        if self.rectify {
            self.each_number(
                [x, x],
                y,
                norms,
                #[inline(always)]
                |norm, x, _| {
                    let y = norm.of(x);
                    if y < 0.0 { 0.0 } else { y }
                },
            );
        } else {
            self.each_number(
                [x, x],
                y,
                norms,
                #[inline(always)]
                |norm, x, _| norm.of(x),
            );
        }
        clear(images, y);
    }

    /// Returns the contribution of a block of images to the gradients of weight and bias, alternating: Σ x̂ dy with
    /// x̂ = (x − mean) · inverse, and Σ dy. Behind a Relu layer, dy is 0 where the output is not positive.
    pub(crate) fn gradients(&self, images: usize, norms: &[ChannelNorm], [x, dy]: [&[Lanes]; 2]) -> Vec<f64> {
        if self.rectify {
            self.block_sums(
                images,
                norms,
                [x, dy],
                #[inline(always)]
                |norm, x, dy| terms(*norm, x, from_fn(|lane| rectified(*norm, x[lane], dy[lane]))),
            )
        } else {
            self.block_sums(
                images,
                norms,
                [x, dy],
                #[inline(always)]
                |norm, x, dy| terms(*norm, x, dy),
            )
        }
    }

    /// Writes the gradients of weight and bias, from the contributions of all blocks.
    pub(crate) fn parameter_gradients(gradients: &[Vec<f64>], [weight, bias]: [&mut [f32]; 2]) {
        let total = total(gradients);
        for ((weight, bias), sums) in weight.iter_mut().zip(bias).zip(total.as_chunks().0) {
            [*weight, *bias] = sums.map(|sum| sum as f32);
        }
    }

    /// Writes the gradient at the inputs of a block: dx = scale · (dy − (Σ dy + x̂ Σ x̂ dy) / n), where n counts the
    /// numbers of a channel in the batch of `rows` images. `sums` are the gradients of the weight, Σ x̂ dy, and of the
    /// bias, Σ dy.
    pub(crate) fn input_gradient(
        &self,
        [images, rows]: [usize; 2],
        norms: &[ChannelNorm],
        sums: [&[f32]; 2],
        [x, dy]: [&[Lanes]; 2],
        dx: &mut [Lanes],
    ) {
        let n = (rows * self.plane) as f32;
        let slope = |(norm, (weight, bias)): (&ChannelNorm, (&f32, &f32))| {
            (*norm, weight / n * norm.inverse, bias / n)
        };
        let slopes: Vec<_> = norms.iter().zip(sums[0].iter().zip(sums[1])).map(slope).collect();
        if self.rectify {
            self.each_number(
                [x, dy],
                dx,
                &slopes,
                #[inline(always)]
                |(norm, slope, shift), x, dy| {
                    norm.scale * (rectified(*norm, x, dy) - shift - (x - norm.mean) * slope)
                },
            );
        } else {
            self.each_number(
                [x, dy],
                dx,
                &slopes,
                #[inline(always)]
                |(norm, slope, shift), x, dy| norm.scale * (dy - shift - (x - norm.mean) * slope),
            );
        }
        clear(images, dx);
    }

    /// Returns, for each channel, K sums over all pixels and images of a block, of terms of the channel's constants and
    /// of two numbers at the same place.
    fn block_sums<C, const K: usize>(
        &self,
        images: usize,
        constants: &[C],
        lines: [&[Lanes]; 2],
        terms: impl Fn(&C, [f32; LANES], [f32; LANES]) -> [[f64; LANES]; K],
    ) -> Vec<f64> {
        let mut sums: Vec<[[f64; LANES]; K]> = vec![[[0.0; LANES]; K]; self.channels];
        vectorized(
            (&mut sums[..], lines),
            #[inline(always)]
            |(sums, [a, b]): (&mut [_], [&[Lanes]; 2])| {
                let strip = self.channels * STRIP;
                for (a, b) in a.chunks(strip).zip(b.chunks(strip)) {
                    for (channel, (sums, constants)) in sums.iter_mut().zip(constants).enumerate() {
                        let mut all = *sums;
                        let pixels = a.iter().zip(b).skip(channel).step_by(self.channels);
                        for (a, b) in pixels {
                            for (all, terms) in all.iter_mut().zip(terms(constants, a.0, b.0)) {
                                for lane in 0..LANES {
                                    all[lane] += terms[lane];
                                }
                            }
                        }
                        *sums = all;
                    }
                }
            },
        );
        let all = |sums: &[f64; LANES]| sums[..images].iter().fold(0.0, |all, sum| all + sum);
        sums.iter().flatten().map(all).collect()
    }

    /// Writes a function of the channel's constants and of two numbers at the same place.
    fn each_number<C>(
        &self,
        [a, b]: [&[Lanes]; 2],
        out: &mut [Lanes],
        constants: &[C],
        function: impl Fn(&C, f32, f32) -> f32,
    ) {
        vectorized(
            (out, [a, b]),
            #[inline(always)]
            |(out, [a, b]): (&mut [Lanes], [&[Lanes]; 2])| {
                let pixels = a.chunks_exact(self.channels).zip(b.chunks_exact(self.channels));
                for (out, (a, b)) in out.chunks_exact_mut(self.channels).zip(pixels) {
                    for ((out, constants), (a, b)) in out.iter_mut().zip(constants).zip(a.iter().zip(b)) {
                        for lane in 0..LANES {
                            out.0[lane] = function(constants, a.0[lane], b.0[lane]);
                        }
                    }
                }
            },
        );
    }
}

/// Writes zeros to the lanes without an image. Otherwise the statistics of a small batch can scale these lanes up, layer
/// by layer, until the numbers are infinite.
fn clear(images: usize, lines: &mut [Lanes]) {
    if images < LANES {
        for line in lines {
            line.0[images..].fill(0.0);
        }
    }
}

/// Returns the sums over all blocks, in order.
fn total(blocks: &[Vec<f64>]) -> Vec<f64> {
    let sums = blocks.first().map_or(0, Vec::len);
    (0..sums).map(|at| blocks.iter().fold(0.0, |all, block| all + block[at])).collect()
}

/// Returns the gradient in front of a Relu layer: 0 where the output y is not positive.
#[inline(always)]
fn rectified(norm: ChannelNorm, x: f32, dy: f32) -> f32 {
    if norm.of(x) > 0.0 { dy } else { 0.0 }
}

/// Returns the terms of the gradients of weight and bias.
#[inline(always)]
fn terms(norm: ChannelNorm, x: [f32; LANES], dy: [f32; LANES]) -> [[f64; LANES]; 2] {
    let normalized = x.map(|x| (f64::from(x) - f64::from(norm.mean)) * f64::from(norm.inverse));
    [from_fn(|lane| normalized[lane] * f64::from(dy[lane])), dy.map(f64::from)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_statistics_take_the_unbiased_variance() {
        let norm = BatchNorm { channels: 2, plane: 2, eps: 0.0, momentum: 0.25, rectify: false };
        let (mut mean, mut variance) = ([1.0, 1.0], [1.0, 1.0]);
        // Channel 0 has the numbers 1, 2, 3, 6: mean 3, biased variance 3.5, unbiased variance 14/3. Channel
        // 1 has only fives. The other lanes have no image.
        let lanes = |first: f32, second: f32| {
            Lanes(from_fn(|lane| [first, second].get(lane).copied().unwrap_or(9.0)))
        };
        let x = [lanes(1.0, 3.0), lanes(5.0, 5.0), lanes(2.0, 6.0), lanes(5.0, 5.0)];
        let means = norm.means(2, &[norm.sums(2, &x)]);
        let squares = [norm.squares(2, &means, &x)];
        let norms = norm.norms(2, &means, &squares, [&[1.0; 2], &[0.0; 2]], [&mut mean, &mut variance]);
        assert_eq!((mean, variance), ([1.5, 2.0], [0.75 + 14.0 / 12.0, 0.75]));
        assert_eq!((norms[0].mean, norms[0].inverse), (3.0, (1.0 / 3.5_f64.sqrt()) as f32));
    }
}
