//! A table as the dashboard shows it: its points as grids (for a pivot), or filtered and sorted as a list.
//! Knows nothing of colours or keys.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::statistics::estimate::Estimate;
use fewbits_engine::table::front::front;
use fewbits_engine::table::points::{TablePoint, TablePoints};

use super::filter::Filter;
use super::messages::TableRequest;
use super::run_model::RunModel;

/// A table that the loader has made.
pub struct ShownTable {
    /// The table's points.
    pub groups: Arc<TablePoints>,
    /// The table's grids; empty if it is shown as a list.
    pub sheets: Vec<PivotGrid>,
    ranges: Vec<Option<(f64, f64)>>,
}

/// One grid of a pivot.
pub struct PivotGrid {
    /// The levels of the axes in `each`.
    pub title: Vec<usize>,
    /// The levels of each row.
    pub rows: Vec<Vec<usize>>,
    /// The levels of each column.
    pub columns: Vec<Vec<usize>>,
    cells: BTreeMap<(usize, usize), usize>,
}

impl ShownTable {
    /// Arranges points as a list.
    #[must_use]
    pub fn list(groups: Arc<TablePoints>) -> Self {
        Self { ranges: ranges(&groups), groups, sheets: vec![] }
    }

    /// Arranges points as grids. Of each point's levels, the first `each` select the grid, the next `rows` the row, and
    /// the rest the column.
    #[must_use]
    pub fn pivot(groups: Arc<TablePoints>, each: usize, rows: usize) -> Self {
        let mut titles: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (at, point) in groups.points.iter().enumerate() {
            titles.entry(point.levels[..each].to_vec()).or_default().push(at);
        }
        let sheets = titles.into_iter().map(|(title, points)| {
            let levels = |from: usize, to: usize| {
                let mut all: Vec<Vec<usize>> =
                    points.iter().map(|&at| groups.points[at].levels[from..to].to_vec()).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            let end = groups.axes.len();
            let (row_levels, column_levels) = (levels(each, each + rows), levels(each + rows, end));
            let place = |levels: &[usize], all: &[Vec<usize>]| {
                all.binary_search_by(|other| other.as_slice().cmp(levels)).unwrap_or(0)
            };
            let cells = points.iter().map(|&at| {
                let levels = &groups.points[at].levels;
                let row = place(&levels[each..each + rows], &row_levels);
                ((row, place(&levels[each + rows..], &column_levels)), at)
            });
            PivotGrid { title, cells: cells.collect(), rows: row_levels, columns: column_levels }
        });
        let sheets = sheets.collect();
        Self { ranges: ranges(&groups), groups, sheets }
    }

    /// Returns the smallest and the largest mean of a column.
    #[must_use]
    pub fn range(&self, column: usize) -> Option<(f64, f64)> {
        self.ranges.get(column).copied().flatten()
    }

    /// Returns the points that satisfy a filter, sorted by a column if `sort` has one. The columns of axes come before
    /// those of values.
    #[must_use]
    pub fn points(&self, study: &RunModel, filter: &Filter, sort: Option<(usize, bool)>) -> Vec<usize> {
        let points = &self.groups.points;
        let mut seen: Vec<usize> =
            (0..points.len()).filter(|&at| self.matches(study, filter, &points[at])).collect();
        if let Some((column, descending)) = sort {
            seen.sort_by(|&a, &b| {
                let order = self.order(&points[a], &points[b], column);
                if descending { order.reverse() } else { order }
            });
        }
        seen
    }

    /// Returns the Pareto front of these points, in the order of cost.
    #[must_use]
    pub fn front(&self, points: &[usize]) -> Vec<usize> {
        front(points.iter().map(|&at| &self.groups.points[at])).into_iter().map(|at| points[at]).collect()
    }

    fn matches(&self, study: &RunModel, filter: &Filter, point: &TablePoint) -> bool {
        filter.is_empty()
            || filter.matches(
                || {
                    labels(study.experiment(), &self.groups, point)
                        .into_iter()
                        .map(|(_, label)| label)
                        .collect::<Vec<_>>()
                        .join(" ")
                },
                |name| {
                    let label = labels(study.experiment(), &self.groups, point)
                        .into_iter()
                        .find(|(axis, _)| *axis == name);
                    let value = || {
                        let column = self
                            .groups
                            .headings
                            .iter()
                            .position(|heading| heading.eq_ignore_ascii_case(name))?;
                        Some(Cow::from(mean(point, column)?.to_string()))
                    };
                    label.map(|(_, label)| Cow::from(label)).or_else(value)
                },
            )
    }

    fn order(&self, a: &TablePoint, b: &TablePoint, column: usize) -> Ordering {
        match column.checked_sub(self.groups.axes.len()) {
            None => a.levels[column].cmp(&b.levels[column]),
            // A point without a value sorts lowest, so it comes last when the largest values are on top.
            Some(at) => {
                mean(a, at).unwrap_or(f64::NEG_INFINITY).total_cmp(&mean(b, at).unwrap_or(f64::NEG_INFINITY))
            }
        }
    }
}

impl PivotGrid {
    /// Returns the point in a cell.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Option<usize> {
        self.cells.get(&(row, column)).copied()
    }
}

/// Returns the smallest and the largest mean of each column.
fn ranges(groups: &TablePoints) -> Vec<Option<(f64, f64)>> {
    let range = |column: usize| {
        let means = groups.points.iter().filter_map(|point| mean(point, column));
        means.fold(None, |range, mean| match range {
            None => Some((mean, mean)),
            Some((low, high)) => Some((f64::min(low, mean), f64::max(high, mean))),
        })
    };
    (0..groups.headings.len()).map(range).collect()
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
    groups: &TablePoints,
    point: &TablePoint,
) -> Vec<(&'e str, &'e str)> {
    let axes = &experiment.axes;
    groups
        .axes
        .iter()
        .zip(&point.levels)
        .filter_map(|(&axis, &level)| {
            let axis = axes.get(axis)?;
            Some((axis.name.as_str(), axis.levels.get(level)?.label.as_str()))
        })
        .collect()
}

/// A point that other points are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// The point's table.
    pub wanted: TableRequest,
    /// The point's levels identify it, because its index changes while results arrive.
    levels: Vec<usize>,
    /// The point's axes and labels, as text.
    pub name: String,
    /// The point's means when it was pinned.
    pub values: Vec<Option<f64>>,
}

impl Pin {
    /// Pins a point of a table.
    #[must_use]
    pub fn at(
        study: Option<&RunModel>,
        shown: Option<&ShownTable>,
        wanted: TableRequest,
        at: usize,
    ) -> Option<Self> {
        let (study, groups) = (study?, &shown?.groups);
        let point = groups.points.get(at)?;
        let name = labels(study.experiment(), groups, point)
            .into_iter()
            .map(|(axis, label)| format!("{axis}={label}"));
        let values = (0..point.values.len()).map(|column| mean(point, column)).collect();
        Some(Self { wanted, levels: point.levels.clone(), name: name.collect::<Vec<_>>().join(" "), values })
    }

    /// Returns the point's current index in its table.
    #[must_use]
    pub fn place(&self, shown: &ShownTable) -> Option<usize> {
        shown.groups.points.iter().position(|point| point.levels == self.levels)
    }
}
