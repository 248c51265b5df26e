//! The preview of an edit: for each node, how many results there are, what runs, which fields changed, and how long it may
//! take. Runs nothing, and knows nothing of the file that was edited.

use fewbits_store::{Key, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::dense::NodeId;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Counts, Plan, Planner, PreimageState, TaskState};
use crate::preimage::Change;
use crate::reason::Reason;
use crate::why::History;

/// The most tasks of a node that are compared with the version before.
const COMPARED: usize = 100;
/// The most results of a node whose seconds are read.
const MEASURED: usize = 9;

/// What an edit means for a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodePreview {
    /// The node's name.
    pub node: String,
    /// The number of its tasks in each state.
    #[serde(flatten)]
    pub counts: Counts,
    /// The fields in which its tasks differ from those of the version before, as far as they are compared; the same
    /// change of several tasks stands once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The seconds that a task may take: the median of its results, in proportion to their work; `None` without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl NodePreview {
    /// Returns the number of tasks that run, as far as it is known: some that wait may turn out to be cached.
    #[must_use]
    pub fn to_run(&self) -> usize {
        self.counts.run + self.counts.waiting
    }
}

/// Previews a plan, node by node, in the order of the file. `history` is the version before; `None` if there is none to
/// compare with.
pub fn preview<O: Ops>(
    graph: &TaskGraph<O>,
    plan: &Plan,
    planner: &Planner<'_, O>,
    history: Option<&History>,
    store: &Store,
) -> Result<Vec<NodePreview>, StoreError> {
    let mut nodes = vec![];
    for (at, node) in graph.experiment.nodes.pairs() {
        let counts = plan.counts(graph.tasks_of(at));
        let mut preview = NodePreview { node: node.name.clone(), counts, changes: vec![], seconds: None };
        if preview.to_run() > 0 {
            if let Some(history) = history {
                preview.changes = changes(graph, at, plan, planner, history)?;
            }
            let is_cached = |task: &TaskId| plan.planned(*task).state == TaskState::Cached;
            let (cached, running): (Vec<TaskId>, Vec<TaskId>) = graph.tasks_of(at).partition(is_cached);
            let known =
                cached.into_iter().filter_map(|task| Some((plan.planned(task).key?, planner.work(task))));
            let mut measured: Vec<(Key, f64)> = known.take(MEASURED).collect();
            if let (true, Some(history)) = (measured.is_empty(), history) {
                measured = history.measured(&node.name, MEASURED);
            }
            let work = running.iter().map(|task| planner.work(*task)).sum::<f64>() / running.len() as f64;
            preview.seconds = median(&measured, store)?.map(|seconds| seconds * work);
        }
        nodes.push(preview);
    }
    Ok(nodes)
}

/// Returns the fields in which the tasks of a node that run differ from those of the version before.
fn changes<O: Ops>(
    graph: &TaskGraph<O>,
    node: NodeId,
    plan: &Plan,
    planner: &Planner<'_, O>,
    history: &History,
) -> Result<Vec<Change>, StoreError> {
    let mut all = vec![];
    let runs = graph.tasks_of(node).filter(|task| plan.planned(*task).state == TaskState::Run);
    for task in runs.take(COMPARED) {
        let known = planner.preimage(task, |input| Some(plan.planned(input)))?;
        let PreimageState::Known(now) = known else { continue };
        if let Reason::Changed { changes, .. } = history.compare(graph, task, &now) {
            all.extend(changes);
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Returns the sum over the nodes of their median seconds times the rounds that their tasks take with so many jobs, as if no
/// node ran beside another; and whether a node has no median, so that it is missing in the sum.
#[must_use]
pub fn estimate(nodes: &[NodePreview], jobs: usize) -> (f64, bool) {
    let running = || nodes.iter().filter(|node| node.to_run() > 0);
    let rounds = |node: &NodePreview| node.to_run().div_ceil(jobs.max(1)) as f64;
    let seconds: f64 = running().filter_map(|node| Some(node.seconds? * rounds(node))).sum();
    (seconds, running().any(|node| node.seconds.is_none()))
}

/// Returns the median of the seconds of stored results per unit of their work; the upper one of two.
fn median(measured: &[(Key, f64)], store: &Store) -> Result<Option<f64>, StoreError> {
    let mut seconds = vec![];
    for (key, work) in measured {
        seconds.extend(store.record(key)?.map(|record| record.seconds / work));
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds.get(seconds.len() / 2).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_counts_rounds() {
        let node = |run, seconds| NodePreview {
            node: "n".to_owned(),
            counts: Counts { tasks: 40, cached: 40 - run, run, waiting: 0 },
            changes: vec![],
            seconds,
        };
        // One long task takes its time, however many jobs there are.
        assert_eq!(estimate(&[node(1, Some(3600.0))], 16), (3600.0, false));
        assert_eq!(estimate(&[node(17, Some(2.0)), node(0, None)], 16), (4.0, false));
        assert_eq!(estimate(&[node(4, Some(2.0)), node(1, None)], 2), (4.0, true));
    }
}
