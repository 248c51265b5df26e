//! GPTQ (Frantar, Ashkboos, Hoefler and Alistarh, *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
//! Transformers*, 2022): the columns of a weight matrix are rounded one after the other, in the order of falling diagonal of
//! H, and the columns behind make up for the error of each. Knows nothing of number formats: a function rounds each weight.

use super::factor::inverse_factor;

/// The order of columns and the factor of the damped inverse.
#[derive(Clone, Debug)]
pub struct GptqPlan {
    /// The number of columns.
    n: usize,
    /// The columns, that of the largest diagonal first.
    order: Vec<usize>,
    /// The upper triangular factor of the inverse, in this order.
    factor: Vec<f64>,
    /// What is added to the diagonal.
    added: f64,
}

impl GptqPlan {
    /// Prepares H with `n` × `n` numbers, to whose diagonal `damping` times its mean is added. Inputs that are always 0 leave
    /// the diagonal at the damping; if all are, H counts as 1.
    #[must_use]
    pub fn new(h: &[f64], n: usize, damping: f64) -> Self {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| h[b * n + b].total_cmp(&h[a * n + a]).then(a.cmp(b)));
        let mean = (0..n).map(|at| h[at * n + at]).sum::<f64>() / n.max(1) as f64;
        let mut added = damping * mean;
        loop {
            let entry = |at: usize| {
                let (i, j) = (order[at / n], order[at % n]);
                h[i * n + j] + if i == j { added } else { 0.0 }
            };
            let damped: Vec<f64> = (0..n * n).map(entry).collect();
            if let Some(factor) = inverse_factor(&damped, n) {
                return Self { n, order, factor, added };
            }
            // Rounding can leave a matrix of low rank just below zero; a matrix of zeros has no scale.
            added = if added > 0.0 { 10.0 * added } else { 1.0 };
        }
    }

    /// Returns H with the damping on its diagonal.
    #[must_use]
    pub fn damped(&self, h: &[f64]) -> Vec<f64> {
        let mut damped = h.to_vec();
        damped.iter_mut().step_by(self.n + 1).for_each(|diagonal| *diagonal += self.added);
        damped
    }

    /// Rounds a row of weights. `round` returns the number of the code that a number gets in a column.
    #[must_use]
    pub fn round(&self, weights: &[f32], round: impl Fn(usize, f64) -> f32) -> Vec<f32> {
        let n = self.n;
        let mut left: Vec<f64> = self.order.iter().map(|column| f64::from(weights[*column])).collect();
        let mut rounded = vec![0.0; n];
        for (at, column) in self.order.iter().enumerate() {
            let factor = &self.factor[at * n..][..n];
            let used = round(*column, left[at]);
            rounded[*column] = used;
            let error = (left[at] - f64::from(used)) / factor[at];
            for (left, factor) in left[at + 1..].iter_mut().zip(&factor[at + 1..]) {
                *left = (-error).mul_add(*factor, *left);
            }
        }
        rounded
    }
}
