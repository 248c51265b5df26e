//! Matrix products over slices, by the `gemm` crate: the one place of this package with `unsafe`.
//! Knows nothing of layers. The bits of a product depend on its shape and layout, never on the number of threads.
//!
//! Invariant of the `unsafe` call: every element that a [`Matrix`] can address lies inside its slice. It is asserted
//! where a matrix is made, and its fields are private. The output is a slice of its own (`&mut`), so it overlaps no
//! operand, and its length is asserted to be rows × columns.
#![allow(unsafe_code)]

use gemm::{Parallelism, gemm};

/// A matrix seen in a slice, by rows or by columns.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Sees `rows * columns` numbers as a matrix, row by row.
    ///
    /// # Panics
    /// If the slice has another length.
    #[must_use]
    pub fn new(numbers: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(numbers.len()), rows.checked_mul(columns), "a matrix of {rows} x {columns}");
        Self { numbers, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Returns the same numbers with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            numbers: self.numbers,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// What becomes of the numbers that are in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They are overwritten, and never read.
    Replace,
    /// The product is added to them.
    Add,
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The calling thread.
    Alone,
    /// The rayon pool the call is made in.
    Shared,
}

/// Writes `left * right` into `out`, row by row.
///
/// # Panics
/// If the inner dimensions differ, or `out` is not rows of `left` × columns of `right`.
pub fn multiply(out: &mut [f32], left: Matrix, right: Matrix, output: Output, work: Work) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(k, right.rows, "inner dimensions");
    assert_eq!(Some(out.len()), m.checked_mul(n), "an output of {m} x {n}");
    let add = output == Output::Add;
    if k == 0 {
        if !add {
            out.fill(0.0);
        }
        return;
    }
    let parallelism = match work {
        Work::Alone => Parallelism::None,
        Work::Shared => Parallelism::Rayon(0),
    };
    let stride = |stride: usize| isize::try_from(stride).unwrap_or(isize::MAX);
    // SAFETY: element (i, j) of an operand is at i * row_stride + j * column_stride, at most rows * columns - 1,
    // which `Matrix::new` asserted to be the length of its slice less one (`transposed` only exchanges both); that of
    // `out` is at i * n + j < m * n, asserted above. A stride above isize::MAX cannot be: it is at most the length of a
    // slice of f32. `out` is borrowed mutably, hence disjoint from both operands.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(n),
            add,
            left.numbers.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.numbers.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, factor: f32) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + 3) % 11) as f32 * factor - 2.0).collect()
    }

    /// Small whole numbers, so that every order of summing gives the same bits.
    fn check(m: usize, n: usize, k: usize) {
        let (a, b) = (numbers(m * k, 1.0), numbers(k * n, 0.5));
        let expected = |at: usize| -> f32 { (0..k).map(|p| a[at / n * k + p] * b[p * n + at % n]).sum() };
        let expected: Vec<f32> = (0..m * n).map(expected).collect();
        let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
        };
        let (at, bt) = (transposed(&a, m, k), transposed(&b, k, n));
        let left = [Matrix::new(&a, m, k), Matrix::new(&at, k, m).transposed()];
        let right = [Matrix::new(&b, k, n), Matrix::new(&bt, n, k).transposed()];
        for (left, right) in left.iter().flat_map(|l| right.iter().map(move |r| (*l, *r))) {
            for work in [Work::Alone, Work::Shared] {
                let mut out = vec![f32::NAN; m * n];
                multiply(&mut out, left, right, Output::Replace, work);
                assert_eq!(out, expected, "{m} {n} {k} {work:?}");
                multiply(&mut out, left, right, Output::Add, work);
                assert!(
                    out.iter().zip(&expected).all(|(sum, once)| *sum == 2.0 * once),
                    "{m} {n} {k} {work:?}"
                );
            }
        }
    }

    #[test]
    fn products_meet_the_definition() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 2), (16, 16, 17), (1, 40, 7), (33, 1, 9), (65, 70, 40), (2, 3, 0)]
        {
            check(m, n, k);
        }
    }

    #[test]
    fn an_empty_product_touches_nothing() {
        multiply(&mut [], Matrix::new(&[], 0, 3), Matrix::new(&[1.0; 6], 3, 2), Output::Replace, Work::Alone);
    }

    #[test]
    #[should_panic(expected = "a matrix of 2 x 3")]
    fn a_short_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 5], 2, 3);
    }

    #[test]
    #[should_panic(expected = "an output of 2 x 2")]
    fn a_short_output_is_refused() {
        let a = [0.0; 4];
        let a = Matrix::new(&a, 2, 2);
        multiply(&mut [0.0; 3], a, a, Output::Replace, Work::Alone);
    }
}
