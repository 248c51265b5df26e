//! Workers on other machines: the second executor, which shares an exchange with processes that do its jobs.
//! Knows no job scheduler: a [`recruiter::Recruiter`] brings the workers.
//!
//! The coordinator writes orders to each worker, the worker writes replies. The coordinator decides everything: which worker gets
//! which job, and when a worker counts as lost. A worker cannot harm a run: a result counts only if the preimage that it names has
//! the key of the job, and objects only if they have their digests.

mod beats;
mod dispatcher;
pub mod executor;
mod graph_memory;
mod job_files;
pub mod message;
mod orders;
mod placement;
pub mod recruiter;
mod replies;
mod roster;
mod staffing;
mod takeover;
pub mod worker;
mod worker_memory;
