//! The planner: derives each task's key and its state. `plan` and `run` share it, so that they cannot disagree.
//! Reads the store; runs nothing.

use fewbits_store::{Hit, Key, KeyMap, Store, StoreError};
use rayon::prelude::*;

use crate::graph::{MIN_BATCH, TaskGraph, TaskId};
use crate::ops::Ops;
use crate::parts::Parts;
use crate::preimages::Preimages;
pub use crate::preimages::{PreimageState, SourceDigests};

/// The number of records per parallel batch of checks.
const RECORDS_PER_BATCH: usize = 2048;

/// The known facts of a task before it runs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The state of the task.
    pub state: TaskState,
    /// The key, once the results of all inputs are known.
    pub key: Option<Key>,
    /// The digests of the artifact's parts, once the result is known.
    pub parts: Option<Parts>,
}

/// The state of a task in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// The result is in the store.
    Cached,
    /// Another task has the same key and will run; this task takes its result.
    SameAs(TaskId),
    /// The task runs: the store has no record under its key.
    Run,
    /// The task runs: the store has its record, but lacks the artifact that the node keeps.
    Lost,
    /// The task fails if it runs now: something outside the experiment is missing. Contains the error message.
    Missing(String),
    /// The key depends on results that are not known yet.
    Waiting,
}

/// The number of tasks in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// All tasks.
    pub tasks: usize,
    /// Tasks whose result is in the store.
    pub cached: usize,
    /// Tasks that run.
    pub run: usize,
    /// Tasks whose key is not known yet, or equals that of another task that runs.
    pub waiting: usize,
}

/// The state of every task of a graph.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The facts of each task, by its index.
    pub tasks: Vec<Planned>,
}

impl Plan {
    /// Returns the facts of a task.
    #[must_use]
    pub fn planned(&self, task: TaskId) -> &Planned {
        &self.tasks[task.index()]
    }

    /// Counts the states of the given tasks.
    #[must_use]
    pub fn counts(&self, tasks: impl Iterator<Item = TaskId>) -> Counts {
        let mut counts = Counts::default();
        for task in tasks {
            counts.tasks += 1;
            match self.planned(task).state {
                TaskState::Cached => counts.cached += 1,
                TaskState::Run | TaskState::Lost | TaskState::Missing(_) => counts.run += 1,
                TaskState::Waiting | TaskState::SameAs(_) => counts.waiting += 1,
            }
        }
        counts
    }
}

/// The planner of a graph's tasks.
pub struct Planner<'p, O: Ops> {
    graph: &'p TaskGraph<O>,
    ops: &'p O,
    store: &'p Store,
    preimages: Preimages<'p, O>,
}

impl<'p, O: Ops> Planner<'p, O> {
    /// Makes a planner that reads the source files as they are now.
    pub fn new(graph: &'p TaskGraph<O>, ops: &'p O, store: &'p Store) -> Self {
        Self::remembering(graph, ops, store, SourceDigests::new())
    }

    /// Makes a planner of an earlier run, with the digests that source files had then.
    pub fn remembering(
        graph: &'p TaskGraph<O>,
        ops: &'p O,
        store: &'p Store,
        remembered: SourceDigests,
    ) -> Self {
        Self { graph, ops, store, preimages: Preimages::new(graph, ops, store, remembered) }
    }

    /// Plans all tasks and checks the checksums of the records of cached tasks: a damaged record is a cache miss, as
    /// in a run. A run skips this check: it reads or checks all records for its tables, and computes a damaged one
    /// again.
    pub fn checked_plan(&self) -> Result<Plan, StoreError> {
        loop {
            let plan = self.plan()?;
            let cached = plan.tasks.iter().filter(|planned| planned.state == TaskState::Cached);
            let keys: Vec<Key> = cached.filter_map(|planned| planned.key).collect();
            let sound = keys.par_chunks(RECORDS_PER_BATCH).map(|keys| self.store.sound(keys));
            let sound: Vec<Vec<bool>> = sound.collect::<Result<_, _>>()?;
            if sound.iter().flatten().all(|sound| *sound) {
                return Ok(plan);
            }
            // The check dropped the damaged records from the store, so the next plan treats their tasks as misses.
        }
    }

    /// Plans all tasks by the headers of records; bodies are not read or checked.
    pub fn plan(&self) -> Result<Plan, StoreError> {
        self.store.expect(self.graph.len())?;
        let unknown = Planned { state: TaskState::Waiting, key: None, parts: None };
        let mut plan = Plan { tasks: vec![unknown; self.graph.len()] };
        let mut first_with: KeyMap<TaskId> = KeyMap::default();
        for &node in &self.graph.order {
            let tasks: Vec<TaskId> = self.graph.tasks_of(node).collect();
            let planned = |input: TaskId| Some(plan.planned(input));
            let keyed = |task: &TaskId| match self.preimage(*task, planned)? {
                PreimageState::Known(text) => Ok(Ok(Key::derive(&text))),
                PreimageState::Waiting => Ok(Err(TaskState::Waiting)),
                PreimageState::Missing(what) => Ok(Err(TaskState::Missing(what))),
            };
            let keys: Vec<Result<Key, TaskState>> =
                tasks.par_iter().with_min_len(MIN_BATCH).map(keyed).collect::<Result<_, StoreError>>()?;
            let known: Vec<Key> = keys.iter().filter_map(|key| key.as_ref().ok().copied()).collect();
            let mut hits = self.store.lookup(&known)?.into_iter();
            let hits: Vec<Option<Hit>> =
                keys.iter().map(|key| key.as_ref().ok().and_then(|_| hits.next().flatten())).collect();
            let judged = tasks.par_iter().zip(keys).zip(hits).with_min_len(MIN_BATCH);
            let judged: Vec<Planned> = judged
                .map(|((task, key), hit)| match key {
                    Ok(key) => self.judge(*task, key, hit),
                    Err(state) => Ok(Planned { state, key: None, parts: None }),
                })
                .collect::<Result<_, StoreError>>()?;
            for (task, mut planned) in tasks.into_iter().zip(judged) {
                if let (Some(key), None) = (planned.key, &planned.parts) {
                    let first = *first_with.entry(key).or_insert(task);
                    if first != task {
                        planned.state = TaskState::SameAs(first);
                    }
                }
                plan.tasks[task.index()] = planned;
            }
        }
        Ok(plan)
    }

    /// Derives the state of one task whose inputs are all known; `planned` returns their facts.
    pub fn settle<'a>(
        &self,
        task: TaskId,
        planned: impl Fn(TaskId) -> Option<&'a Planned>,
    ) -> Result<Planned, StoreError> {
        let key = match self.preimage(task, planned)? {
            PreimageState::Known(text) => Key::derive(&text),
            PreimageState::Waiting => {
                return Ok(Planned { state: TaskState::Waiting, key: None, parts: None });
            }
            PreimageState::Missing(what) => {
                return Ok(Planned { state: TaskState::Missing(what), key: None, parts: None });
            }
        };
        let hit = self.store.lookup(&[key])?.into_iter().next().flatten();
        self.judge(task, key, hit)
    }

    /// Returns the preimage of a task's key, as [`Preimages::preimage`] does.
    pub fn preimage<'a>(
        &self,
        task: TaskId,
        planned: impl Fn(TaskId) -> Option<&'a Planned>,
    ) -> Result<PreimageState, StoreError> {
        self.preimages.preimage(task, planned)
    }

    /// Returns the digests of the source files of all tasks; missing files have no entry.
    pub fn sources(&self) -> Result<SourceDigests, StoreError> {
        self.preimages.sources()
    }

    /// Takes the notes about source files that are gone although the results made from them are still valid.
    pub fn notes(&self) -> Vec<String> {
        self.preimages.notes()
    }

    /// Returns the work of a task's op: see [`Ops::work`].
    #[must_use]
    pub fn work(&self, task: TaskId) -> f64 {
        self.ops.work(&self.graph.resolved_op(task).op)
    }

    fn judge(&self, task: TaskId, key: Key, hit: Option<Hit>) -> Result<Planned, StoreError> {
        let run = |state| Ok(Planned { state, key: Some(key), parts: None });
        let Some(hit) = hit else { return run(TaskState::Run) };
        let (node, _) = self.graph.place(task);
        let node = &self.graph.experiment.nodes[node];
        let parts = match (hit.part, node.kind.parts) {
            (Some(digest), [part]) => Parts::only(part, digest),
            (None, []) => Parts::default(),
            _ => match self.store.record(&key)? {
                Some(record) => Parts::from_record(node.kind.parts, &record.parts),
                None => return run(TaskState::Run),
            },
        };
        if self.graph.keeps(task)
            && !(hit.kept && parts.iter().all(|(_, digest)| self.store.has_object(digest)))
        {
            return run(TaskState::Lost);
        }
        Ok(Planned { state: TaskState::Cached, key: Some(key), parts: Some(parts) })
    }
}
