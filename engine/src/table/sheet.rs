//! The tables an experiment asks for, as cells: a grid with headings, what it is of, and what is missing.
//! Knows nothing of how it is shown.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::estimate::{Estimate, mean};
use super::frame::{Frame, Row};
use super::long::json;
use super::results::Results;
use crate::graph::Graph;
use crate::ops::Ops;
use crate::spec::expression::Expression;
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

/// A group of rows at the same levels of some axes.
struct Group {
    levels: Vec<usize>,
    values: Vec<Option<Estimate>>,
}

/// The groups of one grid, by the levels of its rows, then of its columns.
type Grid<'g> = BTreeMap<&'g [usize], BTreeMap<&'g [usize], &'g Group>>;

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
    let (expressions, kept): (Vec<&Expression>, Vec<usize>) = match &table.shape {
        Shape::Table { rows, columns, .. } => (
            columns.iter().map(|(_, expression)| expression).collect(),
            rows.clone().unwrap_or_else(|| maker.rest()),
        ),
        Shape::Pivot { value, rows, columns, each } => {
            (vec![value], [each, rows, columns].into_iter().flatten().copied().collect())
        }
        Shape::Pareto { minimize, maximize } => (vec![minimize, maximize], maker.rest()),
    };
    let frame = Frame::new(graph, results, table, &expressions)?;
    let groups = maker.group(&frame, &kept, expressions.len());
    let sheets = match &table.shape {
        Shape::Table { columns, sort, .. } => {
            let headings = columns.iter().map(|(heading, _)| heading.clone()).collect();
            vec![maker.list(&kept, headings, sorted(groups, &kept, sort))]
        }
        Shape::Pivot { value, .. } if layout == Layout::Flat => {
            vec![maker.list(&kept, vec![value.text.clone()], groups)]
        }
        Shape::Pivot { rows, columns, each, .. } => maker.pivot(&groups, rows, columns, each),
        Shape::Pareto { minimize, maximize } => {
            let headings = vec![minimize.text.clone(), maximize.text.clone()];
            vec![maker.list(&kept, headings, front(groups))]
        }
    };
    Ok(Made {
        name: table.name.clone(),
        caption: maker.caption(&expressions, ops),
        sheets,
        missing: frame.missing,
    })
}

struct Maker<'m, O: Ops> {
    graph: &'m Graph<O>,
    table: &'m Table,
}

impl<O: Ops> Maker<'_, O> {
    /// Returns the table's axes that are neither replicated nor averaged.
    fn rest(&self) -> Vec<usize> {
        let experiment = &self.graph.experiment;
        let pooled = |axis: &usize| self.table.replicate == Some(*axis) || self.table.average.contains(axis);
        let mut axes = self.table.axes(&experiment.axes, &experiment.nodes);
        axes.retain(|axis| !pooled(axis));
        axes
    }

    /// Groups rows by the levels of `kept`; within a group, averages within each unit of replication first.
    fn group(&self, frame: &Frame, kept: &[usize], width: usize) -> Vec<Group> {
        let level = |row: &Row, axis: usize| frame.points.level(row.point, axis).unwrap_or_default();
        let mut groups: BTreeMap<Vec<usize>, BTreeMap<usize, Vec<&Row>>> = BTreeMap::new();
        for row in &frame.rows {
            let levels = kept.iter().map(|&axis| level(row, axis)).collect();
            let unit = self.table.replicate.map_or(0, |axis| level(row, axis));
            groups.entry(levels).or_default().entry(unit).or_default().push(row);
        }
        let estimate = |units: &BTreeMap<usize, Vec<&Row>>, at: usize| {
            let of_unit =
                |rows: &Vec<&Row>| mean(&rows.iter().filter_map(|row| row.values[at]).collect::<Vec<_>>());
            Estimate::of(&units.values().filter_map(of_unit).collect::<Vec<_>>())
        };
        let make = |(levels, units): (Vec<usize>, BTreeMap<_, _>)| Group {
            levels,
            values: (0..width).map(|at| estimate(&units, at)).collect(),
        };
        groups.into_iter().map(make).collect()
    }

    fn list(&self, kept: &[usize], values: Vec<String>, groups: Vec<Group>) -> Sheet {
        let headings = kept.iter().map(|&axis| self.axis(axis)).chain(values).collect();
        let row = |group: Group| {
            let labels = kept.iter().zip(&group.levels).map(|(&axis, &level)| self.level(axis, level));
            labels
                .chain(group.values.into_iter().map(|value| value.map_or(Cell::Missing, Cell::Value)))
                .collect()
        };
        Sheet {
            title: String::new(),
            headings,
            axes: kept.len(),
            rows: groups.into_iter().map(row).collect(),
        }
    }

    fn pivot(&self, groups: &[Group], rows: &[usize], columns: &[usize], each: &[usize]) -> Vec<Sheet> {
        // Groups are keyed by each, then rows, then columns.
        let mut grids: BTreeMap<&[usize], Grid<'_>> = BTreeMap::new();
        for group in groups {
            let (title, rest) = group.levels.split_at(each.len());
            let (row, column) = rest.split_at(rows.len());
            grids.entry(title).or_default().entry(row).or_default().insert(column, group);
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
        let row = |(levels, cells): (&&[usize], &BTreeMap<&[usize], &Group>)| {
            let labels = rows.iter().zip(*levels).map(|(&axis, &level)| self.level(axis, level));
            let value = |column: &&[usize]| match cells.get(column).map(|group| group.values[0]) {
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

    fn caption(&self, expressions: &[&Expression], ops: &O) -> String {
        let what: Vec<&str> = expressions.iter().map(|expression| expression.text.as_str()).collect();
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

fn sorted(mut groups: Vec<Group>, kept: &[usize], sort: &[(SortKey, bool)]) -> Vec<Group> {
    // The last key first: sorting is stable.
    for &(key, descending) in sort.iter().rev() {
        groups.sort_by(|a, b| {
            let order = match key {
                SortKey::Axis(axis) => kept
                    .iter()
                    .position(|&kept| kept == axis)
                    .map_or(std::cmp::Ordering::Equal, |at| a.levels[at].cmp(&b.levels[at])),
                SortKey::Column(at) => {
                    let number = |group: &Group| group.values[at].map_or(f64::NAN, |value| value.mean);
                    number(a).total_cmp(&number(b))
                }
            };
            if descending { order.reverse() } else { order }
        });
    }
    groups
}

/// Keeps the groups that no other beats: none is smaller in the first value and at least as large in the second,
/// or equal in the first and larger in the second.
fn front(mut groups: Vec<Group>) -> Vec<Group> {
    // −0 and 0 are the same cost; a value that is no number is no point.
    let mean = |value: Option<Estimate>| value.map(|value| value.mean + 0.0).filter(|mean| !mean.is_nan());
    let means = |group: &Group| Some((mean(group.values[0])?, mean(group.values[1])?));
    groups.retain(|group| means(group).is_some());
    groups.sort_by(|a, b| {
        let ((a_cost, a_gain), (b_cost, b_gain)) =
            (means(a).unwrap_or_default(), means(b).unwrap_or_default());
        a_cost.total_cmp(&b_cost).then(b_gain.total_cmp(&a_gain))
    });
    let mut best: Option<(f64, f64)> = None;
    groups.retain(|group| {
        let Some((cost, gain)) = means(group) else { return false };
        let on_front = best.is_none_or(|(best_cost, best_gain)| {
            gain > best_gain || (gain == best_gain && cost == best_cost)
        });
        if on_front {
            best = Some((cost, gain));
        }
        on_front
    });
    groups
}
