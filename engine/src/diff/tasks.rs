//! The tasks that two experiments share: those with equal keys, in any nodes.
//! Knows nothing of results.

use std::collections::HashSet;

use fewbits_store::Key;
use serde::Serialize;

use super::ComparedExperiment;
use crate::dense::NodeId;
use crate::ops::Ops;

/// The task counts of one node: of two nodes with the same name, or of a node that the second experiment renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeTaskCounts {
    /// The node's name in the first experiment; in the second for a node that only the second has.
    pub node: String,
    /// The node's name in the second experiment if it differs. A node only in the first and a node only in the second
    /// count as one renamed node if they share a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// The tasks of the first experiment whose key the second has, too.
    pub shared: usize,
    /// The tasks whose key only the first has.
    pub only_from: usize,
    /// The tasks whose key only the second has.
    pub only_to: usize,
    /// The tasks of both whose keys are not known, because the result of an input is missing.
    pub unknown: usize,
}

/// Counts the tasks of each node; a task that both experiments have is counted once.
pub(super) fn between<O: Ops>(
    from: &ComparedExperiment<'_, O>,
    to: &ComparedExperiment<'_, O>,
) -> Vec<NodeTaskCounts> {
    let [one, other] = [from, to].map(keys);
    let nodes = &to.graph.experiment.nodes;
    let mut added: Vec<NodeId> =
        nodes.ids().filter(|&at| from.node(&to.graph.experiment.nodes[at].name).is_none()).collect();
    let mut found = vec![];
    for (at, node) in from.graph.experiment.nodes.pairs() {
        let renamed = || take_renamed((from, at), to, &mut added);
        let same = to.node(&node.name);
        let in_to = same.or_else(renamed);
        let (shared, only_from, unknown) = count(from, at, &other);
        let (_, only_to, more) = in_to.map_or((0, 0, 0), |at| count(to, at, &one));
        found.push(NodeTaskCounts {
            node: node.name.clone(),
            renamed: in_to.filter(|_| same.is_none()).map(|at| to.graph.experiment.nodes[at].name.clone()),
            shared,
            only_from,
            only_to,
            unknown: unknown + more,
        });
    }
    for at in added {
        // Shared tasks are counted at the nodes of the first experiment.
        let (_, only_to, unknown) = count(to, at, &one);
        let node = to.graph.experiment.nodes[at].name.clone();
        found.push(NodeTaskCounts { node, renamed: None, shared: 0, only_from: 0, only_to, unknown });
    }
    found
}

/// Removes and returns the node of `added` (the nodes in the second experiment only) that shares the most tasks with
/// a node of the first; `None` if no node shares a task.
fn take_renamed<O: Ops>(
    (from, at): (&ComparedExperiment<'_, O>, NodeId),
    to: &ComparedExperiment<'_, O>,
    added: &mut Vec<NodeId>,
) -> Option<NodeId> {
    let own: HashSet<Key> = from.graph.tasks_of(at).filter_map(|task| from.plan.planned(task).key).collect();
    let shared = |node: NodeId| count(to, node, &own).0;
    let (place, most) = (0..added.len()).map(|place| (place, shared(added[place]))).max_by_key(|of| of.1)?;
    (most > 0).then(|| added.remove(place))
}

fn keys<O: Ops>(side: &ComparedExperiment<'_, O>) -> HashSet<Key> {
    side.plan.tasks.iter().filter_map(|planned| planned.key).collect()
}

/// Counts the tasks of a node by their key: among the others' keys, not among them, not known.
fn count<O: Ops>(
    side: &ComparedExperiment<'_, O>,
    node: NodeId,
    others: &HashSet<Key>,
) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for task in side.graph.tasks_of(node) {
        match side.plan.planned(task).key {
            Some(key) if others.contains(&key) => counts.0 += 1,
            Some(_) => counts.1 += 1,
            None => counts.2 += 1,
        }
    }
    counts
}
