//! Batch normalization (Ioffe & Szegedy 2015) in training: y = γ (x − mean) / √(variance + eps) + β per
//! channel, with the mean and variance of the batch. Knows nothing of neighbouring layers or of inference:
//! folding removes batch normalizations before inference.
//!
//! The conventions are `PyTorch`'s: the normalization uses the biased variance of the batch, and the running
//! variance averages the unbiased variance. A batch with a single number per channel has no variance:
//! `PyTorch` refuses such a batch, and training never makes such a batch. Sums are in binary64: per lane over
//! the pixels of a block, then over the images of the block, then over the blocks.

use rayon::prelude::*;

use crate::backend::own::kernels::lanes::{LANES, Lanes};
use crate::network::definition::Layer;

/// The sizes and constants of a batch normalization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchNorm {
    channels: usize,
    /// Numbers of one channel in one image.
    plane: usize,
    eps: f64,
    momentum: f64,
}

/// Batch statistics of one channel: the mean, and 1 / √(variance + eps).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statistics {
    mean: f32,
    inverse: f32,
}

impl BatchNorm {
    pub(crate) fn new(layer: &Layer, eps: f64, momentum: f64) -> Self {
        let (channels, plane) = layer.input().channels();
        Self { channels, plane, eps, momentum }
    }

    /// Computes the statistics of a batch of `rows` images and updates the running mean and the running
    /// variance.
    pub(crate) fn measure(
        &self,
        rows: usize,
        x: &[Lanes],
        batch: &mut Vec<Statistics>,
        running: [&mut [f32]; 2],
    ) {
        let n = (rows * self.plane) as f64;
        let means: Vec<f64> = self.sums(rows, x, x, |_, x, _| x).into_iter().map(|sum| sum / n).collect();
        let squares = self.sums(rows, x, x, |channel, x, _| (x - means[channel]) * (x - means[channel]));
        let variances: Vec<f64> = squares.into_iter().map(|sum| sum / n).collect();
        let [old_means, old_variances] = running;
        let blend = |old: &mut f32, new: f64| {
            *old = ((1.0 - self.momentum) * f64::from(*old) + self.momentum * new) as f32;
        };
        old_means.iter_mut().zip(&means).for_each(|(old, mean)| blend(old, *mean));
        let unbiased = n / (n - 1.0).max(1.0);
        old_variances.iter_mut().zip(&variances).for_each(|(old, variance)| blend(old, variance * unbiased));
        let statistics = |(mean, variance): (&f64, &f64)| Statistics {
            mean: *mean as f32,
            inverse: (1.0 / (variance + self.eps).sqrt()) as f32,
        };
        *batch = means.iter().zip(&variances).map(statistics).collect();
    }

    /// Writes the normalized numbers of `rows` images, and zeros to the lanes without an image.
    pub(crate) fn forward(
        &self,
        rows: usize,
        batch: &[Statistics],
        weight: &[f32],
        bias: &[f32],
        x: &[Lanes],
        y: &mut [Lanes],
    ) {
        self.each_pixel(y, x, |channel, y, x| {
            let Statistics { mean, inverse } = batch[channel];
            let (scale, bias) = (inverse * weight[channel], bias[channel]);
            y.0.iter_mut().zip(x.0).for_each(|(y, x)| *y = (x - mean) * scale + bias);
        });
        self.clear(rows, y);
    }

    /// Writes the gradients of the weight and the bias.
    pub(crate) fn parameter_gradients(
        &self,
        rows: usize,
        batch: &[Statistics],
        [x, dy]: [&[Lanes]; 2],
        [weight, bias]: [&mut [f32]; 2],
    ) {
        let weights = self.sums(rows, x, dy, |channel, x, dy| {
            let Statistics { mean, inverse } = batch[channel];
            (x - f64::from(mean)) * f64::from(inverse) * dy
        });
        weight.iter_mut().zip(weights).for_each(|(weight, sum)| *weight = sum as f32);
        let biases = self.sums(rows, x, dy, |_, _, dy| dy);
        bias.iter_mut().zip(biases).for_each(|(bias, sum)| *bias = sum as f32);
    }

    /// Writes the gradient at the inputs: dx = γ · inverse · (dy − (Σdy + x̂ Σ x̂ dy) / n), with x̂ = (x −
    /// mean) · inverse. `sums` are the gradients of the weight, Σ x̂ dy, and of the bias, Σ dy.
    pub(crate) fn input_gradient(
        &self,
        rows: usize,
        batch: &[Statistics],
        weight: &[f32],
        sums: [&[f32]; 2],
        [x, dy]: [&[Lanes]; 2],
        dx: &mut [Lanes],
    ) {
        let n = (rows * self.plane) as f32;
        dx.copy_from_slice(x);
        self.each_pixel(dx, dy, |channel, dx, dy| {
            let Statistics { mean, inverse } = batch[channel];
            let scale = weight[channel] * inverse;
            let (slope, shift) = (sums[0][channel] / n * inverse, sums[1][channel] / n);
            dx.0.iter_mut().zip(dy.0).for_each(|(x, dy)| *x = scale * (dy - shift - (*x - mean) * slope));
        });
        self.clear(rows, dx);
    }

    /// Writes zeros to the lanes without an image. Otherwise the statistics of a small batch can scale these
    /// lanes up, layer by layer, until the numbers are infinite.
    fn clear(&self, rows: usize, lines: &mut [Lanes]) {
        let size = self.channels * self.plane;
        let last = lines.len().saturating_sub(size);
        let images = rows - last / size * LANES;
        lines[last..].iter_mut().for_each(|line| line.0[images..].fill(0.0));
    }

    /// Returns, for each channel, the sum of `term` over all pixels and images.
    fn sums(
        &self,
        rows: usize,
        a: &[Lanes],
        b: &[Lanes],
        term: impl Fn(usize, f64, f64) -> f64 + Sync,
    ) -> Vec<f64> {
        let size = self.channels * self.plane;
        let blocks = a.par_chunks_exact(size).zip(b.par_chunks_exact(size)).enumerate();
        let sums: Vec<Vec<f64>> = blocks
            .map(|(block, (a, b))| {
                let mut sums = vec![[0.0; LANES]; self.channels];
                for (a, b) in a.chunks_exact(self.channels).zip(b.chunks_exact(self.channels)) {
                    for (channel, (sums, (a, b))) in sums.iter_mut().zip(a.iter().zip(b)).enumerate() {
                        for (sum, (a, b)) in sums.iter_mut().zip(a.0.iter().zip(b.0)) {
                            *sum += term(channel, f64::from(*a), f64::from(b));
                        }
                    }
                }
                let images = LANES.min(rows - block * LANES);
                sums.iter().map(|sums| sums[..images].iter().fold(0.0, |all, sum| all + sum)).collect()
            })
            .collect();
        (0..self.channels)
            .map(|channel| sums.iter().map(|block| block[channel]).fold(0.0, |all, sum| all + sum))
            .collect()
    }

    fn each_pixel(&self, out: &mut [Lanes], with: &[Lanes], each: impl Fn(usize, &mut Lanes, &Lanes) + Sync) {
        let size = self.channels * self.plane;
        out.par_chunks_exact_mut(size).zip(with.par_chunks_exact(size)).for_each(|(out, with)| {
            let pixels = out.chunks_exact_mut(self.channels).zip(with.chunks_exact(self.channels));
            for (out, with) in pixels {
                out.iter_mut()
                    .zip(with)
                    .enumerate()
                    .for_each(|(channel, (out, with))| each(channel, out, with));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_statistics_take_the_unbiased_variance() {
        let norm = BatchNorm { channels: 2, plane: 2, eps: 0.0, momentum: 0.25 };
        let (mut mean, mut variance, mut batch) = ([1.0, 1.0], [1.0, 1.0], Vec::new());
        // Channel 0 has the numbers 1, 2, 3, 6: mean 3, biased variance 3.5, unbiased variance 14/3. Channel
        // 1 has only fives. The other lanes have no image.
        let lanes = |first: f32, second: f32| {
            Lanes(std::array::from_fn(|lane| [first, second].get(lane).copied().unwrap_or(9.0)))
        };
        let x = [lanes(1.0, 3.0), lanes(5.0, 5.0), lanes(2.0, 6.0), lanes(5.0, 5.0)];
        norm.measure(2, &x, &mut batch, [&mut mean, &mut variance]);
        assert_eq!((mean, variance), ([1.5, 2.0], [0.75 + 14.0 / 12.0, 0.75]));
        assert_eq!((batch[0].mean, batch[0].inverse), (3.0, (1.0 / 3.5_f64.sqrt()) as f32));
    }
}
