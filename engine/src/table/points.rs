//! The points of a table: one per combination of the axes it keeps, with values estimated over replicates.
//! Knows nothing of how points are laid out.

use super::answer;
use super::cell::{CellValues, WeightedValue, cells, estimate};
use super::contrast::{self, compared, effects};
use super::error::TableError;
use super::results::Results;
use super::rows::Rows;
use crate::dense::AxisId;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::table::{Table, TableKind};
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
        let frame = Rows::new(graph, results, table, &table.values())?;
        Ok(Self::from_frame(graph, &frame, table))
    }

    pub(super) fn from_frame<O: Ops>(graph: &TaskGraph<O>, frame: &Rows, table: &Table) -> Self {
        let mut axes = kept(graph, table);
        let texts = || table.values().into_iter().map(|expression| expression.text.clone()).collect();
        let all = &graph.experiment.axes;
        let (headings, mut points) = match &table.shape {
            TableKind::Table { columns, .. } => {
                let headings = columns.iter().map(|column| column.heading.clone()).collect();
                (headings, plain(&cells(frame, table, &axes), columns.len(), table))
            }
            TableKind::Pivot { .. } | TableKind::Pareto { .. } => {
                (texts(), plain(&cells(frame, table, &axes), table.values().len(), table))
            }
            TableKind::Contrast { between, .. } => {
                let wide: Vec<AxisId> = axes.iter().chain(between).copied().collect();
                let cells = cells(frame, table, &wide);
                let effects = effects(between, &compared(frame, between), all);
                let points = contrast::points(&cells, between.len(), &effects, table);
                (effects.into_iter().map(|effect| effect.heading).collect(), points)
            }
            TableKind::Choose(choose) => {
                (answer::headings(choose), answer::points(&cells(frame, table, &axes), choose, table))
            }
        };
        adjust(&mut points, table);
        axes.shrink_to_fit();
        Self { axes, headings, points, missing: frame.missing }
    }
}

/// Returns the axes that a table keeps, in its own order.
pub(super) fn kept<O: Ops>(graph: &TaskGraph<O>, table: &Table) -> Vec<AxisId> {
    match &table.shape {
        TableKind::Table { rows: Some(rows), .. } => rows.clone(),
        TableKind::Pivot { rows, columns, each, .. } => {
            [each, rows, columns].into_iter().flatten().copied().collect()
        }
        TableKind::Table { rows: None, .. }
        | TableKind::Pareto { .. }
        | TableKind::Contrast { .. }
        | TableKind::Choose(_) => {
            let named = table.named();
            let mut axes = table.axes(&graph.experiment.axes, &graph.experiment.nodes);
            axes.retain(|axis| !named.contains(axis));
            axes
        }
    }
}

fn plain(cells: &[CellValues<'_>], width: usize, table: &Table) -> Vec<TablePoint> {
    let make = |cell: &CellValues<'_>| TablePoint {
        levels: cell.levels.clone(),
        values: (0..width)
            .map(|value| estimate(&[WeightedValue { weight: 1.0, cell, value }], table))
            .collect(),
    };
    cells.iter().map(make).collect()
}

/// Makes the table's test of every value, and adjusts for their number.
fn adjust(points: &mut [TablePoint], table: &Table) {
    let test = |value: &Estimate| match &table.shape {
        TableKind::Pivot { margin: Some(margin), .. } => value.p_at_least(*margin),
        TableKind::Contrast { .. } => value.p_zero(),
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Pareto { .. }
        | TableKind::Choose(_) => None,
    };
    let mut tested: Vec<(&mut Estimate, f64)> = points
        .iter_mut()
        .flat_map(|point| point.values.iter_mut().flatten())
        .filter_map(|value| test(value).map(|p| (value, p)))
        .collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((value, _), p) in tested.iter_mut().zip(adjusted) {
        value.adjusted = Some(p);
    }
}
