//! The runner: what outlives one version of an experiment in a process. It has the executor, the thread that commits, the
//! artifacts in memory and the jobs in flight. Knows nothing of the states of tasks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fewbits_store::{Commit, Committer, Key, Store};
use tokio::sync::{mpsc, watch};

use super::announcer::Announcer;
use super::artifacts::Artifacts;
use super::coordinator::{Coordinator, RunError, Settings};
use super::executor::{Executor, FoundJob, Report, StartedExecutor};
use super::halt::Halt;
use super::job::{Job, JobResult, JobRunner};
use super::state::RunState;
use super::supply::Supply;
use super::threads::Threads;
use crate::event::{Event, Summary};
use crate::graph::{TaskGraph, TaskId};
use crate::job_store::JobStore;
use crate::ops::Ops;
use crate::plan::{Plan, Planner, TaskState};
use crate::preview::preview;
use crate::run_log::RunHeader;
use crate::why::History;

/// The messages from other threads to the coordinator. Jobs are named by their numbers, because the task of a job has
/// another place in another version.
pub(super) enum CrewMessage<A> {
    /// The executor reported.
    Reported(Report<A>),
    /// The records of these jobs are safe from a crash, or could not be written.
    Recorded(Vec<u64>, Result<(), String>),
    /// A job reported its progress.
    Progressed(u64, Progress),
    /// An artifact was made again: the task's name and the seconds.
    Rebuilt(String, f64),
}

/// The progress of a job: steps done, steps in all, and the metrics at this step.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) metrics: BTreeMap<String, f64>,
}

/// A job that the executor has.
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) keep: bool,
    pub(super) cancelled: Arc<AtomicBool>,
    /// The progress so far, so that another version can show it from the beginning.
    pub(super) progress: Vec<Progress>,
    /// Whether a version after the one that started it took it over.
    pub(super) is_taken_over: bool,
    /// Whether the job was in the hands of workers before the run began, and no version has adopted it yet.
    pub(super) is_found: bool,
    /// The place of the worker that runs it.
    pub(super) on: Option<String>,
}

impl Flight {
    pub(super) fn new(job: &Job, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            is_found: false,
            ..Self::found(FoundJob { number: 0, key: job.key, keep: job.keep, cancelled })
        }
    }

    fn found(FoundJob { key, keep, cancelled, .. }: FoundJob) -> Self {
        Self { key, keep, cancelled, progress: vec![], is_taken_over: false, is_found: true, on: None }
    }
}

/// A version of an experiment to run.
pub struct Version<O: Ops> {
    /// Its tasks.
    pub graph: Arc<TaskGraph<O>>,
    /// The id of the run.
    pub id: String,
    /// The run of the version before, if this one is an edit of it.
    pub follows: Option<String>,
}

/// The end of a run.
#[derive(Debug)]
pub struct Ended {
    /// The counts of the tasks.
    pub summary: Summary,
    /// The final state of every task.
    pub plan: Plan,
    /// Whether a newer version took over.
    pub is_superseded: bool,
}

/// Receives the reports of an executor, on any thread.
pub type OnReport<A> = Arc<dyn Fn(Report<A>) + Send + Sync>;

/// Runs one version of an experiment after the other. A job that the next version still wants goes on.
pub struct Runner<O: Ops> {
    ops: Arc<O>,
    store: Arc<Store>,
    settings: Settings,
    artifacts: Arc<Artifacts<O::Artifact>>,
    /// Whether artifacts of tasks without inputs stay in memory for the next version.
    keeps_sources: bool,
    messages: mpsc::UnboundedSender<CrewMessage<O::Artifact>>,
    inbox: mpsc::UnboundedReceiver<CrewMessage<O::Artifact>>,
    /// Started with the first task that runs.
    crew: Option<Crew<O>>,
}

/// The executor of a runner, the thread that commits, and the jobs in flight.
pub(super) struct Crew<O: Ops> {
    pub(super) executor: Box<dyn Executor<O>>,
    pub(super) committer: Committer,
    pub(super) messages: mpsc::UnboundedSender<CrewMessage<O::Artifact>>,
    pub(super) flights: HashMap<u64, Flight>,
    /// The places of the workers, each with the number of tasks that it runs at once.
    pub(super) workers: Vec<(String, usize)>,
    /// The number of the next job.
    pub(super) next: u64,
}

impl<O: Ops> Runner<O> {
    /// Makes a runner; no thread is started before a task runs.
    #[must_use]
    pub fn new(ops: Arc<O>, store: Arc<Store>, settings: Settings) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let artifacts = Arc::new(Artifacts::new());
        Self { ops, store, settings, artifacts, keeps_sources: false, messages, inbox, crew: None }
    }

    /// Runs the jobs with another executor than threads of this process. `start` gets the function that receives its
    /// reports, and returns the executor with the jobs that it found.
    pub fn with_executor<E: Into<RunError>>(
        mut self,
        start: impl FnOnce(OnReport<O::Artifact>) -> Result<StartedExecutor<O>, E>,
    ) -> Result<Self, RunError> {
        let reported = self.messages.clone();
        let report = move |report| drop(reported.send(CrewMessage::Reported(report)));
        let (executor, found) = start(Arc::new(report)).map_err(Into::into)?;
        let mut crew = Crew::start(executor, &self.store, &self.messages)?;
        crew.next = found.iter().map(|job| job.number + 1).max().unwrap_or(0);
        crew.flights = found.into_iter().map(|job| (job.number, Flight::found(job))).collect();
        self.crew = Some(crew);
        Ok(self)
    }

    /// Lets artifacts of tasks without inputs, such as datasets, stay in memory for the next version.
    #[must_use]
    pub fn keeping_sources(self) -> Self {
        Self { keeps_sources: true, ..self }
    }

    /// Runs the tasks of a version whose results are not in the store. Events go to `events` and to the run log; `halt`
    /// asks the run to end early; a change of `newer` says that there is a newer version: no further task starts, and the
    /// jobs in flight are left to the next call.
    pub async fn run(
        &mut self,
        version: Version<O>,
        events: mpsc::UnboundedSender<Event>,
        mut halt: watch::Receiver<Halt>,
        mut newer: watch::Receiver<u64>,
    ) -> Result<Ended, RunError> {
        let start = Instant::now();
        self.record_ended().await;
        let (graph, ops, store) = (version.graph, Arc::clone(&self.ops), Arc::clone(&self.store));
        let planner = Planner::new(&graph, &*ops, &store);
        let plan = planner.plan()?;
        // The last run is only read if something runs. It must be found before this run's own log exists.
        let idle = plan.tasks.iter().all(|planned| planned.state == TaskState::Cached);
        let history = match &version.follows {
            _ if idle => None,
            Some(before) => History::of(before, &*ops, &store),
            None => History::last(&graph, &*ops, &store),
        };
        let header = RunHeader {
            follows: version.follows,
            ..RunHeader::new(&graph, &plan, self.settings.jobs, planner.sources()?)
        };
        let mut announcer = Announcer::open(&header, &store, &version.id, start, events)?;
        let warnings = graph.warnings.iter().cloned().chain(planner.notes()).chain(store.warnings());
        announcer.begin(&graph, &plan, warnings);
        if header.follows.is_some() {
            let nodes = preview(&graph, &plan, &planner, history.as_ref(), &store)?;
            announcer.tell(Event::Edited { nodes });
        }
        if let Some(crew) = &mut self.crew {
            crew.cancel_unwanted(&graph, &plan);
        }
        if idle {
            self.keep_sources_of(&graph, &plan);
            return Ok(Ended { summary: announcer.end_idle(&plan), plan, is_superseded: false });
        }
        let supply = Supply::new(&graph, plan, Arc::clone(&self.artifacts), self.keeps_sources);
        let state = RunState::new(&graph, &planner, &store, supply, history, announcer);
        let runner = Arc::new(JobRunner {
            graph: Arc::clone(&graph),
            ops: Arc::clone(&ops),
            store: Arc::clone(&store) as Arc<dyn JobStore>,
            artifacts: Arc::clone(&self.artifacts),
            rebuilt: rebuilt(&graph, &self.messages),
        });
        let crew = match &mut self.crew {
            Some(crew) => crew,
            none => none.insert(Crew::of_threads(self.settings.jobs, &store, &self.messages)?),
        };
        let mut coordinator =
            Coordinator::new((&graph, &store), &planner, state, self.settings, runner, crew);
        coordinator.begin()?;
        while coordinator.dispatch()? {
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => coordinator.receive(message)?,
                    None => break,
                },
                Ok(()) = halt.changed(), if coordinator.is_haltable() => {
                    let asked = *halt.borrow_and_update();
                    coordinator.halt(asked)?;
                }
                Ok(()) = newer.changed(), if !coordinator.is_superseded() => coordinator.supersede(),
            }
        }
        coordinator.finish(start)
    }
}

impl<O: Ops> Runner<O> {
    /// Records the results of jobs that ended between two versions, so that the next plan knows them.
    async fn record_ended(&mut self) {
        let Some(crew) = &mut self.crew else { return };
        let (mut saving, mut later) = (HashSet::new(), vec![]);
        loop {
            let message = match self.inbox.try_recv() {
                Ok(message) => message,
                Err(_) if saving.is_empty() => break,
                Err(_) => match self.inbox.recv().await {
                    Some(message) => message,
                    None => break,
                },
            };
            match message {
                CrewMessage::Reported(Report::Ended(number, outcome)) => {
                    if let (Some(flight), Ok(done)) = (crew.flights.remove(&number), outcome) {
                        saving.insert(number);
                        crew.commit(number, flight.key, done);
                    }
                }
                // A result that could not be written is computed again; the next write tells the error.
                CrewMessage::Recorded(numbers, _) => saving.retain(|number| !numbers.contains(number)),
                CrewMessage::Progressed(number, progress) => {
                    if let Some(flight) = crew.flights.get_mut(&number) {
                        flight.progress.push(progress);
                    }
                }
                CrewMessage::Rebuilt(..) => {}
                CrewMessage::Reported(report) => later.push(report),
            }
        }
        // What happened to workers meanwhile concerns the next version.
        for report in later {
            let _ = crew.messages.send(CrewMessage::Reported(report));
        }
    }

    /// Removes the artifacts from memory, but those of tasks without inputs in a plan, if they stay.
    fn keep_sources_of(&self, graph: &TaskGraph<O>, plan: &Plan) {
        let sources = graph.tasks().filter(|task| self.keeps_sources && graph.inputs(*task).is_empty());
        let keys: HashSet<Key> = sources.filter_map(|task| plan.planned(task).key).collect();
        self.artifacts.retain(|key| keys.contains(key));
    }
}

impl<O: Ops> Crew<O> {
    /// Hands a result to the thread that commits, under the number of its job; returns the artifact.
    pub(super) fn commit(
        &self,
        number: u64,
        key: Key,
        done: JobResult<O::Artifact>,
    ) -> Option<Arc<O::Artifact>> {
        let JobResult { record, artifact, objects } = done;
        self.committer.submit(Commit { ticket: number, key, record, objects });
        artifact
    }

    fn of_threads(
        jobs: usize,
        store: &Arc<Store>,
        messages: &mpsc::UnboundedSender<CrewMessage<O::Artifact>>,
    ) -> Result<Self, RunError> {
        let ended = messages.clone();
        let threads = Threads::start(jobs, move |number, outcome| {
            let _ = ended.send(CrewMessage::Reported(Report::Ended(number, outcome)));
        })?;
        Self::start(Box::new(threads), store, messages)
    }

    fn start(
        executor: Box<dyn Executor<O>>,
        store: &Arc<Store>,
        messages: &mpsc::UnboundedSender<CrewMessage<O::Artifact>>,
    ) -> Result<Self, RunError> {
        let recorded = messages.clone();
        let committer = Committer::start(Arc::clone(store), move |tickets, result| {
            let result = result.map_err(ToString::to_string);
            let _ = recorded.send(CrewMessage::Recorded(tickets.to_vec(), result));
        })?;
        Ok(Self {
            executor,
            committer,
            messages: messages.clone(),
            flights: HashMap::new(),
            workers: vec![],
            next: 0,
        })
    }

    /// Cancels the jobs in flight whose results a plan does not want, or wants kept while they are not.
    fn cancel_unwanted(&mut self, graph: &TaskGraph<O>, plan: &Plan) {
        if self.flights.is_empty() {
            return;
        }
        let mut wanted: HashMap<Key, bool> = HashMap::new();
        for task in graph.tasks() {
            let planned = plan.planned(task);
            if let (Some(key), None) = (planned.key, &planned.parts) {
                *wanted.entry(key).or_default() |= graph.keeps(task);
            }
        }
        for flight in self.flights.values() {
            if wanted.get(&flight.key).is_none_or(|keep| *keep && !flight.keep) {
                flight.cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Cancels all jobs in flight.
    pub(super) fn cancel(&self) {
        for flight in self.flights.values() {
            flight.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl<O: Ops> Drop for Crew<O> {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Returns a callback that sends a message for every artifact that is made again.
fn rebuilt<O: Ops>(
    graph: &Arc<TaskGraph<O>>,
    messages: &mpsc::UnboundedSender<CrewMessage<O::Artifact>>,
) -> Box<dyn Fn(TaskId, f64) + Send + Sync> {
    let (graph, messages) = (Arc::clone(graph), messages.clone());
    Box::new(move |task, seconds| {
        let _ = messages.send(CrewMessage::Rebuilt(graph.name(task), seconds));
    })
}
