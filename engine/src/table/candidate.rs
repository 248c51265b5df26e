//! The candidates of a `Choose` table: points with the values that decide a choice.
//! Knows nothing of whether the values keep the limits.

use std::collections::BTreeMap;

use super::cell::{PointRows, WeightedValue, estimate};
use super::points::TablePoint;
use crate::spec::question::Question;
use crate::spec::table::Table;
use crate::statistics::estimate::Estimate;

/// The index of the selection value among a table's values.
const SELECT: usize = 1;

/// A point that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The level of each axis.
    pub levels: Vec<usize>,
    /// The size: the value to minimize, or the first limited value.
    pub size: Estimate,
    /// The value that the choice is based on.
    pub select: Estimate,
    /// The drop of the selection value: baseline minus value.
    pub select_drop: Option<Estimate>,
    /// The value that is reported.
    pub report: Option<Estimate>,
    /// The drop of the reported value: baseline minus value.
    pub report_drop: Option<Estimate>,
    /// The largest ratio of a limited value to its upper limit; the limits hold if it is at most 1.
    pub excess: f64,
    /// The confidence bound of each value with a lower limit; `None` if there is no bound.
    pub bounds: Vec<Option<f64>>,
    /// The largest ratio of a lower limit to the bound of its value; the limits hold if it is at most 1.
    pub shortfall: f64,
    /// Whether the candidate may be chosen among those that keep the limits: its drop is significantly within `max_drop`;
    /// else it has as many replicates as the others; without a limit on the quality it is not significantly worse than the
    /// best.
    pub is_enough: bool,
    /// Whether the candidate keeps the limits and is not significantly worse than the best that does; `false` below two
    /// replicates, and for questions that do not compare with the best.
    pub may_be_best: bool,
    /// Whether the baseline of the stated drop is near chance; without one, the stated value.
    pub starts_near_chance: bool,
}

impl Candidate {
    /// Returns the drop that the answer states: that of the reported value, else that of the selection value.
    #[must_use]
    pub fn drop(&self) -> Option<Estimate> {
        self.report_drop.or(self.select_drop)
    }

    /// Returns whether the candidate may be chosen.
    pub(super) fn is_good(&self) -> bool {
        self.keeps_limits() && self.is_enough
    }

    /// Returns whether the upper and the lower limits hold.
    #[must_use]
    pub fn keeps_limits(&self) -> bool {
        self.excess <= 1.0 && self.shortfall <= 1.0
    }

    /// Returns a number that is smaller for better candidates: the upper bound of the drop, or minus the selection
    /// value.
    pub(super) fn bound(&self) -> f64 {
        let bound = self.select_drop.map(|drop| drop.upper_bound().unwrap_or(drop.mean));
        bound.unwrap_or(-self.select.mean)
    }

    pub(super) fn is_twin_of(&self, other: &Self) -> bool {
        self.size == other.size && self.select == other.select && self.report == other.report
    }
}

/// A candidate with the values that have limits.
pub(super) struct Measured {
    /// The candidate; its limits are not decided yet.
    pub(super) candidate: Candidate,
    /// The mean of each value with an upper limit.
    pub(super) upper: Vec<Option<f64>>,
    /// The estimate of each value with a lower limit.
    pub(super) lower: Vec<Option<Estimate>>,
    /// The selection value by unit of replication.
    pub(super) units: BTreeMap<usize, f64>,
}

/// Estimates the values of the points of one group; a point without a size and a selection value is no candidate.
pub(super) fn measure(cells: &[&PointRows<'_>], choose: &Question, table: &Table) -> Vec<Measured> {
    let (columns, limits) = columns(choose);
    let measured = |cell: &PointRows<'_>| {
        let value = |column: &AnswerColumn| column.estimate(cell, table);
        let mut drops = [None; 2];
        let mut judged = [None; 2];
        for column in &columns[1..] {
            let place = usize::from(column.is_report);
            let into = if column.less.is_some() { &mut drops[place] } else { &mut judged[place] };
            *into = value(column);
        }
        let limited = |value: usize| estimate(&[WeightedValue { weight: 1.0, cell, value }], table);
        let lower = limits + choose.at_most.len();
        let [select_drop, report_drop] = drops;
        let candidate = Candidate {
            levels: cell.levels.clone(),
            size: value(&columns[0]).filter(|size| size.mean.is_finite())?,
            select: judged[0].filter(|select| !select.mean.is_nan())?,
            select_drop,
            report: judged[1],
            report_drop,
            excess: 1.0,
            bounds: vec![],
            shortfall: 1.0,
            is_enough: true,
            may_be_best: false,
            starts_near_chance: columns.last().is_some_and(|column| cell.is_near_chance(column.value)),
        };
        Some(Measured {
            candidate,
            upper: (limits..lower).map(|at| limited(at).map(|value| value.mean)).collect(),
            lower: (lower..lower + choose.at_least.len()).map(limited).collect(),
            units: cell.means(SELECT),
        })
    };
    cells.iter().copied().filter_map(measured).collect()
}

/// A column of a `Choose` table: a value, or the drop to its baseline.
struct AnswerColumn {
    value: usize,
    less: Option<usize>,
    is_report: bool,
}

impl AnswerColumn {
    fn estimate(&self, cell: &PointRows<'_>, table: &Table) -> Option<Estimate> {
        let value = WeightedValue { weight: 1.0, cell, value: self.value };
        match self.less {
            None => estimate(&[value], table),
            Some(less) => estimate(&[value, WeightedValue { weight: -1.0, cell, value: less }], table),
        }
    }
}

/// Returns the columns of a `Choose` table, size first, and the index of the first limit among the table's values.
fn columns(choose: &Question) -> (Vec<AnswerColumn>, usize) {
    let mut columns = vec![AnswerColumn { value: 0, less: None, is_report: false }];
    let mut next = SELECT;
    for (is_report, judged) in [(false, Some(&choose.select)), (true, choose.report.as_ref())] {
        let Some(judged) = judged else { continue };
        columns.push(AnswerColumn { value: next, less: None, is_report });
        if judged.baseline.is_some() {
            columns.push(AnswerColumn { value: next + 1, less: Some(next), is_report });
            next += 1;
        }
        next += 1;
    }
    (columns, next)
}

/// Returns a point for every candidate.
pub(super) fn points(cells: &[PointRows<'_>], choose: &Question, table: &Table) -> Vec<TablePoint> {
    let (columns, _) = columns(choose);
    let make = |cell: &PointRows<'_>| TablePoint {
        levels: cell.levels.clone(),
        values: columns.iter().map(|column| column.estimate(cell, table)).collect(),
        units: vec![],
        is_failed: cell.has_failures(),
    };
    cells.iter().map(make).collect()
}
