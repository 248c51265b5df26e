//! Batch normalization (Ioffe & Szegedy 2015): y = γ (x − mean) / √(variance + eps) + β per channel, in training with
//! the statistics of the batch. Knows nothing of the layers around it, nor of evaluation, for which it is folded away.
//!
//! Conventions are `PyTorch`'s: the batch is divided by its biased variance, the running variance takes the unbiased
//! one. A batch of a single number per channel, which `PyTorch` refuses, has variance 0.

use rayon::prelude::*;

use super::graph::Layer;
use super::sum::sum_of;

/// The sizes of a batch normalization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchNorm {
    channels: usize,
    /// Numbers of a channel in one image.
    plane: usize,
    eps: f64,
    momentum: f64,
}

/// What one batch's normalization subtracted from and multiplied a channel by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statistics {
    mean: f32,
    inverse: f32,
}

impl BatchNorm {
    pub(crate) fn of(layer: &Layer, eps: f64, momentum: f64) -> Self {
        let (channels, plane) = layer.input.channels();
        Self { channels, plane, eps, momentum }
    }

    /// Measures the batch and takes it into the running mean and variance.
    pub(crate) fn measure(&self, x: &[f32], batch: &mut Vec<Statistics>, running: (&mut [f32], &mut [f32])) {
        let n = (x.len() / self.channels) as f64;
        let measured: Vec<(f64, f64)> = (0..self.channels)
            .into_par_iter()
            .map(|channel| {
                let mean = self.sum(channel, x, x, |x, _| x) / n;
                (mean, self.sum(channel, x, x, |x, _| (x - mean) * (x - mean)) / n)
            })
            .collect();
        let blend = |old: &mut f32, new: f64| {
            *old = ((1.0 - self.momentum) * f64::from(*old) + self.momentum * new) as f32;
        };
        for ((mean, variance), (old_mean, old_variance)) in
            measured.iter().zip(running.0.iter_mut().zip(running.1))
        {
            blend(old_mean, *mean);
            blend(old_variance, variance * n / (n - 1.0).max(1.0));
        }
        let statistics = |(mean, variance): (f64, f64)| Statistics {
            mean: mean as f32,
            inverse: (1.0 / (variance + self.eps).sqrt()) as f32,
        };
        *batch = measured.into_iter().map(statistics).collect();
    }

    /// Writes the normalized numbers.
    pub(crate) fn forward(
        &self,
        batch: &[Statistics],
        weight: &[f32],
        bias: &[f32],
        x: &[f32],
        y: &mut [f32],
    ) {
        self.each_image(y, x, |channel, y, x| {
            let Statistics { mean, inverse } = batch[channel];
            let (scale, bias) = (inverse * weight[channel], bias[channel]);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + bias);
        });
    }

    /// Writes the gradients of weight and bias.
    pub(crate) fn parameter_gradient(
        &self,
        batch: &[Statistics],
        x: &[f32],
        dy: &[f32],
        out: [&mut [f32]; 2],
    ) {
        let [weight, bias] = out;
        weight.par_iter_mut().zip(bias).enumerate().for_each(|(channel, (weight, bias))| {
            let Statistics { mean, inverse } = batch[channel];
            let (mean, inverse) = (f64::from(mean), f64::from(inverse));
            *weight = self.sum(channel, x, dy, |x, dy| (x - mean) * inverse * dy) as f32;
            *bias = self.sum(channel, dy, dy, |dy, _| dy) as f32;
        });
    }

    /// Writes the gradient at the inputs; `sums` are the gradients of weight and bias:
    /// dx = γ · inverse · (dy − (Σdy + x̂ Σ x̂ dy) / n).
    pub(crate) fn input_gradient(
        &self,
        batch: &[Statistics],
        weight: &[f32],
        sums: [&[f32]; 2],
        [x, dy]: [&[f32]; 2],
        dx: &mut [f32],
    ) {
        let n = (dx.len() / self.channels) as f32;
        dx.copy_from_slice(x);
        self.each_image(dx, dy, |channel, dx, dy| {
            let Statistics { mean, inverse } = batch[channel];
            let scale = weight[channel] * inverse;
            let (slope, shift) = (sums[0][channel] / n * inverse, sums[1][channel] / n);
            dx.iter_mut().zip(dy).for_each(|(x, dy)| *x = scale * (dy - shift - (*x - mean) * slope));
        });
    }

    /// Sums a term over one channel of all images.
    fn sum(&self, channel: usize, a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
        let image = self.channels * self.plane;
        let range = channel * self.plane..(channel + 1) * self.plane;
        let images = a.chunks_exact(image).zip(b.chunks_exact(image));
        images
            .map(|(a, b)| sum_of(&a[range.clone()], &b[range.clone()], &term))
            .fold(0.0, |all, one| all + one)
    }

    fn each_image(&self, out: &mut [f32], with: &[f32], each: impl Fn(usize, &mut [f32], &[f32]) + Sync) {
        let image = self.channels * self.plane;
        out.par_chunks_exact_mut(image).zip(with.par_chunks_exact(image)).for_each(|(out, with)| {
            let planes = out.chunks_exact_mut(self.plane).zip(with.chunks_exact(self.plane));
            planes.enumerate().for_each(|(channel, (out, with))| each(channel, out, with));
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
        // Channel 0 holds 1, 2, 3, 6: mean 3, biased variance 3.5, unbiased 14/3; channel 1 holds 5 only.
        norm.measure(&[1.0, 2.0, 5.0, 5.0, 3.0, 6.0, 5.0, 5.0], &mut batch, (&mut mean, &mut variance));
        assert_eq!((mean, variance), ([1.5, 2.0], [0.75 + 14.0 / 12.0, 0.75]));
        assert_eq!((batch[0].mean, batch[0].inverse), (3.0, (1.0 / 3.5_f64.sqrt()) as f32));
    }
}
