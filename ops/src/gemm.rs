//! Matrix products over slices, by the `gemm` crate: the one place of this package with `unsafe`.
//! Knows nothing of layers. The bits of a product depend on its shape and layout, never on the number of threads.
//!
//! Invariant of the `unsafe` call: every element that a [`Matrix`] can address lies inside its slice. It is asserted
//! where a matrix is made or narrowed, and its fields are private. The output is a slice of its own (`&mut`), so it
//! overlaps no operand, and is asserted to hold every row.
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

    /// Returns some of the columns, from `first` on.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn columns(self, first: usize, columns: usize) -> Self {
        assert!(
            first <= self.columns && columns <= self.columns - first,
            "{columns} columns from {first} on"
        );
        let numbers = &self.numbers[(first * self.column_stride).min(self.numbers.len())..];
        Self { numbers, columns, ..self }
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
    let (m, n) = (left.rows, right.columns);
    assert_eq!(Some(out.len()), m.checked_mul(n), "an output of {m} x {n}");
    multiply_apart(out, n, left, right, output, work);
}

/// Writes `left * right` into `out`, whose rows begin `stride` numbers apart; what lies between is not touched.
///
/// # Panics
/// If the inner dimensions differ, the rows overlap, or the last one ends beyond `out`.
pub fn multiply_apart(
    out: &mut [f32],
    stride: usize,
    left: Matrix,
    right: Matrix,
    output: Output,
    work: Work,
) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(k, right.rows, "inner dimensions");
    if m == 0 || n == 0 {
        return;
    }
    let end = (m - 1).checked_mul(stride).and_then(|last| last.checked_add(n));
    assert!(stride >= n && end.is_some_and(|end| end <= out.len()), "an output of {m} x {n}, {stride} apart");
    let add = output == Output::Add;
    if k == 0 {
        if !add {
            out.chunks_mut(stride).for_each(|row| row[..n].fill(0.0));
        }
        return;
    }
    let parallelism = match work {
        Work::Alone => Parallelism::None,
        Work::Shared => Parallelism::Rayon(0),
    };
    let signed = |stride: usize| isize::try_from(stride).unwrap_or(isize::MAX);
    // SAFETY: an operand's last element is at (rows - 1) * row_stride + (columns - 1) * column_stride. `Matrix::new`
    // asserted that this is the last of its slice, `transposed` only exchanges the two, and `columns` moves the start of
    // the slice by what it takes off the last column's place; rows and columns are not 0 here. The last element of `out`
    // was asserted to be inside. A stride above isize::MAX is never multiplied by more than 0: a slice of f32 is
    // shorter. `out` is borrowed mutably, hence disjoint from both operands.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            signed(stride),
            add,
            left.numbers.as_ptr(),
            signed(left.column_stride),
            signed(left.row_stride),
            right.numbers.as_ptr(),
            signed(right.column_stride),
            signed(right.row_stride),
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
        let (first, second) = (numbers(m * k, 1.0), numbers(k * n, 0.5));
        let product =
            |at: usize| -> f32 { (0..k).map(|p| first[at / n * k + p] * second[p * n + at % n]).sum() };
        let expected: Vec<f32> = (0..m * n).map(product).collect();
        let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
        };
        let turned = (transposed(&first, m, k), transposed(&second, k, n));
        let left = [Matrix::new(&first, m, k), Matrix::new(&turned.0, k, m).transposed()];
        let right = [Matrix::new(&second, k, n), Matrix::new(&turned.1, n, k).transposed()];
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
    fn parts_of_matrices_meet_the_definition() {
        let (a, b) = (numbers(3 * 7, 1.0), numbers(5 * 4, 0.5));
        // Columns 2 to 6 of a, columns 1 and 2 of b, into columns 0 and 1 of 6.
        let (left, right) = (Matrix::new(&a, 3, 7).columns(2, 5), Matrix::new(&b, 5, 4).columns(1, 2));
        let mut out = vec![-1.0; 14];
        multiply_apart(&mut out, 6, left, right, Output::Replace, Work::Alone);
        for (at, number) in out.iter().enumerate() {
            let (i, j) = (at / 6, at % 6);
            let product: f32 = (0..5).map(|p| a[i * 7 + 2 + p] * b[p * 4 + 1 + j.min(1)]).sum();
            assert_eq!(*number, if j < 2 { product } else { -1.0 });
        }
        let rows = Matrix::new(&a, 7, 3).transposed().columns(6, 1);
        let mut out = [0.0; 3];
        multiply(&mut out, rows, Matrix::new(&[2.0], 1, 1), Output::Replace, Work::Alone);
        assert_eq!(out, [2.0 * a[18], 2.0 * a[19], 2.0 * a[20]]);
    }

    #[test]
    #[should_panic(expected = "2 columns from 6 on")]
    fn columns_beyond_the_last_are_refused() {
        let _ = Matrix::new(&[0.0; 21], 3, 7).columns(6, 2);
    }

    #[test]
    #[should_panic(expected = "an output of 2 x 2, 3 apart")]
    fn rows_beyond_the_output_are_refused() {
        let a = [0.0; 4];
        let a = Matrix::new(&a, 2, 2);
        multiply_apart(&mut [0.0; 4], 3, a, a, Output::Replace, Work::Alone);
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
