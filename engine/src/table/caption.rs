//! The caption of a table: one sentence about its values, intervals, tests and filter.
//! Knows no result.

use super::kind;
use crate::dense::NodeId;
use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::experiment::Experiment;
use crate::spec::expression::Expression;
use crate::spec::table::{Interval, Table, TableKind};

/// Returns the caption of a table, in one sentence.
pub fn caption<O: Ops>(ops: &O, graph: &TaskGraph<O>, table: &Table) -> String {
    let experiment = &graph.experiment;
    let mut text = kind::subject(experiment, table);
    text += &replication(experiment, table);
    if let Some(filter) = &table.filter {
        text += &format!("; where {}", filter.text);
    }
    text += &kind::groups(experiment, &table.kind);
    text += &kind::marks(experiment, table);
    if let Some(remark) = ops.remark(&upstream_ops(graph, table)) {
        text += &format!("; {remark}");
    }
    text
}

/// Returns the words on means, intervals and averages. A table of shares of variance has none of them: its axes of
/// replication and averaging are axes like the others.
fn replication(experiment: &Experiment, table: &Table) -> String {
    let mut text = String::new();
    if let TableKind::Importance { .. } = table.kind {
        return text;
    }
    let over = table.replicate.map(|axis| experiment.axes[axis].name.as_str());
    match (table.interval, over) {
        (Interval::Seeds, Some(over)) => text += &format!("; mean and 95 % t interval over {over}"),
        (Interval::Seeds, None) => {}
        (Interval::Images, None) => text += "; 95 % interval over images, for these networks alone",
        (Interval::Images, Some(over)) => {
            text += &format!("; mean over {over} and 95 % interval over images, for these networks alone");
        }
        (Interval::Both, over) => {
            let over = over.map_or(String::new(), |over| format!("{over} and "));
            text += &format!("; mean and 95 % interval over {over}images at once");
        }
    }
    if !table.average.is_empty() {
        let within = over.map_or(String::new(), |over| format!(" within each {over} first"));
        text += &format!("; averaged over {}{within}", experiment.axis_names(&table.average).join(", "));
    }
    text + &constants(experiment, table)
}

/// Returns the words on the values that do not depend on an axis of replication or averaging: each is one result, not
/// the mean of several.
fn constants(experiment: &Experiment, table: &Table) -> String {
    let pooled = || table.replicate.iter().chain(&table.average);
    let mut text = String::new();
    for axis in pooled() {
        let is_constant = |value: &Expression| !experiment.axes_of(value).contains(axis);
        let mut names: Vec<&str> = vec![];
        for (value, name) in table.values().iter().zip(table.value_names()) {
            if is_constant(value) && !names.contains(&name) {
                names.push(name);
            }
        }
        if !names.is_empty() {
            let verb = if names.len() == 1 { "does" } else { "do" };
            let axis = &experiment.axes[*axis].name;
            text += &format!("; {} {verb} not depend on {axis}", names.join(" and "));
        }
    }
    text
}

/// Returns the ops of the nodes in the table's expressions and of all nodes upstream.
fn upstream_ops<'g, O: Ops>(graph: &'g TaskGraph<O>, table: &Table) -> Vec<&'g O::Op> {
    let nodes = &graph.experiment.nodes;
    let mut upstream: Vec<NodeId> = graph.experiment.nodes_in(&table.expressions());
    let mut at = 0;
    while at < upstream.len() {
        let new: Vec<NodeId> =
            nodes[upstream[at]].reads().filter(|input| !upstream.contains(input)).collect();
        upstream.extend(new);
        at += 1;
    }
    upstream.into_iter().flat_map(|node| &graph.node_tasks[node].resolved_ops).map(|work| &work.op).collect()
}
