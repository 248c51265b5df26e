//! The state of a run: the known facts of every task, and the effects of results, losses and failures on other tasks.
//! Every change of a task's state is one function here. Knows neither threads nor commits.

use std::collections::{HashMap, HashSet, VecDeque};

use fewbits_store::{Store, StoreError};

use super::announcer::Announcer;
use super::queue::TaskQueue;
use super::supply::Supply;
use crate::event::Event;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Planned, Planner, TaskState};
use crate::why::{History, Reason};

/// A result that the store is writing.
pub struct Recording {
    /// The task that produced it.
    pub task: TaskId,
    /// Whether the store keeps its artifact.
    pub kept: bool,
    /// The event to send when the result is recorded.
    pub completed: Event,
    /// The tasks that take the result, each with the event to send then.
    pub reused: Vec<(TaskId, Event)>,
}

/// The state of a run.
pub struct RunState<'r, O: Ops> {
    graph: &'r TaskGraph<O>,
    planner: &'r Planner<'r, O>,
    store: &'r Store,
    /// The status of every task.
    pub schedule: TaskQueue,
    /// The known results and the artifacts in memory.
    pub supply: Supply<'r, O>,
    /// The preimages of the last run, which the reasons compare with.
    history: Option<History>,
    /// The sender of events.
    pub announcer: Announcer,
    /// Results that the store is writing, by ticket.
    pub recording: HashMap<u64, Recording>,
    /// Tasks whose kept artifact was found lost in this run.
    lost: HashSet<TaskId>,
    /// Pairs of a task that was sent back and the input whose artifact was lost; a repeated pair fails the task.
    sent_back: HashSet<(TaskId, TaskId)>,
    failures: bool,
    /// Whether a record was dropped from the store in this run.
    pub dropped: bool,
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
            schedule: TaskQueue::new(graph.depths()),
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

    /// Puts every task that is not cached into the queue.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let pending: Vec<TaskId> =
            self.graph.tasks().filter(|task| self.supply.planned(*task).state != TaskState::Cached).collect();
        for &task in &pending {
            self.schedule.wait(task, &self.supply.unknown_inputs(task));
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
        Ok(())
    }

    /// Handles a job's result that is not yet recorded.
    pub fn computed(&mut self, task: TaskId) {
        self.schedule.save(task);
        self.announcer.tell(Event::Computed { task: self.graph.name(task) });
    }

    /// Handles a known result: serves the followers of its task, and settles the tasks that waited for it.
    pub fn known(&mut self, task: TaskId, planned: Planned) -> Result<(), StoreError> {
        self.supply.learn(task, planned);
        let mut freed = self.schedule.know(task);
        for follower in self.schedule.take_followers(task) {
            freed.extend(self.serve(follower, task));
        }
        self.advance(freed)
    }

    /// Settles tasks whose inputs became known, and the tasks that this frees in turn. The early cutoff happens here:
    /// a task whose key is in the store does not run.
    fn advance(&mut self, freed: Vec<TaskId>) -> Result<(), StoreError> {
        let mut freed = VecDeque::from(freed);
        while let Some(task) = freed.pop_front() {
            let planned = self.planner.settle(task, |input| self.supply.parts(input))?;
            freed.extend(self.settled(task, planned));
        }
        Ok(())
    }

    /// Acts on the state of a task whose inputs are known; returns the tasks whose inputs are known because of it.
    fn settled(&mut self, task: TaskId, planned: Planned) -> Vec<TaskId> {
        let (state, key) = (planned.state.clone(), planned.key);
        // The leader is checked before the store: whether the store has its record already depends on timing.
        let leader = key.and_then(|key| self.schedule.leader(&key)).filter(|leader| *leader != task);
        if let Some(leader) = leader.filter(|leader| self.supply.parts(*leader).is_some()) {
            return self.serve(task, leader);
        }
        self.supply.learn(task, planned);
        match (state, key) {
            (TaskState::Cached, _) => {
                self.schedule.cache(task);
                let key = self.supply.key(task);
                self.announcer.tell(Event::Reused { task: self.graph.name(task), key, same_as: None });
                self.supply.reuse(task);
                return self.schedule.know(task);
            }
            (TaskState::Missing(what), _) => self.failed(task, what),
            (TaskState::Run | TaskState::Lost | TaskState::SameAs(_), Some(key)) => {
                self.schedule.make_ready(task, key);
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
        self.schedule.cache(task);
        let same_as = Some(self.graph.name(leader));
        let reused = Event::Reused { task: self.graph.name(task), key: self.supply.key(task), same_as };
        match self.recording.get_mut(&(leader.index() as u64)) {
            Some(recording) => recording.reused.push((task, reused)),
            None => self.announcer.tell(reused),
        }
        self.supply.reuse(task);
        self.schedule.know(task)
    }

    /// Handles a kept artifact that a task found lost: the input runs again, once, and the task after it.
    pub fn lost(&mut self, task: TaskId, input: TaskId) -> Result<(), StoreError> {
        if !self.sent_back.insert((task, input)) {
            let input = self.graph.name(input);
            self.failed(task, format!("{input}: its kept artifact cannot be read back; check the disk"));
            return Ok(());
        }
        let name = self.graph.name(input);
        self.announcer.tell(Event::Postponed { task: self.graph.name(task), because: name.clone() });
        // Other tasks may find the same loss even after the artifact was made again.
        if self.lost.insert(input) {
            let message = format!("{name}: its kept artifact is gone or damaged; it runs again");
            self.announcer.tell(Event::Warned { message });
            self.supply.hold(input);
            let mut freed = vec![input];
            if let Some(key) = self.supply.planned(input).key {
                self.store.drop_record(&key)?;
                self.dropped = true;
                freed.extend(self.schedule.retire(input, key));
            }
            self.advance(freed)?;
        }
        let unknown = self.supply.parts(input).is_none().then_some(input);
        self.send_back(task, unknown)
    }

    /// Settles a task that was about to start again, once a needed result is known.
    pub fn send_back(&mut self, task: TaskId, needed: Option<TaskId>) -> Result<(), StoreError> {
        let key = self.supply.planned(task).key;
        let mut freed = key.map(|key| self.schedule.retire(task, key)).unwrap_or_default();
        match needed {
            Some(needed) => self.postpone(task, &[needed]),
            None => freed.push(task),
        }
        self.advance(freed)
    }

    /// Blocks a task until these results are known; skips or fails it if that is impossible.
    fn postpone(&mut self, task: TaskId, needed: &[TaskId]) {
        if let Some(&out) = needed.iter().find(|needed| self.schedule.is_out(**needed)) {
            self.skip(task, out);
        } else if needed.is_empty() {
            self.failed(task, "an input has not the part that is read; please report it".to_owned());
        } else {
            self.schedule.wait(task, needed);
        }
    }

    /// Fails a task, and skips the tasks that depend on it.
    pub fn failed(&mut self, task: TaskId, error: String) {
        self.failures = true;
        self.announcer.tell(Event::Failed { task: self.graph.name(task), error });
        let skipped = self.schedule.fail(task);
        self.out(task);
        self.skipped(&skipped, task);
    }

    /// Skips a task, and the tasks that depend on it, because of another task.
    pub fn skip(&mut self, task: TaskId, because: TaskId) {
        let skipped = self.schedule.skip(task);
        self.skipped(&[task], because);
        self.skipped(&skipped, because);
    }

    fn skipped(&mut self, tasks: &[TaskId], because: TaskId) {
        for &task in tasks {
            let because = self.graph.name(because);
            self.announcer.tell(Event::Skipped { task: self.graph.name(task), because });
            self.out(task);
        }
    }

    /// Withdraws a task that gives no result in this run: it releases its key and its inputs.
    fn out(&mut self, task: TaskId) {
        if let Some(key) = self.supply.planned(task).key {
            // Its followers were skipped before.
            self.schedule.retire(task, key);
        }
        self.supply.lose(task);
        self.supply.let_go(task);
    }

    /// Returns the reason that a task runs; `preimage` is its preimage.
    pub fn reason(&self, task: TaskId, preimage: &str) -> Reason {
        if self.lost.contains(&task) || self.supply.planned(task).state == TaskState::Lost {
            return Reason::Lost;
        }
        self.history.as_ref().map_or(Reason::New, |last| last.compare(self.graph, task, preimage))
    }
}
