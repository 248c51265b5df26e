//! The mean Kullback–Leibler divergence of a network's outputs from another's, in nats. Knows no network.

use crate::loss::{exponential, largest};

/// The greatest divergence: of outputs that are not finite, and of any that are further away.
pub const MOST: f64 = 1024.0;

/// Returns the mean over the rows of Σ p·ln(p/q), where p and q are the softmax of a row of `baseline` and of `logits`; at least
/// 0, at most [`MOST`], 0 without rows. Rows have `classes` logits; those of `baseline` are finite.
#[must_use]
pub fn divergence(baseline: &[f32], logits: &[f32], classes: usize) -> f64 {
    let rows = baseline.chunks_exact(classes).zip(logits.chunks_exact(classes));
    let count = rows.len();
    let sum: f64 = rows.map(|(one, other)| of_row(one, other)).sum();
    if count == 0 { 0.0 } else { sum / count as f64 }
}

fn of_row(baseline: &[f32], logits: &[f32]) -> f64 {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return MOST;
    }
    let log_total =
        |row: &[f32], most: f32| libm::log(row.iter().map(|logit| exponential(*logit, most)).sum());
    let tops = [baseline, logits].map(|row| largest(row).1);
    let totals = [log_total(baseline, tops[0]), log_total(logits, tops[1])];
    let term = |(one, other): (&f32, &f32)| {
        let [p, q] =
            [(one, 0), (other, 1)].map(|(logit, at)| f64::from(*logit) - f64::from(tops[at]) - totals[at]);
        libm::exp(p) * (p - q)
    };
    // Rounding may give a sum a little below 0.
    baseline.iter().zip(logits).map(term).sum::<f64>().clamp(0.0, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is that of `scipy.stats.entropy(softmax([1, 2, 3]), softmax([2, 0.5, 3]))`, `SciPy` 1.17.1.
    #[test]
    fn the_divergence_is_scipys() {
        let expected = 0.240_995_200_820_118_58;
        let found = divergence(&[1.0, 2.0, 3.0], &[2.0, 0.5, 3.0], 3);
        assert!((found - expected).abs() < 1e-12, "{found}");
        // The mean of rows; equal rows have none.
        let found = divergence(&[1.0, 2.0, 3.0, 5.0, 0.0, 1.0], &[2.0, 0.5, 3.0, 5.0, 0.0, 1.0], 3);
        assert!((found - expected / 2.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_is_not_finite_is_furthest_away() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!((divergence(&[0.0, 1.0], &[bad, 1.0], 2) - MOST).abs() < f64::EPSILON);
        }
        assert!((divergence(&[3e38, -3e38], &[-3e38, 3e38], 2) - MOST).abs() < f64::EPSILON);
        assert!(divergence(&[], &[], 2).abs() < f64::EPSILON);
    }
}
