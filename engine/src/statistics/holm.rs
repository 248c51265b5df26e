//! Holm's adjustment of the p-values of several tests (Holm 1979): the probability that any true hypothesis among
//! them is rejected stays below the significance level, however the tests depend on each other.
//! Knows nothing of the tests.

/// Returns the adjusted p-values in the order of the input: of k sorted values, the i-th (from 0) times k − i, at
/// least its predecessor, at most 1.
#[must_use]
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut adjusted = vec![0.0; values.len()];
    let mut least = 0.0_f64;
    for (place, &at) in order.iter().enumerate() {
        least = least.max((values[at] * (values.len() - place) as f64).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from statsmodels 0.15.0: `multipletests(p, method="holm")[1]`.
    #[test]
    fn adjusted_values_are_statsmodels() {
        let check = |values: &[f64], expected: &[f64]| {
            let found = holm(values);
            let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close && found.len() == expected.len(), "{found:?}");
        };
        check(&[0.01, 0.04, 0.03, 0.005, 0.2], &[0.04, 0.09, 0.09, 0.025, 0.2]);
        check(&[0.5, 0.9, 0.02], &[1.0, 1.0, 0.06]);
        check(&[], &[]);
    }
}
