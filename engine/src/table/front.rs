//! The Pareto front: the points for which no other is as good in both means and better in one.
//! Knows nothing of the meaning of the values.

use super::points::TablePoint;

/// Returns the indices of the points on the front, by ascending cost (the first value). A point is on the front if no
/// other is as good in both means and better in one. Costs that exceed the smallest of their group by at most the share
/// `same` count as one cost, for which only the largest gain (the second value) is on the front. Points without both
/// values are left out.
#[must_use]
pub fn front<'p>(points: impl IntoIterator<Item = &'p TablePoint>, same: f64) -> Vec<usize> {
    let mut all: Vec<(f64, f64, usize)> = points
        .into_iter()
        .enumerate()
        .filter_map(|(at, point)| means(point).map(|(x, y)| (x, y, at)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    let (mut front, mut best) = (vec![], None);
    let mut rest = all.as_slice();
    while let Some(&(least, ..)) = rest.first() {
        let is_same = |cost: f64| cost == least || cost - least <= same * least.abs();
        let (group, larger) = rest.split_at(rest.partition_point(|(cost, ..)| is_same(*cost)));
        rest = larger;
        let Some(&(cost, gain, _)) =
            group.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0)))
        else {
            break;
        };
        if best.is_none_or(|best: f64| gain.total_cmp(&best).is_gt()) {
            best = Some(gain);
            front.extend(group.iter().filter(|of| of.0 == cost && of.1 == gain).map(|(_, _, at)| *at));
        }
    }
    front
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
        let check_with = |same: f64, points: &[(f64, f64)], expected: &[usize]| {
            let value = |value: f64| Estimate::from_values(&[value]);
            let points: Vec<TablePoint> = points
                .iter()
                .map(|&(cost, gain)| TablePoint {
                    levels: vec![],
                    values: vec![value(cost), value(gain)],
                    units: vec![],
                    is_failed: false,
                })
                .collect();
            assert_eq!(front(&points, same), expected, "{points:?}");
        };
        let check = |points: &[(f64, f64)], expected: &[usize]| check_with(0.0, points, expected);
        check(&[], &[]);
        check(&[(4.0, 0.9), (2.0, 0.5), (3.0, 0.4)], &[1, 0]);
        // Equal points are both on the front; a point of higher cost with the same gain is not.
        check(&[(2.0, 0.5), (2.0, 0.5), (3.0, 0.5)], &[0, 1]);
        check(&[(0.0, 0.5), (-0.0, 0.6), (1.0, f64::NAN)], &[1]);
        // A network of 2.0002 bits is no larger than one of 2 bits.
        check_with(0.01, &[(2.0, 0.2), (2.0002, 0.95), (3.0, 0.9), (3.03, 0.97)], &[1, 3]);
        check_with(0.01, &[(2.0, 0.95), (2.0002, 0.95), (2.03, 0.96)], &[0, 2]);
    }
}
