//! The metrics of the tasks whose results are in the store.
//! Knows nothing of tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_store::{Store, StoreError};

use crate::graph::{Graph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, State};
use crate::spec::table::SECONDS;

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
        for &node in nodes {
            for task in graph.tasks_of(node) {
                let planned = plan.of(task);
                let (State::Cached, Some(key)) = (&planned.state, planned.key) else { continue };
                match store.record(&key)? {
                    Some(record) => results.learn(task, record.metrics, record.seconds),
                    // It was found by its header and cannot be read.
                    None => {
                        results.damaged += 1;
                        match store.drop_record(&key) {
                            Ok(()) | Err(StoreError::ReadOnly { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
        }
        Ok(results)
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
