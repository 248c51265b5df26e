//! Sums over rows of numbers in binary64, compiled for each instruction set. Every operation is a fused multiply-add in a fixed
//! order, so all sets give the same bits.

use crate::backend::own::kernels::lanes::vectorized;

/// Partial sums of a product of two rows.
const PARTS: usize = 8;

/// Returns a · b: eight interleaved sums, then their sum in order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    vectorized(
        (a, b, &mut sum),
        #[inline(always)]
        |(a, b, sum): (&[f64], &[f64], &mut f64)| *sum = dot_of(a, b),
    );
    sum
}

#[inline(always)]
pub(super) fn dot_of(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; PARTS];
    let (a, a_rest) = a.as_chunks::<PARTS>();
    let (b, b_rest) = b.as_chunks::<PARTS>();
    for (a, b) in a.iter().zip(b) {
        for part in 0..PARTS {
            sums[part] = a[part].mul_add(b[part], sums[part]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (a, b): (&f64, &f64)| a.mul_add(*b, sum));
    sums.iter().fold(rest, |all, sum| all + sum)
}

/// Adds `factor` times a row to another one.
pub(super) fn add_scaled(to: &mut [f64], row: &[f64], factor: f64) {
    vectorized(
        (to, row),
        #[inline(always)]
        |(to, row): (&mut [f64], &[f64])| {
            for (to, x) in to.iter_mut().zip(row) {
                *to = factor.mul_add(*x, *to);
            }
        },
    );
}

/// Returns x H xᵀ.
pub(super) fn form(h: &[f64], x: &[f64]) -> f64 {
    let mut sum = 0.0;
    vectorized(
        (h, x, &mut sum),
        #[inline(always)]
        |(h, x, sum): (&[f64], &[f64], &mut f64)| {
            for (row, x_i) in h.chunks_exact(x.len()).zip(x) {
                *sum = dot_of(row, x).mul_add(*x_i, *sum);
            }
        },
    );
    sum
}
