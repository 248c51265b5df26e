//! The messages of the dashboard: updates to its state, and requests from its state to the loader and the driver.
//! Holds data only.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use fewbits_engine::event::Summary;
use fewbits_engine::graph::TaskId;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run_log::LoggedEvent;
use fewbits_engine::table::error::TableError;
use fewbits_ops::quantize::TensorSize;
use fewbits_store::Record;
use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::run_curves::RunCurves;
use super::run_model::OpenedRun;
use super::shown_table::{PointName, ShownTable, TableRequest};

/// The reason why a requested table is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableFailure {
    /// The experiment has no table at the requested place.
    NoTable,
    /// The size in the table is neither in bits per weight nor in bytes, so it has no counterpart.
    NoOtherSize,
    /// The table does not fit the results.
    Results(TableError),
}

impl fmt::Display for TableFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable => f.write_str("there is no such table"),
            Self::NoOtherSize => {
                f.write_str("the size in this table is neither in bits per weight nor in bytes")
            }
            Self::Results(error) => error.fmt(f),
        }
    }
}

/// An update to the dashboard's state.
pub enum Update {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows.
    Size(u16, u16),
    /// A run was opened.
    Opened(Box<OpenedRun>),
    /// Lines of the run log were read.
    Happened(Vec<LoggedEvent>),
    /// The run's process ended without finishing the run.
    Gone,
    /// This process started this run; the dashboard shows it from now on.
    Own(String),
    /// The run of this process ended.
    Ended(Summary),
    /// A table was made; an error says why it cannot be made.
    Table(TableRequest, Result<Arc<ShownTable>, TableFailure>),
    /// The record of a task was read; `None` if the store has no record of it. The tensors are those of the network that
    /// the task makes, if it quantizes one.
    Record(TaskId, Option<Arc<Record>>, Vec<TensorSize>),
    /// The past runs were listed, newest first.
    Runs(Vec<PastRun>),
    /// A past run was read for comparison.
    Baseline(Box<Baseline>),
    /// The curves of a past run were read, to be drawn over those of the shown run.
    Curves(Box<RunCurves>),
    /// A saved version of the experiment was not run, or waits for consent; the lines say why.
    Notice(Notice),
    /// The shown version is not what the file says; the text says how they stand. `None` ends this.
    Standing(Option<String>),
    /// The dashboard must be closed.
    Close,
    /// A request failed; the text says why.
    Trouble(String),
}

/// A request from the dashboard's state to the loader or the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Open a run and follow its run log.
    Open(String),
    /// Keep this table up to date; `None` stops the updates.
    Table(Option<TableRequest>),
    /// Read the record of a task.
    Record {
        /// The id of the task's run.
        run: String,
        /// The task.
        task: TaskId,
        /// Its key in hex; empty if the run log has not named the key.
        key: String,
    },
    /// List the past runs and refresh the list regularly (`true`), or stop doing so (`false`).
    Runs(bool),
    /// Read a past run for comparison.
    Baseline(String),
    /// Read the curves of a past run.
    Curves(String),
    /// Put a text on the clipboard and into a file.
    Copy(String),
    /// Stop the run of this process.
    Halt(Halt),
    /// Run another version of the experiment.
    Version(VersionRequest),
    /// Exit the process at once.
    Abort,
    /// Suspend the process, as Ctrl-Z does in a shell.
    Suspend,
    /// Clear the terminal and redraw the whole frame.
    Redraw,
    /// Close the dashboard.
    Leave(Leave),
}

/// A version of the experiment that the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRequest {
    /// The edit that waits; else the newest version, after [`Self::Before`].
    Newest,
    /// The version before.
    Before,
}

/// A notice about an edit, above the status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// The lines.
    pub lines: Vec<String>,
    /// Whether they report faults.
    pub is_bad: bool,
}

/// How the dashboard closes, and how the run continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The run is finished, or belongs to another process.
    Over,
    /// The run continues and prints plain lines.
    Lines,
    /// The run continues in a background process.
    Detach,
}

/// An entry of the list of past runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// The run's id.
    pub id: String,
    /// The name of its experiment.
    pub experiment: String,
    /// The run of the version before, if the run followed its file.
    pub follows: Option<String>,
    /// The summary of a finished run; `None` if the run is going on or its process died.
    pub summary: Option<Summary>,
    /// Whether the run is going on.
    pub going: bool,
}

/// A past run that the current run is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// The past run's id.
    pub id: String,
    /// The number of tasks whose name occurs in both runs.
    pub shared: usize,
    /// The number of those tasks whose keys differ.
    pub other: usize,
    /// The number of tasks that only the shown run has.
    pub only_here: usize,
    /// The number of tasks that only the baseline has.
    pub only_there: usize,
    /// The differences between the preimages of tasks with the same name, from the baseline to the shown run, each with
    /// the number of tasks that have it.
    pub changes: Vec<(String, usize)>,
    /// The means of the baseline's tables, one value per column; `None` for a column without a mean.
    pub values: HashMap<PointName, Vec<Option<f64>>>,
}
