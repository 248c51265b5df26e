//! The failed tasks of an experiment, from the run log of its newest run, and the tasks that have no result because of
//! them.
//! Knows nothing of how failures are shown.

use std::collections::HashMap;

use fewbits_store::{Store, StoreError};

use crate::event::Event;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, TaskState};
use crate::run_log::{LoggedEvent, RunHeader};

/// The failures of an experiment's newest run that still stand: their tasks have no result, and the same key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The failed tasks, each with its error message, in the order of tasks.
    pub failed: Vec<(TaskId, String)>,
    /// The tasks without a result that depend on a failed task, each with that task, in the order of tasks.
    pub taken_along: Vec<(TaskId, TaskId)>,
}

impl Failures {
    /// Finds the failures that concern the tasks of a plan. A run log that cannot be read has none.
    #[must_use]
    pub fn load<O: Ops>(graph: &TaskGraph<O>, plan: &Plan, store: &Store) -> Self {
        let has_result = |task: TaskId| plan.planned(task).state == TaskState::Cached;
        if graph.tasks().all(has_result) {
            return Self::default();
        }
        // A table must not fail because an old run log is gone or damaged: its cells are then results to come.
        let Ok(Some((run, header))) = RunHeader::newest(store, graph) else { return Self::default() };
        let errors = errors(store, &run).unwrap_or_default();
        if errors.is_empty() {
            return Self::default();
        }
        let is_same_text = header.text == graph.text;
        let error = |task: TaskId| {
            let (key, error) = errors.get(&graph.name(task))?;
            // A task that failed before it started has no key in the run log.
            let is_same = match (key, plan.planned(task).key) {
                (Some(key), Some(now)) => *key == now.to_string(),
                _ => is_same_text,
            };
            is_same.then(|| error.clone())
        };
        let failed: Vec<(TaskId, String)> = graph
            .tasks()
            .filter(|task| !has_result(*task))
            .filter_map(|task| Some((task, error(task)?)))
            .collect();
        let mut causes: HashMap<TaskId, TaskId> = failed.iter().map(|(task, _)| (*task, *task)).collect();
        for task in graph.order.iter().flat_map(|&node| graph.tasks_of(node)) {
            if has_result(task) || causes.contains_key(&task) {
                continue;
            }
            if let Some(&cause) = graph.inputs(task).iter().find_map(|input| causes.get(input)) {
                causes.insert(task, cause);
            }
        }
        let mut taken_along: Vec<(TaskId, TaskId)> =
            causes.into_iter().filter(|(task, cause)| task != cause).collect();
        taken_along.sort_unstable();
        Self { failed, taken_along }
    }

    /// Returns all tasks without a result because of a failure.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.failed.iter().map(|(task, _)| *task).chain(self.taken_along.iter().map(|(task, _)| *task))
    }

    /// Returns the number of tasks that have no result because of a failed one.
    #[must_use]
    pub fn taken_by(&self, failed: TaskId) -> usize {
        self.taken_along.iter().filter(|(_, cause)| *cause == failed).count()
    }
}

/// Returns the errors of failed tasks by their names, each with the task's key if it had started.
fn errors(store: &Store, run: &str) -> Result<HashMap<String, (Option<String>, String)>, StoreError> {
    let mut reader = store.open_run(run)?;
    let (mut keys, mut errors) = (HashMap::new(), HashMap::new());
    while let Some(line) = reader.next_line()? {
        let Ok(LoggedEvent { event, .. }) = serde_json::from_str(&line) else { continue };
        match event {
            Event::Started { task, key, .. } => drop(keys.insert(task, key)),
            Event::Failed { task, error } => {
                let key = keys.get(&task).cloned();
                errors.insert(task, (key, error));
            }
            Event::Completed { task, .. } => drop(errors.remove(&task)),
            _ => {}
        }
    }
    Ok(errors)
}
