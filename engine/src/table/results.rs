//! The results of tasks: their metrics, and their answers to images if a table needs them.
//! Knows nothing of tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fewbits_store::{Key, KeyMap, RecordValues, Store, StoreError};
use rayon::prelude::*;

use super::answers::Bits;
use crate::dense::NodeId;
use crate::failures::Failures;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, TaskState};
use crate::spec::table::{Interval, SECONDS, Table};

/// The number of records per parallel batch.
const RECORDS_PER_BATCH: usize = 2048;

/// The metrics by task, and the answers to images where a table has intervals over images.
#[derive(Clone, Debug)]
pub struct Results {
    metrics: Vec<Option<Arc<BTreeMap<String, f64>>>>,
    answers: HashMap<TaskId, Bits>,
    /// The tasks that have no result because a task failed.
    failed: HashSet<TaskId>,
    damaged: usize,
}

impl Results {
    /// Makes empty results for this many tasks.
    #[must_use]
    pub fn none(tasks: usize) -> Self {
        Self { metrics: vec![None; tasks], answers: HashMap::new(), failed: HashSet::new(), damaged: 0 }
    }

    /// Adds the metrics of a task, and the seconds it took.
    pub fn learn(&mut self, task: TaskId, mut metrics: BTreeMap<String, f64>, seconds: f64) {
        metrics.insert(SECONDS.to_owned(), seconds);
        self.metrics[task.index()] = Some(Arc::new(metrics));
    }

    /// Adds a task's result from its record, with its answers to images if asked for.
    fn learn_record(&mut self, task: TaskId, figures: RecordValues, with_answers: bool) {
        if let Some(bits) = figures.correct.filter(|_| with_answers) {
            self.answers.insert(task, bits.into());
        }
        self.learn(task, figures.metrics, figures.seconds);
    }

    /// Marks tasks as without a result because a task failed.
    pub fn mark_failed(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        self.failed.extend(tasks);
    }

    /// Returns whether a task has no result because a task failed.
    #[must_use]
    pub fn is_failed(&self, task: TaskId) -> bool {
        self.metrics[task.index()].is_none() && self.failed.contains(&task)
    }

    /// Returns a number that tasks share if their results come from one record; `None` without a result. It is the address
    /// of the metrics, which tasks of one key share.
    pub(super) fn record(&self, task: TaskId) -> Option<usize> {
        self.metrics[task.index()].as_ref().map(|metrics| Arc::as_ptr(metrics).addr())
    }

    /// Copies the result of a task to another of the same key.
    pub fn share(&mut self, task: TaskId, same_as: TaskId) {
        if let Some(bits) = self.answers.get(&same_as) {
            self.answers.insert(task, bits.clone());
        }
        self.metrics[task.index()] = self.metrics[same_as.index()].clone();
    }

    /// Reads the results of these nodes' tasks, for these tables. A damaged record is dropped if the store is writable, so that its
    /// task runs again.
    pub fn load<O: Ops>(
        graph: &TaskGraph<O>,
        plan: &Plan,
        store: &Store,
        nodes: &[NodeId],
        tables: &[Table],
    ) -> Result<Self, StoreError> {
        let mut results = Self::none(graph.len());
        for lost in results.read(store, &cached(graph, plan, nodes), want_answers(tables))? {
            results.lose(store, &lost)?;
        }
        results.mark_failed(Failures::load(graph, plan, store).tasks());
        Ok(results)
    }

    /// Reads the results of tasks by their keys, with their answers to images if asked for. Returns the keys without a
    /// sound record.
    pub fn read(
        &mut self,
        store: &Store,
        tasks: &[(TaskId, Key)],
        with_answers: bool,
    ) -> Result<Vec<Key>, StoreError> {
        // A shared record is read once. The keys are in the order of tasks, which is close to the order of the
        // journal.
        let (mut keys, mut places) = (vec![], KeyMap::default());
        for (_, key) in tasks {
            places.entry(*key).or_insert_with(|| {
                keys.push(*key);
                keys.len() - 1
            });
        }
        let read: Vec<Vec<Option<RecordValues>>> =
            keys.par_chunks(RECORDS_PER_BATCH).map(|keys| store.figures(keys)).collect::<Result<_, _>>()?;
        let mut read: Vec<Option<RecordValues>> = read.into_iter().flatten().collect();
        let mut first: Vec<Option<TaskId>> = vec![None; keys.len()];
        let mut lost = vec![];
        for &(task, key) in tasks {
            let at = places[&key];
            match (first[at], read[at].take()) {
                (Some(same_as), _) => self.share(task, same_as),
                (None, Some(figures)) => {
                    first[at] = Some(task);
                    self.learn_record(task, figures, with_answers);
                }
                (None, None) => lost.push(key),
            }
        }
        Ok(lost)
    }

    /// Checks the records of these nodes' tasks without loading them; damaged records are dropped as in
    /// [`Self::load`].
    pub fn check<O: Ops>(
        &mut self,
        graph: &TaskGraph<O>,
        plan: &Plan,
        store: &Store,
        nodes: &[NodeId],
    ) -> Result<(), StoreError> {
        let cached = cached(graph, plan, nodes);
        let keys: Vec<Key> = cached.into_iter().map(|(_, key)| key).collect();
        let parts = keys.par_chunks(RECORDS_PER_BATCH).map(|keys| store.sound(keys));
        let sound: Vec<Vec<bool>> = parts.collect::<Result<_, _>>()?;
        for (key, _) in keys.iter().zip(sound.concat()).filter(|(_, sound)| !sound) {
            self.lose(store, key)?;
        }
        Ok(())
    }

    /// Counts a damaged record and drops it from the store, unless the store is read-only.
    fn lose(&mut self, store: &Store, key: &Key) -> Result<(), StoreError> {
        self.damaged += 1;
        match store.drop_record(key) {
            Ok(()) | Err(StoreError::ReadOnly { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns the number of damaged records.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Returns the metrics of a task; `None` while its result is missing.
    #[must_use]
    pub fn metrics(&self, task: TaskId) -> Option<&BTreeMap<String, f64>> {
        self.metrics[task.index()].as_deref()
    }

    /// Returns a task's answers to images, if it has any and they were asked for.
    #[must_use]
    pub fn answers(&self, task: TaskId) -> Option<&Bits> {
        self.answers.get(&task)
    }
}

/// Returns whether a table has intervals over images, which need the answers to them.
#[must_use]
pub fn want_answers(tables: &[Table]) -> bool {
    tables.iter().any(|table| table.interval != Interval::Seeds)
}

/// Returns the cached tasks of these nodes, with their keys.
fn cached<O: Ops>(graph: &TaskGraph<O>, plan: &Plan, nodes: &[NodeId]) -> Vec<(TaskId, Key)> {
    let tasks = nodes.iter().flat_map(|&node| graph.tasks_of(node));
    let known = |task: TaskId| {
        let planned = plan.planned(task);
        planned.key.filter(|_| planned.state == TaskState::Cached).map(|key| (task, key))
    };
    tasks.filter_map(known).collect()
}
