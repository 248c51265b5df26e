//! The metrics of the tasks whose results are in the store.
//! Knows nothing of tables.

use std::collections::BTreeMap;

use fewbits_store::{Store, StoreError};

use crate::graph::{Graph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, State};
use crate::spec::table::SECONDS;

/// Metrics by task.
pub struct Results {
    metrics: Vec<Option<BTreeMap<String, f64>>>,
    damaged: usize,
}

impl Results {
    /// Reads the results of the tasks of these nodes. A record that is damaged is dropped where the store can be
    /// written, so that its task runs again.
    pub fn read<O: Ops>(
        graph: &Graph<O>,
        plan: &Plan,
        store: &Store,
        nodes: &[usize],
    ) -> Result<Self, StoreError> {
        let mut metrics = vec![None; graph.len()];
        let mut damaged = 0;
        for &node in nodes {
            for task in graph.tasks_of(node) {
                let planned = plan.of(task);
                let (State::Cached, Some(key)) = (&planned.state, planned.key) else { continue };
                match store.record(&key)? {
                    Some(mut record) => {
                        record.metrics.insert(SECONDS.to_owned(), record.seconds);
                        metrics[task.index()] = Some(record.metrics);
                    }
                    // It was found by its header and cannot be read.
                    None => {
                        damaged += 1;
                        match store.drop_record(&key) {
                            Ok(()) | Err(StoreError::ReadOnly { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
        }
        Ok(Self { metrics, damaged })
    }

    /// Returns how many results turned out damaged.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Returns the metrics of a task, if its result is there.
    #[must_use]
    pub fn of(&self, task: TaskId) -> Option<&BTreeMap<String, f64>> {
        self.metrics[task.index()].as_ref()
    }
}
