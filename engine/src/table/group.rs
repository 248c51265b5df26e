//! The points behind a table: one per combination of the axes it keeps, its values over replications.
//! Knows nothing of how points are laid out.

use std::collections::BTreeMap;

use super::estimate::{Estimate, mean};
use super::frame::{Frame, Row};
use super::results::Results;
use crate::graph::Graph;
use crate::ops::Ops;
use crate::spec::table::{Shape, Table};

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
        let expressions = table.values();
        let headings = match &table.shape {
            Shape::Table { columns, .. } => columns.iter().map(|(heading, _)| heading.clone()).collect(),
            Shape::Pivot { .. } | Shape::Pareto { .. } => {
                expressions.iter().map(|expression| expression.text.clone()).collect()
            }
        };
        let axes = kept(graph, table);
        let frame = Frame::new(graph, results, table, &expressions)?;
        let points = points(&frame, table, &axes, expressions.len());
        Ok(Self { axes, headings, points, missing: frame.missing })
    }
}

/// Returns the axes that a table keeps, in its own order.
fn kept<O: Ops>(graph: &Graph<O>, table: &Table) -> Vec<usize> {
    match &table.shape {
        Shape::Table { rows: Some(rows), .. } => rows.clone(),
        Shape::Pivot { rows, columns, each, .. } => {
            [each, rows, columns].into_iter().flatten().copied().collect()
        }
        Shape::Table { rows: None, .. } | Shape::Pareto { .. } => {
            let pooled = |axis: &usize| table.replicate == Some(*axis) || table.average.contains(axis);
            let mut axes = table.axes(&graph.experiment.axes, &graph.experiment.nodes);
            axes.retain(|axis| !pooled(axis));
            axes
        }
    }
}

/// Groups rows by the levels of `kept`; within a group, averages within each unit of replication first.
fn points(frame: &Frame, table: &Table, kept: &[usize], width: usize) -> Vec<Point> {
    let level = |row: &Row, axis: usize| frame.points.level(row.point, axis).unwrap_or_default();
    let mut groups: BTreeMap<Vec<usize>, BTreeMap<usize, Vec<&Row>>> = BTreeMap::new();
    for row in &frame.rows {
        let levels = kept.iter().map(|&axis| level(row, axis)).collect();
        let unit = table.replicate.map_or(0, |axis| level(row, axis));
        groups.entry(levels).or_default().entry(unit).or_default().push(row);
    }
    let estimate = |units: &BTreeMap<usize, Vec<&Row>>, at: usize| {
        let of_unit =
            |rows: &Vec<&Row>| mean(&rows.iter().filter_map(|row| row.values[at]).collect::<Vec<_>>());
        Estimate::of(&units.values().filter_map(of_unit).collect::<Vec<_>>())
    };
    let make = |(levels, units): (Vec<usize>, BTreeMap<_, _>)| Point {
        levels,
        values: (0..width).map(|at| estimate(&units, at)).collect(),
    };
    groups.into_iter().map(make).collect()
}
