//! The points of a table: one per combination of the axes it keeps, with values estimated over replicates.
//! Knows nothing of how points are laid out.

use super::error::TableError;
use super::kind::{self, kept};
use super::results::Results;
use super::rows::Rows;
use crate::dense::AxisId;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::table::Table;
use crate::statistics::estimate::Estimate;
use crate::statistics::holm::holm;

/// The points behind a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePoints {
    /// The axes that the table keeps, by their index in the file, in the order of the levels.
    pub axes: Vec<AxisId>,
    /// The headings of the values.
    pub headings: Vec<String>,
    /// The points, ordered by their levels.
    pub points: Vec<TablePoint>,
    /// The number of rows with missing results.
    pub missing: usize,
}

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePoint {
    /// The level of each axis that the table keeps.
    pub levels: Vec<usize>,
    /// One value per heading; `None` without a result.
    pub values: Vec<Option<Estimate>>,
}

impl TablePoints {
    /// Makes the points of a table from results; the error contains the expression that cannot be evaluated.
    pub fn group<O: Ops>(graph: &TaskGraph<O>, results: &Results, table: &Table) -> Result<Self, TableError> {
        let rows = Rows::new(graph, results, table, &table.values())?;
        Ok(Self::from_rows(graph, &rows, table))
    }

    pub(super) fn from_rows<O: Ops>(graph: &TaskGraph<O>, rows: &Rows, table: &Table) -> Self {
        let mut axes = kept(graph, table);
        let (headings, mut points) = kind::points(graph, rows, table, &axes);
        adjust(&mut points, table);
        axes.shrink_to_fit();
        Self { axes, headings, points, missing: rows.missing }
    }
}

/// Makes the table's test of every value, and adjusts for their number.
fn adjust(points: &mut [TablePoint], table: &Table) {
    let mut tested: Vec<(&mut Estimate, f64)> = points
        .iter_mut()
        .flat_map(|point| point.values.iter_mut().flatten())
        .filter_map(|value| kind::test(&table.kind, value).map(|p| (value, p)))
        .collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((value, _), p) in tested.iter_mut().zip(adjusted) {
        value.adjusted = Some(p);
    }
}
