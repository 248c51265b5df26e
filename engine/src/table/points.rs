//! The points of a table: one per combination of the axes it keeps, with values estimated over replicates.
//! Knows nothing of how points are laid out.

use std::collections::BTreeMap;

use super::front::front;
use crate::dense::AxisId;
use crate::statistics::estimate::Estimate;

/// The points behind a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePoints {
    /// The axes that the table keeps, by their index in the file, in the order of the levels: first those of the groups.
    pub axes: Vec<AxisId>,
    /// The number of axes of the groups: a `Pareto` table has a front for each combination of their levels, a `Choose`
    /// table an answer.
    pub group_axes: usize,
    /// The headings of the values.
    pub headings: Vec<String>,
    /// The points, ordered by their levels.
    pub points: Vec<TablePoint>,
    /// The share by which two costs may differ to count as one: 1 % for sizes, 0 for other values.
    pub same_cost: f64,
    /// The number of rows with missing results.
    pub missing: usize,
    /// The number of those rows that miss a result because a task failed.
    pub failed: usize,
}

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePoint {
    /// The level of each axis that the table keeps.
    pub levels: Vec<usize>,
    /// One value per heading; `None` without a result.
    pub values: Vec<Option<Estimate>>,
    /// For each value that stands for itself, its mean in each unit of replication, by the unit's level. Empty for
    /// values that are made of several points, such as effects.
    pub units: Vec<BTreeMap<usize, f64>>,
    /// Whether a result behind the values is missing because a task failed.
    pub is_failed: bool,
}

impl TablePoints {
    /// Returns the levels of the group of a point.
    #[must_use]
    pub fn group(&self, point: usize) -> &[usize] {
        &self.points[point].levels[..self.group_axes]
    }

    /// Splits points, given by their indices, into groups, in the order of the groups' levels.
    #[must_use]
    pub fn by_group(&self, points: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<&[usize], Vec<usize>> = BTreeMap::new();
        for &at in points {
            groups.entry(self.group(at)).or_default().push(at);
        }
        groups.into_values().collect()
    }

    /// Returns the points on the front of each group of `points`, each front by ascending cost.
    #[must_use]
    pub fn fronts(&self, points: &[usize]) -> Vec<Vec<usize>> {
        let of_group = |members: Vec<usize>| {
            let on_front = front(members.iter().map(|&at| &self.points[at]), self.same_cost);
            on_front.into_iter().map(|place| members[place]).collect()
        };
        self.by_group(points).into_iter().map(of_group).collect()
    }

    /// Returns the indices of all points.
    #[must_use]
    pub fn all(&self) -> Vec<usize> {
        (0..self.points.len()).collect()
    }
}

impl TablePoint {
    /// Returns a value minus the same value of another point, with the interval of the mean difference within units;
    /// `None` without a unit that both have.
    #[must_use]
    pub fn minus(&self, other: &Self, value: usize) -> Option<Estimate> {
        let (own, others) = (self.units.get(value)?, other.units.get(value)?);
        let differences = own.iter().filter_map(|(unit, value)| Some(value - others.get(unit)?));
        Estimate::from_values(&differences.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(units: &[(usize, f64)]) -> TablePoint {
        TablePoint {
            levels: vec![],
            values: vec![],
            units: vec![units.iter().copied().collect()],
            is_failed: false,
        }
    }

    /// By hand: the differences 0.03, 0.04, 0.02 have the standard error 0.01 / √3, and Student's t(0.975, 2) is
    /// 4.302652730.
    #[test]
    fn a_difference_is_paired_within_units() {
        let (own, other) =
            (point(&[(0, 0.93), (1, 0.95), (2, 0.91)]), point(&[(0, 0.90), (1, 0.91), (2, 0.89)]));
        let difference = own.minus(&other, 0).unwrap();
        assert!((difference.mean - 0.03).abs() < 1e-12 && difference.n == 3);
        let (low, high) = difference.interval.unwrap();
        assert!(
            (low - 0.005_158_622_88).abs() < 1e-9 && (high - 0.054_841_377_11).abs() < 1e-9,
            "{low} {high}"
        );
        assert_eq!(own.minus(&point(&[(1, 0.9)]), 0).map(|difference| difference.n), Some(1));
        assert!(own.minus(&point(&[(7, 0.9)]), 0).is_none() && own.minus(&other, 1).is_none());
    }
}
