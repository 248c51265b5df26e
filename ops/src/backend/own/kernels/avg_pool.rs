//! Average pooling: each output is the sum of a window, row by row from 0, divided by the number of its pixels. Knows
//! nothing of neighbouring layers. The backward pass adds the gradient of an output, divided by the same number, to
//! every pixel of its window.

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::network::definition::Layer;
use crate::network::layer::LayerOp;
use crate::network::windows::Windows;

/// An average pooling, also over the whole image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvgPool {
    windows: Windows,
    /// Whether pixels of the padding count.
    count_padding: bool,
}

impl AvgPool {
    /// Returns the pooling of a layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        let count_padding = match layer.op {
            LayerOp::AvgPool { count_padding, .. } => count_padding,
            LayerOp::GlobalAvgPool => false,
            _ => return None,
        };
        Some(Self { windows: Windows::new(layer)?, count_padding })
    }

    /// Returns the number of pixels that the mean of an output pixel is over.
    #[inline(always)]
    pub(crate) fn count(&self, pixel: usize) -> usize {
        self.windows.count(pixel, self.count_padding)
    }

    /// Writes the means of one block of images.
    pub(crate) fn apply(&self, x: &[Lanes], y: &mut [Lanes]) {
        self.sum(x, y);
        let channels = self.windows.channels;
        vectorized(
            y,
            #[inline(always)]
            |y: &mut [Lanes]| {
                for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
                    let count = self.count(pixel) as f32;
                    for sum in y.iter_mut().flat_map(|line| &mut line.0) {
                        *sum /= count;
                    }
                }
            },
        );
    }

    /// Writes the sums of the windows of one block of images.
    pub(crate) fn sum(&self, x: &[Lanes], y: &mut [Lanes]) {
        let channels = self.windows.channels;
        vectorized(
            y,
            #[inline(always)]
            |y: &mut [Lanes]| {
                y.fill(Lanes::ZERO);
                for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
                    for first in self.windows.pixels(pixel) {
                        for (sum, x) in y.iter_mut().zip(&x[first..first + channels]) {
                            for lane in 0..LANES {
                                sum.0[lane] += x.0[lane];
                            }
                        }
                    }
                }
            },
        );
    }

    /// Writes the gradient at the inputs of one block from the gradient at the outputs.
    pub(crate) fn backward(&self, dy: &[Lanes], dx: &mut [Lanes]) {
        let channels = self.windows.channels;
        vectorized(
            (dx, dy),
            #[inline(always)]
            |(dx, dy): (&mut [Lanes], &[Lanes])| {
                dx.fill(Lanes::ZERO);
                for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
                    let count = self.count(pixel) as f32;
                    for first in self.windows.pixels(pixel) {
                        for (sum, dy) in dx[first..first + channels].iter_mut().zip(dy) {
                            for lane in 0..LANES {
                                sum.0[lane] += dy.0[lane] / count;
                            }
                        }
                    }
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::geometry::{HeightWidth, Padding};

    /// The expected numbers are by hand.
    #[test]
    fn padding_counts_only_where_it_is_asked_for() {
        let two = HeightWidth::square(2);
        let windows = |output, size, stride, padding| Windows {
            channels: 1,
            input: [3, 3],
            output,
            size,
            stride,
            padding,
        };
        let x: [Lanes; 9] = std::array::from_fn(|at| Lanes([1.0 + at as f32; LANES]));
        let mean = |windows: Windows, count_padding: bool| {
            let mut y = vec![Lanes::ZERO; windows.output.iter().product()];
            AvgPool { windows, count_padding }.apply(&x, &mut y);
            y.iter().map(|line| line.0[3]).collect::<Vec<f32>>()
        };
        let padded = windows([2, 2], two, two, Padding::all(1));
        assert_eq!(mean(padded, true), [0.25, 1.25, 2.75, 7.0]);
        assert_eq!(mean(padded, false), [1.0, 2.5, 5.5, 7.0]);
        let all = windows([1, 1], HeightWidth::square(3), HeightWidth::square(3), Padding::default());
        assert_eq!(mean(all, false), [5.0]);
        let mut dx = [Lanes::ZERO; 9];
        AvgPool { windows: padded, count_padding: false }.backward(&[Lanes([4.0; LANES]); 4], &mut dx);
        assert_eq!(dx.map(|line| line.0[0]), [4.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0]);
    }
}
