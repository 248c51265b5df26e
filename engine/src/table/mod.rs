//! Tables from results: the long table of all metrics, and the tables that an experiment asks for.
//! Knows nothing of how cells are shown.

pub mod answer;
pub mod answers;
mod cell;
mod contrast;
pub mod error;
pub mod flat;
pub mod front;
pub mod long;
pub mod points;
pub mod results;
pub mod rows;
pub mod sheet;
pub mod units;
