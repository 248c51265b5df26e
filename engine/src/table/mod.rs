//! Tables from results: the long table behind all of them, and the ones an experiment asks for.
//! Makes cells; knows nothing of how they are shown.

pub mod answers;
mod cell;
pub mod choice;
mod contrast;
pub mod flat;
pub mod frame;
pub mod front;
pub mod group;
pub mod long;
pub mod results;
pub mod sheet;
pub mod units;
