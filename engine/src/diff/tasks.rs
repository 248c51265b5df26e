//! Which tasks two experiments share: those of equal keys, in whatever node they stand.
//! Knows nothing of their results.

use std::collections::HashSet;

use fewbits_store::Key;
use serde::Serialize;

use super::Side;
use crate::ops::Ops;

/// The tasks of the nodes of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeTasks {
    /// The name of the nodes.
    pub node: String,
    /// Tasks of the first whose key the second has, too; of the second, where only that has the node.
    pub shared: usize,
    /// Tasks whose key only the first has.
    pub only_from: usize,
    /// Tasks whose key only the second has.
    pub only_to: usize,
    /// Tasks of both whose keys are not known: what they read has no result.
    pub unknown: usize,
}

/// Counts the tasks of each node.
pub(super) fn between<O: Ops>(from: &Side<'_, O>, to: &Side<'_, O>) -> Vec<NodeTasks> {
    let [one, other] = [from, to].map(keys);
    let mut found = vec![];
    for (at, node) in from.graph.experiment.nodes.iter().enumerate() {
        let (shared, only_from, unknown) = count(from, at, &other);
        let (_, only_to, more) = to.node(&node.name).map_or((0, 0, 0), |at| count(to, at, &one));
        found.push(NodeTasks {
            node: node.name.clone(),
            shared,
            only_from,
            only_to,
            unknown: unknown + more,
        });
    }
    for (at, node) in to.graph.experiment.nodes.iter().enumerate() {
        if from.node(&node.name).is_none() {
            let (shared, only_to, unknown) = count(to, at, &one);
            found.push(NodeTasks { node: node.name.clone(), shared, only_from: 0, only_to, unknown });
        }
    }
    found
}

fn keys<O: Ops>(side: &Side<'_, O>) -> HashSet<Key> {
    side.plan.tasks.iter().filter_map(|planned| planned.key).collect()
}

/// Counts the tasks of a node whose key is among others, is not, and is not known.
fn count<O: Ops>(side: &Side<'_, O>, node: usize, others: &HashSet<Key>) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for task in side.graph.tasks_of(node) {
        match side.plan.of(task).key {
            Some(key) if others.contains(&key) => counts.0 += 1,
            Some(_) => counts.1 += 1,
            None => counts.2 += 1,
        }
    }
    counts
}
