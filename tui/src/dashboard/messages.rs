//! What goes between the dashboard's state and the world: news come in, asks go out.
//! Holds data only; the clerk and the pilot act on it.

use std::collections::HashMap;
use std::sync::Arc;

use fewbits_engine::event::Summary;
use fewbits_engine::graph::TaskId;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run_log::LoggedEvent;
use fewbits_engine::table::points::TablePoints;
use fewbits_store::Record;
use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::run_model::OpenedRun;

/// A table to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableRequest {
    /// Its place in the file.
    pub table: usize,
    /// Whether a Pareto table is wanted over the other measure of size.
    pub other_cost: bool,
}

/// What the state is folded over, besides the clock.
pub enum Update {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows.
    Size(u16, u16),
    /// A run was opened.
    Opened(Box<OpenedRun>),
    /// These lines of its journal were read.
    Happened(Vec<LoggedEvent>),
    /// Its process is gone without a word.
    Gone,
    /// This is the run of this process from now on.
    Own(String),
    /// The run of this process ended.
    Ended(Summary),
    /// A table was made; or what does not fit in it.
    Table(TableRequest, Result<Arc<TablePoints>, String>),
    /// The record of a task was read; none if there is none.
    Record(TaskId, Option<Arc<Record>>),
    /// The past runs, newest first.
    Runs(Vec<PastRun>),
    /// A past run was read to be compared with.
    Baseline(Box<Baseline>),
    /// The dashboard must be closed.
    Close,
    /// Something could not be done.
    Trouble(String),
}

/// What the state wants of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Open a run and follow it.
    Open(String),
    /// Keep this table fresh.
    Table(Option<TableRequest>),
    /// Read the record of a task.
    Record {
        /// The run it is of.
        run: String,
        /// The task.
        task: TaskId,
        /// Its key in hex; empty where it was not told.
        key: String,
    },
    /// List the past runs and keep the list fresh; or keep it no longer.
    Runs(bool),
    /// Read a past run to compare with.
    Baseline(String),
    /// Put a text on the clipboard and into a file.
    Copy(String),
    /// Ask the run of this process to end.
    Halt(Halt),
    /// End the process at once.
    Abort,
    /// Give the terminal to the shell until it is given back.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Close the dashboard.
    Leave(Leave),
}

/// How the dashboard is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The run is over, or not ours.
    Over,
    /// The run goes on with plain lines.
    Lines,
    /// The run goes on in a process of its own.
    Detach,
}

/// A past run.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// Its id.
    pub id: String,
    /// Its experiment.
    pub experiment: String,
    /// How it ended; none if it did not, or has not yet.
    pub summary: Option<Summary>,
    /// Whether its process is there.
    pub going: bool,
}

/// A past run to compare with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Its id.
    pub id: String,
    /// Tasks of this name in both runs.
    pub shared: usize,
    /// Those of them with another key.
    pub other: usize,
    /// Tasks that only the run shown has.
    pub only_here: usize,
    /// Tasks that only the baseline has.
    pub only_there: usize,
    /// What differs in the preimages of tasks of the same name, from the baseline to here, and in how many.
    pub changes: Vec<(String, usize)>,
    /// The means of its tables.
    pub values: HashMap<PointName, Vec<Option<f64>>>,
}

/// A point of a table, found again in another run: nothing in it depends on an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PointName {
    table: String,
    axes: Vec<(String, String)>,
}

impl PointName {
    /// Makes the place of a point from its axes and the labels of their values.
    #[must_use]
    pub fn new<'l>(table: &str, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let axes = labels.into_iter().map(|(axis, label)| (axis.to_owned(), label.to_owned()));
        let mut axes: Vec<(String, String)> = axes.collect();
        axes.sort_unstable();
        Self { table: table.to_owned(), axes }
    }
}
