//! The state of a run: the known facts of every task, and the effects of results, losses and failures on other tasks.
//! Every change of a task's state is one function here, and no other part of a run changes it. Knows neither threads
//! nor commits.
//!
//! Between two calls these invariants hold:
//! - A task is in flight under at most one key, and a key has at most one leader; followers share their leader's key.
//! - A task that waits depends on a result that is not known, and the task of that result can still give it.
//! - A task holds its inputs' artifacts from the moment it waits until it has a result or is out.
//! - A recorded task is announced as completed after its record is on disk, and before the tasks that took its result.

mod loss;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fewbits_store::{Key, Store, StoreError};

use super::announcer::Announcer;
use super::job::Job;
use super::queue::TaskQueue;
use super::supply::Supply;
use crate::event::{Event, Summary};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::parts::Parts;
use crate::plan::{Plan, Planned, Planner, PreimageState, TaskState};
use crate::reason::Reason;
use crate::why::History;

/// A result that the store is writing.
struct Recording {
    /// Whether the store keeps its artifact.
    kept: bool,
    /// The event to send when the result is recorded.
    completed: Event,
    /// The tasks that take the result, each with the event to send then.
    reused: Vec<(TaskId, Event)>,
}

/// The state of a run.
pub struct RunState<'r, O: Ops> {
    graph: &'r TaskGraph<O>,
    planner: &'r Planner<'r, O>,
    store: &'r Store,
    /// The status of every task.
    queue: TaskQueue,
    /// The known results and the artifacts in memory.
    supply: Supply<'r, O>,
    /// The preimages of the last run, which the reasons compare with.
    history: Option<History>,
    /// The sender of events.
    announcer: Announcer,
    /// Results that the store is writing, by the task that produced them.
    recording: HashMap<TaskId, Recording>,
    /// Tasks whose kept artifact was found lost in this run.
    lost: HashSet<TaskId>,
    /// Pairs of a task that was sent back and the input whose artifact was lost; a repeated pair fails the task.
    sent_back: HashSet<(TaskId, TaskId)>,
    failures: bool,
    /// Whether a record was dropped from the store in this run.
    dropped: bool,
}

impl<'r, O: Ops> RunState<'r, O> {
    /// Makes the state of a run that is about to begin.
    pub fn new(
        graph: &'r TaskGraph<O>,
        planner: &'r Planner<'r, O>,
        store: &'r Store,
        supply: Supply<'r, O>,
        history: Option<History>,
        announcer: Announcer,
    ) -> Self {
        Self {
            graph,
            planner,
            store,
            queue: TaskQueue::new(graph.depths()),
            supply,
            history,
            announcer,
            recording: HashMap::new(),
            lost: HashSet::new(),
            sent_back: HashSet::new(),
            failures: false,
            dropped: false,
        }
    }

    /// Returns whether a task failed.
    pub fn has_failures(&self) -> bool {
        self.failures
    }

    /// Returns whether a record was dropped from the store. Then other tasks of its key still count as cached in this
    /// state.
    pub fn has_dropped(&self) -> bool {
        self.dropped
    }

    /// Returns the number of tasks that jobs compute.
    pub fn running(&self) -> usize {
        self.queue.running()
    }

    /// Returns the number of tasks that can start.
    pub fn ready(&self) -> usize {
        self.queue.ready()
    }

    /// Returns whether the store is writing a result.
    pub fn is_recording(&self) -> bool {
        !self.recording.is_empty()
    }

    /// Sends an event that changes no task's state.
    pub fn tell(&mut self, event: Event) {
        self.announcer.tell(event);
    }

    /// Puts every task that is not cached into the queue.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let pending: Vec<TaskId> =
            self.graph.tasks().filter(|task| self.supply.planned(*task).state != TaskState::Cached).collect();
        for &task in &pending {
            self.queue.wait(task, &self.supply.unknown_inputs(task));
            self.supply.hold(task);
        }
        // Tasks that take another's result come last, so that the same tasks run as in the plan.
        let takes = |task: &TaskId| matches!(self.supply.planned(*task).state, TaskState::SameAs(_));
        let (taking, others): (Vec<TaskId>, Vec<TaskId>) = pending.into_iter().partition(takes);
        for task in others.into_iter().chain(taking) {
            let planned = self.supply.planned(task).clone();
            let freed = match planned.state {
                // The inputs may be known already, through other tasks of the same keys.
                TaskState::Waiting if self.supply.unknown_inputs(task).is_empty() => vec![task],
                TaskState::Waiting => continue,
                _ => self.settled(task, planned),
            };
            self.advance(freed)?;
        }
        self.supply.clear_unwanted();
        Ok(())
    }

    /// Starts the next ready task; returns its job. Tasks whose needed results were lost since they were settled are
    /// sent back.
    pub fn start_next(&mut self) -> Result<Option<Job>, StoreError> {
        while let Some(task) = self.queue.start_next() {
            if let Some(job) = self.start(task)? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Starts the task that leads this key, if it is ready; returns its job.
    pub fn start_leader(&mut self, key: &Key) -> Result<Option<Job>, StoreError> {
        match self.queue.start_leader(key) {
            Some(task) => self.start(task),
            None => Ok(None),
        }
    }

    fn start(&mut self, task: TaskId) -> Result<Option<Job>, StoreError> {
        let inputs = match self.supply.input_sources(task) {
            Ok(inputs) => inputs,
            Err(lost) => {
                self.send_back(task, Some(lost))?;
                return Ok(None);
            }
        };
        let known = self.planner.preimage(task, |input| Some(self.supply.known(input)))?;
        let preimage = match known {
            PreimageState::Known(preimage)
                if self.supply.planned(task).key == Some(Key::derive(&preimage)) =>
            {
                preimage
            }
            _ => {
                self.send_back(task, None)?;
                return Ok(None);
            }
        };
        let key = Key::derive(&preimage);
        let reason = self.reason(task, &preimage);
        // One record serves all tasks of the key, so the artifact is kept if any of their nodes keeps it.
        let keeps = |task: &TaskId| self.graph.keeps(*task);
        let keep = keeps(&task) || self.queue.followers(task).iter().any(keeps);
        Ok(Some(Job { task, key, preimage, keep, inputs, reason }))
    }

    /// Announces that a job runs: in this process, or on the worker at a place.
    pub fn began(&mut self, job: &Job, on: Option<String>) {
        let (task, key, reason) = (self.graph.name(job.task), job.key.to_string(), job.reason.clone());
        self.announcer.tell(Event::Started { task, key, reason, on });
    }

    /// Handles a job's result, which the store begins to write: dependent tasks may start from memory.
    pub fn computed(
        &mut self,
        job: &Job,
        metrics: BTreeMap<String, f64>,
        seconds: f64,
        parts: Parts,
        artifact: Option<Arc<O::Artifact>>,
    ) -> Result<(), StoreError> {
        let (task, name) = (job.task, self.graph.name(job.task));
        self.queue.save(task);
        self.announcer.tell(Event::Computed { task: name.clone() });
        let completed = Event::Completed { task: name, key: job.key.to_string(), metrics, seconds };
        self.recording.insert(task, Recording { kept: job.keep, completed, reused: vec![] });
        if job.keep {
            // The objects can only be read once they are on disk; until then the artifact stays in memory.
            self.supply.pin(task);
        }
        self.known(task, Planned { state: TaskState::Cached, key: Some(job.key), parts: Some(parts) })?;
        if let Some(artifact) = artifact {
            self.supply.offer(task, job.key, artifact);
        }
        self.supply.let_go(task);
        Ok(())
    }

    /// Handles a known result: serves the followers of its task, and settles the tasks that waited for it.
    fn known(&mut self, task: TaskId, planned: Planned) -> Result<(), StoreError> {
        self.supply.learn(task, planned);
        let mut freed = self.queue.know(task);
        for follower in self.queue.take_followers(task) {
            freed.extend(self.serve(follower, task));
        }
        self.advance(freed)
    }

    /// Handles a record that is safe on disk.
    pub fn recorded(&mut self, task: TaskId) {
        let Some(Recording { kept, completed, reused }) = self.recording.remove(&task) else { return };
        self.queue.record(task);
        if let Some(key) = self.supply.planned(task).key {
            self.store.remove_checkpoint(&key);
        }
        if kept {
            self.supply.unpin(task);
        }
        self.announcer.tell(completed);
        for (_, event) in reused {
            self.announcer.tell(event);
        }
    }

    /// Handles a record that could not be written: its task fails, and the tasks that took its result are skipped.
    pub fn refused(&mut self, task: TaskId, error: &str) {
        let Some(Recording { kept, reused, .. }) = self.recording.remove(&task) else { return };
        if kept {
            self.supply.unpin(task);
        }
        self.failed(task, error.to_owned());
        for (taker, _) in reused {
            self.skip(taker, task);
        }
    }

    /// Removes artifacts from memory that no task of this version wants.
    pub fn clear_unwanted(&self) {
        self.supply.clear_unwanted();
    }

    /// Removes artifacts from memory that were made for an ended job only.
    pub fn sweep(&mut self, job: &Job) {
        self.supply.sweep(&job.inputs);
    }

    /// Handles a job that was cancelled; the tasks that depend on it are left to [`Self::finish`].
    pub fn cancelled(&mut self, task: TaskId) {
        self.queue.leave(task);
    }

    /// Drops a record that contradicts a computation.
    pub fn drop_record(&mut self, key: &Key) -> Result<(), StoreError> {
        self.store.drop_record(key)?;
        self.dropped = true;
        Ok(())
    }

    /// Ends the run: unfinished tasks are skipped. `differing` recorded tasks count as failed, because two workers gave different
    /// results for them. Returns the summary.
    pub fn finish(&mut self, seconds: f64, differing: usize) -> Summary {
        self.supply.check(self.recording.values().filter(|recording| recording.kept).count());
        self.queue.check();
        self.queue.leave_rest();
        let mut summary = self.queue.summary(seconds);
        let differing = differing.min(summary.ran);
        (summary.ran, summary.failed) = (summary.ran - differing, summary.failed + differing);
        for message in self.store.warnings() {
            self.announcer.tell(Event::Warned { message });
        }
        self.announcer.tell(Event::Finished(summary));
        summary
    }

    /// Returns the final facts of all tasks as a plan.
    pub fn into_plan(self) -> Plan {
        self.supply.into_plan()
    }

    /// Settles tasks whose inputs became known, and the tasks that this frees in turn. The early cutoff happens here:
    /// a task whose key is in the store does not run.
    fn advance(&mut self, freed: Vec<TaskId>) -> Result<(), StoreError> {
        let mut freed = VecDeque::from(freed);
        while let Some(task) = freed.pop_front() {
            let planned = self.planner.settle(task, |input| Some(self.supply.known(input)))?;
            freed.extend(self.settled(task, planned));
        }
        Ok(())
    }

    /// Acts on the state of a task whose inputs are known; returns the tasks whose inputs are known because of it.
    fn settled(&mut self, task: TaskId, planned: Planned) -> Vec<TaskId> {
        let (state, key) = (planned.state.clone(), planned.key);
        // The leader is checked before the store: whether the store has its record already depends on timing.
        let leader = key.and_then(|key| self.queue.leader(&key)).filter(|leader| *leader != task);
        if let Some(leader) = leader.filter(|leader| self.supply.known(*leader).parts.is_some()) {
            return self.serve(task, leader);
        }
        self.supply.learn(task, planned);
        match (state, key) {
            (TaskState::Cached, _) => {
                self.queue.cache(task);
                let key = self.supply.key(task);
                self.announcer.tell(Event::Reused { task: self.graph.name(task), key, same_as: None });
                self.supply.reuse(task);
                return self.queue.know(task);
            }
            (TaskState::Missing(what), _) => self.failed(task, what),
            (TaskState::Run | TaskState::Lost | TaskState::SameAs(_), Some(key)) => {
                self.queue.make_ready(task, key);
            }
            (TaskState::Waiting | TaskState::Run | TaskState::Lost | TaskState::SameAs(_), _) => {
                let unknown = self.supply.unknown_inputs(task);
                self.postpone(task, &unknown);
            }
        }
        vec![]
    }

    /// Gives a task the result of its leader, which has the same key.
    fn serve(&mut self, task: TaskId, leader: TaskId) -> Vec<TaskId> {
        self.supply.learn(task, self.supply.planned(leader).clone());
        self.queue.cache(task);
        let same_as = Some(self.graph.name(leader));
        let reused = Event::Reused { task: self.graph.name(task), key: self.supply.key(task), same_as };
        match self.recording.get_mut(&leader) {
            Some(recording) => recording.reused.push((task, reused)),
            None => self.announcer.tell(reused),
        }
        self.supply.reuse(task);
        self.queue.know(task)
    }

    /// Returns the reason that a task runs; `preimage` is its preimage.
    fn reason(&self, task: TaskId, preimage: &str) -> Reason {
        if self.lost.contains(&task) || self.supply.planned(task).state == TaskState::Lost {
            return Reason::Lost;
        }
        self.history.as_ref().map_or(Reason::New, |last| last.compare(self.graph, task, preimage))
    }
}
