//! The in-process executor: threads that do jobs, each job inside a rayon pool of its width.
//! Knows nothing of which jobs are ready, or how their results are used.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rayon::ThreadPool;

use super::job::{Job, JobError, JobResult, Worker};
use crate::context::Context;
use crate::ops::{OpError, Ops};

/// A job with its worker, its width and its contexts.
pub struct Assignment<O: Ops> {
    /// The number that names the job in its outcome.
    pub number: u64,
    /// The job.
    pub job: Job,
    /// The worker, which knows the graph of the job's task.
    pub worker: Arc<Worker<O>>,
    /// The number of threads of the job's rayon pool.
    pub width: usize,
    /// The job's link to the run.
    pub context: Context,
    /// The context for artifacts that are made again for the job.
    pub quiet: Context,
}

/// The outcome of a job.
pub type Outcome<A> = Result<JobResult<A>, JobError>;

/// The threads that wait for jobs. Dropping the executor waits for the running jobs, so they should be cancelled first.
pub struct Executor<O: Ops> {
    queue: Option<mpsc::Sender<Assignment<O>>>,
    threads: Vec<JoinHandle<()>>,
}

/// The idle rayon pools. They are reused because the width of jobs changes with the number of parallel jobs.
#[derive(Default)]
struct Pools(Mutex<Vec<ThreadPool>>);

impl<O: Ops> Executor<O> {
    /// Starts `jobs` threads; each calls `done` with the number and the outcome of a job.
    pub fn start(
        jobs: usize,
        done: impl Fn(u64, Outcome<O::Artifact>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (queue, assignments) = mpsc::channel::<Assignment<O>>();
        let shared = Arc::new((Mutex::new(assignments), done, Pools::default()));
        let threads = (0..jobs)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("job-{index}")).spawn(move || {
                    let (assignments, done, pools) = &*shared;
                    loop {
                        let next = assignments.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(assignment) = next else { return };
                        let outcome = perform(pools, &assignment);
                        done(assignment.number, outcome);
                    }
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { queue: Some(queue), threads })
    }

    /// Hands over a job to the next idle thread.
    pub fn assign(&self, assignment: Assignment<O>) {
        if let Some(queue) = &self.queue {
            // The threads live as long as the executor, so the queue has a receiver.
            let _ = queue.send(assignment);
        }
    }
}

impl<O: Ops> Drop for Executor<O> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn perform<O: Ops>(pools: &Pools, assignment: &Assignment<O>) -> Outcome<O::Artifact> {
    let pool = pools.take(assignment.width)?;
    let work = || assignment.worker.work(&assignment.job, &assignment.context, &assignment.quiet);
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
