//! The events of a run, in the past tense. The set is closed: dashboard, plain lines and tests are folds over it.
//! Knows no widget, and of the store only names and numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Counts;
use crate::preview::NodePreview;
use crate::reason::Reason;

/// An event. Tasks that the plan found cached have no event of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan was made.
    Planned {
        /// The experiment's name.
        experiment: String,
        /// The number of tasks in each state.
        #[serde(flatten)]
        counts: Counts,
        /// The same counts for each node, in the order of the file.
        nodes: Vec<(String, Counts)>,
    },
    /// The plan is of an edited text: what changed, node by node. It follows the plan.
    Edited {
        /// The nodes, in the order of the file.
        nodes: Vec<NodePreview>,
    },
    /// A task began.
    Started {
        /// The name of the task.
        task: String,
        /// The key in hex.
        key: String,
        /// The reason that the task runs.
        reason: Reason,
        /// The place of the worker that runs it; absent if the process of the run does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<String>,
    },
    /// A task left a worker without a result; another worker will get it.
    Returned {
        /// The task's name.
        task: String,
        /// The place of the worker.
        from: String,
        /// The reason, as a clause.
        because: String,
    },
    /// A worker of a cluster joined the run.
    WorkerJoined {
        /// Its place.
        worker: String,
        /// The number of tasks that it runs at once.
        jobs: usize,
    },
    /// A worker left the run.
    WorkerLeft {
        /// Its place.
        worker: String,
        /// The number of tasks that it ran at once.
        jobs: usize,
        /// The reason, as a clause.
        because: String,
    },
    /// A task made progress; a training reports each epoch.
    Progressed {
        /// The task's name.
        task: String,
        /// The steps done; epochs for a training.
        done: u64,
        /// Steps in all.
        total: u64,
        /// The metrics at this step.
        #[serde(with = "crate::json_metrics")]
        metrics: BTreeMap<String, f64>,
    },
    /// A task's job ended with a result that is not yet recorded: the task no longer runs, and a crash would lose the
    /// result. Run logs of older versions lack this event.
    Computed {
        /// The task's name.
        task: String,
    },
    /// A task's result was recorded and is safe from a crash.
    Completed {
        /// The task's name.
        task: String,
        /// Its key in hex.
        key: String,
        /// Its metrics.
        #[serde(with = "crate::json_metrics")]
        metrics: BTreeMap<String, f64>,
        /// The seconds of computing.
        seconds: f64,
    },
    /// A task whose key was not in the plan turned out to have a result already.
    Reused {
        /// The task's name.
        task: String,
        /// Its key in hex.
        #[serde(default)]
        key: String,
        /// The task of this run with the same key; `None` if the result was in the store.
        same_as: Option<String>,
    },
    /// A task's job ended without a result because a kept artifact was lost; the task starts again once the artifact
    /// has been made again. Run logs of older versions lack this event.
    Postponed {
        /// The task's name.
        task: String,
        /// The task whose artifact was lost.
        because: String,
    },
    /// An artifact that is not kept was made again for a task that reads it.
    Rebuilt {
        /// The task whose artifact it is.
        task: String,
        /// Seconds of computing.
        seconds: f64,
    },
    /// A task failed.
    Failed {
        /// The task's name.
        task: String,
        /// The error message, with the fix.
        error: String,
    },
    /// A task could not run.
    Skipped {
        /// The task's name.
        task: String,
        /// The failed task it depends on.
        because: String,
    },
    /// The store or the run repaired something, or has a note for the user.
    Warned {
        /// One sentence.
        message: String,
    },
    /// The run has a fact for the user that is no warning.
    Noted {
        /// One sentence.
        message: String,
    },
    /// The run was asked to end after the running tasks.
    Draining,
    /// The run left its tasks to the workers of a cluster; a later run takes over their results.
    Left,
    /// The run was interrupted: running tasks are dropped.
    Interrupted,
    /// The file was saved with faults, or cannot be read: the last version stays. The process that follows the file tells
    /// it, and no run log has it.
    Refused {
        /// The faults with their places, or the reason.
        message: String,
    },
    /// An edit waits for the user's consent. The process that follows the file tells it, and no run log has it.
    Proposed {
        /// The nodes, in the order of the file.
        nodes: Vec<NodePreview>,
    },
    /// A newer version of the experiment takes over: no further task starts here. Running tasks that the newer version
    /// wants go on in it.
    Superseded,
    /// The run ended.
    Finished(Summary),
}

/// The counts of a finished run. `tasks` is the sum of the four counts after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// All tasks.
    pub tasks: usize,
    /// Tasks that ran and were recorded.
    pub ran: usize,
    /// Tasks whose result was in the store, or belongs to another task of the same key.
    pub cached: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that depend on a failed one, or were left when the run was interrupted.
    pub skipped: usize,
    /// The duration of the run in seconds.
    pub seconds: f64,
}
