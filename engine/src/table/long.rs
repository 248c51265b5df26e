//! The long table: one row per point, with every axis and the metrics of every node.
//! Knows nothing of files or text formats.

use super::flat::{Datum, DuplicateColumn, Flat};
use super::results::Results;
use crate::dense::{AxisId, NodeId};
use crate::graph::TaskGraph;
use crate::graph::points::Points;
use crate::ops::Ops;
use crate::spec::axis::{Axis, Level};
use crate::spec::node::Node;
use crate::spec::table::{MOST_ROWS, SECONDS};

/// Returns the long table. Its columns are the axes, `axis.field` for struct values, and `node.metric`. For each
/// maximal set of axes among the nodes there is one row per point; a node with fewer axes is repeated over the
/// others. Missing and undefined values are null.
pub fn long_table<O: Ops>(graph: &TaskGraph<O>, results: &Results) -> Result<Flat, DuplicateColumn> {
    let experiment = &graph.experiment;
    let mut all = Flat::default();
    // Probes are not in the file, so their numbers are not in its table.
    let is_written = |node: &Node| node.axes.iter().all(|axis| !experiment.axes[*axis].is_of_probes());
    let sets: Vec<&[AxisId]> =
        experiment.nodes.iter().filter(|node| is_written(node)).map(|node| node.axes.as_slice()).collect();
    for axes in maximal(&sets) {
        let nodes: Vec<NodeId> = experiment
            .nodes
            .ids()
            .filter(|&node| experiment.nodes[node].axes.iter().all(|axis| axes.contains(axis)))
            .collect();
        let Ok(points) = Points::enumerate(axes, &experiment.axes, &experiment.only, MOST_ROWS) else {
            continue;
        };
        for point in points.ids() {
            let mut row = vec![];
            for (at, axis) in experiment.axes.pairs().filter(|(_, axis)| !axis.is_of_probes()) {
                write_axis(axis, points.level(point, at), &mut row);
            }
            for &node in &nodes {
                let task = graph.node_tasks[node]
                    .points
                    .project(&points, point)
                    .map(|point| graph.task(node, point));
                let metrics = task.and_then(|task| results.metrics(task));
                for metric in experiment.nodes[node].kind.metrics.iter().copied().chain([SECONDS]) {
                    let value = metrics.and_then(|metrics| metrics.get(metric));
                    let name = format!("{}.{metric}", experiment.nodes[node].name);
                    row.push((name, Datum::number(value.copied())));
                }
            }
            all.add(row)?;
        }
    }
    Ok(all)
}

fn maximal<'a>(sets: &[&'a [AxisId]]) -> Vec<&'a [AxisId]> {
    let within = |a: &[AxisId], b: &[AxisId]| a.iter().all(|axis| b.contains(axis));
    let mut found: Vec<&[AxisId]> = vec![];
    for &set in sets {
        let larger = sets.iter().any(|other| other.len() > set.len() && within(set, other));
        if !larger && !found.contains(&set) {
            found.push(set);
        }
    }
    found
}

fn write_axis(axis: &Axis, level: Option<usize>, row: &mut Vec<(String, Datum)>) {
    let level = level.map(|level| &axis.levels[level]);
    row.push((axis.name.clone(), level.map_or(Datum::Null, Datum::from)));
    // A field that stands for another axis is in that axis's own column.
    let is_own =
        |level: &Level, field: &str| level.field(field).is_some_and(|value| !value.stands_for_axis());
    for field in axis.fields() {
        if !axis.levels.iter().any(|level| is_own(level, field)) {
            continue;
        }
        let value = level.filter(|level| is_own(level, field)).and_then(|level| level.field(field));
        row.push((format!("{}.{field}", axis.name), value.map_or(Datum::Null, Datum::from)));
    }
}
