//! The run: hands ready tasks to the executor, records what comes back, tells what happened.
//! It alone appends to the store. It computes nothing, so it never blocks for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fewbits_store::{Commit, Committer, Key, RunWriter, Store, StoreError};
use tokio::sync::{mpsc, watch};

use super::artifacts::Artifacts;
use super::context::{Context, Report};
use super::executor::{Assignment, Executor, Outcome};
use super::job::{Done, Job, JobError, Recipe, Way, Worker};
use super::schedule::Schedule;
use crate::event::{Event, Summary};
use crate::graph::{Graph, TaskId};
use crate::ops::{OpError, Ops};
use crate::plan::{Plan, PlanError, Planned, Planner, Preimage, State};
use crate::why::{Explainer, Reason, RunHeader};

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Tasks at once.
    pub jobs: usize,
    /// Threads that all tasks share.
    pub threads: usize,
    /// Whether the first failure stops the run.
    pub fail_fast: bool,
}

/// Why a run could not be made or finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan cannot be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Results could not be recorded.
    #[error("{message}")]
    Record {
        /// What went wrong.
        message: String,
        /// How far the run came.
        summary: Summary,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// What reaches the coordinator from other threads.
enum Message<A> {
    /// A job ended.
    Ended(Job, Outcome<A>),
    /// These tasks' records are safe from a crash, or could not be written.
    Recorded(Vec<u64>, Result<(), String>),
    /// A task reported.
    Reported(Event),
}

/// Runs what is not in the store yet. Events go to `events` and to the run's journal; when `cancel` becomes true,
/// what is in flight is dropped and everything done is kept.
pub async fn run<O: Ops>(
    graph: Arc<Graph<O>>,
    ops: Arc<O>,
    store: Arc<Store>,
    id: &str,
    settings: Settings,
    events: mpsc::UnboundedSender<Event>,
    mut cancel: watch::Receiver<bool>,
) -> Result<Summary, RunError> {
    let start = Instant::now();
    let planner = Planner::new(&graph, &*ops, &store);
    let plan = planner.plan()?;
    let reasons = explain(&graph, &plan, &planner, &*ops, &store)?;
    let journal = open_journal(&graph, &store, id)?;
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let cancelled = Arc::new(AtomicBool::new(false));
    let artifacts = Arc::new(Artifacts::new());
    let executor = start_executor(&graph, &ops, &store, &artifacts, settings.jobs, &messages)?;
    let recorded = messages.clone();
    let committer = Committer::start(Arc::clone(&store), move |tickets, result| {
        let result = result.map_err(ToString::to_string);
        let _ = recorded.send(Message::Recorded(tickets.to_vec(), result));
    })?;
    let mut coordinator = Coordinator {
        graph: &graph,
        planner: &planner,
        store: &store,
        settings,
        schedule: Schedule::new(depths(&graph)),
        users: vec![0; graph.len()],
        supplies: HashMap::new(),
        plan,
        reasons,
        artifacts,
        executor,
        committer,
        recording: HashMap::new(),
        cancelled,
        messages,
        events,
        journal,
        store_error: None,
        stopping: false,
        interrupted: false,
    };
    coordinator.begin()?;
    while coordinator.dispatch()? {
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => coordinator.receive(message)?,
                None => break,
            },
            Ok(()) = cancel.changed(), if !coordinator.interrupted => coordinator.interrupt(),
        }
    }
    coordinator.finish(start)
}

struct Coordinator<'r, O: Ops> {
    graph: &'r Arc<Graph<O>>,
    planner: &'r Planner<'r, O>,
    store: &'r Arc<Store>,
    settings: Settings,
    schedule: Schedule,
    /// How many tasks to come still read each task's artifact.
    users: Vec<u32>,
    /// Those artifacts, by the task that needs them.
    supplies: HashMap<TaskId, Vec<TaskId>>,
    plan: Plan,
    reasons: HashMap<TaskId, Reason>,
    artifacts: Arc<Artifacts<O::Artifact>>,
    executor: Executor,
    committer: Committer,
    /// Tasks whose record is on its way to the disk, with the event that says it is there.
    recording: HashMap<u64, (TaskId, Event)>,
    cancelled: Arc<AtomicBool>,
    messages: mpsc::UnboundedSender<Message<O::Artifact>>,
    events: mpsc::UnboundedSender<Event>,
    journal: Option<RunWriter>,
    store_error: Option<String>,
    /// Whether no task is started any more.
    stopping: bool,
    interrupted: bool,
}

impl<O: Ops> Coordinator<'_, O> {
    /// Announces the plan and puts every task that is not cached into the schedule.
    fn begin(&mut self) -> Result<(), RunError> {
        let nodes = self.graph.experiment.nodes.iter().enumerate();
        let nodes =
            nodes.map(|(at, node)| (node.name.clone(), self.plan.counts(self.graph.tasks_of(at)))).collect();
        let experiment = self.graph.experiment.name.clone();
        self.emit(Event::Planned { experiment, counts: self.plan.counts(self.graph.tasks()), nodes });
        for message in self.planner.notes().into_iter().chain(self.store.warnings()) {
            self.emit(Event::Warned { message });
        }
        let pending: Vec<TaskId> =
            self.graph.tasks().filter(|task| self.plan.of(*task).state != State::Cached).collect();
        for &task in &pending {
            let unknown: Vec<TaskId> = self
                .graph
                .inputs(task)
                .into_iter()
                .filter(|input| self.plan.of(*input).parts.is_none())
                .collect();
            self.schedule.wait(task, &unknown);
            let mut supplies = vec![];
            self.supplies(task, &mut supplies);
            for supply in &supplies {
                self.users[supply.index()] += 1;
            }
            self.supplies.insert(task, supplies);
        }
        for task in pending {
            let planned = self.plan.of(task).clone();
            if planned.state != State::Waiting {
                let freed = self.settled(task, planned);
                self.advance(freed)?;
            }
        }
        Ok(())
    }

    /// Starts ready tasks while there is room; returns whether there is anything to wait for.
    fn dispatch(&mut self) -> Result<bool, RunError> {
        while !self.stopping && self.schedule.running() < self.settings.jobs {
            let Some(task) = self.schedule.start_next() else { break };
            self.start(task)?;
        }
        Ok(self.schedule.running() > 0 || !self.recording.is_empty())
    }

    fn start(&mut self, task: TaskId) -> Result<(), RunError> {
        let Preimage::Known(preimage) =
            self.planner.preimage(task, |input| self.plan.of(input).parts.as_ref())?
        else {
            // Only tasks whose inputs are all known become ready.
            self.schedule.stop_running();
            return Ok(());
        };
        let key = Key::derive(&preimage);
        let (node, _) = self.graph.place(task);
        let inputs = self.graph.inputs(task).into_iter().filter_map(|input| self.recipe(input)).collect();
        let job = Job { task, key, preimage, keep: self.graph.experiment.nodes[node].keep, inputs };
        let reason = self.reasons.remove(&task).unwrap_or(Reason::New);
        self.emit(Event::Started { task: self.graph.name(task), key: key.to_string(), reason });
        // Tasks beside each other use the cores better than threads inside one; a task alone gets them all.
        let beside = (self.schedule.running() + self.schedule.ready()).clamp(1, self.settings.jobs);
        let width = (self.settings.threads / beside).max(1);
        let context = Context::new(
            Arc::clone(&self.cancelled),
            self.reporter(self.graph.name(task)),
            Some((Arc::clone(self.store), key)),
        );
        let quiet = Context::new(Arc::clone(&self.cancelled), Box::new(|_, _, _| ()), None);
        self.executor.assign(Assignment { job, width, context, quiet });
        Ok(())
    }

    fn receive(&mut self, message: Message<O::Artifact>) -> Result<(), RunError> {
        match message {
            Message::Reported(event) => self.emit(event),
            Message::Recorded(tickets, result) => self.recorded(&tickets, result),
            Message::Ended(job, outcome) => {
                self.schedule.stop_running();
                match outcome {
                    Ok(done) => self.done(&job, done)?,
                    Err(error) => self.undone(&job, error)?,
                }
                self.release(&job);
            }
        }
        Ok(())
    }

    /// A task gave a result: it goes to the store, and dependents may start from memory.
    fn done(&mut self, job: &Job, done: Done<O::Artifact>) -> Result<(), RunError> {
        let task = job.task;
        if let Some(artifact) = done.artifact.filter(|_| self.users[task.index()] > 0) {
            self.artifacts.insert(job.key, artifact);
        }
        let completed = Event::Completed {
            task: self.graph.name(task),
            key: job.key.to_string(),
            metrics: done.record.metrics.clone(),
            seconds: done.record.seconds,
        };
        let ticket = task.index() as u64;
        self.recording.insert(ticket, (task, completed));
        let parts = done.record.parts.clone();
        self.committer.submit(Commit { ticket, key: job.key, record: done.record, objects: done.objects });
        self.known(task, Planned { state: State::Cached, key: Some(job.key), parts: Some(parts) })
    }

    /// A task's result is known: serves those that take it, settles those that waited for it.
    fn known(&mut self, task: TaskId, planned: Planned) -> Result<(), RunError> {
        self.plan.tasks[task.index()] = planned;
        let mut freed = self.schedule.know(task);
        for follower in self.schedule.take_followers(task) {
            freed.extend(self.serve(follower, task));
        }
        self.advance(freed)
    }

    /// Settles tasks whose inputs have become known, and those that become known because of it.
    fn advance(&mut self, mut freed: Vec<TaskId>) -> Result<(), RunError> {
        while let Some(task) = freed.pop() {
            let planned = self.planner.settle(task, |input| self.plan.of(input).parts.as_ref())?;
            freed.extend(self.settled(task, planned));
        }
        Ok(())
    }

    /// Acts on the state of a task whose inputs are known; returns tasks whose inputs are known because of it.
    fn settled(&mut self, task: TaskId, planned: Planned) -> Vec<TaskId> {
        let (state, key) = (planned.state.clone(), planned.key);
        self.plan.tasks[task.index()] = planned;
        match (state, key) {
            (State::Cached, _) => {
                self.schedule.cache(task);
                self.emit(Event::Reused { task: self.graph.name(task), same_as: None });
                self.forget_supplies(task);
                return self.schedule.know(task);
            }
            (State::Missing(what), _) => self.failed(task, None, what),
            (State::Run | State::Lost | State::SameAs(_), Some(key)) => {
                if let Some(leader) = self.schedule.make_ready(task, key)
                    && self.plan.of(leader).parts.is_some()
                {
                    // The leader served its followers when it ended; this one came later.
                    self.schedule.take_followers(leader);
                    return self.serve(task, leader);
                }
            }
            (State::Waiting | State::Run | State::Lost | State::SameAs(_), _) => {}
        }
        vec![]
    }

    fn serve(&mut self, task: TaskId, leader: TaskId) -> Vec<TaskId> {
        self.plan.tasks[task.index()] = self.plan.of(leader).clone();
        self.schedule.cache(task);
        self.emit(Event::Reused { task: self.graph.name(task), same_as: Some(self.graph.name(leader)) });
        self.forget_supplies(task);
        self.schedule.know(task)
    }

    /// A job gave no result.
    fn undone(&mut self, job: &Job, error: JobError) -> Result<(), RunError> {
        match error {
            JobError::Op(OpError::Cancelled) => {}
            JobError::Lost(input) => {
                if let Some(key) = self.plan.of(input).key {
                    self.store.drop_record(&key)?;
                }
                self.emit(Event::Warned {
                    message: format!(
                        "{}: its kept artifact is gone or damaged; it runs again",
                        self.graph.name(input)
                    ),
                });
                self.reasons.insert(input, Reason::Lost);
                self.schedule.send_back(job.task, job.key, input);
                self.plan.tasks[input.index()].parts = None;
                self.advance(vec![input])?;
            }
            JobError::Differs { key, .. } => {
                self.store.drop_record(&key)?;
                self.failed(job.task, Some(job.key), error.to_string());
            }
            JobError::Op(_) | JobError::Store(_) => self.failed(job.task, Some(job.key), error.to_string()),
        }
        Ok(())
    }

    fn failed(&mut self, task: TaskId, key: Option<Key>, error: String) {
        let because = self.graph.name(task);
        self.emit(Event::Failed { task: because.clone(), error });
        let skipped = self.schedule.fail(task, key);
        self.forget_supplies(task);
        for task in skipped {
            self.emit(Event::Skipped { task: self.graph.name(task), because: because.clone() });
            self.forget_supplies(task);
        }
        self.stopping |= self.settings.fail_fast;
    }

    /// Records reached the disk, or did not: then nothing of them counts and the run stops.
    fn recorded(&mut self, tickets: &[u64], result: Result<(), String>) {
        for ticket in tickets {
            let Some((task, event)) = self.recording.remove(ticket) else { continue };
            match &result {
                Ok(()) => {
                    self.schedule.record(task);
                    if let Some(key) = self.plan.of(task).key {
                        self.store.remove_checkpoint(&key);
                    }
                    self.emit(event);
                }
                Err(error) => {
                    self.failed(task, None, error.clone());
                    self.store_error.get_or_insert_with(|| error.clone());
                    self.stop();
                }
            }
        }
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
        self.emit(Event::Interrupted);
        self.stop();
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn finish(mut self, start: Instant) -> Result<Summary, RunError> {
        self.schedule.leave_rest();
        let summary = self.schedule.summary(start.elapsed().as_secs_f64());
        for message in self.store.warnings() {
            self.emit(Event::Warned { message });
        }
        self.emit(Event::Finished(summary));
        self.committer.finish();
        match self.store_error {
            Some(message) => Err(RunError::Record { message, summary }),
            None => Ok(summary),
        }
    }

    /// Returns how to get the artifact of a task whose result is known.
    fn recipe(&self, task: TaskId) -> Option<Recipe> {
        let planned = self.plan.of(task);
        let (node, _) = self.graph.place(task);
        let way = if self.graph.experiment.nodes[node].keep {
            Way::Kept
        } else {
            Way::Made(self.graph.inputs(task).into_iter().filter_map(|input| self.recipe(input)).collect())
        };
        Some(Recipe { task, key: planned.key?, parts: planned.parts.clone()?, way })
    }

    /// Collects the tasks whose artifact a task may need: its inputs, and theirs where they have to be made again.
    fn supplies(&self, task: TaskId, into: &mut Vec<TaskId>) {
        for input in self.graph.inputs(task) {
            into.push(input);
            let (node, _) = self.graph.place(input);
            if self.plan.of(input).parts.is_some() && !self.graph.experiment.nodes[node].keep {
                self.supplies(input, into);
            }
        }
    }

    /// A task needs no artifact any more: those that no other task needs leave memory.
    fn forget_supplies(&mut self, task: TaskId) {
        for supply in self.supplies.remove(&task).unwrap_or_default() {
            self.users[supply.index()] -= 1;
            if self.users[supply.index()] == 0
                && let Some(key) = self.plan.of(supply).key
            {
                self.artifacts.remove(&key);
            }
        }
    }

    /// A job ended: its inputs may leave memory.
    fn release(&mut self, job: &Job) {
        if self.plan.of(job.task).parts.is_some() {
            self.forget_supplies(job.task);
        }
        for input in &job.inputs {
            input.walk(&mut |recipe| {
                if self.users[recipe.task.index()] == 0 {
                    self.artifacts.remove(&recipe.key);
                }
            });
        }
    }

    fn emit(&mut self, event: Event) {
        if let (Some(journal), Ok(line)) = (&mut self.journal, serde_json::to_string(&event)) {
            // A run can do without its journal; the results are elsewhere.
            if journal.append_line(&line).is_err() {
                self.journal = None;
            }
        }
        let _ = self.events.send(event);
    }

    fn reporter(&self, task: String) -> Box<Report> {
        let messages = self.messages.clone();
        Box::new(move |done, total, metrics| {
            let _ = messages.send(Message::Reported(Event::Progressed {
                task: task.clone(),
                done,
                total,
                metrics,
            }));
        })
    }
}

fn start_executor<O: Ops>(
    graph: &Arc<Graph<O>>,
    ops: &Arc<O>,
    store: &Arc<Store>,
    artifacts: &Arc<Artifacts<O::Artifact>>,
    jobs: usize,
    messages: &mpsc::UnboundedSender<Message<O::Artifact>>,
) -> std::io::Result<Executor> {
    let (rebuilt, names) = (messages.clone(), Arc::clone(graph));
    let worker = Worker {
        graph: Arc::clone(graph),
        ops: Arc::clone(ops),
        store: Arc::clone(store),
        artifacts: Arc::clone(artifacts),
        rebuilt: Box::new(move |task, seconds| {
            let _ = rebuilt.send(Message::Reported(Event::Rebuilt { task: names.name(task), seconds }));
        }),
    };
    let messages = messages.clone();
    Executor::start(jobs, worker, move |job, outcome| {
        let _ = messages.send(Message::Ended(job, outcome));
    })
}

fn open_journal<O: Ops>(graph: &Graph<O>, store: &Store, id: &str) -> Result<Option<RunWriter>, RunError> {
    let mut journal = store.create_run(id)?;
    let header = RunHeader { experiment: graph.experiment.name.clone(), text: graph.text.clone() };
    if let Ok(line) = serde_json::to_string(&header) {
        journal.append_line(&line)?;
    }
    Ok(Some(journal))
}

/// Finds why each task that will run does so; nothing is read where nothing runs.
fn explain<O: Ops>(
    graph: &Graph<O>,
    plan: &Plan,
    planner: &Planner<'_, O>,
    ops: &O,
    store: &Store,
) -> Result<HashMap<TaskId, Reason>, PlanError> {
    let running: Vec<TaskId> =
        graph.tasks().filter(|task| matches!(plan.of(*task).state, State::Run | State::Lost)).collect();
    if running.is_empty() {
        return Ok(HashMap::new());
    }
    let explainer = Explainer::new(graph, plan, planner, ops, store);
    running.into_iter().map(|task| Ok((task, explainer.reason(task)?))).collect()
}

fn depths<O: Ops>(graph: &Graph<O>) -> Vec<u32> {
    let mut of_node = vec![0_u32; graph.steps.len()];
    for &node in &graph.order {
        let inputs = graph.experiment.nodes[node].inputs.iter();
        of_node[node] = inputs.map(|&input| of_node[input] + 1).max().unwrap_or(0);
    }
    graph.tasks().map(|task| of_node[graph.node(task)]).collect()
}
