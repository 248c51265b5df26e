//! The layout of a table's points as sheets: as a list, or as the grids of a pivot.
//! Knows no kind of table.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::flat::Datum;
use super::points::{TablePoint, TablePoints};
use super::sheet::{Cell, Sheet};
use crate::dense::AxisId;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::axis::Axes;
use crate::spec::experiment::Experiment;
use crate::spec::table::{SortKey, Table};
use crate::statistics::estimate::Estimate;

/// The layout of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As grids, for people.
    Grid,
    /// As one list with a row per point, for programs.
    Flat,
}

/// The arrangement of a table's points in its sheets; it decides how the table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// Grids, with a point in each cell.
    Grids,
    /// A list of the points on the front.
    Front,
    /// A list of the points in an answer.
    Answer,
    /// A list of all points.
    List,
}

/// Lists some of a table's points, in this order, one row each.
pub(super) fn list<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    points: &TablePoints,
    listed: &[usize],
    layout: Layout,
) -> Sheet {
    let experiment = &graph.experiment;
    let (kept, headings) = (&points.axes, &points.headings);
    // If no result is missing, an absent value is undefined or its task does not exist.
    let none = |point: &TablePoint| match points.missing {
        _ if point.is_failed => Cell::Failed,
        0 => Cell::Absent,
        _ => Cell::Missing,
    };
    let all = || listed.iter().map(|&at| &points.points[at]);
    // In grids, the standard deviation of averaged values has a column of its own, if they differ.
    let apart: Vec<usize> = (0..headings.len())
        .filter(|&at| layout == Layout::Grid && all().any(|point| varies(point, at)))
        .collect();
    let of_spread = spread_heading(experiment, table);
    let axes = experiment.axis_names(kept).into_iter().map(str::to_owned);
    let spreads = apart.iter().map(|&at| format!("{}: {of_spread}", headings[at]));
    let row = |point: &TablePoint| {
        let labels =
            kept.iter().zip(&point.levels).map(|(&axis, &level)| level_cell(experiment, axis, level));
        let values = point.values.iter().map(|value| value.map_or_else(|| none(point), Cell::Value));
        let spreads = apart.iter().map(|&at| spread(point, at).map_or(Cell::Absent, Cell::Value));
        labels.chain(values).chain(spreads).collect()
    };
    Sheet {
        title: String::new(),
        headings: axes.chain(headings.iter().cloned()).chain(spreads).collect(),
        axes: kept.len(),
        rows: all().map(row).collect(),
        points: listed.iter().map(|&at| vec![Some(at); headings.len() + apart.len()]).collect(),
        values: (0..headings.len()).map(Some).chain(apart.iter().map(|_| None)).collect(),
    }
}

/// Lists some points of one group, in this order, one row each. The title has the levels of the group.
pub(super) fn list_group<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    points: &TablePoints,
    listed: &[usize],
) -> Sheet {
    let mut sheet = list(graph, table, points, listed, Layout::Grid);
    let titled = points.group_axes;
    if let Some(&first) = listed.first() {
        sheet.title = place(&graph.experiment, &points.axes[..titled], points.group(first));
    }
    sheet.headings.drain(..titled);
    sheet.axes -= titled;
    sheet.rows.iter_mut().for_each(|row| drop(row.drain(..titled)));
    sheet
}

/// Lays the points of a pivot out as grids: one for each combination of the axes in `each`, and one more for standard
/// deviations of averaged values. The points' axes are `each`, then `rows`, then `columns`.
pub(super) fn pivot<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    points: &TablePoints,
    [each, rows, columns]: [&[AxisId]; 3],
) -> Vec<Sheet> {
    let experiment = &graph.experiment;
    let mut grids: BTreeMap<&[usize], Grid<'_>> = BTreeMap::new();
    for (at, point) in points.points.iter().enumerate() {
        let (title, rest) = point.levels.split_at(each.len());
        let (row, column) = rest.split_at(rows.len());
        grids.entry(title).or_default().entry(row).or_default().insert(column, at);
    }
    let mut sheets = vec![];
    for (title, grid) in grids {
        let title = place(experiment, each, title);
        let lay = |value, content: &dyn Fn(&TablePoint) -> Cell| {
            lay_grid(experiment, points, &grid, [rows, columns], value, content)
        };
        sheets.push(Sheet { title: title.clone(), ..lay(Some(0), &|point| result_cell(point, 0)) });
        let of_grid = grid.values().flat_map(BTreeMap::values).map(|&at| &points.points[at]);
        if of_grid.clone().any(|point| varies(point, 0)) {
            let title =
                [title, spread_heading(experiment, table)].into_iter().filter(|part| !part.is_empty());
            let title = title.collect::<Vec<_>>().join("; ");
            sheets.push(Sheet { title, ..lay(None, &|point| spread_cell(point, 0)) });
        }
    }
    sheets
}

/// The points of one grid, by the levels of its rows, then of its columns.
type Grid<'g> = BTreeMap<&'g [usize], BTreeMap<&'g [usize], usize>>;

/// Lays out one grid; `value` is the index of the shown value.
fn lay_grid(
    experiment: &Experiment,
    points: &TablePoints,
    grid: &Grid<'_>,
    [rows, columns]: [&[AxisId]; 2],
    value: Option<usize>,
    content: &dyn Fn(&TablePoint) -> Cell,
) -> Sheet {
    let mut across: Vec<&[usize]> = grid.values().flat_map(|row| row.keys().copied()).collect();
    across.sort_unstable();
    across.dedup();
    let row = |(levels, cells): (&&[usize], &BTreeMap<&[usize], usize>)| {
        let labels = rows.iter().zip(*levels).map(|(&axis, &level)| level_cell(experiment, axis, level));
        let cell =
            |column: &&[usize]| cells.get(column).map_or(Cell::Absent, |&at| content(&points.points[at]));
        labels.chain(across.iter().map(cell)).collect()
    };
    let headings = experiment.axis_names(rows).into_iter().map(str::to_owned);
    Sheet {
        title: String::new(),
        headings: headings.chain(across.iter().map(|levels| place(experiment, columns, levels))).collect(),
        axes: rows.len(),
        rows: grid.iter().map(row).collect(),
        points: grid.values().map(|cells| across.iter().map(|of| cells.get(of).copied()).collect()).collect(),
        values: vec![value; across.len()],
    }
}

fn level_cell(experiment: &Experiment, axis: AxisId, level: usize) -> Cell {
    let level = &experiment.axes[axis].levels[level];
    Cell::Level { label: level.label.clone(), value: Datum::from(level) }
}

/// Returns axes with their levels as text: `e=3, m=0`.
fn place(experiment: &Experiment, axes: &[AxisId], levels: &[usize]) -> String {
    let pairs = experiment.labels(axes, levels).map(|(axis, label)| format!("{axis}={label}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Returns the heading of the standard deviation of averaged values.
fn spread_heading(experiment: &Experiment, table: &Table) -> String {
    format!("standard deviation over {}", experiment.axis_names(&table.average).join(", "))
}

/// Returns the standard deviation of averaged values as an estimate of its own, for display.
fn spread(point: &TablePoint, at: usize) -> Option<Estimate> {
    let value = point.values.get(at).copied().flatten()?;
    let spread = value.spread?;
    Some(Estimate { n: value.n, ..Estimate::from_values(&[spread])? })
}

/// Returns whether a value differs between the repetitions that are averaged.
fn varies(point: &TablePoint, at: usize) -> bool {
    spread(point, at).is_some_and(|spread| spread.mean != 0.0)
}

/// Returns the cell of a point's value in a grid.
fn result_cell(point: &TablePoint, at: usize) -> Cell {
    match point.values.get(at).copied().flatten() {
        Some(value) => Cell::Value(value),
        None if point.is_failed => Cell::Failed,
        None => Cell::Missing,
    }
}

/// Returns the cell of a value's standard deviation in a grid; a value of one draw has none.
fn spread_cell(point: &TablePoint, at: usize) -> Cell {
    match (spread(point, at), result_cell(point, at)) {
        (Some(spread), _) => Cell::Value(spread),
        (None, Cell::Value(_)) => Cell::Absent,
        (None, other) => other,
    }
}

/// Sorts points and returns their indices. Axis values that are numbers sort by number, other axis values by their
/// order in the file. Points without a value, or with NaN, come last in both directions.
pub(super) fn sorted(points: &TablePoints, sort: &[(SortKey, bool)], axes: &Axes) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.points.len()).collect();
    // Sorting is stable, so the last key is applied first.
    for &(key, descending) in sort.iter().rev() {
        let place = |axis: AxisId| points.axes.iter().position(|&kept| kept == axis);
        let number = |point: &TablePoint| match key {
            SortKey::Axis(axis) => place(axis).and_then(|at| axes[axis].levels[point.levels[at]].number()),
            SortKey::Column(at) => point.values[at].map(|value| value.mean).filter(|mean| !mean.is_nan()),
        };
        // Axis values that are not numbers keep the order of the file.
        let other = |point: &TablePoint| match key {
            SortKey::Axis(axis) => place(axis).map_or(0, |at| point.levels[at]),
            SortKey::Column(_) => 0,
        };
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        order.sort_by(|&a, &b| match (number(&points.points[a]), number(&points.points[b])) {
            (Some(a), Some(b)) => directed(a.total_cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => directed(other(&points.points[a]).cmp(&other(&points.points[b]))),
        });
    }
    order
}
