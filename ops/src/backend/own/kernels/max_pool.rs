//! Max-pooling: each output is the largest number of a window. The first of equal numbers wins, and NaN
//! counts as the largest number. Padding is never the largest. Knows nothing of neighbouring layers. The backward pass adds the gradient of
//! an output to the chosen number.

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::network::definition::Layer;
use crate::network::layer::LayerOp;
use crate::network::windows::Windows;

/// For each image of a block, the index of the chosen number among those of the image in the window, row by row.
pub(crate) type MaxPositions = [u32; LANES];

/// A max-pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool(Windows);

impl MaxPool {
    /// Returns the pooling of a layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        Windows::new(layer).filter(|_| matches!(layer.op, LayerOp::MaxPool { .. })).map(Self)
    }

    /// Writes the largest number of every window of one block of images.
    pub(crate) fn apply(&self, x: &[Lanes], y: &mut [Lanes]) {
        vectorized(
            y,
            #[inline(always)]
            |y: &mut [Lanes]| {
                for (pixel, y) in y.chunks_exact_mut(self.0.channels).enumerate() {
                    let window = self.0.pixels(pixel);
                    for (channel, y) in y.iter_mut().enumerate() {
                        *y = largest(window.clone().map(|first| &x[first + channel])).0;
                    }
                }
            },
        );
    }

    /// Writes the largest number of every window of one block, and the position of that number in the window.
    pub(crate) fn forward(&self, x: &[Lanes], y: &mut [Lanes], places: &mut [MaxPositions]) {
        vectorized(
            (y, places),
            #[inline(always)]
            |(y, places): (&mut [Lanes], &mut [MaxPositions])| {
                let y = y.chunks_exact_mut(self.0.channels).zip(places.chunks_exact_mut(self.0.channels));
                for (pixel, (y, places)) in y.enumerate() {
                    let window = self.0.pixels(pixel);
                    for (channel, (y, places)) in y.iter_mut().zip(places).enumerate() {
                        (*y, *places) = largest(window.clone().map(|first| &x[first + channel]));
                    }
                }
            },
        );
    }

    /// Writes the gradient at the inputs of one block from the gradient at the outputs.
    pub(crate) fn backward(&self, dy: &[Lanes], places: &[MaxPositions], dx: &mut [Lanes]) {
        vectorized(
            dx,
            #[inline(always)]
            |dx: &mut [Lanes]| {
                dx.fill(Lanes::ZERO);
                let dy = dy.chunks_exact(self.0.channels).zip(places.chunks_exact(self.0.channels));
                for (pixel, (dy, places)) in dy.enumerate() {
                    for (place, first) in (0..).zip(self.0.pixels(pixel)) {
                        let dx = &mut dx[first..first + self.0.channels];
                        for (dx, (dy, places)) in dx.iter_mut().zip(dy.iter().zip(places)) {
                            give(place, dy, places, dx);
                        }
                    }
                }
            },
        );
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
    use crate::network::geometry::{HeightWidth, Padding};

    #[test]
    fn ties_go_to_the_first_and_what_is_not_a_number_wins() {
        let two = HeightWidth::square(2);
        let (input, output, padding) = ([2, 6], [1, 3], Padding::default());
        let pool = MaxPool(Windows { channels: 1, input, output, size: two, stride: two, padding });
        let x = [1.0, 3.0, -2.0, -2.0, f32::NAN, 9.0, 3.0, 2.0, -2.0, -5.0, 7.0, f32::NAN];
        let x = x.map(|number| Lanes([number; LANES]));
        let (mut y, mut places, mut dx) = ([Lanes::ZERO; 3], [[9; LANES]; 3], [Lanes([9.0; LANES]); 12]);
        pool.forward(&x, &mut y, &mut places);
        assert_eq!((y[0].0[0], y[1].0[15], y[2].0[7].is_nan()), (3.0, -2.0, true));
        assert_eq!(places, [[1; LANES], [0; LANES], [0; LANES]]);
        pool.backward(&[1.0, 2.0, 4.0].map(|number| Lanes([number; LANES])), &places, &mut dx);
        assert_eq!(dx.map(|line| line.0[3]), [0.0, 1.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn padding_is_never_the_largest() {
        let (size, stride) = (HeightWidth::square(3), HeightWidth::square(2));
        let (input, output, padding) = ([3, 3], [2, 2], Padding::all(1));
        let pool = MaxPool(Windows { channels: 1, input, output, size, stride, padding });
        let x: [Lanes; 9] = std::array::from_fn(|at| Lanes([-1.0 - at as f32; LANES]));
        let (mut y, mut places, mut dx) = ([Lanes::ZERO; 4], [[9; LANES]; 4], [Lanes::ZERO; 9]);
        pool.forward(&x, &mut y, &mut places);
        assert_eq!(y.map(|line| line.0[5]), [-1.0, -2.0, -4.0, -5.0]);
        pool.backward(&[Lanes([1.0; LANES]); 4], &places, &mut dx);
        assert_eq!(dx.map(|line| line.0[5]), [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
