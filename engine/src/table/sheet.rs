//! A sheet: one grid of cells with headings.
//! Knows nothing of how a sheet is shown.

use super::flat::Datum;
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
    /// For each row, the point behind each of its values, as an index into the table's points; `None` where no point
    /// exists.
    pub points: Vec<Vec<Option<usize>>>,
    /// For each column of values, the index of the value among those of its point; `None` for a column of standard
    /// deviations.
    pub values: Vec<Option<usize>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The task does not exist, or a metric is undefined while no result is missing.
    Absent,
    /// A result is missing; in a pivot, or beside missing results, also an undefined metric.
    Missing,
    /// A result is missing because a task failed.
    Failed,
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

impl Sheet {
    /// Returns the point behind a cell, as an index into the table's points; columns of values are counted from 0.
    #[must_use]
    pub fn point(&self, row: usize, column: usize) -> Option<usize> {
        self.points.get(row)?.get(column).copied().flatten()
    }

    /// Returns the largest number of replicates of a value.
    #[must_use]
    pub fn most_replicates(&self) -> usize {
        let n = |cell: &Cell| if let Cell::Value(value) = cell { value.n } else { 0 };
        self.rows.iter().flatten().map(n).max().unwrap_or(0)
    }

    /// Returns the smallest and the largest finite mean of the sheet's values; `None` without one.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let mean = |cell: &Cell| if let Cell::Value(value) = cell { Some(value.mean) } else { None };
        let means = self.rows.iter().flatten().filter_map(mean).filter(|mean| mean.is_finite());
        means.fold(None, |range, mean| {
            let (low, high) = range.unwrap_or((mean, mean));
            Some((f64::min(low, mean), f64::max(high, mean)))
        })
    }
}
