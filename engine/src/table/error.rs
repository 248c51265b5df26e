//! The error of a table that cannot be made from results.
//! Knows nothing of how a table is made.

use crate::spec::expression::Unevaluated;

/// The error of a table whose expressions or size do not fit the results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The points of the table's axes are too many.
    #[error("table `{table}` spans more than {most} points")]
    TooManyRows {
        /// The table's name.
        table: String,
        /// The maximum number of rows.
        most: usize,
    },
    /// An expression cannot be evaluated at some point.
    #[error("`{expression}`: {reason}")]
    Expression {
        /// The expression as written.
        expression: String,
        /// The reason, with its fix.
        reason: Unevaluated,
    },
}
