//! A table in its made form: its sheets with a caption, and the points behind them.
//! Knows nothing of how a sheet is shown.

use std::collections::HashSet;

use super::answer::Answer;
use super::caption::caption;
use super::error::TableError;
use super::flat::{Datum, DuplicateColumn, Flat};
use super::kind;
use super::layout::{self, Arrangement, Layout};
use super::points::TablePoints;
use super::results::Results;
use super::rows::Rows;
use super::sheet::{Cell, Sheet};
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::heading::VALUE_SUFFIXES;
use crate::spec::table::Table;

/// A table in its made form.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSheets {
    /// The name.
    pub name: String,
    /// The caption: one sentence about the values, intervals, tests and the filter.
    pub caption: String,
    /// The grids.
    pub sheets: Vec<Sheet>,
    /// The arrangement of the points in grids.
    pub arrangement: Arrangement,
    /// The points behind the grids.
    pub points: TablePoints,
    /// The answers of a `Choose` table, one for each group; none for the other kinds.
    pub answers: Vec<Answer>,
}

/// Makes a table from results; the error contains the expression that cannot be evaluated.
pub fn make<O: Ops>(
    ops: &O,
    graph: &TaskGraph<O>,
    results: &Results,
    table: &Table,
    layout: Layout,
) -> Result<TableSheets, TableError> {
    let rows = Rows::new(graph, results, table, &table.values())?;
    let points = kind::points_of(graph, &rows, table);
    let answers = Answer::from_rows(&graph.experiment, &rows, table, &points.axes);
    let sheets = kind::sheets(graph, table, &points, &answers, layout);
    let mut caption = caption(ops, graph, table);
    let near_chance =
        |cell: &Cell| matches!(cell, Cell::Value(value) if value.near_chance && value.interval.is_some());
    if sheets.iter().flat_map(|sheet| sheet.rows.iter().flatten()).any(near_chance) {
        caption += "; a–b is from the least to the largest, near chance";
    }
    let arrangement = kind::arrangement(&table.kind);
    Ok(TableSheets { name: table.name.clone(), caption, sheets, arrangement, points, answers })
}

impl TableSheets {
    /// Returns the number of rows with missing results.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.points.missing
    }

    /// Returns the number of rows that miss a result because a task failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.points.failed
    }

    /// Returns a sheet with a row for every point of the table, in the order of their levels, whatever its kind.
    #[must_use]
    pub fn every_point<O: Ops>(&self, graph: &TaskGraph<O>, table: &Table) -> Sheet {
        layout::list(graph, table, &self.points, &self.points.all(), Layout::Grid)
    }

    /// Returns the table for other programs, with a row per row of each grid. A row has the levels of the axes, then
    /// each value with its interval, standard deviation, p-value and count, as far as they exist.
    pub fn flat(&self) -> Result<Flat, DuplicateColumn> {
        let mut flat = Flat::with_columns(self.columns());
        for sheet in &self.sheets {
            for row in &sheet.rows {
                let cells = sheet.headings.iter().zip(row);
                flat.add(cells.flat_map(|(heading, cell)| exported(heading, cell)))?;
            }
        }
        Ok(flat)
    }

    /// Returns the names of the exported columns: those of a heading side by side, whichever row has them first.
    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = vec![];
        for sheet in &self.sheets {
            for (column, heading) in sheet.headings.iter().enumerate() {
                let cells = || sheet.rows.iter().map(|row| &row[column]);
                let has = |place: usize| cells().any(|cell| companions(cell)[place].is_some());
                let places = VALUE_SUFFIXES.iter().enumerate().filter(|&(place, _)| has(place));
                columns.push(heading.clone());
                columns.extend(places.map(|(_, (suffix, _))| format!("{heading}.{suffix}")));
            }
        }
        let mut known = HashSet::new();
        columns.retain(|column| known.insert(column.clone()));
        columns
    }
}

/// Returns the exported columns of a cell: its value, interval, standard deviation, p-value and count.
fn exported(heading: &str, cell: &Cell) -> Vec<(String, Datum)> {
    let value = match cell {
        Cell::Level { value, .. } => value.clone(),
        Cell::Absent | Cell::Missing | Cell::Failed => Datum::Null,
        Cell::Value(value) => Datum::Real(value.mean),
    };
    let companions = companions(cell).into_iter().zip(VALUE_SUFFIXES);
    let companions =
        companions.filter_map(|(datum, (suffix, _))| Some((format!("{heading}.{suffix}"), datum?)));
    std::iter::once((heading.to_owned(), value)).chain(companions).collect()
}

/// Returns what is exported beside the value of a cell, in the order of [`VALUE_SUFFIXES`].
fn companions(cell: &Cell) -> [Option<Datum>; 5] {
    let Cell::Value(value) = cell else { return [const { None }; 5] };
    let (low, high) = value.interval.unzip();
    let [low, high, spread, adjusted] =
        [low, high, value.spread, value.adjusted].map(|real| real.map(Datum::Real));
    [low, high, spread, adjusted, Some(Datum::Whole(value.n as i64))]
}
