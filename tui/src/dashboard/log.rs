//! The lines of a run's log: what happened to which task, and when.
//! Knows nothing of how a line is worded.

use fewbits_engine::graph::TaskId;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Seconds since the run began.
    pub at: f64,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// What happened.
    pub what: What,
}

/// What a line of the log says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The task started.
    Started,
    /// It ended well.
    Done,
    /// It waits again, as the kept artifact of this task is lost.
    Postponed(Option<TaskId>),
    /// It took a result.
    Reused,
    /// It was made again, in so many seconds.
    Rebuilt(f64),
    /// It failed.
    Failed,
    /// This many tasks cannot run because of it.
    Skips(usize),
    /// A sentence about the run; whether it is a warning.
    Note(String, bool),
}
