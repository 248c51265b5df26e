//! The known results of a run, and the artifacts in memory that tasks still need.
//! Knows neither order nor threads, and reads nothing from the store.

use std::sync::Arc;

use fewbits_store::{Key, KeyMap};

use super::artifacts::Artifacts;
use super::job::{ArtifactPath, ArtifactSource};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{Keeping, Ops};
use crate::plan::{Plan, Planned};

/// The known results of all tasks, and the reference counts of artifacts in memory.
///
/// The users of a task's artifact are the tasks that hold it as an input, and the result itself while the store writes
/// it. They are counted at the first task of their key. Two invariants hold between calls, as long as no task changed
/// its key; such a task leaves users of its former key behind, whose artifacts then stay in memory until the run ends:
/// - The counts of all tasks together are the inputs of the tasks that hold theirs, plus the results being written.
/// - An artifact is in memory only if its count is above 0, or if its task has no inputs and such artifacts stay.
pub struct Supply<'r, O: Ops> {
    graph: &'r TaskGraph<O>,
    plan: Plan,
    /// The first task of each key whose result became known; its artifact serves all tasks of that key. No input of
    /// it has the same key, so making it again never waits for itself.
    first: KeyMap<TaskId>,
    /// The number of users that hold each task's artifact.
    users: Vec<u32>,
    /// Whether a task holds the artifacts of its inputs, because it will run or may have to be made again.
    holds: Vec<bool>,
    artifacts: Arc<Artifacts<O::Artifact>>,
    /// Whether artifacts of tasks without inputs, such as datasets, stay in memory once they are there.
    keeps_sources: bool,
    /// Whether a task changed its key.
    rekeyed: bool,
}

impl<'r, O: Ops> Supply<'r, O> {
    /// Starts with the results that a plan knows.
    pub fn new(
        graph: &'r TaskGraph<O>,
        plan: Plan,
        artifacts: Arc<Artifacts<O::Artifact>>,
        keeps_sources: bool,
    ) -> Self {
        let (users, holds) = (vec![0; graph.len()], vec![false; graph.len()]);
        let first = KeyMap::default();
        let mut supply = Self { graph, plan, first, users, holds, artifacts, keeps_sources, rekeyed: false };
        for &node in &graph.order {
            for task in graph.tasks_of(node) {
                supply.share(task);
            }
        }
        supply
    }

    /// Returns the final facts of all tasks as a plan.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Returns the known facts of a task.
    pub fn planned(&self, task: TaskId) -> &Planned {
        self.plan.planned(task)
    }

    /// Returns a task's key in hex; empty while it is not known.
    pub fn key(&self, task: TaskId) -> String {
        self.planned(task).key.map_or(String::new(), |key| key.to_string())
    }

    /// Returns the known facts of a task, or of the one that stands in for it.
    pub fn known(&self, task: TaskId) -> &Planned {
        self.planned(self.stand_in(task))
    }

    /// Returns the input tasks whose results are not known.
    pub fn unknown_inputs(&self, task: TaskId) -> Vec<TaskId> {
        let inputs = self.graph.inputs(task).into_iter().map(|input| self.stand_in(input));
        inputs.filter(|input| self.planned(*input).parts.is_none()).collect()
    }

    /// Returns the sources of a task's input artifacts; the error is a task whose result is needed and not known.
    pub fn input_sources(&self, task: TaskId) -> Result<Vec<ArtifactSource>, TaskId> {
        self.graph.inputs(task).into_iter().map(|input| self.source(input)).collect()
    }

    /// Stores newly known facts of a task.
    pub fn learn(&mut self, task: TaskId, planned: Planned) {
        let before = self.plan.planned(task).key;
        let changed = before.filter(|key| planned.key != Some(*key));
        self.rekeyed |= changed.is_some();
        if let Some(key) = changed.filter(|key| self.first.get(key) == Some(&task)) {
            self.first.remove(&key);
        }
        self.plan.tasks[task.index()] = planned;
        self.share(task);
    }

    /// Forgets a task's result.
    pub fn lose(&mut self, task: TaskId) {
        self.plan.tasks[task.index()].parts = None;
    }

    /// Holds the input artifacts of a task in memory, once they exist, until [`Self::let_go`].
    pub fn hold(&mut self, task: TaskId) {
        if std::mem::replace(&mut self.holds[task.index()], true) {
            return;
        }
        for input in self.graph.inputs(task) {
            self.pin(self.stand_in(input));
        }
    }

    /// Releases the input artifacts of a task; those without another user leave memory.
    pub fn let_go(&mut self, task: TaskId) {
        if std::mem::replace(&mut self.holds[task.index()], false) {
            for input in self.graph.inputs(task) {
                self.unpin(input);
            }
        }
    }

    /// Handles a task that has a result already: it needs its inputs only if its artifact may have to be made again.
    pub fn reuse(&mut self, task: TaskId) {
        if self.stand_in(task) != task || self.users[task.index()] == 0 || self.is_stored(task) {
            self.let_go(task);
        }
    }

    /// Holds a task's artifact in memory, once it exists, until [`Self::unpin`].
    pub fn pin(&mut self, task: TaskId) {
        self.users[task.index()] += 1;
        // A known artifact that is not kept may have to be made again, so its inputs are needed too.
        if self.planned(task).parts.is_some() && !self.is_stored(task) {
            self.hold(task);
        }
    }

    /// Undoes one [`Self::pin`] of this task, or of a task that it stands in for.
    pub fn unpin(&mut self, task: TaskId) {
        let task = self.stand_in(task);
        let users = &mut self.users[task.index()];
        debug_assert!(*users > 0 || self.rekeyed, "{task:?} is released once more than it is held");
        // The count may be 0 already: a task whose key changed no longer stands in for the others of its former key.
        *users = users.saturating_sub(1);
        if *users == 0 {
            if let Some(key) = self.planned(task).key.filter(|_| !self.is_wanted(task)) {
                self.artifacts.remove(&key);
            }
            if self.planned(task).parts.is_some() {
                self.let_go(task);
            }
        }
    }

    /// Checks the reference counts, in debug builds; `recording` is the number of pinned results that the store writes.
    pub fn check(&self, recording: usize) {
        if cfg!(debug_assertions) && !self.rekeyed {
            let holding = self.graph.tasks().filter(|task| self.holds[task.index()]);
            let held: usize = holding.map(|task| self.graph.inputs(task).len()).sum();
            let users: usize = self.users.iter().map(|users| *users as usize).sum();
            debug_assert_eq!(users, held + recording, "the counts are the inputs of holding tasks");
        }
    }

    /// Removes the artifacts that nothing wants from memory; an earlier version of the experiment may have left some.
    pub fn clear_unwanted(&self) {
        self.artifacts.retain(|key| self.first.get(key).is_some_and(|first| self.is_wanted(*first)));
    }

    /// Returns whether a task's artifact stays in memory.
    fn is_wanted(&self, task: TaskId) -> bool {
        self.users[task.index()] > 0 || (self.keeps_sources && self.graph.inputs(task).is_empty())
    }

    /// Puts an artifact into memory if it is wanted.
    pub fn offer(&self, task: TaskId, key: Key, artifact: Arc<O::Artifact>) {
        if self.is_wanted(self.stand_in(task)) {
            self.artifacts.insert(key, artifact);
        }
    }

    /// Removes artifacts that were made on the way to these inputs and have no user.
    pub fn sweep(&self, inputs: &[ArtifactSource]) {
        for input in inputs {
            input.walk(&mut |source| {
                if !self.is_wanted(source.task) {
                    self.artifacts.remove(&source.key);
                }
            });
        }
    }

    /// Returns the source of a task's artifact; the error is a task whose result is needed and not known.
    pub fn source(&self, task: TaskId) -> Result<ArtifactSource, TaskId> {
        let task = self.stand_in(task);
        let Planned { key: Some(key), parts: Some(parts), .. } = self.planned(task) else { return Err(task) };
        let way = if self.graph.keeps(task) {
            ArtifactPath::Kept
        } else if self.is_stored(task) {
            ArtifactPath::InRecord
        } else {
            ArtifactPath::Made(self.input_sources(task)?)
        };
        Ok(ArtifactSource { task, key: *key, parts: parts.clone(), way })
    }

    /// Returns the task whose result serves this task: the first of the same key.
    fn stand_in(&self, task: TaskId) -> TaskId {
        self.planned(task).key.and_then(|key| self.first.get(&key)).copied().unwrap_or(task)
    }

    /// Makes a task with a result share the artifact of the first task of its key.
    fn share(&mut self, task: TaskId) {
        let Planned { key: Some(key), parts: Some(_), .. } = *self.planned(task) else { return };
        let first = *self.first.entry(key).or_insert(task);
        if first != task {
            self.users[first.index()] += std::mem::take(&mut self.users[task.index()]);
        }
    }

    /// Returns whether the store has the artifact of a task with a result: its parts, or a record that says it all.
    fn is_stored(&self, task: TaskId) -> bool {
        self.graph.keeps(task) || self.graph.kind(task).keeping == Keeping::InRecord
    }
}
