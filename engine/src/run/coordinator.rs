//! The coordinator of a run: hands ready tasks to the executor, records their results, and sends events.
//! It alone appends to the store. It computes nothing, so it never blocks for long. Knows no op.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fewbits_store::{Commit, Committer, Store, StoreError};
use tokio::sync::{mpsc, watch};

use super::announcer::Announcer;
use super::artifacts::Artifacts;
use super::executor::{Assignment, Executor, Outcome};
use super::halt::Halt;
use super::job::{Job, JobError, JobResult, Worker};
use super::state::RunState;
use super::supply::Supply;
use crate::context::{Context, OnProgress};
use crate::event::{Event, Summary};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{OpError, Ops};
use crate::parts::Parts;
use crate::plan::{Plan, Planner, TaskState};
use crate::run_log::RunHeader;
use crate::why::History;

/// The settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of tasks that run at once.
    pub jobs: usize,
    /// The number of threads that all tasks share.
    pub threads: usize,
    /// Whether the first failure stops the run.
    pub fail_fast: bool,
}

/// The reason that a run could not start or finish.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Results could not be recorded.
    #[error("{message}")]
    Record {
        /// The error message of the store.
        message: String,
        /// The counts of the tasks up to the error.
        summary: Summary,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// The messages from other threads to the coordinator.
enum Message<A> {
    /// A job ended.
    Ended(Job, Outcome<A>),
    /// These tickets' records are safe from a crash, or could not be written.
    Recorded(Vec<u64>, Result<(), String>),
    /// A running task reported its progress, or an artifact was made again.
    Reported(Event),
}

/// Runs the tasks whose results are not in the store. Returns the summary and the final state of every task. Events
/// go to `events` and to the run log; `halt` asks the run to end early.
pub async fn run<O: Ops>(
    graph: Arc<TaskGraph<O>>,
    ops: Arc<O>,
    store: Arc<Store>,
    id: &str,
    settings: Settings,
    events: mpsc::UnboundedSender<Event>,
    mut halt: watch::Receiver<Halt>,
) -> Result<(Summary, Plan), RunError> {
    let start = Instant::now();
    let planner = Planner::new(&graph, &*ops, &store);
    let plan = planner.plan()?;
    // The last run is only read if something runs. It must be found before this run's own log exists.
    let idle = plan.tasks.iter().all(|planned| planned.state == TaskState::Cached);
    let history = if idle { None } else { History::last(&graph, &*ops, &store) };
    let header = RunHeader::new(&graph, &plan, settings.jobs, planner.sources()?);
    let mut announcer = Announcer::open(&header, &store, id, start, events)?;
    let warnings = graph.warnings.iter().cloned().chain(planner.notes()).chain(store.warnings());
    announcer.begin(&graph, &plan, warnings);
    if idle {
        return Ok((announcer.end_idle(&plan), plan));
    }
    let artifacts = Arc::new(Artifacts::new());
    let supply = Supply::new(&graph, plan, Arc::clone(&artifacts));
    let state = RunState::new(&graph, &planner, &store, supply, history, announcer);
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let worker = Worker {
        graph: Arc::clone(&graph),
        ops: Arc::clone(&ops),
        store: Arc::clone(&store),
        artifacts,
        rebuilt: rebuilt(&graph, &messages),
    };
    let mut coordinator = Coordinator::new((&graph, &store), &planner, state, settings, worker, messages)?;
    coordinator.state.begin()?;
    while coordinator.dispatch()? {
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => coordinator.receive(message)?,
                None => break,
            },
            Ok(()) = halt.changed(), if coordinator.halted < Halt::Now => {
                let asked = *halt.borrow_and_update();
                coordinator.halt(asked);
            }
        }
    }
    coordinator.finish(start)
}

struct Coordinator<'r, O: Ops> {
    graph: &'r Arc<TaskGraph<O>>,
    planner: &'r Planner<'r, O>,
    store: &'r Arc<Store>,
    settings: Settings,
    state: RunState<'r, O>,
    executor: Executor,
    committer: Committer,
    cancelled: Arc<AtomicBool>,
    messages: mpsc::UnboundedSender<Message<O::Artifact>>,
    store_error: Option<String>,
    /// Whether no further task starts.
    stopping: bool,
    halted: Halt,
}

impl<'r, O: Ops> Coordinator<'r, O> {
    fn new(
        (graph, store): (&'r Arc<TaskGraph<O>>, &'r Arc<Store>),
        planner: &'r Planner<'r, O>,
        state: RunState<'r, O>,
        settings: Settings,
        worker: Worker<O>,
        messages: mpsc::UnboundedSender<Message<O::Artifact>>,
    ) -> Result<Self, RunError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (ended, recorded) = (messages.clone(), messages.clone());
        let executor =
            Executor::start(settings.jobs, Arc::clone(&cancelled), worker, move |job, outcome| {
                let _ = ended.send(Message::Ended(job, outcome));
            })?;
        let committer = Committer::start(Arc::clone(store), move |tickets, result| {
            let result = result.map_err(ToString::to_string);
            let _ = recorded.send(Message::Recorded(tickets.to_vec(), result));
        })?;
        Ok(Self {
            graph,
            planner,
            store,
            settings,
            state,
            executor,
            committer,
            cancelled,
            messages,
            store_error: None,
            stopping: false,
            halted: Halt::No,
        })
    }

    /// Starts ready tasks up to the number of jobs; returns whether a job or a commit is still under way.
    fn dispatch(&mut self) -> Result<bool, RunError> {
        while !self.stops() && self.state.running() < self.settings.jobs {
            let Some(job) = self.state.start_next()? else { break };
            self.assign(job);
        }
        Ok(self.state.running() > 0 || self.state.is_recording())
    }

    fn assign(&self, job: Job) {
        // Parallel tasks use the cores better than threads within one task; a single task gets all threads.
        let beside = (self.state.running() + self.state.ready()).clamp(1, self.settings.jobs);
        let width = (self.settings.threads / beside).max(1);
        let context = Context::new(
            Arc::clone(&self.cancelled),
            self.reporter(self.graph.name(job.task)),
            Some((Arc::clone(self.store), job.key)),
        );
        let quiet = Context::new(Arc::clone(&self.cancelled), Box::new(|_, _, _| ()), None);
        self.executor.assign(Assignment { job, width, context, quiet });
    }

    fn receive(&mut self, message: Message<O::Artifact>) -> Result<(), RunError> {
        match message {
            Message::Reported(event) => self.state.tell(event),
            Message::Recorded(tickets, result) => self.recorded(&tickets, &result),
            Message::Ended(job, outcome) => {
                match outcome {
                    Ok(done) => self.done(&job, done)?,
                    Err(error) => self.undone(&job, &error)?,
                }
                self.state.sweep(&job);
            }
        }
        Ok(())
    }

    /// Handles a job's result: submits it to the store.
    fn done(&mut self, job: &Job, done: JobResult<O::Artifact>) -> Result<(), RunError> {
        let JobResult { record, artifact, objects } = done;
        let (metrics, seconds) = (record.metrics.clone(), record.seconds);
        let parts = Parts::from_record(self.graph.kind(job.task).parts, &record.parts);
        self.committer.submit(Commit { ticket: job.task.ticket(), key: job.key, record, objects });
        Ok(self.state.computed(job, metrics, seconds, parts, artifact)?)
    }

    /// Handles a job without a result.
    fn undone(&mut self, job: &Job, error: &JobError) -> Result<(), RunError> {
        match error {
            JobError::Op(OpError::Cancelled) => {
                self.state.cancelled(job.task);
                return Ok(());
            }
            JobError::Lost(input) => return Ok(self.state.lost(job.task, *input)?),
            JobError::Differs { key, .. } => self.state.drop_record(key)?,
            JobError::Store(error) => {
                // Every further task would fail with the same error.
                self.store_error.get_or_insert_with(|| error.to_string());
                self.stop();
            }
            JobError::Op(_) | JobError::Changed(_) => {}
        }
        self.state.failed(job.task, error.to_string());
        Ok(())
    }

    /// Handles records that reached the disk or failed to; after a failure their tasks fail and the run stops.
    fn recorded(&mut self, tickets: &[u64], result: &Result<(), String>) {
        for task in tickets.iter().map(|ticket| TaskId::from_ticket(*ticket)) {
            match result {
                Ok(()) => self.state.recorded(task),
                Err(error) => self.state.refused(task, error),
            }
        }
        if let Err(error) = result {
            self.store_error.get_or_insert_with(|| error.clone());
            self.stop();
        }
    }

    /// Applies a halt request, if it is stronger than the earlier ones.
    fn halt(&mut self, asked: Halt) {
        if asked <= self.halted {
            return;
        }
        self.halted = asked;
        match asked {
            Halt::No => {}
            Halt::AfterRunning => {
                self.state.tell(Event::Draining);
                self.stopping = true;
            }
            Halt::Now => {
                self.state.tell(Event::Interrupted);
                self.stop();
            }
        }
    }

    fn stops(&self) -> bool {
        self.stopping || (self.settings.fail_fast && self.state.has_failures())
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn finish(mut self, start: Instant) -> Result<(Summary, Plan), RunError> {
        let summary = self.state.finish(start.elapsed().as_secs_f64());
        self.committer.finish();
        match self.store_error {
            Some(message) => Err(RunError::Record { message, summary }),
            // The final state does not know which tasks a dropped record concerns, so the plan is made again.
            None if self.state.has_dropped() => Ok((summary, self.planner.plan()?)),
            None => Ok((summary, self.state.into_plan())),
        }
    }

    fn reporter(&self, task: String) -> Box<OnProgress> {
        let messages = self.messages.clone();
        Box::new(move |done, total, metrics| {
            let event = Event::Progressed { task: task.clone(), done, total, metrics };
            let _ = messages.send(Message::Reported(event));
        })
    }
}

/// Returns a callback that sends an event for every artifact that is made again.
fn rebuilt<O: Ops>(
    graph: &Arc<TaskGraph<O>>,
    messages: &mpsc::UnboundedSender<Message<O::Artifact>>,
) -> Box<dyn Fn(TaskId, f64) + Send + Sync> {
    let (graph, messages) = (Arc::clone(graph), messages.clone());
    Box::new(move |task, seconds| {
        let event = Event::Rebuilt { task: graph.name(task), seconds };
        let _ = messages.send(Message::Reported(event));
    })
}
