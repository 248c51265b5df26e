//! The sheets of a table: grids of cells with headings and a caption.
//! Knows nothing of how a sheet is shown.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::answer::Answer;
use super::error::TableError;
use super::flat::{Datum, DuplicateColumn, Flat};
use super::front::front;
use super::points::{TablePoint, TablePoints};
use super::results::Results;
use super::rows::Rows;
use crate::dense::{AxisId, NodeId};
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::axis::Axes;
use crate::spec::heading::{BESIDE, PART};
use crate::spec::table::{Interval, Question, SortKey, Table, TableKind};
use crate::statistics::SIGNIFICANT;
use crate::statistics::estimate::Estimate;

/// One grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The title: the combination of the axes in `each`; empty for a single grid.
    pub title: String,
    /// The headings: first the axes, then the values.
    pub headings: Vec<String>,
    /// The number of headings that are axes.
    pub axes: usize,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The task does not exist, or a metric is undefined while no result is missing.
    Absent,
    /// A result is missing; in a pivot, or beside missing results, also an undefined metric.
    Missing,
    /// A level of an axis.
    Level {
        /// The label of the level.
        label: String,
        /// The value of the level.
        value: Datum,
    },
    /// A value with its estimate over replicates.
    Value(Estimate),
}

/// A table in its made form.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSheets {
    /// The name.
    pub name: String,
    /// The caption: one sentence about the values, intervals, tests and the filter.
    pub caption: String,
    /// The grids.
    pub sheets: Vec<Sheet>,
    /// The answer of a `Choose` table; `None` for the other kinds.
    pub choice: Option<Answer>,
    /// The number of rows with missing results.
    pub missing: usize,
}

/// The points of one grid, by the levels of its rows, then of its columns.
type Grid<'g> = BTreeMap<&'g [usize], BTreeMap<&'g [usize], &'g TablePoint>>;

/// The layout of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As grids, for people.
    Grid,
    /// As one list with a row per point, for programs.
    Flat,
}

/// Makes a table from results; the error contains the expression that cannot be evaluated.
pub fn make<O: Ops>(
    ops: &O,
    graph: &TaskGraph<O>,
    results: &Results,
    table: &Table,
    layout: Layout,
) -> Result<TableSheets, TableError> {
    let maker = Maker { graph, table };
    let frame = Rows::new(graph, results, table, &table.values())?;
    let groups = TablePoints::from_frame(graph, &frame, table);
    let choice = Answer::from_frame(graph, &frame, table);
    let (axes, points) = (&groups.axes, &groups.points);
    let list = |points: &[TablePoint]| maker.list(&groups, points, layout);
    let sheets = match &table.shape {
        TableKind::Table { sort, .. } => {
            vec![list(&sorted(points.clone(), axes, sort, &graph.experiment.axes))]
        }
        TableKind::Pivot { .. } if layout == Layout::Flat => vec![list(points)],
        TableKind::Pivot { rows, columns, each, .. } => maker.pivot(points, rows, columns, each),
        TableKind::Pareto { .. } => {
            let best: Vec<TablePoint> = front(points).into_iter().map(|at| points[at].clone()).collect();
            vec![list(&best)]
        }
        TableKind::Contrast { .. } => vec![list(points)],
        TableKind::Choose(_) => match choice.as_ref().filter(|_| layout == Layout::Grid) {
            Some(choice) => vec![maker.parts(choice, &groups)],
            None => vec![list(points)],
        },
    };
    let mut caption = maker.caption(ops);
    let near_chance =
        |cell: &Cell| matches!(cell, Cell::Value(value) if value.near_chance && value.interval.is_some());
    if sheets.iter().flat_map(|sheet| sheet.rows.iter().flatten()).any(near_chance) {
        caption += "; a–b is from the least to the largest, near chance";
    }
    let missing = groups.missing;
    Ok(TableSheets { name: table.name.clone(), caption, sheets, choice, missing })
}

impl TableSheets {
    /// Returns the table for other programs, with a row per row of each grid. A row has the values of the axes, then
    /// each value with its interval, standard deviation, p-value and count, as far as they exist.
    pub fn flat(&self) -> Result<Flat, DuplicateColumn> {
        let mut flat = Flat::default();
        for sheet in &self.sheets {
            for row in &sheet.rows {
                let cells = sheet.headings.iter().zip(row);
                flat.add(cells.flat_map(|(heading, cell)| beside(heading, cell)))?;
            }
        }
        Ok(flat)
    }
}

/// Returns the exported columns of a cell: its value, interval, standard deviation, p-value and count.
fn beside(heading: &str, cell: &Cell) -> Vec<(String, Datum)> {
    let value = match cell {
        Cell::Level { value, .. } => return vec![(heading.to_owned(), value.clone())],
        Cell::Absent | Cell::Missing => return vec![(heading.to_owned(), Datum::Null)],
        Cell::Value(value) => value,
    };
    let (low, high) = value.interval.unzip();
    let real = |number: Option<f64>| number.map(Datum::Real);
    let more = [low, high, value.spread, value.adjusted].map(real).into_iter();
    let more = more.chain([Some(Datum::Whole(value.n as i64))]).zip(BESIDE);
    let more = more.filter_map(|(datum, (suffix, _))| Some((format!("{heading}.{suffix}"), datum?)));
    std::iter::once((heading.to_owned(), Datum::Real(value.mean))).chain(more).collect()
}

/// Returns the caption of a table, in one sentence.
pub fn caption<O: Ops>(ops: &O, graph: &TaskGraph<O>, table: &Table) -> String {
    Maker { graph, table }.caption(ops)
}

struct Maker<'m, O: Ops> {
    graph: &'m TaskGraph<O>,
    table: &'m Table,
}

impl<O: Ops> Maker<'_, O> {
    fn list(&self, groups: &TablePoints, points: &[TablePoint], layout: Layout) -> Sheet {
        let (kept, headings) = (&groups.axes, &groups.headings);
        // If no result is missing, an absent value is undefined or its task does not exist.
        let none = if groups.missing > 0 { Cell::Missing } else { Cell::Absent };
        // In grids, the standard deviation of averaged values has a column of its own.
        let apart: Vec<usize> = (0..headings.len())
            .filter(|&at| layout == Layout::Grid && points.iter().any(|point| spread(point, at).is_some()))
            .collect();
        let spreads = apart.iter().map(|&at| format!("{}: {}", headings[at], self.spread()));
        let headings =
            kept.iter().map(|&axis| self.axis(axis)).chain(headings.iter().cloned()).chain(spreads);
        let row = |point: &TablePoint| {
            let labels = kept.iter().zip(&point.levels).map(|(&axis, &level)| self.level(axis, level));
            let values = point.values.iter().map(|value| value.map_or(none.clone(), Cell::Value));
            let spreads = apart.iter().map(|&at| spread(point, at).map_or(Cell::Absent, Cell::Value));
            labels.chain(values).chain(spreads).collect()
        };
        Sheet {
            title: String::new(),
            headings: headings.collect(),
            axes: kept.len(),
            rows: points.iter().map(row).collect(),
        }
    }

    /// Returns a sheet of the points in an answer, each with its part in it.
    fn parts(&self, choice: &Answer, groups: &TablePoints) -> Sheet {
        let parts = [
            ("chosen", choice.chosen),
            ("runner-up", choice.runner_up),
            ("next smaller", choice.smaller),
            ("closest", choice.closest),
        ];
        let mut sheet = self.list(groups, &[], Layout::Grid);
        sheet.headings.insert(0, PART.to_owned());
        sheet.axes += 1;
        for (part, at) in parts {
            let Some(levels) = at.map(|at| &choice.candidates[at].levels) else { continue };
            let Some(point) = groups.points.iter().find(|point| point.levels == *levels) else { continue };
            let own = self.list(groups, std::slice::from_ref(point), Layout::Flat);
            let part = Cell::Level { label: part.to_owned(), value: Datum::Text(part.to_owned()) };
            sheet.rows.extend(own.rows.into_iter().map(|row| [vec![part.clone()], row].concat()));
        }
        sheet
    }

    fn pivot(
        &self,
        points: &[TablePoint],
        rows: &[AxisId],
        columns: &[AxisId],
        each: &[AxisId],
    ) -> Vec<Sheet> {
        // The levels of a point are those of `each`, then the rows, then the columns.
        let mut grids: BTreeMap<&[usize], Grid<'_>> = BTreeMap::new();
        for point in points {
            let (title, rest) = point.levels.split_at(each.len());
            let (row, column) = rest.split_at(rows.len());
            grids.entry(title).or_default().entry(row).or_default().insert(column, point);
        }
        let mut sheets = vec![];
        for (title, grid) in grids {
            let title = self.point(each, title);
            let means = self.grid(&grid, rows, columns, &|point| point.values[0]);
            sheets.push(Sheet { title: title.clone(), ..means });
            if grid.values().flat_map(BTreeMap::values).any(|point| spread(point, 0).is_some()) {
                let spreads = self.grid(&grid, rows, columns, &|point| spread(point, 0));
                let title = [title, self.spread()].into_iter().filter(|part| !part.is_empty());
                sheets.push(Sheet { title: title.collect::<Vec<_>>().join("; "), ..spreads });
            }
        }
        sheets
    }

    fn grid(
        &self,
        grid: &Grid<'_>,
        rows: &[AxisId],
        columns: &[AxisId],
        of: &dyn Fn(&TablePoint) -> Option<Estimate>,
    ) -> Sheet {
        let mut across: Vec<&[usize]> = grid.values().flat_map(|row| row.keys().copied()).collect();
        across.sort_unstable();
        across.dedup();
        let across_headings = across.iter().map(|levels| self.point(columns, levels));
        let row = |(levels, cells): (&&[usize], &BTreeMap<&[usize], &TablePoint>)| {
            let labels = rows.iter().zip(*levels).map(|(&axis, &level)| self.level(axis, level));
            let value = |column: &&[usize]| match cells.get(column).map(|point| of(point)) {
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

    /// Returns the ops of the nodes in the table's expressions and of all nodes upstream.
    fn works(&self) -> Vec<&O::Op> {
        let nodes = &self.graph.experiment.nodes;
        let mut wanted: Vec<NodeId> = nodes
            .ids()
            .filter(|&node| self.table.expressions().iter().any(|of| of.mentions(&nodes[node].name)))
            .collect();
        let mut at = 0;
        while at < wanted.len() {
            let new: Vec<NodeId> =
                nodes[wanted[at]].inputs.iter().copied().filter(|input| !wanted.contains(input)).collect();
            wanted.extend(new);
            at += 1;
        }
        wanted.into_iter().flat_map(|node| &self.graph.steps[node].works).map(|work| &work.op).collect()
    }

    fn caption(&self, ops: &O) -> String {
        let what: Vec<&str> = self.table.values().iter().map(|value| value.text.as_str()).collect();
        let mut text = match &self.table.shape {
            TableKind::Choose(choose) => choose_caption(choose, self.table),
            _ => what.join(", "),
        };
        let named = |axis: AxisId| format!("`{}`", self.axis(axis));
        let names = |axes: &[AxisId]| axes.iter().map(|&axis| self.axis(axis)).collect::<Vec<_>>().join(", ");
        if let TableKind::Contrast { between, .. } = &self.table.shape {
            let between: Vec<String> = between.iter().map(|&axis| named(axis)).collect();
            let verb = if between.len() == 1 { "changes" } else { "change" };
            text += &format!("; what {} {verb}", between.join(" and "));
        }
        let over = self.table.replicate.map(|axis| self.axis(axis));
        match (self.table.interval, over) {
            (Interval::Seeds, Some(over)) => text += &format!("; mean and 95 % t interval over {over}"),
            (Interval::Seeds, None) => {}
            (Interval::Images, None) => text += "; 95 % interval over images, for these networks alone",
            (Interval::Images, Some(over)) => {
                text +=
                    &format!("; mean over {over} and 95 % interval over images, for these networks alone");
            }
            (Interval::Both, over) => {
                let over = over.map_or(String::new(), |over| format!("{over} and "));
                text += &format!("; mean and 95 % interval over {over}images at once");
            }
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
        text += &self.marks();
        if let Some(remark) = ops.remark(&self.works()) {
            text += &format!("; {remark}");
        }
        text
    }

    /// Returns the meaning of the marks in the table, and the rule by which points are left out.
    fn marks(&self) -> String {
        let adjusted = format!("Holm-adjusted over the table, {:.0} %", SIGNIFICANT * 100.0);
        match &self.table.shape {
            TableKind::Pivot { margin: Some(margin), .. } => {
                format!("; * is below {margin} (one-sided t test, {adjusted})")
            }
            TableKind::Contrast { .. } => format!("; * is not zero (two-sided t test, {adjusted})"),
            TableKind::Pareto { .. } => "; only points that no other beats in both means".to_owned(),
            TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Choose(_) => String::new(),
        }
    }

    /// Returns the heading of the standard deviation of averaged values.
    fn spread(&self) -> String {
        let names: Vec<String> = self.table.average.iter().map(|&axis| self.axis(axis)).collect();
        format!("standard deviation over {}", names.join(", "))
    }

    fn axis(&self, axis: AxisId) -> String {
        self.graph.experiment.axes[axis].name.clone()
    }

    fn level(&self, axis: AxisId, level: usize) -> Cell {
        let value = Datum::from(&self.graph.experiment.axes[axis].levels[level].value);
        Cell::Level { label: self.label(axis, level), value }
    }

    fn label(&self, axis: AxisId, level: usize) -> String {
        self.graph.experiment.axes[axis].levels[level].label.clone()
    }

    fn point(&self, axes: &[AxisId], levels: &[usize]) -> String {
        let pair =
            |(&axis, &level): (&AxisId, &usize)| format!("{}={}", self.axis(axis), self.label(axis, level));
        axes.iter().zip(levels).map(pair).collect::<Vec<_>>().join(", ")
    }
}

fn choose_caption(choose: &Question, table: &Table) -> String {
    let is_bounded = table.replicate.is_some() || table.interval != Interval::Seeds;
    let how = if is_bounded { "with 95 % confidence" } else { "in this one training" };
    let what = match choose.max_drop {
        Some(most) => format!("that loses at most {most} of {} {how}", choose.select.value.text),
        None => format!("that cannot be told from the best in {}", choose.select.value.text),
    };
    let mut text = format!("the smallest {} {what}", choose.minimize.text);
    for (limit, most) in &choose.at_most {
        text += &format!("; {} at most {most}", limit.text);
    }
    match &choose.report {
        Some(report) if !choose.is_optimistic() => text += &format!("; reported on {}", report.value.text),
        Some(_) | None => text += "; optimistic: chosen and reported on the same images",
    }
    text
}

/// Returns the standard deviation of averaged values as an estimate of its own, for display.
fn spread(point: &TablePoint, at: usize) -> Option<Estimate> {
    let value = point.values.get(at).copied().flatten()?;
    let spread = value.spread?;
    Some(Estimate { n: value.n, ..Estimate::from_values(&[spread])? })
}

/// Sorts points. Axis values that are numbers sort by number, other axis values by their order in the file. Points
/// without a value, or with NaN, come last in both directions.
fn sorted(
    mut points: Vec<TablePoint>,
    kept: &[AxisId],
    sort: &[(SortKey, bool)],
    axes: &Axes,
) -> Vec<TablePoint> {
    // Sorting is stable, so the last key is applied first.
    for &(key, descending) in sort.iter().rev() {
        let place = |axis: AxisId| kept.iter().position(|&kept| kept == axis);
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
        points.sort_by(|a, b| match (number(a), number(b)) {
            (Some(a), Some(b)) => directed(a.total_cmp(&b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => directed(other(a).cmp(&other(b))),
        });
    }
    points
}
