//! The differences between two points of one experiment: axes, parameters, and the metrics of the tasks there.
//! A point is a task's name without the unit of replication; it has one task per unit. Knows nothing of tables but
//! their axes of replication and averaging.

use std::collections::{BTreeMap, BTreeSet};

use super::ComparedExperiment;
use super::delta::{self, Delta, ValuesByUnit};
use super::error::DiffError;
use super::fields::{FieldDifference, Tasks, differing};
use super::structure::NodeFields;
use crate::dense::{AxisId, NodeId};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::statistics::estimate::mean;

/// The name of the axis of replication if no table names one.
const SEED: &str = "seed";

/// The differences between two points.
#[derive(Clone, Debug, PartialEq)]
pub struct PointsDiff {
    /// The axes whose values differ.
    pub axes: Vec<FieldDifference>,
    /// The nodes whose fields differ.
    pub fields: Vec<NodeFields>,
    /// The axis of replication, if there is one.
    pub replicate: Option<String>,
    /// The metrics that differ.
    pub changed: Vec<MetricDelta>,
    /// The number of metrics that are equal in every unit although the tasks differ.
    pub equal: usize,
    /// The number of tasks without a result, at each point.
    pub missing: [usize; 2],
}

/// A metric that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDelta {
    /// The name; if both points are of one node, with the name of the metric's node in front.
    pub metric: String,
    /// The difference.
    pub delta: Delta,
}

impl PointsDiff {
    /// Compares two points, each given by a node and its values of axes. If both are points of the same node, the
    /// comparison covers every node whose axes are among that node's, where the tasks differ. The error contains the
    /// name that does not fit, and the fix.
    pub fn between<O: Ops>(
        side: &ComparedExperiment<'_, O>,
        from: &str,
        to: &str,
    ) -> Result<Self, DiffError> {
        let [one, other] = [PairedPoint::find(side, from)?, PairedPoint::find(side, to)?];
        let (mut fields, mut all, mut missing) = (vec![], vec![], [0, 0]);
        for (node, to_node) in one.nodes_with(&other) {
            let [here, there] = [one.tasks_of(node), other.tasks_of(to_node)];
            // Tasks that both points share need no comparison.
            if here.ids == there.ids {
                continue;
            }
            let name = &side.graph.experiment.nodes[node].name;
            let differing = differing(&here, &there, &here.replicated(&one, &there));
            if !differing.is_empty() {
                fields.push(NodeFields { node: name.clone(), fields: differing });
            }
            missing[0] += here.missing();
            missing[1] += there.missing();
            let prefix = if one.node == other.node { format!("{name}.") } else { String::new() };
            for metric in side.graph.experiment.nodes[node].kind.metrics {
                let [from, to] = [here.units(metric, one.replicate), there.units(metric, other.replicate)];
                let delta = Delta::between(&from, &to);
                all.extend(delta.map(|delta| MetricDelta { metric: format!("{prefix}{metric}"), delta }));
            }
        }
        delta::adjust(all.iter_mut().map(|metric| &mut metric.delta));
        let compared = all.len();
        all.retain(|metric| !metric.delta.is_equal());
        Ok(Self {
            axes: one.axes_apart(&other),
            fields,
            replicate: one.replicate.map(|axis| side.graph.experiment.axes[axis].name.clone()),
            equal: compared - all.len(),
            changed: all,
            missing,
        })
    }
}

/// A point: the tasks of one node that differ only in the unit of replication and in averaged axes.
struct PairedPoint<'p, O: Ops> {
    side: &'p ComparedExperiment<'p, O>,
    node: NodeId,
    tasks: Vec<TaskId>,
    replicate: Option<AxisId>,
}

impl<'p, O: Ops> PairedPoint<'p, O> {
    fn find(side: &'p ComparedExperiment<'p, O>, text: &str) -> Result<Self, DiffError> {
        let tasks = side.graph.find_all(text)?;
        let (node, _) = side.graph.place(tasks[0]);
        let (replicate, average) = replication(side.graph, node);
        let point = Self { side, node, tasks, replicate };
        let axes = &side.graph.experiment.nodes[node].axes;
        let is_open = |axis: &&AxisId| {
            Some(**axis) != replicate && !average.contains(axis) && point.labels(**axis).len() > 1
        };
        let open: Vec<String> = side
            .names(&axes.iter().filter(is_open).copied().collect::<Vec<_>>())
            .into_iter()
            .map(|axis| format!("`{axis}`"))
            .collect();
        if open.is_empty() {
            return Ok(point);
        }
        let example = side.graph.name(point.tasks[0]);
        Err(DiffError::Open { text: text.to_owned(), open: open.join(", "), example })
    }

    /// Returns the labels of an axis at the point.
    fn labels(&self, axis: AxisId) -> BTreeSet<&'p str> {
        let name = &self.side.graph.experiment.axes[axis].name;
        let of =
            |&task: &TaskId| self.side.graph.point(task).find(|(of, _)| of == name).map(|(_, label)| label);
        self.tasks.iter().filter_map(of).collect()
    }

    fn axes_apart(&self, other: &Self) -> Vec<FieldDifference> {
        let texts = |labels: BTreeSet<&str>| labels.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let change = |(at, axis): (AxisId, &crate::spec::axis::Axis)| {
            let [from, to] = [self, other].map(|point| texts(point.labels(at)));
            (from != to).then(|| FieldDifference { field: axis.name.clone(), from, to })
        };
        self.side.graph.experiment.axes.pairs().filter_map(change).collect()
    }

    /// Returns pairs of nodes, one per point, whose tasks are compared.
    fn nodes_with(&self, other: &Self) -> Vec<(NodeId, NodeId)> {
        if self.node != other.node {
            return vec![(self.node, other.node)];
        }
        let nodes = &self.side.graph.experiment.nodes;
        let is_here =
            |node: &NodeId| nodes[*node].axes.iter().all(|axis| nodes[self.node].axes.contains(axis));
        nodes.ids().filter(is_here).map(|node| (node, node)).collect()
    }

    /// Returns the tasks of a node at the point; the node's axes are among the point's.
    fn tasks_of(&self, node: NodeId) -> Tasks<'p, O> {
        let graph = self.side.graph;
        let project = |&task: &TaskId| {
            let (own, point) = graph.place(task);
            let at = graph.node_tasks[node].points.project(&graph.node_tasks[own].points, point)?;
            Some(graph.task(node, at))
        };
        let tasks: BTreeSet<TaskId> = self.tasks.iter().filter_map(project).collect();
        Tasks { side: self.side, node, ids: tasks.into_iter().collect() }
    }
}

impl<'p, O: Ops> Tasks<'p, O> {
    /// Returns the axis of replication, if both nodes have it and one of them names it.
    fn replicated(&self, point: &PairedPoint<'p, O>, other: &Self) -> Vec<&'p str> {
        let unit = point.replicate.map(|axis| point.side.graph.experiment.axes[axis].name.as_str());
        self.axes_with(other).into_iter().filter(|axis| Some(*axis) == unit).collect()
    }

    fn missing(&self) -> usize {
        self.ids.iter().filter(|&&task| self.side.results.metrics(task).is_none()).count()
    }

    /// Returns a metric by unit of replication, averaged within each unit.
    fn units(&self, metric: &str, replicate: Option<AxisId>) -> ValuesByUnit {
        let axis = replicate.map(|axis| self.side.graph.experiment.axes[axis].name.as_str());
        let mut units: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for &task in &self.ids {
            if let Some(value) = self.side.results.metrics(task).and_then(|metrics| metrics.get(metric)) {
                let unit = axis.and_then(|axis| self.side.value(task, axis)).unwrap_or_default();
                units.entry(unit).or_default().push(*value);
            }
        }
        units.into_iter().filter_map(|(unit, values)| Some((unit, mean(&values)?))).collect()
    }
}

/// Returns a node's axis of replication and the averaged axes, as in the first table that names them; else an axis
/// named `seed`.
fn replication<O: Ops>(graph: &TaskGraph<O>, node: NodeId) -> (Option<AxisId>, Vec<AxisId>) {
    let (axes, own) = (&graph.experiment.axes, &graph.experiment.nodes[node].axes);
    let table =
        graph.experiment.tables.iter().find(|table| table.replicate.is_some_and(|axis| own.contains(&axis)));
    match table {
        Some(table) => (table.replicate, table.average.clone()),
        None => (own.iter().copied().find(|&axis| axes[axis].name == SEED), vec![]),
    }
}
