//! The reason that a task runs or does not.
//! Knows nothing of how it is found.

use serde::{Deserialize, Serialize};

use crate::preimage::Change;

/// The reason that a task runs or does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// The result is in the store.
    Cached,
    /// Another task has the same key.
    SameAs {
        /// The name of that task.
        task: String,
    },
    /// No earlier result can be compared with the task.
    New,
    /// The task differs from an earlier one.
    Changed {
        /// The earlier task or result, in words.
        relative: String,
        /// The fields that differ.
        changes: Vec<Change>,
    },
    /// The last run had the same task and left it without a result: the run was interrupted, or the task failed.
    Unfinished,
    /// The store has the record, but lacks the artifact that the node keeps.
    Lost,
    /// Something outside the experiment is missing.
    Missing {
        /// The error message.
        what: String,
    },
    /// The key depends on a result that is not known yet.
    Waiting {
        /// The name of the task that it waits for.
        task: String,
    },
}
