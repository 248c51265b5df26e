//! The log that the run view shows: entries about tasks and the run, with their times.
//! Does not know the wording of an entry.

use fewbits_engine::graph::TaskId;

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Seconds since the run began.
    pub at: f64,
    /// The task of the entry; `None` if the entry is about the run.
    pub task: Option<TaskId>,
    /// The event that the entry reports.
    pub what: LogEvent,
}

/// The event that a log entry reports.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEvent {
    /// The task started.
    Started,
    /// The task ended with a result.
    Done,
    /// The task waits again because the kept artifact of this other task is lost.
    Postponed(Option<TaskId>),
    /// The task reused a result.
    Reused,
    /// The task's artifact was made again, in this many seconds.
    Rebuilt(f64),
    /// The task failed.
    Failed,
    /// This many tasks are skipped because the task failed.
    Skips(usize),
    /// A sentence about the run, and whether it is a warning.
    Note(String, bool),
}
