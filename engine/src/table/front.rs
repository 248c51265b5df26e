//! The Pareto front: the points that no other point beats in both means.
//! Knows nothing of the meaning of the values.

use std::cmp::Ordering;

use super::points::TablePoint;

/// Returns the indices of the points on the front, by ascending cost (the first value). A point is on the front if no
/// other has a smaller cost with at least its gain (the second value), or an equal cost with a larger gain. Points
/// without both values are left out.
#[must_use]
pub fn front<'p>(points: impl IntoIterator<Item = &'p TablePoint>) -> Vec<usize> {
    let mut all: Vec<(f64, f64, usize)> = points
        .into_iter()
        .enumerate()
        .filter_map(|(at, point)| means(point).map(|(x, y)| (x, y, at)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    let mut best: Option<(f64, f64)> = None;
    let on_front = |&(cost, gain, _): &(f64, f64, usize)| {
        let on = best.is_none_or(|(best_cost, best_gain)| match gain.total_cmp(&best_gain) {
            Ordering::Greater => true,
            Ordering::Equal => cost == best_cost,
            Ordering::Less => false,
        });
        if on {
            best = Some((cost, gain));
        }
        on
    };
    all.into_iter().filter(on_front).map(|(_, _, at)| at).collect()
}

/// Returns the cost and the gain of a point; `None` if one is missing or NaN.
#[must_use]
pub fn means(point: &TablePoint) -> Option<(f64, f64)> {
    // Adding 0 turns −0 into 0, so that both are the same cost.
    let mean = |at: usize| {
        let value = point.values.get(at).copied().flatten()?;
        Some(value.mean + 0.0).filter(|mean| !mean.is_nan())
    };
    Some((mean(0)?, mean(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::estimate::Estimate;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let check = |points: &[(f64, f64)], expected: &[usize]| {
            let value = |value: f64| Estimate::from_values(&[value]);
            let points: Vec<TablePoint> = points
                .iter()
                .map(|&(cost, gain)| TablePoint {
                    levels: vec![],
                    values: vec![value(cost), value(gain)],
                    is_failed: false,
                })
                .collect();
            assert_eq!(front(&points), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[(4.0, 0.9), (2.0, 0.5), (3.0, 0.4)], &[1, 0]);
        // Equal points are both on the front; a point of higher cost with the same gain is not.
        check(&[(2.0, 0.5), (2.0, 0.5), (3.0, 0.5)], &[0, 1]);
        check(&[(0.0, 0.5), (-0.0, 0.6), (1.0, f64::NAN)], &[1]);
    }
}
