//! The states of the views: their cursors, filters, orders and marks.
//! Holds data only.

use std::collections::BTreeSet;

use fewbits_engine::graph::TaskId;

use super::column_order::ColumnOrder;
use super::cursor::Cursor;
use super::filter::Filter;
use super::shown_table::PointName;

/// The state of the run view.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunViewState {
    pub(super) pane: Pane,
    pub(super) nodes: Cursor,
    pub(super) job: Cursor,
    /// The selected log entry; `None` while the log scrolls to each new entry.
    pub(super) log: Option<Cursor>,
}

/// A pane of the run view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Nodes,
    Running,
    Log,
}

impl Pane {
    pub(super) const ALL: [Self; 3] = [Self::Nodes, Self::Running, Self::Log];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Running => "running",
            Self::Log => "log",
        }
    }
}

/// The state of the training view.
#[derive(Clone, Debug, Default)]
pub struct CurvesState {
    /// The filter of the listed trainings.
    pub filter: Filter,
    /// The marked trainings, whose curves are shown.
    pub marked: BTreeSet<TaskId>,
    pub(super) cursor: Cursor,
    pub(super) log: bool,
}

/// The state of the view of runs.
#[derive(Clone, Debug, Default)]
pub struct RunsState {
    /// The filter of the listed runs.
    pub filter: Filter,
    pub(super) cursor: Cursor,
}

/// The state of the Pareto view.
#[derive(Clone, Debug, Default)]
pub struct ParetoState {
    /// The filter of the shown points.
    pub filter: Filter,
    pub(super) table: usize,
    pub(super) other_cost: bool,
    /// Whether the cursor moves over all points instead of the front only.
    pub(super) all: bool,
    pub(super) log: bool,
    pub(super) cursor: Cursor,
}

/// The state of the view of tables.
#[derive(Clone, Debug, Default)]
pub struct TablesState {
    /// The filter of the listed rows.
    pub filter: Filter,
    pub(super) table: usize,
    /// Whether every point is listed, instead of the table as it is printed.
    pub(super) list: bool,
    pub(super) cursor: Cursor,
    /// The columns of the list.
    pub(super) columns: ColumnOrder,
    pub(super) sort: Option<usize>,
    pub(super) descending: bool,
    /// The cell under the cursor of a heat map: grid, row, column.
    pub(super) cell: CellPosition,
    /// The point to which the cursor goes once the table is made: where it was in the version before.
    pub(super) sought: Option<PointName>,
}

/// The state of the task view.
#[derive(Clone, Debug, Default)]
pub struct TaskViewState {
    /// The filter of the listed tasks.
    pub filter: Filter,
    pub(super) sort: TaskSort,
    pub(super) reverse: bool,
    pub(super) cursor: Cursor,
    /// Whether the details have the keyboard focus, and their scroll offset in lines.
    pub(super) reading: bool,
    pub(super) scrolled: usize,
    pub(super) shown: Vec<TaskId>,
    /// The settings and the time that the list was made with; the list is made again if they change.
    pub(super) made_for: Option<(String, TaskSort, bool, bool, u64)>,
    /// The run's version when the list was made; `None` if the list does not depend on the run.
    pub(super) made_at: Option<u64>,
}

/// The order of the tasks in the task view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TaskSort {
    #[default]
    File,
    State,
    Seconds,
}

impl TaskSort {
    pub(super) fn next(self) -> Self {
        match self {
            Self::File => Self::State,
            Self::State => Self::Seconds,
            Self::Seconds => Self::File,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::File => "the order of the file",
            Self::State => "state",
            Self::Seconds => "seconds",
        }
    }
}

/// The position of a cell: its grid, row, and column of values.
pub type CellPosition = (usize, usize, usize);
