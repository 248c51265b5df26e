//! The points behind a table: one per combination of the axes it keeps, its values over replications.
//! Knows nothing of how points are laid out.

use super::cell::{Cell, Term, cells, estimate};
use super::choice;
use super::contrast::{self, compared, effects};
use super::frame::Frame;
use super::results::Results;
use crate::graph::Graph;
use crate::ops::Ops;
use crate::spec::table::{Shape, Table};
use crate::statistics::estimate::Estimate;
use crate::statistics::holm::holm;

/// The points behind a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// The axes that are kept, by their place in the file, in the order of the levels.
    pub axes: Vec<usize>,
    /// What the values are called.
    pub headings: Vec<String>,
    /// The points, by their levels.
    pub points: Vec<Point>,
    /// Rows left out because results they need are not there.
    pub missing: usize,
}

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The level of each axis that is kept.
    pub levels: Vec<usize>,
    /// One value per heading; none while no result is there.
    pub values: Vec<Option<Estimate>>,
}

impl Groups {
    /// Makes the points of a table from results; the error says which of its expressions does not fit.
    pub fn of<O: Ops>(graph: &Graph<O>, results: &Results, table: &Table) -> Result<Self, String> {
        let frame = Frame::new(graph, results, table, &table.values())?;
        Ok(Self::from_frame(graph, &frame, table))
    }

    pub(super) fn from_frame<O: Ops>(graph: &Graph<O>, frame: &Frame, table: &Table) -> Self {
        let mut axes = kept(graph, table);
        let texts = || table.values().into_iter().map(|expression| expression.text.clone()).collect();
        let all = &graph.experiment.axes;
        let (headings, mut points) = match &table.shape {
            Shape::Table { columns, .. } => {
                let headings = columns.iter().map(|column| column.heading.clone()).collect();
                (headings, plain(&cells(frame, table, &axes), columns.len(), table))
            }
            Shape::Pivot { .. } | Shape::Pareto { .. } => {
                (texts(), plain(&cells(frame, table, &axes), table.values().len(), table))
            }
            Shape::Contrast { between, .. } => {
                let wide: Vec<usize> = axes.iter().chain(between).copied().collect();
                let cells = cells(frame, table, &wide);
                let effects = effects(between, &compared(frame, between), all);
                let points = contrast::points(&cells, between.len(), &effects, table);
                (effects.into_iter().map(|effect| effect.heading).collect(), points)
            }
            Shape::Choose(choose) => {
                (choice::headings(choose), choice::points(&cells(frame, table, &axes), choose, table))
            }
        };
        adjust(&mut points, table);
        axes.shrink_to_fit();
        Self { axes, headings, points, missing: frame.missing }
    }
}

/// Returns the axes that a table keeps, in its own order.
pub(super) fn kept<O: Ops>(graph: &Graph<O>, table: &Table) -> Vec<usize> {
    match &table.shape {
        Shape::Table { rows: Some(rows), .. } => rows.clone(),
        Shape::Pivot { rows, columns, each, .. } => {
            [each, rows, columns].into_iter().flatten().copied().collect()
        }
        Shape::Table { rows: None, .. }
        | Shape::Pareto { .. }
        | Shape::Contrast { .. }
        | Shape::Choose(_) => {
            let named = table.named();
            let mut axes = table.axes(&graph.experiment.axes, &graph.experiment.nodes);
            axes.retain(|axis| !named.contains(axis));
            axes
        }
    }
}

fn plain(cells: &[Cell<'_>], width: usize, table: &Table) -> Vec<Point> {
    let make = |cell: &Cell<'_>| Point {
        levels: cell.levels.clone(),
        values: (0..width).map(|value| estimate(&[Term { weight: 1.0, cell, value }], table)).collect(),
    };
    cells.iter().map(make).collect()
}

/// Makes the table's test of every value, and adjusts for their number.
fn adjust(points: &mut [Point], table: &Table) {
    let test = |value: &Estimate| match &table.shape {
        Shape::Pivot { margin: Some(margin), .. } => value.p_at_least(*margin),
        Shape::Contrast { .. } => value.p_zero(),
        Shape::Table { .. } | Shape::Pivot { .. } | Shape::Pareto { .. } | Shape::Choose(_) => None,
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
