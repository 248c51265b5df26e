//! The course of a run: what is known of every task, and what a result, a loss or a failure means for the others.
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

/// A result on its way to the disk.
pub struct Recording {
    /// The task that gave it.
    pub task: TaskId,
    /// Whether its artifact goes there too.
    pub kept: bool,
    /// What is told when it is there.
    pub completed: Event,
    /// The tasks that take the result, and what is told of each then.
    pub reused: Vec<(TaskId, Event)>,
}

/// The state of a run.
pub struct RunState<'r, O: Ops> {
    graph: &'r TaskGraph<O>,
    planner: &'r Planner<'r, O>,
    store: &'r Store,
    /// Where every task stands.
    pub schedule: TaskQueue,
    /// What is known of every task.
    pub supply: Supply<'r, O>,
    /// What the last run was made of, to say what changed.
    history: Option<History>,
    /// Who is told.
    pub announcer: Announcer,
    /// Results on their way to the disk, by ticket.
    pub recording: HashMap<u64, Recording>,
    /// Tasks whose kept artifact was found lost in this run.
    lost: HashSet<TaskId>,
    /// Tasks sent back because of such a loss, with the task that has lost.
    sent_back: HashSet<(TaskId, TaskId)>,
    failures: bool,
    /// Whether a record was dropped in this run.
    pub dropped: bool,
}

impl<'r, O: Ops> RunState<'r, O> {
    /// Starts with what is known before anything runs.
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

    /// Puts every task that is not cached into the schedule.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let pending: Vec<TaskId> =
            self.graph.tasks().filter(|task| self.supply.planned(*task).state != TaskState::Cached).collect();
        for &task in &pending {
            self.schedule.wait(task, &self.supply.unknown_inputs(task));
            self.supply.hold(task);
        }
        // Those that take another's result come last, so that the tasks run that the plan says.
        let takes = |task: &TaskId| matches!(self.supply.planned(*task).state, TaskState::SameAs(_));
        let (taking, others): (Vec<TaskId>, Vec<TaskId>) = pending.into_iter().partition(takes);
        for task in others.into_iter().chain(taking) {
            let planned = self.supply.planned(task).clone();
            let freed = match planned.state {
                // What it waits for may be known already, through another task of the same key.
                TaskState::Waiting if self.supply.unknown_inputs(task).is_empty() => vec![task],
                TaskState::Waiting => continue,
                _ => self.settled(task, planned),
            };
            self.advance(freed)?;
        }
        Ok(())
    }

    /// A task's job ended with a result that is not yet recorded.
    pub fn computed(&mut self, task: TaskId) {
        self.schedule.save(task);
        self.announcer.tell(Event::Computed { task: self.graph.name(task) });
    }

    /// A task's result is known: serves those that take it, settles those that waited for it.
    pub fn known(&mut self, task: TaskId, planned: Planned) -> Result<(), StoreError> {
        self.supply.learn(task, planned);
        let mut freed = self.schedule.know(task);
        for follower in self.schedule.take_followers(task) {
            freed.extend(self.serve(follower, task));
        }
        self.advance(freed)
    }

    /// Settles tasks whose inputs have become known, and those that become known because of it.
    fn advance(&mut self, freed: Vec<TaskId>) -> Result<(), StoreError> {
        let mut freed = VecDeque::from(freed);
        while let Some(task) = freed.pop_front() {
            let planned = self.planner.settle(task, |input| self.supply.parts(input))?;
            freed.extend(self.settled(task, planned));
        }
        Ok(())
    }

    /// Acts on the state of a task whose inputs are known; returns tasks whose inputs are known because of it.
    fn settled(&mut self, task: TaskId, planned: Planned) -> Vec<TaskId> {
        let (state, key) = (planned.state.clone(), planned.key);
        // Asked before the store, which may or may not have the other's record by now.
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

    /// Gives a task the result of one with the same key.
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

    /// A task found that the kept artifact of another is not there: that one runs again, once, and the task after it.
    pub fn lost(&mut self, task: TaskId, input: TaskId) -> Result<(), StoreError> {
        if !self.sent_back.insert((task, input)) {
            let input = self.graph.name(input);
            self.failed(task, format!("{input}: what was kept of it cannot be read back; check the disk"));
            return Ok(());
        }
        let name = self.graph.name(input);
        self.announcer.tell(Event::Postponed { task: self.graph.name(task), because: name.clone() });
        // Others that read the same artifact find the same, even after it was made again.
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

    /// A task that was about to run is settled again, once a result that is needed is known.
    pub fn send_back(&mut self, task: TaskId, needed: Option<TaskId>) -> Result<(), StoreError> {
        let key = self.supply.planned(task).key;
        let mut freed = key.map(|key| self.schedule.retire(task, key)).unwrap_or_default();
        match needed {
            Some(needed) => self.postpone(task, &[needed]),
            None => freed.push(task),
        }
        self.advance(freed)
    }

    /// A task waits for these results.
    fn postpone(&mut self, task: TaskId, needed: &[TaskId]) {
        if let Some(&out) = needed.iter().find(|needed| self.schedule.is_out(**needed)) {
            self.skip(task, out);
        } else if needed.is_empty() {
            self.failed(task, "an input has not the part that is read; please report it".to_owned());
        } else {
            self.schedule.wait(task, needed);
        }
    }

    /// A task failed, and what depends on it cannot run.
    pub fn failed(&mut self, task: TaskId, error: String) {
        self.failures = true;
        self.announcer.tell(Event::Failed { task: self.graph.name(task), error });
        let skipped = self.schedule.fail(task);
        self.out(task);
        self.skipped(&skipped, task);
    }

    /// A task cannot run because of another.
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

    /// A task gives no result in this run: nobody takes it, and it needs its inputs no more.
    fn out(&mut self, task: TaskId) {
        if let Some(key) = self.supply.planned(task).key {
            // Those that followed are out already.
            self.schedule.retire(task, key);
        }
        self.supply.lose(task);
        self.supply.let_go(task);
    }

    /// Returns why a task that is about to start runs.
    pub fn reason(&self, task: TaskId, preimage: &str) -> Reason {
        if self.lost.contains(&task) || self.supply.planned(task).state == TaskState::Lost {
            return Reason::Lost;
        }
        self.history.as_ref().map_or(Reason::New, |last| last.compare(self.graph, task, preimage))
    }
}
