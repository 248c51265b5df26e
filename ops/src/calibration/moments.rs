//! The mean of the inputs of a layer, and of their products with each other: μ = E[x], H = E[x xᵀ], in binary64.
//! Knows nothing of layers. The order of each sum is that of the rows, whatever the number of threads.

use rayon::prelude::*;

use crate::backend::own::kernels::lanes::vectorized;

/// Inputs per tile of products: down, and across.
const DOWN: usize = 4;
const ACROSS: usize = 16;

/// Rows that are held together.
pub const ROWS: usize = 128;

/// The products of inputs that are summed beside the inputs themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// None.
    None,
    /// Of each input with itself.
    Squares,
    /// Of each pair of inputs.
    All,
}

/// The sums over rows of inputs.
#[derive(Clone, Debug)]
pub struct InputMoments {
    /// The number of inputs.
    pub inputs: usize,
    /// `inputs` rounded up to a whole number of tiles: the numbers of a row.
    width: usize,
    count: usize,
    sums: Vec<f64>,
    /// The sums of squares; nothing if they are not summed by themselves.
    squares: Vec<f64>,
    /// `width` rows of products; only tiles that touch the diagonal or lie above it are summed.
    products: Vec<f64>,
}

impl InputMoments {
    /// Starts with no rows of `inputs` numbers.
    #[must_use]
    pub fn new(inputs: usize, products: Products) -> Self {
        let width = inputs.next_multiple_of(ACROSS);
        let of = |wanted, length| if products == wanted { vec![0.0; length] } else { vec![] };
        let (squares, all) = (of(Products::Squares, width), of(Products::All, width * width));
        Self { inputs, width, count: 0, sums: vec![0.0; width], squares, products: all }
    }

    /// Returns the numbers between the beginnings of two rows.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds rows of [`Self::width`] numbers, of which those behind the inputs are 0.
    pub fn add(&mut self, rows: &[f64]) {
        let width = self.width;
        self.count += rows.len() / width;
        for row in rows.chunks_exact(width) {
            self.sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            self.squares.iter_mut().zip(row).for_each(|(sum, x)| *sum = x.mul_add(*x, *sum));
        }
        // Products of few inputs are not worth another thread.
        let strips =
            self.products.par_chunks_mut(DOWN * width).with_min_len((256 / width).max(1)).enumerate();
        strips.for_each(|(at, products)| {
            let first = at * DOWN;
            vectorized(
                (products, rows),
                #[inline(always)]
                |(products, rows): (&mut [f64], &[f64])| {
                    for across in (first / ACROSS * ACROSS..width).step_by(ACROSS) {
                        tile(products, rows, width, [first, across]);
                    }
                },
            );
        });
    }

    /// Returns the mean of each input.
    #[must_use]
    pub fn means(&self) -> Vec<f64> {
        self.sums[..self.inputs].iter().map(|sum| sum / self.count.max(1) as f64).collect()
    }

    /// Returns the mean square of each input; nothing if squares were not summed by themselves.
    #[must_use]
    pub fn squares(&self) -> Vec<f64> {
        self.squares.iter().take(self.inputs).map(|sum| sum / self.count.max(1) as f64).collect()
    }

    /// Returns the mean of all products, `inputs` × `inputs`, row by row; nothing if they were not summed.
    #[must_use]
    pub fn products(&self) -> Vec<f64> {
        let n = if self.products.is_empty() { 0 } else { self.inputs };
        let at = |i: usize, j: usize| self.products[i.min(j) * self.width + i.max(j)];
        let mean = |place: usize| at(place / n, place % n) / self.count.max(1) as f64;
        (0..n * n).map(mean).collect()
    }
}

/// Adds the products of some inputs to a tile.
#[inline(always)]
fn tile(products: &mut [f64], rows: &[f64], width: usize, [first, across]: [usize; 2]) {
    let mut sums = [[0.0; ACROSS]; DOWN];
    for (i, sums) in sums.iter_mut().enumerate() {
        sums.copy_from_slice(&products[i * width + across..][..ACROSS]);
    }
    for row in rows.chunks_exact(width) {
        let (down, across) = (&row[first..first + DOWN], &row[across..across + ACROSS]);
        for i in 0..DOWN {
            for j in 0..ACROSS {
                sums[i][j] = down[i].mul_add(across[j], sums[i][j]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        products[i * width + across..][..ACROSS].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Sums of whole numbers are exact in any order.
    #[test]
    fn means_are_those_of_the_definition() {
        let (inputs, count) = (37, 300);
        let drawn = Stream::new(1, "test", "rows");
        let x = |row: usize, input: usize| f64::from(drawn.bits((row * inputs + input) as u64) >> 28) - 8.0;
        let mut moments = InputMoments::new(inputs, Products::All);
        let width = moments.width();
        let rows: Vec<f64> = (0..count * width)
            .map(|at| if at % width < inputs { x(at / width, at % width) } else { 0.0 })
            .collect();
        let mut squares = InputMoments::new(inputs, Products::Squares);
        rows.chunks(ROWS * width).for_each(|rows| {
            moments.add(rows);
            squares.add(rows);
        });
        let (means, products) = (moments.means(), moments.products());
        for i in 0..inputs {
            let sum: f64 = (0..count).map(|row| x(row, i)).sum();
            assert_eq!(means[i], sum / 300.0);
            assert_eq!(squares.squares()[i], products[i * inputs + i]);
            for j in 0..inputs {
                let sum: f64 = (0..count).map(|row| x(row, i) * x(row, j)).sum();
                assert_eq!(products[i * inputs + j], sum / 300.0);
            }
        }
        assert_eq!(InputMoments::new(3, Products::All).products(), [0.0; 9]);
        assert_eq!(InputMoments::new(3, Products::None).products(), [0.0; 0]);
        assert_eq!(moments.squares(), [0.0; 0]);
    }
}
