//! Running what the plan says: a coordinator that knows states and order, an executor that knows threads.

pub mod artifacts;
pub mod context;
pub mod coordinator;
pub mod executor;
pub mod job;
mod schedule;
