//! Running what the plan says: a coordinator that knows states and order, an executor that knows threads.

mod announcer;
pub mod artifacts;
pub mod context;
pub mod coordinator;
pub mod executor;
pub mod halt;
pub mod job;
mod queue;
pub mod rebuild;
pub mod recompute;
mod state;
mod supply;
