//! A table as the dashboard shows it: the sheets that `fewbits table` prints, as texts, and a sheet of all points to
//! filter and sort.
//! Knows nothing of colours or keys.

use std::borrow::Cow;
use std::cmp::Ordering;

use fewbits_engine::graph::TaskGraph;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::table::Table;
use fewbits_engine::statistics::estimate::Estimate;
use fewbits_engine::table::flat::Datum;
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::points::{TablePoint, TablePoints};
use fewbits_engine::table::sheet::{Cell, Sheet};
use fewbits_engine::table::table_sheets::TableSheets;
use fewbits_ops::StandardOps;

use super::column_order::ColumnCount;
use super::filter::Filter;
use super::paint::width;
use super::run_model::RunModel;
use crate::render::choice;
use crate::render::number::short;
use crate::render::table::cell_text;
use crate::ui::plain::printable;

/// A table to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableRequest {
    /// The table's position in the experiment file.
    pub table: usize,
    /// Whether a Pareto table uses the other measure of size: bytes instead of bits per weight, or the reverse.
    pub other_cost: bool,
}

/// A table that the loader has made.
#[derive(Debug, PartialEq)]
pub struct ShownTable {
    /// The caption, as `fewbits table` prints it.
    pub caption: String,
    /// The sheets, as `fewbits table` prints them.
    pub sheets: Vec<ShownSheet>,
    /// The arrangement of the sheets.
    pub arrangement: Arrangement,
    /// A sheet with a row for each point, in the order of the points.
    pub every: ShownSheet,
    /// The points.
    pub points: TablePoints,
    /// The answer of a `Choose` table in sentences; empty for the other kinds.
    pub answer: Vec<String>,
}

/// A sheet with its cells as texts.
#[derive(Debug, PartialEq)]
pub struct ShownSheet {
    /// The sheet.
    pub sheet: Sheet,
    /// The text of each cell, as `fewbits table` prints it.
    pub texts: Vec<Vec<String>>,
    /// The mean in each cell alone, with as many decimals as the largest one of the sheet needs.
    pub means: Vec<Vec<String>>,
    /// The terminal columns of the widest text of each column, its heading not counted.
    pub widths: Vec<usize>,
    /// The smallest and the largest mean.
    pub range: Option<(f64, f64)>,
}

/// Some rows of a sheet, in the order in which they are listed.
pub struct ListedRows<'s> {
    /// The sheet.
    pub shown: &'s ShownSheet,
    /// The indices of the rows.
    pub rows: Vec<usize>,
}

impl ShownTable {
    /// Prepares a table.
    #[must_use]
    pub fn new(graph: &TaskGraph<StandardOps>, table: &Table, made: TableSheets) -> Self {
        let answer = choice::answers(&made.answers, table, &graph.experiment);
        Self {
            every: ShownSheet::new(made.every_point(graph, table)),
            caption: made.caption,
            sheets: made.sheets.into_iter().map(ShownSheet::new).collect(),
            arrangement: made.arrangement,
            points: made.points,
            answer,
        }
    }

    /// Returns the rows of the list. Without filter and sorting they are those of the printed table; `all` lists every
    /// point instead.
    #[must_use]
    pub fn listing(&self, filter: &Filter, sort: Option<(usize, bool)>, all: bool) -> ListedRows<'_> {
        let printed = self.sheets.first().filter(|_| !all);
        let is_printed = filter.is_empty() && self.sheets.len() == 1;
        let shown = match self.arrangement {
            Arrangement::List | Arrangement::Answer => printed,
            // The points that satisfy a filter have a front of their own, and so does each group.
            Arrangement::Front => printed.filter(|_| is_printed),
            Arrangement::Grids => None,
        };
        let shown = shown.unwrap_or(&self.every);
        let mut rows: Vec<usize> =
            (0..shown.sheet.rows.len()).filter(|&row| shown.matches(row, filter)).collect();
        if self.arrangement == Arrangement::Front && !all && !is_printed {
            rows = self.front(&rows);
        }
        if let Some((column, descending)) = sort {
            rows.sort_by(|&a, &b| self.order(&shown.sheet, a, b, column, descending));
        }
        ListedRows { shown, rows }
    }

    /// Returns the points that satisfy a filter, by ascending value of their first column.
    #[must_use]
    pub fn by_cost(&self, filter: &Filter) -> Vec<usize> {
        let cost = self.every.sheet.axes;
        // The rows of this sheet are the points.
        self.listing(filter, Some((cost, false)), true).rows
    }

    /// Returns the Pareto front of these points, group by group, each by ascending cost.
    #[must_use]
    pub fn front(&self, points: &[usize]) -> Vec<usize> {
        self.points.fronts(points).concat()
    }

    /// Compares two rows by a column. Missing values and NaN come last in both directions; levels that are not numbers
    /// keep the order of the file.
    fn order(&self, sheet: &Sheet, a: usize, b: usize, column: usize, descending: bool) -> Ordering {
        let number = |row: usize| match sheet.rows[row].get(column)? {
            Cell::Value(value) => Some(value.mean).filter(|mean| !mean.is_nan()),
            Cell::Level { value: Datum::Whole(value), .. } => Some(*value as f64),
            Cell::Level { value: Datum::Real(value), .. } => Some(*value).filter(|value| !value.is_nan()),
            Cell::Level { .. } | Cell::Absent | Cell::Missing | Cell::Failed => None,
        };
        // The part of a point in an answer is no axis.
        let own_columns = sheet.axes - self.points.axes.len().min(sheet.axes);
        let level = |row: usize| {
            let point = self.points.points.get(sheet.point(row, 0)?)?;
            point.levels.get(column.checked_sub(own_columns)?).copied()
        };
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        match (number(a), number(b)) {
            (Some(a), Some(b)) => directed(a.total_cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => directed(level(a).cmp(&level(b))),
        }
    }
}

impl ShownSheet {
    /// Prepares a sheet.
    #[must_use]
    pub fn new(sheet: Sheet) -> Self {
        let (most, range) = (sheet.most_replicates(), sheet.range());
        let text = |cell: &Cell| printable(&cell_text(cell, most));
        let mean = |cell: &Cell| match cell {
            Cell::Value(value) => short(value.mean, range, false),
            other => text(other),
        };
        let texts: Vec<Vec<String>> = sheet.rows.iter().map(|row| row.iter().map(text).collect()).collect();
        let means = sheet.rows.iter().map(|row| row.iter().map(mean).collect()).collect();
        let widest = |column: usize| {
            texts.iter().filter_map(|row| row.get(column)).map(|text| width(text)).max().unwrap_or(0)
        };
        let widths = (0..sheet.headings.len()).map(widest).collect();
        Self { sheet, texts, means, widths, range }
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn column_count(&self) -> ColumnCount {
        ColumnCount { axes: self.sheet.axes, all: self.sheet.headings.len() }
    }

    /// Returns the column with a heading, or the only one whose heading ends in `.` and the name: `accuracy` is the
    /// column `accuracy.accuracy`. Case does not matter.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        let headings = || self.sheet.headings.iter().map(|heading| heading.to_lowercase()).enumerate();
        let ending = format!(".{name}");
        let exact = headings().find(|(_, heading)| *heading == *name);
        let mut ends = headings().filter(|(_, heading)| heading.ends_with(&ending));
        let only = ends.next().filter(|_| ends.next().is_none());
        exact.or(only).map(|(column, _)| column)
    }

    /// Returns the named levels of a row.
    fn levels(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let cells = self.sheet.headings.iter().zip(&self.sheet.rows[row]);
        cells.filter_map(|(heading, cell)| match cell {
            Cell::Level { label, .. } => Some((heading.as_str(), label.as_str())),
            Cell::Absent | Cell::Missing | Cell::Failed | Cell::Value(_) => None,
        })
    }

    fn matches(&self, row: usize, filter: &Filter) -> bool {
        let label = |name: &str| self.levels(row).find(|(axis, _)| *axis == name).map(|(_, label)| label);
        let value = |name: &str| {
            let Cell::Value(value) = &self.sheet.rows[row][self.column(name)?] else { return None };
            Some(Cow::from(value.mean.to_string()))
        };
        filter.is_empty()
            || filter.matches(
                || self.levels(row).map(|(_, label)| label).collect::<Vec<_>>().join(" "),
                |name| label(name).map(Cow::from).or_else(|| value(name)),
            )
    }
}

/// Returns the estimate of a point in a column.
#[must_use]
pub fn value(point: &TablePoint, column: usize) -> Option<Estimate> {
    point.values.get(column).copied().flatten()
}

/// Returns the mean of a point in a column.
#[must_use]
pub fn mean(point: &TablePoint, column: usize) -> Option<f64> {
    value(point, column).map(|value| value.mean)
}

/// Returns the axes of a point, each with the label of its level.
#[must_use]
pub fn labels<'e>(
    experiment: &'e Experiment,
    points: &TablePoints,
    point: &TablePoint,
) -> Vec<(&'e str, &'e str)> {
    experiment.labels(&points.axes, &point.levels).collect()
}

/// A point that other points are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// The point's table.
    pub request: TableRequest,
    /// The point's axes and labels, as text.
    pub name: String,
    /// The point when it was pinned.
    pub point: TablePoint,
}

impl Pin {
    /// Pins a point of a table.
    #[must_use]
    pub fn at(
        run: Option<&RunModel>,
        shown: Option<&ShownTable>,
        wanted: TableRequest,
        at: usize,
    ) -> Option<Self> {
        let (run, points) = (run?, &shown?.points);
        let point = points.points.get(at)?;
        let name = labels(run.experiment(), points, point)
            .into_iter()
            .map(|(axis, label)| format!("{axis}={label}"));
        Some(Self { request: wanted, name: name.collect::<Vec<_>>().join(" "), point: point.clone() })
    }

    /// Returns the point's current index in its table.
    #[must_use]
    pub fn place(&self, shown: &ShownTable) -> Option<usize> {
        // The levels identify the point, because its index changes while results arrive.
        shown.points.points.iter().position(|point| point.levels == self.point.levels)
    }
}

/// The name of a point of a table. It does not depend on the order of axes and points, so it finds the point in another
/// run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PointName {
    table: String,
    axes: Vec<(String, String)>,
}

impl PointName {
    /// Creates the name of a point from its axes and their labels.
    #[must_use]
    pub fn new<'l>(table: &str, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let axes = labels.into_iter().map(|(axis, label)| (axis.to_owned(), label.to_owned()));
        let mut axes: Vec<(String, String)> = axes.collect();
        axes.sort_unstable();
        Self { table: table.to_owned(), axes }
    }
}
