//! Tables from results: the long table of all metrics, and the tables that an experiment asks for.
//! Knows nothing of how cells are shown.

pub mod answer;
pub mod answers;
pub mod candidate;
pub mod caption;
mod cell;
mod contrast;
pub mod error;
pub mod flat;
pub mod front;
pub mod kind;
pub mod layout;
mod limits;
pub mod long;
pub mod points;
pub mod results;
pub mod rows;
pub mod sheet;
pub mod table_sheets;
pub mod units;
mod variance;
