//! Holm's adjustment of the p-values of several tests (Holm 1979): the probability that any true hypothesis among
//! them is rejected stays below the significance level, however the tests depend on each other.
//! Knows nothing of tables.

use std::collections::BTreeMap;

use super::estimate::Estimate;

/// A test of an estimate.
pub struct Test<'t, S> {
    /// The estimate, which gets the adjusted p-value.
    pub estimate: &'t mut Estimate,
    /// The p-value of the test.
    pub p: f64,
    /// The origin of the estimate's values: tests with the same origin are one test.
    pub origin: S,
}

/// Adjusts the p-values of estimates for the number of tests. Tests with the same origin count once: two formats that
/// give the same networks are one hypothesis. An estimate that is the same in every unit keeps its p-value and does not
/// count, because nothing about it is left to chance.
pub fn adjust<S: Ord>(tests: Vec<Test<'_, S>>) {
    let varies = |test: &Test<'_, S>| test.estimate.error.is_some_and(|error| error.size > 0.0);
    let (varying, constant): (Vec<_>, Vec<_>) = tests.into_iter().partition(varies);
    for test in constant {
        test.estimate.adjusted = Some(test.p);
    }
    let mut by_origin: BTreeMap<S, (f64, Vec<&mut Estimate>)> = BTreeMap::new();
    for test in varying {
        by_origin.entry(test.origin).or_insert((test.p, vec![])).1.push(test.estimate);
    }
    let adjusted = holm(&by_origin.values().map(|(p, _)| *p).collect::<Vec<_>>());
    for ((_, estimates), p) in by_origin.into_values().zip(adjusted) {
        for estimate in estimates {
            estimate.adjusted = Some(p);
        }
    }
}

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

    /// Three hypotheses: two origins, and an estimate that never varies. statsmodels 0.15.0:
    /// `multipletests([0.02, 0.03], method="holm")[1]` = 0.04, 0.04; of three tests they would be 0.06.
    #[test]
    fn equal_networks_are_one_test_and_constants_are_none() {
        let mut estimates = [[1.0, 2.0], [1.0, 2.0], [2.0, 3.0], [0.0, 0.0]]
            .map(|values| Estimate::from_values(&values).unwrap());
        let p = [0.02, 0.02, 0.03, 1.0];
        let tests = estimates.iter_mut().zip(p).zip([7, 7, 8, 9]);
        adjust(tests.map(|((estimate, p), origin)| Test { estimate, p, origin }).collect());
        assert_eq!(estimates.map(|estimate| estimate.adjusted), [0.04, 0.04, 0.04, 1.0].map(Some));
    }

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
