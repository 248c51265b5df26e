//! Running what the plan says: a coordinator that knows states and order, an executor that knows threads.

mod announcer;
pub mod artifacts;
pub mod context;
pub mod coordinator;
mod course;
pub mod executor;
pub mod halt;
pub mod job;
pub mod rebuild;
pub mod recompute;
mod schedule;
mod supply;
