//! The statistics behind every table: intervals, tests and sets, each with its source.
//! Knows nothing of tables, tasks and networks; a value is a number, a unit its place in a list.

pub mod best;
pub mod crossed;
pub mod estimate;
pub mod holm;
pub mod mcnemar;
pub mod proportion;
pub mod student;
pub mod welch;

/// The level of intervals and one-sided bounds.
pub const LEVEL: f64 = 0.95;

/// What rounding may leave of a difference of equal numbers, relative to them. Every comparison with it is relative, so
/// that no test depends on the unit of a value.
pub(crate) const NOISE: f64 = 1e-12;

/// What a result must be less likely than, if there were no effect, to be marked.
pub const SIGNIFICANT: f64 = 1.0 - LEVEL;
