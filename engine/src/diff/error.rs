//! The error of a comparison of two experiments, or of two points of one.
//! Knows nothing of how a comparison is made.

use crate::graph::name::TaskNameError;
use crate::table::error::TableError;

/// The error of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// A table of both experiments cannot be made from one of them.
    #[error("table `{table}`: {error}")]
    Table {
        /// The table's name.
        table: String,
        /// The reason.
        error: TableError,
    },
    /// A text names no task.
    #[error(transparent)]
    Name(#[from] TaskNameError),
    /// A text names no single point: it leaves axes open that are neither replicated nor averaged.
    #[error("`{text}` leaves {open} open: give a value of each, as in `{example}`")]
    Open {
        /// The text.
        text: String,
        /// The axes, in backquotes.
        open: String,
        /// The name of one of the tasks.
        example: String,
    },
}
