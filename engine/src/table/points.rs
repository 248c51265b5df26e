//! The points of a table: one per combination of the axes it keeps, with values estimated over replicates.
//! Knows nothing of how points are laid out.

use std::collections::BTreeMap;

use crate::dense::AxisId;
use crate::statistics::estimate::Estimate;

/// The points behind a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePoints {
    /// The axes that the table keeps, by their index in the file, in the order of the levels.
    pub axes: Vec<AxisId>,
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
