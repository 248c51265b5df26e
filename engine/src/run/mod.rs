//! The execution of a plan: the coordinator knows states and order, an executor knows threads or workers.
//! Knows nothing of terminals; signals and keys arrive as a halt request.

mod announcer;
pub mod artifacts;
pub mod coordinator;
pub mod executor;
pub mod halt;
pub mod job;
mod queue;
pub mod rebuild;
pub mod recompute;
pub mod runner;
mod state;
mod supply;
pub mod threads;
