//! What happens in a run, in the past tense. A closed set: dashboard, plain lines and tests are folds over it.
//! Holds no widget type and no store type beyond names and numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Counts;
use crate::why::Reason;

/// One thing that happened. Tasks that the plan found cached have no event of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan was made.
    Planned {
        /// The experiment's name.
        experiment: String,
        /// How many tasks are in which state.
        #[serde(flatten)]
        counts: Counts,
        /// The same for each node, in the order of the file.
        nodes: Vec<(String, Counts)>,
    },
    /// A task began.
    Started {
        /// The task's name.
        task: String,
        /// Its key in hex.
        key: String,
        /// Why it runs.
        reason: Reason,
    },
    /// A task came further; a training reports each epoch.
    Progressed {
        /// The task's name.
        task: String,
        /// Steps done, epochs for a training.
        done: u64,
        /// Steps in all.
        total: u64,
        /// What was measured at this step.
        #[serde(with = "crate::metrics")]
        metrics: BTreeMap<String, f64>,
    },
    /// A task's job ended with a result that is not yet recorded: the task no longer runs, and a crash would lose it.
    /// Journals of older versions lack this event.
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
        #[serde(with = "crate::metrics")]
        metrics: BTreeMap<String, f64>,
        /// Seconds of computing.
        seconds: f64,
    },
    /// A task whose key was not known when the plan was made turned out to have a result already.
    Reused {
        /// The task's name.
        task: String,
        /// Its key in hex.
        #[serde(default)]
        key: String,
        /// The task of this run that made the result; none if it was in the store.
        same_as: Option<String>,
    },
    /// A task's job ended without a result because a kept artifact was lost; the task starts again once the artifact has
    /// been made again. Journals of older versions lack this event.
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
        /// Why, and what to do.
        error: String,
    },
    /// A task could not run.
    Skipped {
        /// The task's name.
        task: String,
        /// The failed task it depends on.
        because: String,
    },
    /// Something was healed or is worth knowing.
    Warned {
        /// One sentence.
        message: String,
    },
    /// The run was asked to end once what is running has ended.
    Draining,
    /// The run was interrupted: what was running is dropped.
    Interrupted,
    /// The run ended.
    Finished(Summary),
}

/// How a run ended. `tasks` is the sum of the four counts after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// All tasks.
    pub tasks: usize,
    /// Tasks that ran and were recorded.
    pub ran: usize,
    /// Tasks whose result was there already, or was another's.
    pub cached: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that depend on a failed one, or were left when the run was interrupted.
    pub skipped: usize,
    /// Seconds the run took.
    pub seconds: f64,
}
