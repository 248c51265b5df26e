//! The tables an experiment asks for, as cells: a grid with headings, what it is of, and what is missing.
//! Knows nothing of how it is shown.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::estimate::Estimate;
use super::front::front;
use super::group::{Groups, Point};
use super::long::json;
use super::results::Results;
use crate::graph::Graph;
use crate::ops::Ops;
use crate::spec::table::{Shape, SortKey, Table};

/// One grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// What it is a grid of: the point of the axes in `each`.
    pub title: String,
    /// Headings: first of the axes, then of the values.
    pub headings: Vec<String>,
    /// How many of the headings are axes.
    pub axes: usize,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is no such task.
    Absent,
    /// There is a task, but not its result.
    Missing,
    /// The value of an axis.
    Level {
        /// Its label.
        label: String,
        /// The value: a number, a truth value or a text as it is, anything else as text.
        value: Json,
    },
    /// A value over replications.
    Value(Estimate),
}

/// A table as made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// What its values are, in one sentence.
    pub caption: String,
    /// Its grids.
    pub sheets: Vec<Sheet>,
    /// Rows left out because results they need are not there.
    pub missing: usize,
}

/// The groups of one grid, by the levels of its rows, then of its columns.
type Grid<'g> = BTreeMap<&'g [usize], BTreeMap<&'g [usize], &'g Point>>;

/// How a pivot is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As grids, for people.
    Grid,
    /// A row per value, for programs.
    Flat,
}

/// Makes a table from results; the error says which of its expressions does not fit.
pub fn make<O: Ops>(
    ops: &O,
    graph: &Graph<O>,
    results: &Results,
    table: &Table,
    layout: Layout,
) -> Result<Made, String> {
    let maker = Maker { graph, table };
    let Groups { axes, headings, points, missing } = Groups::of(graph, results, table)?;
    let sheets = match &table.shape {
        Shape::Table { sort, .. } => vec![maker.list(&axes, headings, &sorted(points, &axes, sort))],
        Shape::Pivot { .. } if layout == Layout::Flat => vec![maker.list(&axes, headings, &points)],
        Shape::Pivot { rows, columns, each, .. } => maker.pivot(&points, rows, columns, each),
        Shape::Pareto { .. } => {
            let best: Vec<Point> = front(&points).into_iter().map(|at| points[at].clone()).collect();
            vec![maker.list(&axes, headings, &best)]
        }
    };
    Ok(Made { name: table.name.clone(), caption: maker.caption(ops), sheets, missing })
}

/// Returns what the values of a table are, in one sentence.
pub fn caption<O: Ops>(ops: &O, graph: &Graph<O>, table: &Table) -> String {
    Maker { graph, table }.caption(ops)
}

struct Maker<'m, O: Ops> {
    graph: &'m Graph<O>,
    table: &'m Table,
}

impl<O: Ops> Maker<'_, O> {
    fn list(&self, kept: &[usize], values: Vec<String>, points: &[Point]) -> Sheet {
        let headings = kept.iter().map(|&axis| self.axis(axis)).chain(values).collect();
        let row = |point: &Point| {
            let labels = kept.iter().zip(&point.levels).map(|(&axis, &level)| self.level(axis, level));
            let values = point.values.iter().map(|value| value.map_or(Cell::Missing, Cell::Value));
            labels.chain(values).collect()
        };
        Sheet { title: String::new(), headings, axes: kept.len(), rows: points.iter().map(row).collect() }
    }

    fn pivot(&self, points: &[Point], rows: &[usize], columns: &[usize], each: &[usize]) -> Vec<Sheet> {
        // Points are keyed by each, then rows, then columns.
        let mut grids: BTreeMap<&[usize], Grid<'_>> = BTreeMap::new();
        for point in points {
            let (title, rest) = point.levels.split_at(each.len());
            let (row, column) = rest.split_at(rows.len());
            grids.entry(title).or_default().entry(row).or_default().insert(column, point);
        }
        let sheet = |(title, grid): (&[usize], Grid<'_>)| Sheet {
            title: self.point(each, title),
            ..self.grid(&grid, rows, columns)
        };
        grids.into_iter().map(sheet).collect()
    }

    fn grid(&self, grid: &Grid<'_>, rows: &[usize], columns: &[usize]) -> Sheet {
        let mut across: Vec<&[usize]> = grid.values().flat_map(|row| row.keys().copied()).collect();
        across.sort_unstable();
        across.dedup();
        let across_headings = across.iter().map(|levels| self.point(columns, levels));
        let row = |(levels, cells): (&&[usize], &BTreeMap<&[usize], &Point>)| {
            let labels = rows.iter().zip(*levels).map(|(&axis, &level)| self.level(axis, level));
            let value = |column: &&[usize]| match cells.get(column).map(|point| point.values[0]) {
                None => Cell::Absent,
                Some(None) => Cell::Missing,
                Some(Some(value)) => Cell::Value(value),
            };
            labels.chain(across.iter().map(value)).collect()
        };
        Sheet {
            title: String::new(),
            headings: rows.iter().map(|&axis| self.axis(axis)).chain(across_headings).collect(),
            axes: rows.len(),
            rows: grid.iter().map(row).collect(),
        }
    }

    /// Returns the works of the nodes that the table mentions and of those behind them.
    fn works(&self) -> Vec<&O::Op> {
        let nodes = &self.graph.experiment.nodes;
        let mut wanted: Vec<usize> = (0..nodes.len())
            .filter(|&node| self.table.expressions().iter().any(|of| of.mentions(&nodes[node].name)))
            .collect();
        let mut at = 0;
        while at < wanted.len() {
            let new: Vec<usize> =
                nodes[wanted[at]].inputs.iter().copied().filter(|input| !wanted.contains(input)).collect();
            wanted.extend(new);
            at += 1;
        }
        wanted.into_iter().flat_map(|node| &self.graph.steps[node].works).map(|work| &work.op).collect()
    }

    fn caption(&self, ops: &O) -> String {
        let what: Vec<&str> = self.table.values().iter().map(|value| value.text.as_str()).collect();
        let mut text = what.join(", ");
        let names = |axes: &[usize]| axes.iter().map(|&axis| self.axis(axis)).collect::<Vec<_>>().join(", ");
        if let Some(axis) = self.table.replicate {
            text += &format!("; mean and 95 % t interval over {}", self.axis(axis));
        }
        if !self.table.average.is_empty() {
            let within = self
                .table
                .replicate
                .map_or(String::new(), |axis| format!(" within each {} first", self.axis(axis)));
            text += &format!("; averaged over {}{within}", names(&self.table.average));
        }
        if let Some(filter) = &self.table.filter {
            text += &format!("; where {}", filter.text);
        }
        if matches!(self.table.shape, Shape::Pareto { .. }) {
            text += "; only points that no other beats in both means";
        }
        if let Some(remark) = ops.remark(&self.works()) {
            text += &format!("; {remark}");
        }
        text
    }

    fn axis(&self, axis: usize) -> String {
        self.graph.experiment.axes[axis].name.clone()
    }

    fn level(&self, axis: usize, level: usize) -> Cell {
        let value = json(&self.graph.experiment.axes[axis].levels[level].value);
        Cell::Level { label: self.label(axis, level), value }
    }

    fn label(&self, axis: usize, level: usize) -> String {
        self.graph.experiment.axes[axis].levels[level].label.clone()
    }

    fn point(&self, axes: &[usize], levels: &[usize]) -> String {
        let pair =
            |(&axis, &level): (&usize, &usize)| format!("{}={}", self.axis(axis), self.label(axis, level));
        axes.iter().zip(levels).map(pair).collect::<Vec<_>>().join(", ")
    }
}

fn sorted(mut points: Vec<Point>, kept: &[usize], sort: &[(SortKey, bool)]) -> Vec<Point> {
    // The last key first: sorting is stable.
    for &(key, descending) in sort.iter().rev() {
        points.sort_by(|a, b| {
            let order = match key {
                SortKey::Axis(axis) => kept
                    .iter()
                    .position(|&kept| kept == axis)
                    .map_or(Ordering::Equal, |at| a.levels[at].cmp(&b.levels[at])),
                SortKey::Column(at) => {
                    let number = |point: &Point| point.values[at].map_or(f64::NAN, |value| value.mean);
                    number(a).total_cmp(&number(b))
                }
            };
            if descending { order.reverse() } else { order }
        });
    }
    points
}
