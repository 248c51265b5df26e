//! The factor of an inverse: the upper triangular U with `H⁻¹ = UᵀU`, for a symmetric positive definite H, in binary64.
//!
//! H = R Rᵀ with R upper triangular (Cholesky's recursion from the last row on); then H⁻¹ = (R⁻¹)ᵀ R⁻¹, so U = R⁻¹. The
//! inverse itself is never formed. Plain loops in a fixed order: the bits are the same on every machine.

use super::sums::{add_scaled, dot};

/// Returns U, row by row; `None` if H is not positive definite. `h` has `n` × `n` numbers and becomes the result.
#[must_use]
pub fn inverse_factor(h: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let mut r = upper_factor(h, n)?;
    // R U = 1 gives U's row i from the rows below it, which are U's already.
    let mut row = vec![0.0; n];
    for i in (0..n).rev() {
        let diagonal = 1.0 / r[i * n + i];
        row.fill(0.0);
        row[i] = diagonal;
        for k in i + 1..n {
            add_scaled(&mut row[k..], &r[k * n + k..][..n - k], -r[i * n + k] * diagonal);
        }
        r[i * n..][..n].copy_from_slice(&row);
    }
    Some(r)
}

/// Turns H into the upper triangular R with H = R Rᵀ; `None` if H is not positive definite.
fn upper_factor(mut r: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for j in (0..n).rev() {
        let (upper, lower) = r.split_at_mut(j * n);
        let own = &mut lower[..n];
        let pivot = own[j] - dot(&own[j + 1..], &own[j + 1..]);
        if !pivot.is_finite() || pivot <= 0.0 {
            return None;
        }
        let pivot = pivot.sqrt();
        own[..j].fill(0.0);
        own[j] = pivot;
        for row in upper.chunks_exact_mut(n) {
            row[j] = (row[j] - dot(&row[j + 1..], &own[j + 1..])) / pivot;
        }
    }
    Some(r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn the_factor_gives_the_inverse() {
        for n in [1, 2, 7, 40] {
            let drawn = Stream::new(3, "test", "matrix");
            let a: Vec<f64> = (0..n * n).map(|at| f64::from(drawn.unit(at as u64)) - 0.5).collect();
            // A Aᵀ + 1 is positive definite.
            let h: Vec<f64> = (0..n * n)
                .map(|at| {
                    let (i, j) = (at / n, at % n);
                    let product: f64 = (0..n).map(|k| a[i * n + k] * a[j * n + k]).sum();
                    product + if i == j { 1.0 } else { 0.0 }
                })
                .collect();
            let u = inverse_factor(h.clone(), n).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let inverse =
                        |j: usize, k: usize| -> f64 { (0..n).map(|m| u[m * n + j] * u[m * n + k]).sum() };
                    let one: f64 = (0..n).map(|k| h[i * n + k] * inverse(k, j)).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((one - expected).abs() < 1e-9, "{n} {i} {j} {one}");
                    assert!(i <= j || u[i * n + j] == 0.0);
                }
            }
        }
        assert!(inverse_factor(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(inverse_factor(vec![f64::NAN], 1).is_none());
    }
}
