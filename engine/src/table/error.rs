//! Why a table cannot be made from results.

use crate::spec::expression::Unevaluated;

/// The error of a table whose expressions or size do not fit the results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The points of the table's axes are too many.
    #[error("table `{table}` spans more than {most} points")]
    TooManyRows {
        /// The table's name.
        table: String,
        /// The most rows that a table may have.
        most: usize,
    },
    /// An expression has no value at some point.
    #[error("`{expression}`: {reason}")]
    Expression {
        /// The expression as written.
        expression: String,
        /// The reason, and what to do.
        reason: Unevaluated,
    },
}
