//! The nodes of an experiment as a tree, in which each node is below one of its inputs.
//! Knows nothing of the nodes' progress.

use fewbits_engine::dense::{DenseMap, NodeId};

use crate::dashboard::run_model::RunModel;

/// A node in the tree.
pub struct TreeRow {
    /// The node.
    pub node: NodeId,
    /// For each level below the root, whether a later sibling follows at that level.
    pub open: Vec<bool>,
}

/// Returns the nodes as a tree. A node with several inputs is below the one that comes last in the order of nodes.
#[must_use]
pub fn tree(run: &RunModel) -> Vec<TreeRow> {
    let graph = &run.opened.graph;
    let nodes = &graph.experiment.nodes;
    let rank = |node: NodeId| graph.order.iter().position(|at| *at == node).unwrap_or(0);
    let parent: DenseMap<NodeId, Option<NodeId>> =
        nodes.iter().map(|node| node.reads().max_by_key(|input| rank(*input))).collect();
    let mut rows = vec![];
    grow(None, &parent, &[], &mut rows);
    rows
}

fn grow(
    below: Option<NodeId>,
    parent: &DenseMap<NodeId, Option<NodeId>>,
    open: &[bool],
    rows: &mut Vec<TreeRow>,
) {
    let children: Vec<NodeId> = parent.ids().filter(|node| parent[*node] == below).collect();
    for (at, &node) in children.iter().enumerate() {
        let mut steps = open.to_vec();
        if below.is_some() {
            steps.push(at + 1 < children.len());
        }
        rows.push(TreeRow { node, open: steps.clone() });
        grow(Some(node), parent, &steps, rows);
    }
}

/// Returns the branch symbols before a node's name.
#[must_use]
pub fn branches(open: &[bool], ascii: bool) -> String {
    let Some((last, before)) = open.split_last() else { return String::new() };
    let [through, gap, tee, corner] =
        if ascii { ["| ", "  ", "+-", "`-"] } else { ["│ ", "  ", "├ ", "└ "] };
    let mut text: String = before.iter().map(|more| if *more { through } else { gap }).collect();
    text += if *last { tee } else { corner };
    text
}
