//! The factor of an inverse: the upper triangular U with `H⁻¹ = UᵀU`, for a symmetric positive definite H, in binary64.
//!
//! H = R Rᵀ with R upper triangular (Cholesky's recursion from the last row on); then H⁻¹ = (R⁻¹)ᵀ R⁻¹, so U = R⁻¹. The
//! inverse itself is never formed. Plain loops in a fixed order: the bits are the same on every machine.

/// Returns U, row by row; `None` if H is not positive definite. `h` has `n` × `n` numbers.
#[must_use]
pub fn inverse_factor(h: &[f64], n: usize) -> Option<Vec<f64>> {
    let r = upper_factor(h, n)?;
    let mut u = vec![0.0; n * n];
    // Row by row from the last: U R = 1, and both are upper triangular.
    for i in (0..n).rev() {
        let diagonal = 1.0 / r[i * n + i];
        u[i * n + i] = diagonal;
        // R U = 1 gives U's row i from the rows below it.
        let (above, below) = u.split_at_mut((i + 1) * n);
        let row = &mut above[i * n..];
        for k in i + 1..n {
            let factor = -r[i * n + k] * diagonal;
            let lower = &below[(k - i - 1) * n..][..n];
            for j in k..n {
                row[j] = factor.mul_add(lower[j], row[j]);
            }
        }
    }
    Some(u)
}

/// Returns the upper triangular R with H = R Rᵀ; `None` if H is not positive definite.
fn upper_factor(h: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut r = vec![0.0; n * n];
    for j in (0..n).rev() {
        let square = dot(&r[j * n + j + 1..][..n - j - 1], &r[j * n + j + 1..][..n - j - 1]);
        let pivot = h[j * n + j] - square;
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        let pivot = pivot.sqrt();
        r[j * n + j] = pivot;
        for i in 0..j {
            let (upper, lower) = r.split_at_mut(j * n);
            let product = dot(&upper[i * n + j + 1..][..n - j - 1], &lower[j + 1..][..n - j - 1]);
            upper[i * n + j] = (h[i * n + j] - product) / pivot;
        }
    }
    Some(r)
}

/// Returns a sum of products, in eight interleaved sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (a, b): (&f64, &f64)| a.mul_add(*b, sum));
    sums.iter().fold(rest, |all, sum| all + sum)
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
            let u = inverse_factor(&h, n).unwrap();
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
        assert!(inverse_factor(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(inverse_factor(&[f64::NAN], 1).is_none());
    }
}
