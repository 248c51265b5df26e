//! The values of a table by unit of replication, each the mean within its unit; they can be paired with another
//! table's.
//! Knows nothing of intervals and tests.

use std::collections::BTreeMap;

use super::cell::group_rows;
use super::error::TableError;
use super::kind::kept;
use super::results::Results;
use super::rows::Rows;
use crate::dense::AxisId;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::table::Table;

/// The values of a table by unit of replication.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicateUnits {
    /// The axes of the cells, by their index in the file.
    pub axes: Vec<AxisId>,
    /// The cells, by their levels.
    pub points: Vec<PointUnits>,
    /// The number of rows with missing results.
    pub missing: usize,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct PointUnits {
    /// The level of each axis.
    pub levels: Vec<usize>,
    /// One map per value of the table: from the level of the unit to the mean within it. Without replication there is
    /// one unit.
    pub values: Vec<BTreeMap<usize, f64>>,
}

impl ReplicateUnits {
    /// Gathers the values of a table; the error contains the expression that cannot be evaluated.
    pub fn gather<O: Ops>(
        graph: &TaskGraph<O>,
        results: &Results,
        table: &Table,
    ) -> Result<Self, TableError> {
        let values = table.values();
        let frame = Rows::new(graph, results, table, &values)?;
        let axes = cell_axes(graph, table);
        let cell = |levels: &[usize], values| PointUnits { levels: levels.to_vec(), values };
        let cells = group_rows(&frame, table, &axes);
        let cells = cells
            .iter()
            .map(|of| cell(&of.levels, (0..values.len()).map(|value| of.means(value)).collect()))
            .collect();
        Ok(Self { axes, points: cells, missing: frame.missing })
    }
}

/// Returns the axes that distinguish a table's cells: the axes it keeps, and the axes whose levels it compares.
#[must_use]
pub fn cell_axes<O: Ops>(graph: &TaskGraph<O>, table: &Table) -> Vec<AxisId> {
    let mut axes = kept(graph, table);
    axes.extend(table.compared());
    axes
}
