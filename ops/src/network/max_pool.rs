//! Max-pooling: the largest number of each window; among equal ones the first, and any that is not a number wins.
//! Knows nothing of the layers around it. The gradient goes to the number that was chosen.

use rayon::prelude::*;

use super::graph::Layer;
use super::op::{Op, Shape};

/// The sizes of a max-pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool {
    input: [usize; 2],
    output: [usize; 2],
    size: usize,
    stride: usize,
}

impl MaxPool {
    /// The pooling of a layer; none for any other layer.
    pub(crate) fn of(layer: &Layer) -> Option<Self> {
        match (layer.op, layer.input, layer.output) {
            (
                Op::MaxPool { size, stride },
                Shape::Image([_, height, width]),
                Shape::Image([_, rows, columns]),
            ) => Some(Self { input: [height, width], output: [rows, columns], size, stride }),
            _ => None,
        }
    }

    /// Writes the largest numbers of each plane.
    pub(crate) fn forward(&self, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(self.inputs()).zip(y.chunks_exact_mut(self.outputs())) {
            for (row, line) in y.chunks_exact_mut(self.output[1]).enumerate() {
                for (column, y) in line.iter_mut().enumerate() {
                    *y = self.largest(x, row, column).1;
                }
            }
        }
    }

    /// Writes the largest numbers of each plane, and their places in it.
    pub(crate) fn forward_with_places(&self, x: &[f32], y: &mut [f32], places: &mut [u32]) {
        let y = y.par_chunks_exact_mut(self.outputs()).zip(places.par_chunks_exact_mut(self.outputs()));
        y.zip(x.par_chunks_exact(self.inputs())).for_each(|((y, places), x)| {
            let lines = y.chunks_exact_mut(self.output[1]).zip(places.chunks_exact_mut(self.output[1]));
            for (row, (line, places)) in lines.enumerate() {
                for (column, (y, place)) in line.iter_mut().zip(places).enumerate() {
                    let largest = self.largest(x, row, column);
                    (*y, *place) = (largest.1, largest.0 as u32);
                }
            }
        });
    }

    /// Writes the gradient at the inputs, from that at the outputs.
    pub(crate) fn backward(&self, dy: &[f32], places: &[u32], dx: &mut [f32]) {
        let dy = dy.par_chunks_exact(self.outputs()).zip(places.par_chunks_exact(self.outputs()));
        dx.par_chunks_exact_mut(self.inputs()).zip(dy).for_each(|(dx, (dy, places))| {
            dx.fill(0.0);
            for (dy, place) in dy.iter().zip(places) {
                dx[*place as usize] += dy;
            }
        });
    }

    /// Returns the place and the value of the largest number of an output's window.
    fn largest(&self, plane: &[f32], row: usize, column: usize) -> (usize, f32) {
        let corner = row * self.stride * self.input[1] + column * self.stride;
        let mut best = (corner, plane[corner]);
        for row in 0..self.size {
            let start = corner + row * self.input[1];
            for (across, number) in plane[start..start + self.size].iter().enumerate() {
                if *number > best.1 || (number.is_nan() && !best.1.is_nan()) {
                    best = (start + across, *number);
                }
            }
        }
        best
    }

    fn inputs(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn outputs(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_and_what_is_not_a_number_wins() {
        let pool = MaxPool { input: [2, 6], output: [1, 3], size: 2, stride: 2 };
        let x = [1.0, 3.0, -2.0, -2.0, f32::NAN, 9.0, 3.0, 2.0, -2.0, -5.0, 7.0, f32::NAN];
        let (mut y, mut places, mut dx) = ([0.0; 3], [0; 3], [9.0; 12]);
        pool.forward_with_places(&x, &mut y, &mut places);
        assert_eq!((&y[..2], y[2].is_nan(), places), (&[3.0, -2.0][..], true, [1, 2, 4]));
        pool.backward(&[1.0, 2.0, 4.0], &places, &mut dx);
        assert_eq!(dx, [0.0, 1.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
