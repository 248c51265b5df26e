//! Max-pooling: each output is the largest number of a window. The first of equal numbers wins, and NaN
//! counts as the largest number. Knows nothing of neighbouring layers. The backward pass adds the gradient of
//! an output to the chosen number.

use rayon::prelude::*;

use crate::network::definition::Layer;
use crate::network::kernels::lanes::{LANES, Lanes, vectorized};
use crate::network::layer::{ActivationShape, LayerOp};

/// For each image of a block, the index of the chosen number in the window, row by row.
pub(crate) type MaxPositions = [u32; LANES];

/// The sizes of a max-pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool {
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    size: usize,
    stride: usize,
}

impl MaxPool {
    /// Returns the pooling of a layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        match (layer.op, layer.input, layer.output) {
            (
                LayerOp::MaxPool { size, stride },
                ActivationShape::Image([channels, height, width]),
                ActivationShape::Image([_, rows, columns]),
            ) => Some(Self { channels, input: [height, width], output: [rows, columns], size, stride }),
            _ => None,
        }
    }

    /// Writes the largest number of every window of one block of images.
    pub(crate) fn apply(&self, x: &[Lanes], y: &mut [Lanes]) {
        vectorized(
            y,
            #[inline(always)]
            |y: &mut [Lanes]| {
                for (pixel, y) in y.chunks_exact_mut(self.channels).enumerate() {
                    let window = self.window(pixel);
                    for (channel, y) in y.iter_mut().enumerate() {
                        *y = largest(window.clone().map(|first| &x[first + channel])).0;
                    }
                }
            },
        );
    }

    /// Writes the largest number of every window of every block, and the position of that number in the
    /// window.
    pub(crate) fn forward(&self, x: &[Lanes], y: &mut [Lanes], places: &mut [MaxPositions]) {
        let y = y.par_chunks_exact_mut(self.outputs()).zip(places.par_chunks_exact_mut(self.outputs()));
        y.zip(x.par_chunks_exact(self.inputs())).for_each(|block| {
            vectorized(
                block,
                #[inline(always)]
                |((y, places), x): ((&mut [Lanes], &mut [MaxPositions]), &[Lanes])| {
                    let y = y.chunks_exact_mut(self.channels).zip(places.chunks_exact_mut(self.channels));
                    for (pixel, (y, places)) in y.enumerate() {
                        let window = self.window(pixel);
                        for (channel, (y, places)) in y.iter_mut().zip(places).enumerate() {
                            (*y, *places) = largest(window.clone().map(|first| &x[first + channel]));
                        }
                    }
                },
            );
        });
    }

    /// Writes the gradient at the inputs from the gradient at the outputs.
    pub(crate) fn backward(&self, dy: &[Lanes], places: &[MaxPositions], dx: &mut [Lanes]) {
        let dy = dy.par_chunks_exact(self.outputs()).zip(places.par_chunks_exact(self.outputs()));
        dx.par_chunks_exact_mut(self.inputs()).zip(dy).for_each(|block| {
            vectorized(
                block,
                #[inline(always)]
                |(dx, (dy, places)): (&mut [Lanes], (&[Lanes], &[MaxPositions]))| {
                    dx.fill(Lanes::ZERO);
                    let dy = dy.chunks_exact(self.channels).zip(places.chunks_exact(self.channels));
                    for (pixel, (dy, places)) in dy.enumerate() {
                        for (place, first) in (0..).zip(self.window(pixel)) {
                            let dx = &mut dx[first..first + self.channels];
                            for (dx, (dy, places)) in dx.iter_mut().zip(dy.iter().zip(places)) {
                                give(place, dy, places, dx);
                            }
                        }
                    }
                },
            );
        });
    }

    /// Returns the index of the first channel of each pixel in the window of output pixel `pixel`, row by
    /// row.
    #[inline(always)]
    fn window(&self, pixel: usize) -> impl Iterator<Item = usize> + Clone {
        let (row, column) = (pixel / self.output[1] * self.stride, pixel % self.output[1] * self.stride);
        let (size, width, channels) = (self.size, self.input[1], self.channels);
        let corner = (row * width + column) * channels;
        let place = move |at: usize| corner + (at / size * width + at % size) * channels;
        (0..size * size).map(place)
    }

    fn inputs(&self) -> usize {
        self.channels * self.input[0] * self.input[1]
    }

    fn outputs(&self) -> usize {
        self.channels * self.output[0] * self.output[1]
    }
}

/// Returns, for each lane, the largest number of all lines and the index of its line.
#[inline(always)]
fn largest<'a>(mut lines: impl Iterator<Item = &'a Lanes>) -> (Lanes, MaxPositions) {
    let (mut best, mut places) = (lines.next().map_or(Lanes::ZERO, |line| *line), [0; LANES]);
    for (place, line) in (1..).zip(lines) {
        #[allow(clippy::needless_range_loop)]
        for lane in 0..LANES {
            let (number, old) = (line.0[lane], best.0[lane]);
            let take = (number > old) | (number.is_nan() & !old.is_nan());
            best.0[lane] = if take { number } else { old };
            places[lane] = if take { place } else { places[lane] };
        }
    }
    (best, places)
}

/// Adds the gradient dy to dx in the lanes whose chosen position is `place`.
#[inline(always)]
fn give(place: u32, dy: &Lanes, places: &MaxPositions, dx: &mut Lanes) {
    // The loop uses masks, because the compiler does not vectorize branches.
    let (dy, places, mut sums) = (dy.0, *places, dx.0);
    for lane in 0..LANES {
        let mask = u32::from(places[lane] == place).wrapping_neg();
        sums[lane] += f32::from_bits(dy[lane].to_bits() & mask);
    }
    dx.0 = sums;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_and_what_is_not_a_number_wins() {
        let pool = MaxPool { channels: 1, input: [2, 6], output: [1, 3], size: 2, stride: 2 };
        let x = [1.0, 3.0, -2.0, -2.0, f32::NAN, 9.0, 3.0, 2.0, -2.0, -5.0, 7.0, f32::NAN];
        let x = x.map(|number| Lanes([number; LANES]));
        let (mut y, mut places, mut dx) = ([Lanes::ZERO; 3], [[9; LANES]; 3], [Lanes([9.0; LANES]); 12]);
        pool.forward(&x, &mut y, &mut places);
        assert_eq!((y[0].0[0], y[1].0[15], y[2].0[7].is_nan()), (3.0, -2.0, true));
        assert_eq!(places, [[1; LANES], [0; LANES], [0; LANES]]);
        pool.backward(&[1.0, 2.0, 4.0].map(|number| Lanes([number; LANES])), &places, &mut dx);
        assert_eq!(dx.map(|line| line.0[3]), [0.0, 1.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
