//! The Pareto front: the points that no other beats in two means.
//! Knows nothing of what the values are.

use std::cmp::Ordering;

use super::points::TablePoint;

/// Returns the points on the front, by their place, in the order of cost: none is smaller in the first value and at
/// least as large in the second, or equal in the first and larger in the second. Points without both values are none.
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

/// Returns the cost and the gain of a point; none while one is missing or no number.
#[must_use]
pub fn means(point: &TablePoint) -> Option<(f64, f64)> {
    // −0 and 0 are the same cost.
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
                .map(|&(cost, gain)| TablePoint { levels: vec![], values: vec![value(cost), value(gain)] })
                .collect();
            assert_eq!(front(&points), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[(4.0, 0.9), (2.0, 0.5), (3.0, 0.4)], &[1, 0]);
        // Twins are both on it; a point that costs more for the same gain is not.
        check(&[(2.0, 0.5), (2.0, 0.5), (3.0, 0.5)], &[0, 1]);
        check(&[(0.0, 0.5), (-0.0, 0.6), (1.0, f64::NAN)], &[1]);
    }
}
