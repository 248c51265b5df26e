//! The executor in this process: threads that do jobs, each job inside a rayon pool of its width.
//! Knows nothing of which jobs are ready, or how their results are used.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rayon::ThreadPool;

use super::executor::{Assignment, Executor, Outcome};
use super::job::JobError;
use crate::ops::{OpError, Ops};

/// The threads that wait for jobs. Dropping them waits for the running jobs, so they should be cancelled first.
pub struct Threads<O: Ops> {
    queue: Option<mpsc::Sender<Assignment<O>>>,
    threads: Vec<JoinHandle<()>>,
}

/// The idle rayon pools. They are reused because the width of jobs changes with the number of parallel jobs.
#[derive(Default)]
struct Pools(Mutex<Vec<ThreadPool>>);

impl<O: Ops> Threads<O> {
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
}

impl<O: Ops> Executor<O> for Threads<O> {
    fn capacity(&self) -> usize {
        self.threads.len()
    }

    fn assign(&mut self, assignment: Assignment<O>) -> bool {
        if let Some(queue) = &self.queue {
            // The threads live as long as the queue, so it has a receiver.
            let _ = queue.send(assignment);
        }
        true
    }
}

impl<O: Ops> Drop for Threads<O> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn perform<O: Ops>(pools: &Pools, assignment: &Assignment<O>) -> Outcome<O::Artifact> {
    let pool = pools.take(assignment.width)?;
    let work = || assignment.runner.work(&assignment.job, &assignment.context, &assignment.quiet);
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
