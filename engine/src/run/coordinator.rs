//! The coordinator of a run: hands ready tasks to the executor, records their results, and sends events.
//! It alone appends to the store. It computes nothing, so it never blocks for long. Knows no op.

mod reports;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fewbits_store::{Key, Store, StoreError};
use tokio::sync::{mpsc, watch};

use super::executor::Assignment;
use super::halt::Halt;
use super::job::{Job, JobRunner};
use super::runner::{Crew, CrewMessage, Ended, Flight, Progress, Runner, Version};
use super::state::RunState;
use crate::context::{Context, OnProgress};
use crate::event::{Event, Summary};
use crate::graph::{TaskGraph, TaskId};
use crate::job_store::JobStore;
use crate::ops::Ops;
use crate::plan::{Plan, Planner};

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

/// Runs the tasks whose results are not in the store. Returns the summary and the final state of every task. Events
/// go to `events` and to the run log; `halt` asks the run to end early.
pub async fn run<O: Ops>(
    graph: Arc<TaskGraph<O>>,
    ops: Arc<O>,
    store: Arc<Store>,
    id: &str,
    settings: Settings,
    events: mpsc::UnboundedSender<Event>,
    halt: watch::Receiver<Halt>,
) -> Result<(Summary, Plan), RunError> {
    let version = Version { graph, id: id.to_owned(), follows: None };
    let newer = watch::channel(0).1;
    let ended = Runner::new(ops, store, settings).run(version, events, halt, newer).await?;
    Ok((ended.summary, ended.plan))
}

/// The coordinator of one version.
pub(super) struct Coordinator<'r, O: Ops> {
    graph: &'r Arc<TaskGraph<O>>,
    planner: &'r Planner<'r, O>,
    store: &'r Arc<Store>,
    settings: Settings,
    state: RunState<'r, O>,
    runner: Arc<JobRunner<O>>,
    crew: &'r mut Crew<O>,
    /// The jobs in flight that this version wants, by their numbers.
    jobs: HashMap<u64, Job>,
    /// The tasks whose records are being written, by the numbers of their jobs.
    saving: HashMap<u64, TaskId>,
    store_error: Option<String>,
    /// Set if another process coordinates the workers.
    claimed: Option<StoreError>,
    /// The keys for which two workers gave different results.
    differing: HashSet<Key>,
    /// Whether no further task starts.
    stopping: bool,
    /// Whether a newer version takes over.
    superseded: bool,
    halted: Halt,
}

impl<'r, O: Ops> Coordinator<'r, O> {
    pub(super) fn new(
        (graph, store): (&'r Arc<TaskGraph<O>>, &'r Arc<Store>),
        planner: &'r Planner<'r, O>,
        state: RunState<'r, O>,
        settings: Settings,
        runner: Arc<JobRunner<O>>,
        crew: &'r mut Crew<O>,
    ) -> Self {
        Self {
            graph,
            planner,
            store,
            settings,
            state,
            runner,
            crew,
            jobs: HashMap::new(),
            saving: HashMap::new(),
            store_error: None,
            claimed: None,
            differing: HashSet::new(),
            stopping: false,
            superseded: false,
            halted: Halt::No,
        }
    }

    /// Puts the tasks into the queue, and takes over the jobs in flight that this version wants.
    pub(super) fn begin(&mut self) -> Result<(), RunError> {
        self.crew.executor.begin();
        for (worker, jobs) in self.crew.workers.clone() {
            self.state.tell(Event::WorkerJoined { worker, jobs });
        }
        self.state.begin()?;
        let mut numbers: Vec<u64> = self.crew.flights.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let Some(flight) = self.crew.flights.get_mut(&number) else { continue };
            if flight.cancelled.load(Ordering::Relaxed) {
                continue;
            }
            let Some(job) = self.state.start_leader(&flight.key)? else {
                flight.cancelled.store(true, Ordering::Relaxed);
                continue;
            };
            let (is_found, cancelled) = (flight.is_found, Arc::clone(&flight.cancelled));
            (flight.is_taken_over, flight.is_found) = (true, false);
            let progress = flight.progress.clone();
            if is_found {
                let assignment = self.assignment(number, job.clone(), cancelled);
                self.crew.executor.assign(assignment);
            } else {
                let on = flight.on.clone();
                self.state.began(&job, on);
            }
            let task = self.graph.name(job.task);
            for progress in progress {
                self.state.tell(progressed(&task, progress));
            }
            self.jobs.insert(number, job);
        }
        Ok(())
    }

    /// Starts ready tasks up to the capacity of the executor; returns whether a job or a commit is still under way.
    pub(super) fn dispatch(&mut self) -> Result<bool, RunError> {
        if !self.stops() && self.state.ready() > 0 {
            self.crew.executor.want();
        }
        // A cancelled job of an earlier version has its thread until it ends.
        while !self.stops() && self.crew.flights.len() < self.crew.executor.capacity() {
            let Some(job) = self.state.start_next()? else { break };
            self.assign(&job);
        }
        let awaits_thread = !self.stops() && self.state.ready() > 0;
        let runs = (self.state.running() > 0 && self.halted != Halt::Leave) || awaits_thread;
        Ok((runs && !self.superseded) || self.state.is_recording())
    }

    fn assign(&mut self, job: &Job) {
        let number = self.crew.next;
        self.crew.next += 1;
        let cancelled = Arc::new(AtomicBool::new(false));
        let flight = Flight::new(job, Arc::clone(&cancelled));
        self.crew.flights.insert(number, flight);
        self.jobs.insert(number, job.clone());
        let assignment = self.assignment(number, job.clone(), cancelled);
        if self.crew.executor.assign(assignment) {
            self.state.began(job, None);
        }
    }

    fn assignment(&self, number: u64, job: Job, cancelled: Arc<AtomicBool>) -> Assignment<O> {
        // Parallel tasks use the cores better than threads within one task; a single task gets all threads.
        let beside = (self.state.running() + self.state.ready()).clamp(1, self.settings.jobs.max(1));
        let width = (self.settings.threads / beside).max(1);
        let place = Some((Arc::clone(self.store) as Arc<dyn JobStore>, job.key));
        let context = Context::new(Arc::clone(&cancelled), self.reporter(number), place);
        let quiet = Context::new(cancelled, Box::new(|_, _, _| ()), None);
        Assignment { number, job, runner: Arc::clone(&self.runner), width, context, quiet }
    }

    pub(super) fn receive(&mut self, message: CrewMessage<O::Artifact>) -> Result<(), RunError> {
        match message {
            CrewMessage::Progressed(number, progress) => {
                if let Some(flight) = self.crew.flights.get_mut(&number) {
                    flight.progress.push(progress.clone());
                }
                if let Some(job) = self.jobs.get(&number) {
                    self.state.tell(progressed(&self.graph.name(job.task), progress));
                }
            }
            CrewMessage::Rebuilt(task, seconds) => self.state.tell(Event::Rebuilt { task, seconds }),
            CrewMessage::Recorded(numbers, result) => self.recorded(&numbers, &result),
            CrewMessage::Reported(report) => self.reported(report)?,
        }
        Ok(())
    }

    /// Returns whether a stronger request to halt is possible.
    pub(super) fn is_haltable(&self) -> bool {
        self.halted < Halt::Leave
    }

    /// Returns whether a newer version takes over.
    pub(super) fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// Lets a newer version take over: no further task starts, and the jobs in flight are left to it.
    pub(super) fn supersede(&mut self) {
        if !self.stopping {
            self.state.tell(Event::Superseded);
            self.superseded = true;
        }
    }

    /// Applies a halt request, if it is stronger than the earlier ones.
    pub(super) fn halt(&mut self, asked: Halt) -> Result<(), RunError> {
        // What was left to workers is not cancelled any more.
        if asked <= self.halted || self.halted == Halt::Leave {
            return Ok(());
        }
        self.halted = asked;
        match asked {
            Halt::No => {}
            Halt::AfterRunning => {
                self.crew.executor.drain();
                self.state.tell(Event::Draining);
                self.stopping = true;
            }
            Halt::Leave => {
                self.crew.executor.leave();
                // Workers can go on with every ready task by themselves.
                while self.crew.flights.len() < self.crew.executor.capacity() {
                    let Some(job) = self.state.start_next()? else { break };
                    self.assign(&job);
                }
                self.state.tell(Event::Left);
                self.stopping = true;
            }
            Halt::Now => {
                self.state.tell(Event::Interrupted);
                self.stop();
            }
        }
        Ok(())
    }

    fn stops(&self) -> bool {
        self.stopping || self.superseded || (self.settings.fail_fast && self.state.has_failures())
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.crew.cancel();
    }

    pub(super) fn finish(mut self, start: Instant) -> Result<Ended, RunError> {
        // Only now all results are recorded, so that a record can be dropped.
        for key in &self.differing {
            self.state.drop_record(key)?;
        }
        let summary = self.state.finish(start.elapsed().as_secs_f64(), self.differing.len());
        // What is in flight may have ended a moment ago, and a later run then takes over the result.
        if self.store_error.is_none() && self.claimed.is_none() && self.crew.flights.is_empty() {
            self.crew.executor.settle();
        }
        if let Some(error) = self.claimed {
            return Err(error.into());
        }
        let plan = match self.store_error {
            Some(message) => return Err(RunError::Record { message, summary }),
            // The final state does not know which tasks a dropped record concerns, so the plan is made again.
            None if self.state.has_dropped() => self.planner.plan()?,
            None => self.state.into_plan(),
        };
        Ok(Ended { summary, plan, is_superseded: self.superseded })
    }

    fn reporter(&self, number: u64) -> Box<OnProgress> {
        let messages = self.crew.messages.clone();
        Box::new(move |done, total, metrics| {
            let _ = messages.send(CrewMessage::Progressed(number, Progress { done, total, metrics }));
        })
    }
}

fn progressed(task: &str, progress: Progress) -> Event {
    let Progress { done, total, metrics } = progress;
    Event::Progressed { task: task.to_owned(), done, total, metrics }
}
