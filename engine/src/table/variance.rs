//! The shares of a value's variance over a sweep that its axes and pairs of axes explain: the first two orders of the
//! decomposition of Sobol' (*Sensitivity estimates for nonlinear mathematical models*, 1993), which Hutter, Hoos and
//! Leyton-Brown (*An efficient approach for assessing hyperparameter importance*, ICML 2014) use for hyperparameters.
//! The share of an axis is its correlation ratio: the variance of the means at its levels over the variance of all
//! values. The share of a pair is what its means explain beyond both axes. Where constraints tie axes together, their
//! shares overlap. Knows nothing of how shares are shown.

use std::collections::HashMap;

use super::rows::Rows;
use crate::dense::AxisId;

/// The most pairs of axes in a table.
const MOST_PAIRS: usize = 10;

/// The smallest share of a pair in a table.
const LEAST_SHARE: f64 = 0.005;

/// The share of the variance that one or two axes explain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VarianceShare {
    /// The axis, or the two axes; empty for the rest of the variance.
    pub(super) axes: Vec<AxisId>,
    /// The share, from 0 to 1.
    pub(super) share: f64,
}

/// Returns the shares of each axis with two levels or more, of the largest pairs, and the rest, each group in descending
/// order. Empty if the finite values do not vary.
pub(super) fn variance_shares(rows: &Rows) -> Vec<VarianceShare> {
    let known: Vec<_> = rows
        .rows
        .iter()
        .filter_map(|row| Some((row.point, row.values[0].filter(|value| value.is_finite())?)))
        .collect();
    let mean = known.iter().map(|(_, value)| value).sum::<f64>() / known.len() as f64;
    let total: f64 = known.iter().map(|(_, value)| (value - mean).powi(2)).sum();
    let largest = known.iter().fold(0.0_f64, |largest, (_, value)| largest.max(value.abs()));
    // Values that differ by rounding errors alone do not vary.
    if total.is_nan() || total <= known.len() as f64 * (1e-12 * largest).powi(2) {
        return vec![];
    }
    let explained = |axes: &[AxisId]| {
        let mut groups: HashMap<u64, (f64, f64)> = HashMap::new();
        for (point, value) in &known {
            let (sum, count) = groups.entry(rows.points.agreement(*point, axes)).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
        let between = groups.values().map(|(sum, count)| count * (sum / count - mean).powi(2));
        let mut between: Vec<f64> = between.collect();
        // The order of a hash map must not change the last bits.
        between.sort_by(f64::total_cmp);
        (between.iter().sum::<f64>() / total).clamp(0.0, 1.0)
    };
    let varies = |axis: &AxisId| {
        let mut levels = known.iter().map(|(point, _)| rows.points.level(*point, *axis));
        let first = levels.next();
        levels.any(|level| Some(level) != first)
    };
    let axes: Vec<AxisId> = rows.points.axes.iter().copied().filter(varies).collect();
    let alone: Vec<f64> = axes.iter().map(|axis| explained(&[*axis])).collect();
    let mut pairs = vec![];
    for (a, of_a) in axes.iter().zip(&alone) {
        for (b, of_b) in axes.iter().zip(&alone).filter(|(b, _)| *b > a) {
            let share = (explained(&[*a, *b]) - of_a - of_b).max(0.0);
            pairs.push(VarianceShare { axes: vec![*a, *b], share });
        }
    }
    let descending =
        |a: &VarianceShare, b: &VarianceShare| b.share.total_cmp(&a.share).then(a.axes.cmp(&b.axes));
    let mut shares: Vec<VarianceShare> = axes
        .iter()
        .zip(&alone)
        .map(|(axis, share)| VarianceShare { axes: vec![*axis], share: *share })
        .collect();
    shares.sort_by(descending);
    pairs.retain(|pair| pair.share >= LEAST_SHARE);
    pairs.sort_by(descending);
    pairs.truncate(MOST_PAIRS);
    shares.extend(pairs);
    let rest = (1.0 - shares.iter().map(|of| of.share).sum::<f64>()).max(0.0);
    shares.push(VarianceShare { axes: vec![], share: rest });
    shares
}
