//! How a run is shown while it goes on: folds over its events.

pub mod eta;
pub mod live;
pub mod plain;
