//! Where a task stands, what events told of it, and how many tasks stand where.
//! Knows nothing of when anything happened to the others.

use std::collections::BTreeMap;

use fewbits_engine::graph::TaskId;
use fewbits_engine::why::Reason;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// It failed.
    Failed,
    /// A job works on it.
    Running,
    /// Its job ended with a result, which is on its way to the disk.
    Saving,
    /// It waits for its inputs, or for room.
    Waiting,
    /// It cannot run, or was left when the run ended.
    Skipped,
    /// It ran and is recorded.
    Done,
    /// Its result was there, or was another's.
    Cached,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct TaskDetail {
    /// Where it stands.
    pub status: TaskStatus,
    /// When it started, in seconds of the run.
    pub started: Option<f64>,
    /// Seconds of computing.
    pub seconds: Option<f64>,
    /// More, once something happened to it.
    pub detail: Option<Box<Detail>>,
}

/// What events told of a task.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Its key in hex.
    pub key: String,
    /// Why it ran.
    pub reason: Option<Reason>,
    /// Steps done and in all.
    pub progress: Option<(u64, u64)>,
    /// What was measured at each step reported.
    pub curve: Vec<(u64, BTreeMap<String, f64>)>,
    /// Its metrics.
    pub metrics: BTreeMap<String, f64>,
    /// The task whose result it took.
    pub same_as: Option<TaskId>,
    /// Whether its artifact was made again for tasks that read it.
    pub rebuilt: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// The failed task it depends on.
    pub because: Option<String>,
}

/// How many tasks stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// All tasks.
    pub tasks: usize,
    /// Tasks that ran.
    pub done: usize,
    /// Tasks whose result was there.
    pub cached: usize,
    /// Tasks that jobs work on.
    pub running: usize,
    /// Tasks whose result is on its way to the disk.
    pub saving: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that cannot run.
    pub skipped: usize,
}

impl TaskStatus {
    /// Returns the word for it.
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
    /// Returns how many tasks have not started.
    #[must_use]
    pub fn waiting(self) -> usize {
        let begun = self.done + self.cached + self.running + self.saving + self.failed + self.skipped;
        self.tasks.saturating_sub(begun)
    }

    /// Returns how many tasks stand at a status.
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

    /// Returns the share of tasks that are dealt with; those that were left are not.
    #[must_use]
    pub fn share(self) -> f64 {
        let dealt = self.done + self.cached + self.failed;
        if self.tasks == 0 { 1.0 } else { dealt as f64 / self.tasks as f64 }
    }

    /// Returns where the tasks stand, taken together.
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

    /// Counts a task with this status: one more if `more`, else one less.
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

/// Counts tasks.
#[must_use]
pub fn tally(tasks: &[TaskDetail], of: impl Iterator<Item = TaskId>) -> StatusCounts {
    let mut tally = StatusCounts::default();
    for task in of {
        tally.tasks += 1;
        tally.update(tasks[task.index()].status, true);
    }
    tally
}
