//! GPTQ (Frantar, Ashkboos, Hoefler and Alistarh, *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
//! Transformers*, 2022): the columns of a weight matrix are rounded one after the other, in the order of falling diagonal of
//! H, and the columns behind make up for the error of each. Knows nothing of number formats: a function rounds each weight.

use super::factor::inverse_factor;
use super::sums::add_scaled;

/// The least damping after which a factorization that failed is tried again: below it, rounding decides.
const LEAST: f64 = 1e-15;

/// The order of columns and the factor of the damped inverse.
#[derive(Clone, Debug)]
pub struct GptqPlan {
    /// The number of columns.
    n: usize,
    /// The columns, that of the largest diagonal first.
    order: Vec<usize>,
    /// The upper triangular factor of the inverse, in this order.
    factor: Vec<f64>,
    /// The number that is added to each number of the diagonal.
    added: f64,
}

impl GptqPlan {
    /// Prepares H with `n` × `n` numbers, to whose diagonal `damping` times its mean is added. Inputs that are always 0 leave
    /// the diagonal at the damping; if all are, H counts as 1. `None` if H is not finite.
    #[must_use]
    pub fn new(h: &[f64], n: usize, damping: f64) -> Option<Self> {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| h[b * n + b].total_cmp(&h[a * n + a]).then(a.cmp(b)));
        let mean = (0..n).map(|at| h[at * n + at]).sum::<f64>() / n.max(1) as f64;
        let mut added = damping * mean;
        while added.is_finite() {
            let entry = |at: usize| {
                let (i, j) = (order[at / n], order[at % n]);
                h[i * n + j] + if i == j { added } else { 0.0 }
            };
            if let Some(factor) = inverse_factor((0..n * n).map(entry).collect(), n) {
                return Some(Self { n, order, factor, added });
            }
            // Rounding can leave a matrix of low rank just below zero; a matrix of zeros has no scale.
            added = if added > 0.0 { 10.0 * added.max(LEAST * mean) } else { 1.0 };
        }
        None
    }

    /// Returns H with the damping on its diagonal.
    #[must_use]
    pub fn damped(&self, h: &[f64]) -> Vec<f64> {
        let mut damped = h.to_vec();
        damped.iter_mut().step_by(self.n + 1).for_each(|diagonal| *diagonal += self.added);
        damped
    }

    /// Rounds a row of weights, and returns it with e H eᵀ for the change e and the damped H, nearly the squared error of the output.
    /// `round` returns the number of the code that a number gets in a column.
    #[must_use]
    pub fn round(&self, weights: &[f32], round: impl Fn(usize, f64) -> f32) -> (Vec<f32>, f64) {
        let n = self.n;
        let mut left: Vec<f64> = self.order.iter().map(|column| f64::from(weights[*column])).collect();
        let (mut rounded, mut sum) = (vec![0.0; n], 0.0);
        for (at, column) in self.order.iter().enumerate() {
            let factor = &self.factor[at * n..][..n];
            let used = round(*column, left[at]);
            rounded[*column] = used;
            let error = (left[at] - f64::from(used)) / factor[at];
            sum += error * error;
            add_scaled(&mut left[at + 1..], &factor[at + 1..], -error);
        }
        (rounded, sum)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;

    use super::super::sums::form;
    use super::*;

    /// Six rows of inputs.
    pub(in super::super) const X: [[f64; 5]; 6] = [
        [1.0, 2.0, 0.0, -1.0, 3.0],
        [2.0, 1.0, 1.0, 0.0, -2.0],
        [0.0, -1.0, 3.0, 2.0, 1.0],
        [1.0, 1.0, -2.0, 1.0, 0.0],
        [3.0, 0.0, 1.0, -1.0, 1.0],
        [-1.0, 2.0, 2.0, 0.0, 1.0],
    ];

    /// H of these inputs.
    pub(in super::super) fn products() -> Vec<f64> {
        let mean = |at: usize| X.iter().map(|row| row[at / 5] * row[at % 5]).sum::<f64>() / 6.0;
        (0..25).map(mean).collect()
    }

    /// Rounds to a multiple of 1/8 of at most three steps.
    fn eighths(number: f64) -> f32 {
        ((number * 8.0).round_ties_even().clamp(-3.0, 3.0) / 8.0) as f32
    }

    /// The numbers before rounding and the codes are those of `NumPy` 2.4.6, by the published formulas:
    /// `h = x.T @ x / 6`, 0.01 of the diagonal's mean on the diagonal, `u = cholesky(inv(h[o][:, o])).T`, and
    /// `w[:, j + 1:] -= outer((w[:, j] - q) / u[j, j], u[j, j + 1:])`.
    #[test]
    fn weights_make_up_for_the_errors_before_them() {
        let plan = GptqPlan::new(&products(), 5, 0.01).unwrap();
        assert_eq!(plan.order, [2, 0, 4, 1, 3]);
        let check = |weights: [f32; 5], before: [f64; 5], codes: [i32; 5]| {
            let seen = RefCell::new([0.0; 5]);
            let (found, error) = plan.round(&weights, |column, number| {
                seen.borrow_mut()[column] = number;
                eighths(number)
            });
            let change: Vec<f64> =
                found.iter().zip(weights).map(|(q, w)| f64::from(*q) - f64::from(w)).collect();
            assert!((error / form(&plan.damped(&products()), &change) - 1.0).abs() < 1e-9);
            for (seen, before) in seen.into_inner().iter().zip(before) {
                assert!((seen - before).abs() < 1e-9, "{seen} {before}");
            }
            let found: Vec<i32> = found.iter().map(|number| (number * 8.0) as i32).collect();
            assert_eq!(found, codes);
        };
        check(
            [0.31, -0.22, 0.17, 0.43, -0.38],
            [
                0.316_859_395_417_275_8,
                -0.227_806_183_924_347_07,
                0.170_000_001_788_139_34,
                0.465_023_821_259_987_8,
                -0.363_279_765_730_197_16,
            ],
            [3, -2, 1, 3, -3],
        );
        check(
            [-0.09, 0.28, -0.41, 0.12, 0.25],
            [
                -0.095_335_086_289_327_1,
                0.281_694_821_458_159_5,
                -0.409_999_996_423_721_3,
                0.077_971_420_388_874_4,
                0.237_640_004_621_174_63,
            ],
            [-1, 2, -3, 1, 2],
        );
    }

    /// In front of any rounding, the factor alone: exact codes leave every weight as it is.
    #[test]
    fn the_factor_is_that_of_numpy() {
        let plan = GptqPlan::new(&products(), 5, 0.01).unwrap();
        let first = [0.611_706_26, -0.093_242_97, -0.194_534_40, 0.020_252_86, -0.342_274_85];
        assert!(plan.factor[..5].iter().zip(first).all(|(found, expected)| (found - expected).abs() < 1e-8));
        let weights = [0.31, -0.22, 0.17, 0.43, -0.38];
        assert_eq!(plan.round(&weights, |_, number| number as f32).0, weights);
    }

    #[test]
    fn inputs_that_are_always_zero_are_no_obstacle() {
        let zeros = GptqPlan::new(&[0.0; 25], 5, 0.01).unwrap();
        let weights = [0.31, -0.22, 0.17, 0.43, -0.38];
        assert_eq!(
            zeros.round(&weights, |_, number| eighths(number)).0,
            weights.map(|weight| eighths(f64::from(weight)))
        );
        // One row of inputs: all but one direction is free.
        let single: Vec<f64> = (0..25).map(|at| X[0][at / 5] * X[0][at % 5]).collect();
        let found = GptqPlan::new(&single, 5, 0.01).unwrap().round(&weights, |_, number| eighths(number)).0;
        let output = |weights: &[f32]| weights.iter().zip(X[0]).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
        assert!((output(&found) - output(&weights)).abs() < 0.2);
    }

    #[test]
    fn numbers_that_are_not_finite_have_no_plan() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut h = products();
            h[3] = bad;
            h[15] = bad;
            assert!(GptqPlan::new(&h, 5, 0.01).is_none());
        }
        assert!(GptqPlan::new(&products(), 5, 1e308).is_none());
        assert!(GptqPlan::new(&[f64::INFINITY; 25], 5, 0.01).is_none());
        // Rank one, and a damping that rounding swallows.
        let single: Vec<f64> = (0..25).map(|at| X[0][at / 5] * X[0][at % 5]).collect();
        assert!(GptqPlan::new(&single, 5, 1e-300).is_some());
    }
}
