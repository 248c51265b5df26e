//! The in-process executor: threads that do jobs, each job inside a rayon pool of its width.
//! Knows nothing of which jobs are ready, or how their results are used.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rayon::ThreadPool;

use super::job::{Job, JobError, JobResult, Worker};
use crate::context::Context;
use crate::ops::{OpError, Ops};

/// A job with its width and its contexts.
pub struct Assignment {
    /// The job.
    pub job: Job,
    /// The number of threads of the job's rayon pool.
    pub width: usize,
    /// The job's link to the run.
    pub context: Context,
    /// The context for artifacts that are made again for the job.
    pub quiet: Context,
}

/// The outcome of a job.
pub type Outcome<A> = Result<JobResult<A>, JobError>;

/// The threads that wait for jobs. Dropping the executor cancels running jobs.
pub struct Executor {
    cancelled: Arc<AtomicBool>,
    queue: Option<mpsc::Sender<Assignment>>,
    threads: Vec<JoinHandle<()>>,
}

/// The idle rayon pools. They are reused because the width of jobs changes with the number of parallel jobs.
#[derive(Default)]
struct Pools(Mutex<Vec<ThreadPool>>);

impl Executor {
    /// Starts `jobs` threads; each calls `done` with the outcome of a job. Jobs check `cancelled` and end early.
    pub fn start<O: Ops>(
        jobs: usize,
        cancelled: Arc<AtomicBool>,
        worker: Worker<O>,
        done: impl Fn(Job, Outcome<O::Artifact>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (queue, assignments) = mpsc::channel();
        let shared = Arc::new((Mutex::new(assignments), worker, done, Pools::default()));
        let threads = (0..jobs)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("job-{index}")).spawn(move || {
                    let (assignments, worker, done, pools) = &*shared;
                    loop {
                        let next = assignments.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(assignment) = next else { return };
                        let outcome = perform(worker, pools, &assignment);
                        done(assignment.job, outcome);
                    }
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { cancelled, queue: Some(queue), threads })
    }

    /// Hands over a job to the next idle thread.
    pub fn assign(&self, assignment: Assignment) {
        if let Some(queue) = &self.queue {
            // The threads live as long as the executor, so the queue has a receiver.
            let _ = queue.send(assignment);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn perform<O: Ops>(worker: &Worker<O>, pools: &Pools, assignment: &Assignment) -> Outcome<O::Artifact> {
    let pool = pools.take(assignment.width)?;
    let work = || worker.work(&assignment.job, &assignment.context, &assignment.quiet);
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.install(work)));
    pools.put(pool);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(OpError::Failed(format!("a fault in fewbits itself ({text}); please report it")).into())
    })
}

impl Pools {
    fn take(&self, width: usize) -> Result<ThreadPool, JobError> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = idle.iter().position(|pool| pool.current_num_threads() == width) {
            return Ok(idle.swap_remove(at));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(width)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| OpError::Failed(format!("cannot start threads: {error}")).into())
    }

    fn put(&self, pool: ThreadPool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
    }
}
