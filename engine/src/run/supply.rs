//! What is known of the tasks' results while a run goes on, and which artifacts tasks to come still read.
//! Knows neither order nor threads, and asks nothing of the store.

use std::sync::Arc;

use fewbits_store::{Key, KeyMap};

use super::artifacts::Artifacts;
use super::job::{ArtifactPath, ArtifactSource};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::parts::Parts;
use crate::plan::{Plan, Planned};

/// The results known so far, and the artifacts in memory.
pub struct Supply<'r, O: Ops> {
    graph: &'r TaskGraph<O>,
    plan: Plan,
    /// The first task of each key whose result became known; its artifact serves all tasks of that key. None of its
    /// inputs has the same key, so making it again never waits for itself.
    first: KeyMap<TaskId>,
    /// How many hold each task's artifact.
    users: Vec<u32>,
    /// Whether a task holds the artifacts of its inputs: it will run, or may be made again.
    holds: Vec<bool>,
    artifacts: Arc<Artifacts<O::Artifact>>,
}

impl<'r, O: Ops> Supply<'r, O> {
    /// Takes over what a plan knows.
    pub fn new(graph: &'r TaskGraph<O>, plan: Plan, artifacts: Arc<Artifacts<O::Artifact>>) -> Self {
        let (users, holds) = (vec![0; graph.len()], vec![false; graph.len()]);
        let mut supply = Self { graph, plan, first: KeyMap::default(), users, holds, artifacts };
        for &node in &graph.order {
            for task in graph.tasks_of(node) {
                supply.share(task);
            }
        }
        supply
    }

    /// Returns what is known of all tasks, for good.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Returns what is known of a task.
    pub fn planned(&self, task: TaskId) -> &Planned {
        self.plan.planned(task)
    }

    /// Returns a task's key in hex; empty while it is not known.
    pub fn key(&self, task: TaskId) -> String {
        self.planned(task).key.map_or(String::new(), |key| key.to_string())
    }

    /// Returns the parts of a task's artifact, once its result is known.
    pub fn parts(&self, task: TaskId) -> Option<&Parts> {
        self.planned(self.stand_in(task)).parts.as_ref()
    }

    /// Returns those tasks a task reads whose results are not known.
    pub fn unknown_inputs(&self, task: TaskId) -> Vec<TaskId> {
        let inputs = self.graph.inputs(task).into_iter().map(|input| self.stand_in(input));
        inputs.filter(|input| self.planned(*input).parts.is_none()).collect()
    }

    /// Returns how to get the artifacts that a task reads, or a task whose result is needed for that and not known.
    pub fn recipes(&self, task: TaskId) -> Result<Vec<ArtifactSource>, TaskId> {
        self.graph.inputs(task).into_iter().map(|input| self.recipe(input)).collect()
    }

    /// Notes what has become known of a task.
    pub fn learn(&mut self, task: TaskId, planned: Planned) {
        let before = self.plan.planned(task).key;
        let changed = before.filter(|key| planned.key != Some(*key));
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

    /// Keeps the artifacts that a task reads in memory once they are there, until [`Self::let_go`].
    pub fn hold(&mut self, task: TaskId) {
        if std::mem::replace(&mut self.holds[task.index()], true) {
            return;
        }
        for input in self.graph.inputs(task) {
            self.pin(self.stand_in(input));
        }
    }

    /// A task needs its inputs no more: what nobody else needs leaves memory.
    pub fn let_go(&mut self, task: TaskId) {
        if std::mem::replace(&mut self.holds[task.index()], false) {
            for input in self.graph.inputs(task) {
                self.unpin(input);
            }
        }
    }

    /// A task turned out to have a result: it needs its inputs only if others need its artifact made again.
    pub fn reuse(&mut self, task: TaskId) {
        if self.stand_in(task) != task || self.users[task.index()] == 0 || self.is_kept(task) {
            self.let_go(task);
        }
    }

    /// Keeps a task's artifact in memory once it is there, until [`Self::unpin`].
    pub fn pin(&mut self, task: TaskId) {
        self.users[task.index()] += 1;
        // What is known and not kept may have to be made again, so its inputs are needed too.
        if self.planned(task).parts.is_some() && !self.is_kept(task) {
            self.hold(task);
        }
    }

    /// Undoes one [`Self::pin`], of this task or one that it stands for.
    pub fn unpin(&mut self, task: TaskId) {
        let task = self.stand_in(task);
        let users = &mut self.users[task.index()];
        // A task that came out with another key than before no longer stands for those it stood for.
        *users = users.saturating_sub(1);
        if *users == 0 {
            if let Some(key) = self.planned(task).key {
                self.artifacts.remove(&key);
            }
            if self.planned(task).parts.is_some() {
                self.let_go(task);
            }
        }
    }

    /// Puts an artifact into memory if anybody needs it.
    pub fn offer(&self, task: TaskId, key: Key, artifact: Arc<O::Artifact>) {
        if self.users[self.stand_in(task).index()] > 0 {
            self.artifacts.insert(key, artifact);
        }
    }

    /// Removes what was made on the way to these inputs and nobody needs any more.
    pub fn sweep(&self, inputs: &[ArtifactSource]) {
        for input in inputs {
            input.walk(&mut |recipe| {
                if self.users[recipe.task.index()] == 0 {
                    self.artifacts.remove(&recipe.key);
                }
            });
        }
    }

    /// Returns how to get a task's artifact, or a task whose result is needed for that and not known.
    pub fn recipe(&self, task: TaskId) -> Result<ArtifactSource, TaskId> {
        let task = self.stand_in(task);
        let Planned { key: Some(key), parts: Some(parts), .. } = self.planned(task) else { return Err(task) };
        let way =
            if self.is_kept(task) { ArtifactPath::Kept } else { ArtifactPath::Made(self.recipes(task)?) };
        Ok(ArtifactSource { task, key: *key, parts: parts.clone(), way })
    }

    /// Returns the task whose result stands for this one's: the first of the same key.
    fn stand_in(&self, task: TaskId) -> TaskId {
        self.planned(task).key.and_then(|key| self.first.get(&key)).copied().unwrap_or(task)
    }

    /// A task with a result shares it with those of the same key.
    fn share(&mut self, task: TaskId) {
        let Planned { key: Some(key), parts: Some(_), .. } = *self.planned(task) else { return };
        let first = *self.first.entry(key).or_insert(task);
        if first != task {
            self.users[first.index()] += std::mem::take(&mut self.users[task.index()]);
        }
    }

    fn is_kept(&self, task: TaskId) -> bool {
        self.graph.experiment.nodes[self.graph.node(task)].keep
    }
}
