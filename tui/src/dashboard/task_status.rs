//! The status and the details of a task, and the counts of tasks by status.
//! Knows nothing of the graph between tasks.

use std::collections::BTreeMap;

use fewbits_engine::graph::TaskId;
use fewbits_engine::reason::Reason;

/// The status of a task, ordered by how much attention it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// The task failed.
    Failed,
    /// A job works on the task.
    Running,
    /// The job ended, and its result is being written to the store.
    Saving,
    /// The task waits for its inputs or for a free job.
    Waiting,
    /// The task depends on a failed task, or had no result when the run ended.
    Skipped,
    /// The task ran, and its record is in the store.
    Done,
    /// The task's result was in the store, or it shares the result of another task.
    Cached,
}

/// The status and the times of a task, which views of all tasks need.
#[derive(Clone, Debug)]
pub struct TaskDetail {
    /// The task's status.
    pub status: TaskStatus,
    /// The time of the task's start, in seconds since the start of the run.
    pub started: Option<f64>,
    /// The computing time in seconds.
    pub seconds: Option<f64>,
    /// The details; `None` until an event names the task.
    pub detail: Option<Box<Detail>>,
}

/// The details of a task, from the events that name it.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// The task's key in hex; empty while it is unknown.
    pub key: String,
    /// The reason why the task ran.
    pub reason: Option<Reason>,
    /// The place of the worker that runs or ran it; `None` if the process of the run does.
    pub on: Option<String>,
    /// The number of completed steps, and of all steps.
    pub progress: Option<(u64, u64)>,
    /// The metrics at each reported step.
    pub curve: Vec<(u64, BTreeMap<String, f64>)>,
    /// The task's metrics.
    pub metrics: BTreeMap<String, f64>,
    /// The other task whose result this task shares.
    pub same_as: Option<TaskId>,
    /// Whether the task's artifact was made again for tasks that read it.
    pub rebuilt: bool,
    /// The error of a failed task.
    pub error: Option<String>,
    /// The name of the failed task that caused this one to be skipped.
    pub because: Option<String>,
}

/// The counts of tasks by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// The number of all tasks.
    pub tasks: usize,
    /// The number of tasks that ran.
    pub done: usize,
    /// The number of cached tasks.
    pub cached: usize,
    /// The number of running tasks.
    pub running: usize,
    /// The number of tasks whose result is being written to the store.
    pub saving: usize,
    /// The number of failed tasks.
    pub failed: usize,
    /// The number of skipped tasks.
    pub skipped: usize,
}

impl TaskStatus {
    /// Returns the word for a status.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Saving => "saving",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Done => "done",
            Self::Cached => "cached",
        }
    }
}

impl StatusCounts {
    /// Returns the number of waiting tasks.
    #[must_use]
    pub fn waiting(self) -> usize {
        let begun = self.done + self.cached + self.running + self.saving + self.failed + self.skipped;
        self.tasks.saturating_sub(begun)
    }

    /// Returns the number of tasks with a status.
    #[must_use]
    pub fn count(self, status: TaskStatus) -> usize {
        match status {
            TaskStatus::Failed => self.failed,
            TaskStatus::Running => self.running,
            TaskStatus::Saving => self.saving,
            TaskStatus::Waiting => self.waiting(),
            TaskStatus::Skipped => self.skipped,
            TaskStatus::Done => self.done,
            TaskStatus::Cached => self.cached,
        }
    }

    /// Returns the share of tasks with a result, from 0 to 1; 1 if there are no tasks.
    #[must_use]
    pub fn share(self) -> f64 {
        let with_result = self.done + self.cached;
        if self.tasks == 0 { 1.0 } else { with_result as f64 / self.tasks as f64 }
    }

    /// Returns one status for all tasks together: the one that needs most attention.
    #[must_use]
    pub fn status(self) -> TaskStatus {
        match self {
            Self { failed: 1.., .. } => TaskStatus::Failed,
            Self { running: 1.., .. } => TaskStatus::Running,
            Self { saving: 1.., .. } => TaskStatus::Saving,
            _ if self.waiting() > 0 => TaskStatus::Waiting,
            Self { skipped: 1.., .. } => TaskStatus::Skipped,
            Self { done: 1.., .. } => TaskStatus::Done,
            _ => TaskStatus::Cached,
        }
    }

    /// Adds a task with this status to the counts, or removes it if `more` is false.
    pub fn update(&mut self, status: TaskStatus, more: bool) {
        let place = match status {
            TaskStatus::Waiting => return,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Saving => &mut self.saving,
            TaskStatus::Skipped => &mut self.skipped,
            TaskStatus::Done => &mut self.done,
            TaskStatus::Cached => &mut self.cached,
        };
        *place = if more { *place + 1 } else { place.saturating_sub(1) };
    }
}

/// Counts tasks by status.
#[must_use]
pub fn status_counts(tasks: &[TaskDetail], of: impl Iterator<Item = TaskId>) -> StatusCounts {
    let mut status_counts = StatusCounts::default();
    for task in of {
        status_counts.tasks += 1;
        status_counts.update(tasks[task.index()].status, true);
    }
    status_counts
}
