//! The metrics of the tasks whose results are in the store.
//! Knows nothing of tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_store::{Key, Record, Store, StoreError};
use rayon::prelude::*;

use crate::graph::{ENOUGH, Graph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, State};
use crate::spec::table::SECONDS;

/// Records that are checked in one go.
const PART: usize = 2048;

/// Metrics by task.
#[derive(Clone, Debug)]
pub struct Results {
    metrics: Vec<Option<Arc<BTreeMap<String, f64>>>>,
    damaged: usize,
}

impl Results {
    /// Knows nothing yet of this many tasks.
    #[must_use]
    pub fn none(tasks: usize) -> Self {
        Self { metrics: vec![None; tasks], damaged: 0 }
    }

    /// Learns the metrics of a task, and the seconds it took.
    pub fn learn(&mut self, task: TaskId, mut metrics: BTreeMap<String, f64>, seconds: f64) {
        metrics.insert(SECONDS.to_owned(), seconds);
        self.metrics[task.index()] = Some(Arc::new(metrics));
    }

    /// A task has the result of another.
    pub fn share(&mut self, task: TaskId, same_as: TaskId) {
        self.metrics[task.index()] = self.metrics[same_as.index()].clone();
    }

    /// Reads the results of the tasks of these nodes. A record that is damaged is dropped where the store can be
    /// written, so that its task runs again.
    pub fn read<O: Ops>(
        graph: &Graph<O>,
        plan: &Plan,
        store: &Store,
        nodes: &[usize],
    ) -> Result<Self, StoreError> {
        let mut results = Self::none(graph.len());
        let cached = cached(graph, plan, nodes);
        let read = |(_, key): &(TaskId, Key)| store.record(key);
        let records: Vec<Option<Record>> =
            cached.par_iter().with_min_len(ENOUGH).map(read).collect::<Result<_, _>>()?;
        for ((task, key), record) in cached.into_iter().zip(records) {
            match record {
                Some(record) => results.learn(task, record.metrics, record.seconds),
                None => results.lose(store, &key)?,
            }
        }
        Ok(results)
    }

    /// Checks the results of the tasks of these nodes without reading them; those damaged are dropped as by
    /// [`Self::read`].
    pub fn check<O: Ops>(
        &mut self,
        graph: &Graph<O>,
        plan: &Plan,
        store: &Store,
        nodes: &[usize],
    ) -> Result<(), StoreError> {
        let cached = cached(graph, plan, nodes);
        let keys: Vec<Key> = cached.into_iter().map(|(_, key)| key).collect();
        let parts = keys.par_chunks(PART).map(|keys| store.sound(keys));
        let sound: Vec<Vec<bool>> = parts.collect::<Result<_, _>>()?;
        for (key, _) in keys.iter().zip(sound.concat()).filter(|(_, sound)| !sound) {
            self.lose(store, key)?;
        }
        Ok(())
    }

    /// A record was found by its header and cannot be read.
    fn lose(&mut self, store: &Store, key: &Key) -> Result<(), StoreError> {
        self.damaged += 1;
        match store.drop_record(key) {
            Ok(()) | Err(StoreError::ReadOnly { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns how many results turned out damaged.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Returns the metrics of a task, if its result is there.
    #[must_use]
    pub fn of(&self, task: TaskId) -> Option<&BTreeMap<String, f64>> {
        self.metrics[task.index()].as_deref()
    }
}

/// Returns the tasks of these nodes whose results are in the store, with their keys.
fn cached<O: Ops>(graph: &Graph<O>, plan: &Plan, nodes: &[usize]) -> Vec<(TaskId, Key)> {
    let tasks = nodes.iter().flat_map(|&node| graph.tasks_of(node));
    let known = |task: TaskId| {
        let planned = plan.of(task);
        planned.key.filter(|_| planned.state == State::Cached).map(|key| (task, key))
    };
    tasks.filter_map(known).collect()
}
