//! Tables from results: the long table behind all of them, and the ones an experiment asks for.
//! Makes cells; knows nothing of how they are shown.

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
