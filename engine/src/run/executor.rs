//! The executors of a run: each does jobs and reports how they end.
//! A trait, because jobs run in threads of this process or on workers on other machines. Knows no state of a run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fewbits_store::Key;

use super::job::{Job, JobError, JobResult, JobRunner};
use crate::context::Context;
use crate::ops::Ops;

/// A job with the runner of its graph, its width and its contexts.
pub struct Assignment<O: Ops> {
    /// The number that names the job in reports.
    pub number: u64,
    /// The job.
    pub job: Job,
    /// The runner, which knows the graph of the job's task.
    pub runner: Arc<JobRunner<O>>,
    /// The number of threads of the job's rayon pool, if it runs in this process.
    pub width: usize,
    /// The job's link to the run.
    pub context: Context,
    /// The context for artifacts that are made again for the job.
    pub quiet: Context,
}

/// The outcome of a job.
pub type Outcome<A> = Result<JobResult<A>, JobError>;

/// A job that workers had in hand when the run began, because an earlier coordinator assigned it.
pub struct FoundJob {
    /// The number that names the job in reports.
    pub number: u64,
    /// Its key.
    pub key: Key,
    /// Whether its artifact goes into the store.
    pub keep: bool,
    /// Set by the coordinator if nothing wants the job any more.
    pub cancelled: Arc<AtomicBool>,
}

/// The reports of an executor to the coordinator.
pub enum Report<A> {
    /// A worker started a job.
    Began {
        /// The job's number.
        number: u64,
        /// The place of the worker.
        on: String,
    },
    /// A job left a worker without an outcome; another worker will get it.
    Returned {
        /// The job's number.
        number: u64,
        /// The place of the worker.
        from: String,
        /// The reason, as a clause.
        because: String,
    },
    /// A job ended.
    Ended(u64, Outcome<A>),
    /// Two workers gave different results for one key.
    Differing {
        /// The key.
        key: Key,
        /// The task, both workers and the differences, as a sentence.
        message: String,
    },
    /// A worker came, or came back.
    WorkerJoined {
        /// Its place.
        worker: String,
        /// The number of tasks that it runs at once.
        jobs: usize,
    },
    /// A worker left.
    WorkerLeft {
        /// Its place.
        worker: String,
        /// The number of tasks that it ran at once.
        jobs: usize,
        /// The reason, as a clause.
        because: String,
    },
    /// The capacity is another one.
    CapacityChanged,
    /// A fact for the user, as a sentence.
    Noted(String),
    /// A warning, as a sentence.
    Warned(String),
    /// No further job can run, for the reason in this sentence.
    Abandoned(String),
    /// The files that jobs and results go through cannot be read or written.
    Broken(fewbits_store::StoreError),
}

/// An executor, with the jobs that it found in the hands of workers.
pub type StartedExecutor<O> = (Box<dyn Executor<O>>, Vec<FoundJob>);

/// Does jobs. Dropping an executor that does not leave its jobs to others ends them.
pub trait Executor<O: Ops>: Send {
    /// Returns the number of jobs that it takes at once now.
    fn capacity(&self) -> usize;

    /// Tells that a version of the experiment begins.
    fn begin(&mut self) {}

    /// Tells that tasks are ready to run, whether there is capacity or not.
    fn want(&mut self) {}

    /// Takes over a job, or the care for a found job. Returns whether the job starts at once; if not, a report tells its start.
    fn assign(&mut self, assignment: Assignment<O>) -> bool;

    /// Ends the jobs that have not begun; those that run go on.
    fn drain(&mut self) {}

    /// Leaves the jobs in hand to the workers, where there are any, so that a later run takes over their results. Until the
    /// executor is dropped, its capacity has no limit.
    fn leave(&mut self) {}

    /// Tells that every result of this executor is recorded, so that nothing of it needs to stay for a later run.
    fn settle(&mut self) {}
}
