//! The values of a table unit by unit, each as the mean within its unit: what can be paired with another table's.
//! Knows nothing of intervals and tests.

use std::collections::BTreeMap;

use super::cell::cells;
use super::error::TableError;
use super::points::kept;
use super::results::Results;
use super::rows::Rows;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::table::{Table, TableKind};

/// The values behind a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicateUnits {
    /// The axes of the cells, by their place in the file.
    pub axes: Vec<usize>,
    /// The cells, by their levels.
    pub cells: Vec<UnitCell>,
    /// Rows left out because results they need are not there.
    pub missing: usize,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitCell {
    /// The level of each axis.
    pub levels: Vec<usize>,
    /// Per value of the table, the mean within each unit of replication, by its level; one unit where there is none.
    pub values: Vec<BTreeMap<usize, f64>>,
}

impl ReplicateUnits {
    /// Gathers the values of a table; the error says which of its expressions does not fit.
    pub fn gather<O: Ops>(
        graph: &TaskGraph<O>,
        results: &Results,
        table: &Table,
    ) -> Result<Self, TableError> {
        let values = table.values();
        let frame = Rows::new(graph, results, table, &values)?;
        let axes = cell_axes(graph, table);
        let cell = |levels: &[usize], values| UnitCell { levels: levels.to_vec(), values };
        let cells = cells(&frame, table, &axes);
        let cells = cells
            .iter()
            .map(|of| cell(&of.levels, (0..values.len()).map(|value| of.means(value)).collect()))
            .collect();
        Ok(Self { axes, cells, missing: frame.missing })
    }
}

/// Returns the axes that tell a table's values apart: those it keeps, and those whose levels it compares.
#[must_use]
pub fn cell_axes<O: Ops>(graph: &TaskGraph<O>, table: &Table) -> Vec<usize> {
    let mut axes = kept(graph, table);
    if let TableKind::Contrast { between, .. } = &table.shape {
        axes.extend(between);
    }
    axes
}
